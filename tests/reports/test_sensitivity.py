"""The analysis of runs whose answer is known, from the command line to the page."""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finished import POLE, balancing_network, images, poles, run_spec, write_suite
from matplotlib.patches import FancyBboxPatch
from reading import Balance, table_of, without_scripts

from colonnade.cli.analyze import analyze
from colonnade.cli.main import main
from colonnade.errors import UsageError
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.files import write_json
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.titles import task_title
from colonnade.experiments.trained import sensitivity as module
from colonnade.experiments.trained.analysis import FILE, RunAnalysis
from colonnade.experiments.trained.analysis_options import AnalysisOptions
from colonnade.experiments.trained.sensitivity import analyse_run, known_analysis
from colonnade.networks import Feature, ProgressiveNetwork, tiny_column
from colonnade.reports.findings import section as findings_section
from colonnade.reports.findings.section import FindingsSection
from colonnade.reports.network import largest_network, network_drawing
from colonnade.reports.sensitivity.features import feature_maps
from colonnade.reports.style import SENSITIVITY
from colonnade.reports.suite import write_report
from colonnade.seeding import generator
from colonnade.tasks import task_from_name
from colonnade.training import read_tensors, write_tensors

POLE_TITLE = task_title(POLE)
QUICK = AnalysisOptions(states=300, episodes=3, noise=(1.0, 30.0))
SILENT = AnalysisOptions(states=120, episodes=0)


def check_page(path: Path) -> str:
    page = path.read_text()
    balance = Balance()
    balance.feed(page)
    assert balance.open == []
    assert not re.search(r'(src|href)="(?!data:|#)', without_scripts(page)), (
        "nothing is loaded from elsewhere"
    )
    return page


def test_one_run_whose_new_column_only_reuses(tmp_path: Path, monkeypatch) -> None:
    suite = poles(tmp_path / "out")
    folder = suite.runs[1]
    path = analyze(folder.path, None, QUICK, jobs=1)
    assert path == folder.path / "analysis.html"
    page = check_page(path)
    assert "reuses dense (100% from earlier columns)" in page
    found = RunAnalysis.load(folder.path)
    assert found is not None
    old, new = Feature(0, 0), Feature(1, 0)
    assert found.layer_afs == {old: pytest.approx(1), new: 0}
    assert found.columns == ("another", POLE), "an older file does not say what the first learned"
    assert np.flatnonzero(found.sensitivity[old]).tolist() == [0, 1]
    assert found.curves is not None
    np.testing.assert_array_equal(found.curves.returns[new][-1], found.curves.clean)
    assert found.curves.aps()[old].value == 1
    monkeypatch.setattr(module, "analyse_run", None)  # not measured again
    again = check_page(analyze(folder.path, None, QUICK, jobs=1))
    assert again.partition("Written")[0] == page.partition("Written")[0]


@pytest.mark.parametrize(
    ("trained", "method", "columns", "caption"),
    [
        ([[POLE], [POLE]], "progressive", (POLE, POLE), POLE_TITLE),
        ([[], [POLE]], "progressive", ("untrained", POLE), "never trained"),
        (
            [["gym/Acrobot-v1", "other"], [POLE]],
            "progressive",
            ("other", POLE),
            task_title("other"),
        ),
        (None, "progressive", ("another", POLE), "another column"),
        (None, "random-column", ("untrained", POLE), "never trained"),
    ],
)
def test_columns_are_called_by_what_trained_them(
    tmp_path: Path, trained: Any, method: str, columns: tuple[str, ...], caption: str
) -> None:
    suite = write_suite(
        tmp_path / "out", [(run_spec("pole", method, POLE), balancing_network(2), {POLE: 1})]
    )
    folder = suite.runs[0]
    if trained is not None:
        write_json(folder.path / "network.json", {**folder.network(), "trained": trained})
    silent = AnalysisOptions(states=60, episodes=0)
    found = analyse_run(suite, folder, None, silent, None)
    assert found.columns == columns
    # An earlier version called all columns so that play no task.
    replace(found, columns=("untrained", POLE)).save(folder.path)
    known = known_analysis(folder, None, silent)
    assert known is not None
    assert known.columns == columns
    drawn = largest_network(Results(suite))
    assert drawn is not None
    assert drawn.captions == (caption, POLE_TITLE)


@pytest.mark.parametrize("change", [{"format": 1}, {"options": {"noise": [1.0, 1.0]}}])
def test_what_earlier_versions_measured_in_another_way_is_measured_anew(
    tmp_path: Path, change: dict[str, Any]
) -> None:
    silent = AnalysisOptions(states=60, episodes=0)
    suite = poles(tmp_path / "out")
    folder = suite.runs[1]
    analyse_run(suite, folder, None, silent, None).save(folder.path)
    assert known_analysis(folder, None, silent) is not None
    tensors, meta = read_tensors(folder.path / FILE)
    options = {**meta["options"], **change.get("options", {})}
    write_tensors(folder.path / FILE, tensors, {**meta, **change, "options": options})
    assert RunAnalysis.load(folder.path) is None
    assert known_analysis(folder, None, silent) is None


@pytest.mark.parametrize("fault", ["damaged", "another run's"])
def test_a_report_passes_over_an_analysis_that_is_not_the_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    suite = poles(tmp_path / "out")
    folder, silent = suite.runs[1], AnalysisOptions(states=60, episodes=0)
    found = analyse_run(suite, folder, None, silent, None)
    found.save(folder.path)
    drawn = largest_network(Results(suite))
    assert drawn is not None
    assert drawn.shares
    kept: list[str] = []

    def listed(analyses: Sequence[RunAnalysis], _: SuiteFolder) -> dict[str, list[RunAnalysis]]:
        kept.extend(each.run for each in analyses)
        return {}

    monkeypatch.setattr(findings_section, "groups_of", listed)
    FindingsSection(Results(suite)).html({})
    assert kept == [folder.id]
    if fault == "damaged":
        path = folder.path / FILE
        path.write_bytes(path.read_bytes()[:-9])
        words = f"{path}"
    else:
        replace(found, run=suite.runs[0].id).save(folder.path)
        words = f"{folder.path} holds the analysis of run {suite.runs[0].id!r}"
    drawn = largest_network(Results(suite))
    assert drawn is not None
    assert not drawn.shares
    FindingsSection(Results(suite)).html({})
    assert kept == [folder.id]
    assert len(caplog.messages) == 2
    for message in caplog.messages:
        assert message.startswith("An analysis is passed over: ")
        assert words in message
    check_page(write_report(suite))


def test_a_suite_of_image_networks(tmp_path: Path) -> None:
    suite = images(tmp_path / "out")
    path = analyze(suite.path, None, SILENT, jobs=1)
    assert path == suite.path / "analysis.html"
    page = check_page(path)
    assert "2 networks of by hand" in page
    for words in ("Pong to Zoom", "Pong + Zoom to White", "3 columns"):
        assert words in page
    names = {entry.name for entry in (suite.path / "figures").iterdir()}
    assert {"analysis-reuse.png", "analysis-spectra.png", "analysis-features-1.png"} <= names
    assert "analysis-noise-0.png" not in names
    found = RunAnalysis.load(suite.runs[1].path)
    assert found is not None
    assert found.level_names == ("conv 1", "conv 2", "dense")
    pictures = found.pictures
    assert pictures is not None
    assert pictures.frame_tasks[::2] == [f"mini-pong/{n}" for n in ("pong", "zoom", "white")]
    best = max(
        ((found.sensitivity[f][m], f, m) for f in found.levels[0] for m in range(8)),
        key=lambda each: each[0],
    )
    assert next(iter(pictures.maps)) == best[1:]
    assert pictures.maps[best[1:]].shape[0] == len(pictures.frames) == 6
    check_shades(suite, found)


@pytest.mark.parametrize(
    ("options", "names", "shape"),
    [
        ({}, ["red", "green", "blue"], (84, 84, 3)),
        ({"colour": False, "stack": 3}, ["t - 2", "t - 1", "now"], (84, 84)),
        (
            {"stack": 2},
            [f"{when}\n{name}" for when in ("t - 1", "now") for name in ("red", "green", "blue")],
            (84, 84, 3),
        ),
    ],
)
def test_channels_are_called_what_the_task_shows_by_them(
    tmp_path: Path, options: dict[str, Any], names: list[str], shape: tuple[int, ...]
) -> None:
    budget = TaskBudget("labyrinth/track-1", 1000, {**options, "max_steps": 40})
    task = task_from_name(budget.name, **budget.options)
    network = ProgressiveNetwork()
    for k in range(2):
        network.add_column(
            tiny_column(), task.spec.input_shapes, task.spec.outputs, generator(0, k)
        )
    spec = RunSpec("maze", "progressive", (budget,), "ppo", "default")
    suite = write_suite(tmp_path / "out", [(spec, network, {budget.name: 1})])
    folder = suite.runs[0]
    silent = AnalysisOptions(states=60, episodes=0)
    analyse_run(suite, folder, None, silent, None).save(folder.path)
    found = RunAnalysis.load(folder.path)
    assert found is not None
    assert found.pictures is not None
    assert found.pictures.frames.shape[1:] == shape
    figure = feature_maps(found)
    assert figure is not None
    titles = [axes.get_title() for axes in figure.axes]
    assert [title for title in titles if title and "Track" not in title] == names
    tensors, meta = read_tensors(folder.path / FILE)
    del meta["in_colour"]
    write_tensors(folder.path / FILE, tensors, meta)
    assert known_analysis(folder, None, silent) is None, "earlier versions took colours for times"


def check_shades(suite: SuiteFolder, found: RunAnalysis) -> None:
    """The network of a report is shaded by what was analysed."""
    drawn = largest_network(Results(suite))
    assert drawn is not None
    assert drawn.run == suite.runs[1].id
    (axes,) = network_drawing(drawn).axes
    shown = [text.get_text() for text in axes.texts if "AFS" in text.get_text()]
    places = [Feature(column, stage) for column in range(3) for stage in range(3)]
    assert [words.partition("\nAFS ")[2] for words in shown] == [
        f"{found.layer_afs[place]:.0%}" for place in places
    ]
    boxes = [patch for patch in axes.patches if isinstance(patch, FancyBboxPatch)]
    filled = [box.get_facecolor() for box in boxes if box.get_edgecolor()[3] == 0]
    shades = [SENSITIVITY(found.layer_afs[place]) for place in places]
    # Of each column's five layers the inner three have a share.
    assert [shade for k, shade in enumerate(filled) if k % 5 in (1, 2, 3)] == shades
    page = write_report(suite).read_text()
    table = table_of(page, "Reads")
    assert table["dense 64"]["AFS"] == f"{found.layer_afs[Feature(2, 2)]:.0%}", "the last column's"
    assert table["dense 64"]["Reads"].endswith("of Pong, conv 16, 3 x 3 / 2 of Zoom")
    # The analysis of an earlier column says nothing of the newest.
    replace(found, columns=found.columns[:2]).save(suite.runs[1].path)
    again = largest_network(Results(suite))
    assert again is not None
    assert (again.run, len(again.shares)) == (suite.runs[0].id, 6)


def test_the_column_of_another_task(tmp_path: Path) -> None:
    suite = images(tmp_path / "out")
    analyze(suite.runs[1].path, "mini-pong/zoom", SILENT, jobs=1)
    found = RunAnalysis.load(suite.runs[1].path)
    assert found is not None
    assert found.columns == ("mini-pong/pong", "mini-pong/zoom")


def failure(capsys, *arguments: str) -> str:
    assert main(["analyze", *arguments, "--states", "60", "--episodes", "0", "--jobs", "1"]) > 0
    error = capsys.readouterr().err
    assert error.startswith("colonnade: ")
    assert error.count("\n") == 1
    return error


def test_what_can_not_be_analysed_is_said_in_one_sentence(tmp_path: Path, capsys) -> None:
    suite = poles(tmp_path / "out")
    source, target = suite.runs
    assert "no progressive network to analyse" in failure(capsys, str(source.path))
    assert "neither a folder that" in failure(capsys, str(tmp_path))
    assert "did you mean 'gym/CartPole-v1'" in failure(
        capsys, str(target.path), "--task", "gym/CartPole-v2"
    )
    (target.path / "DONE").unlink()
    assert "isn't complete" in failure(capsys, str(target.path))
    assert "no complete run of the method 'progressive'" in failure(capsys, str(suite.path))
    assert main(["analyze", str(suite.path), "--states", "0"]) == 2


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"states": 2.5}, "states of AnalysisOptions must be a whole number at least 1; got 2.5"),
        ({"episodes": -1}, "episodes of AnalysisOptions must be a whole number at least 0; got -1"),
        ({"seed": "0"}, "seed of AnalysisOptions must be a whole number; got '0'"),
        (
            {"normalisation": "maps"},
            "Unknown value for normalisation of AnalysisOptions: 'maps'; did you mean 'map'",
        ),
        ({"noise": (1.0, float("nan"))}, "A noise level must be a number above 0; got nan"),
        ({"noise": (1.0, float("inf"))}, "A noise level must be a number above 0; got inf"),
        ({"noise": (1.0, 1.0)}, "one or more different numbers"),
        ({"noise": ()}, "one or more different numbers"),
    ],
)
def test_options_are_refused_when_they_are_given(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        AnalysisOptions(**options)


def test_noise_levels_are_in_order_wherever_they_come_from() -> None:
    assert AnalysisOptions(noise=(8, 1.0, 2)).noise == (1.0, 2.0, 8.0)
    assert AnalysisOptions(noise=(8, 1.0, 2)) == AnalysisOptions(noise=(1.0, 2.0, 8.0))


def test_a_policy_that_never_acts_is_named(tmp_path: Path, capsys) -> None:
    network = balancing_network()
    with torch.no_grad():
        network.newest.output.lateral.transfer.weight.zero_()
    spec = run_spec("progressive pole", "progressive", POLE)
    suite = write_suite(tmp_path / "out", [(spec, network, {POLE: 1})])
    assert "leans on none of them" in failure(capsys, str(suite.runs[0].path))


@pytest.mark.parametrize("method", ["pathnet", "finetune", "scratch"])
def test_runs_of_other_methods_have_no_progressive_network(
    tmp_path: Path, capsys, method: str
) -> None:
    spec = run_spec(f"{method} pole", method, POLE)
    suite = write_suite(tmp_path / "out", [(spec, balancing_network(1), {POLE: 0})])
    assert "no progressive network" in failure(capsys, str(suite.runs[0].path))
    assert "no complete run of the method 'progressive'" in failure(capsys, str(suite.path))
