"""Numbers of analyses and of pruning, worked by hand."""

import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from finished import run_spec
from matplotlib.figure import Figure

from colonnade.analysis.intervals import REDRAWN, interval_of
from colonnade.analysis.policies.perturbation import Estimate, PerturbationCurves
from colonnade.experiments.method_titles import FALLBACK_COLOURS
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.trained.analysis import FeaturePictures, RunAnalysis
from colonnade.experiments.trained.analysis_options import AnalysisOptions
from colonnade.experiments.trained.comparison import new_vision, reuse_words, used_shares
from colonnade.experiments.trained.pruned import Cost, notes
from colonnade.experiments.trained.sensitivity import _level_names
from colonnade.networks import ColumnSpec, Conv, Dense, Feature, ProgressiveNetwork
from colonnade.networks.progressive.forward import aligned_levels
from colonnade.reports.sensitivity.chart import noise_chart, spectra_chart, sweet_spot_chart
from colonnade.reports.sensitivity.charts import (
    agreement,
    noise_curves,
    shaded_columns,
    spectra,
    sweet_spot,
)
from colonnade.reports.sensitivity.features import feature_maps, feature_shares
from colonnade.reports.sensitivity.page import (
    _agreement_words,
    write_analysis,
)
from colonnade.reports.style import to_svg
from colonnade.seeding import generator

LEVELS = ((Feature(0, 0), Feature(1, 0)), (Feature(0, 1), Feature(1, 1)))


def analysis(shares, run="r", task="mini-pong/zoom", curves=None, names=("conv 1", "dense")):
    """Of two columns; at each level the new column holds such a share of the sensitivity."""
    sensitivity = {}
    for level, share in zip(LEVELS, shares, strict=True):
        old, new = level
        sensitivity[old] = np.full(4, (1 - share) / 4)
        # One feature of the new column holds all but the last of ten parts of its share.
        sensitivity[new] = share * np.array([0.96, 0.03, 0.01, 0.0])
    return RunAnalysis(
        run=run, label=run, task=task, columns=("mini-pong/pong", task), level_names=names,
        levels=LEVELS, sensitivity=sensitivity, states=10,
        options=AnalysisOptions(noise=(1.0, 2.0)), curves=curves,
    )  # fmt: skip


def numbers(figure: Figure) -> list[tuple[float, float]]:
    """All points of the first panel's lines that are markers without a line."""
    (axes, *_) = figure.axes
    found = [line for line in axes.lines if line.get_linestyle() in ("None", "")]
    return [
        (float(x), float(y)) for line in found for x, y in [*zip(*line.get_data(), strict=True)]
    ]


def test_what_is_reused_is_said_by_its_share():
    words = reuse_words(analysis([0.1, 0.9]), analysis([0.2, 0.8]), analysis([0.0, 1.0]))
    assert words == (
        "The column for Zoom reuses conv 1 (90% from earlier columns) and learned dense "
        "(10% from earlier columns) anew."
    )
    assert "joins old and new features in conv 1 (40%" in reuse_words(analysis([0.6, 1.0]))


def test_names_are_no_mathematics_to_pictures():
    odd = ("a$^$", "b$_$")
    returns = {feature: np.ones((2, 4)) for level in LEVELS for feature in level}
    curves = PerturbationCurves((1.0, 2.0), np.full(4, 10.0), 0.0, returns, LEVELS)
    frames = np.zeros((2, 8, 8), np.uint8)
    filters = {feature: np.ones((4, 1, 3, 3)) for feature in LEVELS[0]}
    pictures = FeaturePictures(filters, frames, odd, {(LEVELS[0][0], 0): np.ones((2, 4, 4))})
    found = replace(analysis([0.5, 0.5]), columns=odd, curves=curves, pictures=pictures)
    maps = feature_maps(found)
    assert maps is not None
    spots = sweet_spot([(0.5, 1.0, name, 2) for name in odd])
    shaded = shaded_columns({"a$^$ to b$_$": [found]})
    for figure in (shaded, noise_curves(found), feature_shares(found), maps, spots):
        assert "^" in to_svg(figure, "picture")


@pytest.mark.filterwarnings("error")
def test_levels_without_any_sensitivity_are_not_said_to_be_reused():
    half, dead = analysis([0.6, 1.0]), analysis([0.6, 1.0])
    for each, levels in ((half, LEVELS[:1]), (dead, LEVELS)):
        for feature in (feature for level in levels for feature in level):
            each.sensitivity[feature][:] = 0.0
    half, dead = (replace(each) for each in (half, dead))  # sums the sensitivities up
    assert reuse_words(half) == (
        "The column for Zoom learned dense (0% from earlier columns) anew and does not depend on "
        "conv 1."
    )
    assert reuse_words(dead) == "The column for Zoom does not depend on conv 1 and dense."
    assert "joins old and new features in conv 1 (40%" in reuse_words(half, analysis([0.6, 1.0]))
    rows = used_shares([half, dead, analysis([0.5, 0.5])])
    assert rows == [("2 columns, 3 networks", [("conv 1", "25%"), ("dense", "25%")])]
    assert used_shares([half])[0][1] == [("conv 1", ""), ("dense", "25%")]
    results = SimpleNamespace(
        runs={"r": SimpleNamespace(folder=SimpleNamespace(last_task=half.task))},
        relative_area=lambda _: 0.5,
    )
    assert new_vision([half, dead], results) == []


def test_the_share_of_features_in_use():
    # 0.96 of the sensitivity lies in one feature of four: a quarter holds 95 %.
    even = analysis([0.5, 0.5])
    flat = {**even.sensitivity, Feature(1, 0): np.full(4, 0.125)}
    rows = used_shares([even, even, replace(even, sensitivity=flat)])
    assert rows == [("2 columns, 3 networks", [("conv 1", "50%"), ("dense", "25%")])]


def test_levels_below_a_shallow_column_keep_their_names_and_numbers(tmp_path: Path):
    deep = ColumnSpec((Conv(4, 4, 2), Conv(4, 4, 2), Dense(16)))
    shallow = ColumnSpec((Dense(8),), input="joints")
    shapes, found = {"observation": (3, 32, 32), "joints": (9,)}, []
    for specs in ([deep, deep], [deep, deep, shallow]):
        network = ProgressiveNetwork()
        for spec in specs:
            network.add_column(spec, shapes, 4, generator(0))
        columns = [network.column(i) for i in range(len(specs))]
        levels = tuple(aligned_levels(columns))
        sensitivity = {f: np.ones(4 if f.stage < 2 else 8) for level in levels for f in level}
        found.append(
            RunAnalysis(
                run="r", label="r", task="t/c", columns=("t/a", "t/b", "t/c")[-len(specs) :],
                level_names=_level_names(network.newest, len(levels)), levels=levels,
                sensitivity=sensitivity, states=10, options=AnalysisOptions(episodes=0),
            )
        )  # fmt: skip
    three = found[1]
    assert three.level_names == ("2 below dense", "below dense", "dense")
    # Of features that count alike 95 % takes all.
    assert used_shares(found) == [
        ("2 columns, 1 network", [
            ("conv 1", "100%"), ("conv 2", "100%"), ("dense", "100%"),
            ("2 below dense", ""), ("below dense", ""),
        ]),
        ("3 columns, 1 network", [
            ("conv 1", ""), ("conv 2", ""), ("dense", "100%"),
            ("2 below dense", ""), ("below dense", ""),
        ]),
    ]  # fmt: skip
    assert [axes.get_title() for axes in spectra([three]).axes[:3]] == list(three.level_names)
    # An older version's file calls them alike.
    replace(three, level_names=("below dense", "below dense", "dense")).save(tmp_path)
    read = RunAnalysis.load(tmp_path)
    assert read is not None
    assert read.level_names == three.level_names


def test_the_agreement_in_words():
    assert _agreement_words(0.5, [0.8, math.nan]) == (
        "Rank correlation over all layers and columns: 0.50."
    )
    assert _agreement_words(0.5, [0.9, 0.9, 0.3]) == (
        "Rank correlation over all layers and columns: 0.50; network by network 0.70 on average "
        "over 3, 0.30 at the least."
    )


def test_shares_are_drawn_where_their_layers_stand():
    figure = shaded_columns({"Pong to Zoom": [analysis([0.1, 0.5]), analysis([0.1, 0.9]),
                                              analysis([0.1, 1.0])]})  # fmt: skip
    (axes,) = figure.axes
    shown = {
        (round(x.get_position()[0], 2), round(x.get_position()[1], 2)): x.get_text()
        for x in axes.texts
        if "%" in x.get_text()
    }
    assert shown == {
        (0.5, 0.28): "90%",
        (1.92, 0.28): "10%",
        (0.5, 1.14): "20%",
        (1.92, 1.14): "80%",
    }
    corners = sorted((round(p.get_x(), 2), round(p.get_y(), 2)) for p in axes.patches
                     if hasattr(p, "get_x"))  # fmt: skip
    assert corners == [(0.0, 0.0), (0.0, 0.86), (1.42, 0.0), (1.42, 0.86)]


def test_aps_is_drawn_over_afs_and_ranks_are_compared():
    # Noise of 1 takes half in the first, of 2 in the second layer of a level: L is 1 and 1 / 4.
    half, later = np.array([[5.0] * 4, [0.0] * 4]), np.array([[10.0] * 4, [5.0] * 4])
    returns = {LEVELS[0][0]: half, LEVELS[0][1]: later, LEVELS[1][0]: later, LEVELS[1][1]: half}
    curves = PerturbationCurves((1.0, 2.0), np.full(4, 10.0), 0.0, returns, LEVELS)
    found = agreement([analysis([0.3, 0.9], curves=curves), analysis([0.5, 0.5])])
    assert found is not None
    figure, pooled, single = found
    assert sorted((round(x, 6), round(y, 6)) for x, y in points(figure)) == [
        (0.1, 0.2), (0.3, 0.2), (0.7, 0.8), (0.9, 0.8),
    ]  # fmt: skip
    # Ranks 1 2 3 4 against 1.5 1.5 3.5 3.5.
    assert pooled == pytest.approx(2 / 5**0.5)
    assert single == [pooled]
    assert agreement([analysis([0.5, 0.5])]) is None


def test_the_ranks_compared_are_those_of_the_shares_and_not_of_their_intervals():
    # AFS 0.7, 0.3, 0.1, 0.9, ranks 3 2 1 4; APS has the ranks 2 3 1 4, its lower ends 1 2 3 4.
    features = [feature for level in LEVELS for feature in level]
    afs, aps = (0.7, 0.3, 0.1, 0.9), (0.4, 0.6, 0.3, 0.7)
    lows, highs = (0.1, 0.2, 0.25, 0.5), (0.9, 0.65, 0.8, 0.75)
    shares = dict(zip(features, map(Estimate, aps, lows, highs), strict=True))
    found = agreement([analysis([0.3, 0.9], curves=SimpleNamespace(aps=lambda: shares))])
    assert found is not None
    figure, pooled, single = found
    # 1 - 6 (1 + 1) / (4 (16 - 1)).
    assert (pooled, single) == (pytest.approx(0.8), [pytest.approx(0.8)])
    assert points(figure) == [(pytest.approx(x), y) for x, y in zip(afs, aps, strict=True)]
    bars = [bar[2][0].get_segments()[0] for bar in figure.axes[0].containers]
    expected = [[(x, low), (x, high)] for x, low, high in zip(afs, lows, highs, strict=True)]
    np.testing.assert_allclose(bars, expected)


def test_the_charts_of_an_analysis_hold_what_was_measured():
    half = np.array([[5.0, 7.0, 9.0], [0.0, 1.0, 5.0]])
    returns = dict.fromkeys((feature for level in LEVELS for feature in level), half)
    curves = PerturbationCurves((1.0, 2.0), np.full(3, 10.0), 0.0, returns, LEVELS)
    found = analysis([0.3, 0.9], curves=curves)
    noise = noise_chart(found).to_json()
    assert len(noise["panels"]) == len(found.columns)
    line = noise["panels"][0]["lines"][0]
    assert (line["x"], line["y"]) == ([1, 2], [7, 2])
    # Student's 97.5 % quantile with two degrees of freedom, times the standard error.
    reach = 4.302652729911275 * half.std(axis=1, ddof=1) / 3**0.5
    assert line["low"] == pytest.approx([7 - reach[0], 2 - reach[1]], rel=1e-4)
    assert line["labels"] == ["3 episodes"] * 2
    assert [(m["at"], m["title"]) for m in noise["panels"][0]["levels"]] == [
        (10, "no noise"), (5, "half"), (0, "random policy"),
    ]  # fmt: skip
    spread = spectra_chart([found]).to_json()
    figure = spectra([found])
    drawn = {
        axes.get_title(loc="left") or axes.get_title(): axes.lines[0].get_ydata()
        for axes in figure.axes[: len(LEVELS)]
    }
    for panel in spread["panels"]:
        name, _, where = panel["title"].partition(", ")
        if where == "earlier columns":
            (line,) = panel["lines"]
            assert line["y"] == pytest.approx(np.asarray(drawn[name]), rel=1e-5)
    (points,) = sweet_spot_chart([(0.4, 1.5, "pong-soup/zoom", 2)]).to_json()["panels"]
    (dots,) = points["lines"]
    assert (dots["x"], dots["y"], dots["labels"]) == ([0.4], [1.5], ["2 columns"])


def test_bands_over_episodes_are_students_as_on_every_page():
    rows = np.array([[1.0, 3.0, 8.0], [2.0, 2.0, 5.0]])
    returns = dict.fromkeys((feature for level in LEVELS for feature in level), rows)
    curves = PerturbationCurves((1.0, 2.0), np.full(3, 10.0), 0.0, returns, LEVELS)
    figure = noise_curves(analysis([0.3, 0.9], curves=curves))
    points = figure.axes[0].collections[0].get_paths()[0].vertices
    ends = sorted({float(y) for x, y in points if x == 1.0})
    # Squared distances from the mean of 4: 9, 1 and 16, over 3 - 1; two degrees of freedom.
    reach = 4.302652729911275 * (26 / 2 / 3) ** 0.5
    assert ends == pytest.approx([4 - reach, 4 + reach])
    one = {feature: values[:, :1] for feature, values in returns.items()}
    noise_curves(analysis([0.3, 0.9], curves=replace(curves, clean=np.ones(1), returns=one)))


def test_jobs_of_a_sweep_are_not_called_seeds():
    group = {"Pong to Zoom": [analysis([0.1, 0.5]), analysis([0.1, 0.9])]}
    for words, figure in (
        ("seeds", shaded_columns(group)),
        ("jobs", shaded_columns(group, "jobs")),
    ):
        (axes,) = figure.axes
        assert axes.get_title() == f"Pong to Zoom\n2 {words}"


@pytest.mark.parametrize("sweep", [None, Sweep(jobs=2, top=1)])
def test_the_page_says_what_it_averages_and_what_its_bars_are_worth(tmp_path: Path, sweep):
    half = np.array([[5.0] * 4, [0.0] * 4])
    returns = dict.fromkeys((feature for level in LEVELS for feature in level), half)
    curves = PerturbationCurves((1.0, 2.0), np.full(4, 10.0), 0.0, returns, LEVELS)
    spec = run_spec("progressive pong to zoom, job 0", "progressive", "mini-pong/zoom")
    other = replace(spec, seed=1, label="progressive pong to zoom, job 1")
    suite = SuiteFolder(tmp_path, "mine", {}, Plan((spec, other)), sweep)
    found = [
        replace(analysis([0.1, 0.5], run=each.id, curves=curves), label=each.label)
        for each in (spec, other)
    ]
    page = " ".join(write_analysis(tmp_path, found, suite, None).read_text().split())
    caution = interval_of(0, 1, REDRAWN, 4).caution.replace("runs", "returns")
    assert caution
    assert f"over redrawn episodes (with 4 episodes it {caution})." in page
    assert ("stands for several jobs" in page) == (sweep is not None)
    assert f">2 {'jobs' if sweep else 'seeds'}<" in page, "under its title, in the picture"


def points(figure: Figure) -> list[tuple[float, float]]:
    """The places of a figure's error bars."""
    (axes,) = figure.axes
    return [(float(bar[0].get_xdata()[0]), float(bar[0].get_ydata()[0])) for bar in axes.containers]


def test_spectra_of_the_sources_stand_above_those_of_the_new_column():
    figure = spectra([analysis([0.4, 0.4])])
    above, below = figure.axes[0].lines[0], figure.axes[2].lines[0]
    np.testing.assert_allclose(above.get_ydata(), 0.25)
    assert below.get_ydata()[0] == pytest.approx(0.96)
    assert below.get_ydata()[-1] == 0


def test_more_numbers_of_columns_than_colours_have_spectra_all_the_same():
    counts = list(range(2, 3 + len(FALLBACK_COLOURS)))
    found = [
        replace(analysis([0.4, 0.4]), columns=tuple(f"t/{k}" for k in range(count)),
                sensitivity={feature: np.ones(4) for level in LEVELS for feature in level})
        for count in counts
    ]  # fmt: skip
    drawn = [line.get_color() for line in spectra(found).axes[0].lines]
    assert drawn == [*FALLBACK_COLOURS, FALLBACK_COLOURS[0]]
    shown = spectra_chart(found).to_json()["series"]
    assert [each["key"] for each in shown] == list(map(str, counts))
    assert [each["colour"] for each in shown] == drawn


class Known:
    """Results whose relative areas are known."""

    def __init__(self, spec):
        self.runs = {"r": SimpleNamespace(folder=SimpleNamespace(last_task=spec.target))}

    def relative_area(self, run):
        return 1.5


def test_transfer_over_new_vision():
    spec = run_spec("progressive pong to zoom", "progressive", "mini-pong/zoom")
    names = ("conv 1", "conv 2")
    three = analysis([0.2, 0.6], names=names)
    other = analysis([0.2, 0.6], task="mini-pong/noisy", names=names)
    found = new_vision([three, other, analysis([0.2, 0.6], run="gone")], Known(spec))
    assert found == [(pytest.approx(0.4), 1.5, "mini-pong/zoom", 2)]
    assert numbers(sweet_spot(found)) == [(pytest.approx(0.4), 1.5)]


# --- pruning --------------------------------------------------------------------------------------


def test_what_pruning_costs():
    before, after = np.array([10.0, 20.0, 60.0]), np.array([5.0, 20.0, 35.0])
    paid = Cost("task", 0, random=-10.0, before=before, after=after)
    assert paid.loss == pytest.approx((30 - 20) / (30 + 10))
    many = Cost("task", 0, -10.0, np.tile(before, 40), np.tile(after, 40))
    assert many.interval is not None
    low, high = many.interval
    assert low < 0.25 < high
    # To first order the loss has the spread of (after - 0.75 before) / 40 over 120 episodes.
    error = math.hypot(0.75 * before.std(), after.std()) / 40 / 120**0.5
    assert high - low == pytest.approx(2 * 1.98 * error, rel=0.15)
    assert replace(paid, after=after[:2]).interval is None
    assert "with 3 episodes it covers" in paid.caution
    assert "where returns are normal" in paid.caution
    assert many.caution == ""


def test_notes_say_what_went_and_what_it_cost():
    report = {
        "of": "abc", "keep": 0.95,
        "parameters": {"before": 2000, "after": 500},
        "decisions_per_second": {"before": 100.0, "after": 150.0},
        "costs": [
            {"task": "a", "before": 10.0, "after": 9.0, "loss": 0.05, "interval": [-0.01, 0.125]},
            {"task": "b", "before": 10.0, "after": 9.0, "loss": 0.05, "interval": None},
            {"task": "c", "before": 10.0, "after": 9.0, "loss": 0.05, "interval": [0.0, 0.1],
             "caution": "with 3 episodes it covers 76%"},
        ],
    }  # fmt: skip
    first, *costs = notes(report)
    assert "2,000 parameters became 500 (75% less); decisions are 1.50 times as fast" in first
    words = "10.00 before, 9.00 after, 5.0% of the score above random lost"
    assert costs == [
        f"a: {words} (95 % interval -1.0% to 12.5%).",
        f"b: {words}.",
        f"c: {words} (95 % interval 0.0% to 10.0%; with 3 episodes it covers 76%).",
    ]
