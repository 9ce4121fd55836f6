"""The scripts that draw the recorded curves and write the tables of results/README.md."""

import csv
import functools
import json
import re
import runpy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from colonnade.experiments.results.continual import measured, sequences
from colonnade.experiments.results.matrix_and_table import shared_targets, transfer_table
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder

SCRIPT = Path(__file__).parents[1] / "results" / "pictures.py"


def test_returns_are_means_of_the_last_hundred_episodes(tmp_path: Path) -> None:
    recent_returns = runpy.run_path(str(SCRIPT))["recent_returns"]
    bins = [(10, 60, -20.0), (20, 0, None), (30, 50, -10.0), (40, 80, 10.0), (50, 200, 15.0)]
    rows = [
        {"kind": "curve", "step": step * 1000, "episodes": episodes, "return_mean": mean}
        for step, episodes, mean in bins
    ]
    rows.append({"kind": "evaluation", "step": 50_000, "episodes": 30, "return_mean": 99.0})
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    curve = recent_returns(tmp_path)

    # 50 of -10 and 50 of -20; 80 of 10 and 20 of -10; 100 of the last bin alone.
    assert curve == [
        (pytest.approx(0.03), pytest.approx(-15.0)),
        (pytest.approx(0.04), pytest.approx(6.0)),
        (pytest.approx(0.05), pytest.approx(15.0)),
    ]


# --- figures and tables --------------------------------------------------------------------------

TABLES = runpy.run_path(str(SCRIPT.with_name("tables.py")))


def test_the_tables_of_the_page_are_those_of_the_figures() -> None:
    page, measurements = TABLES["PAGE"].read_text(), TABLES["read"]()
    assert TABLES["filled"](page, measurements) == page, "run python results/tables.py"
    with_tables = {m["name"] for m in measurements if "table" in m}
    assert TABLES["shown"](page) == with_tables | {"bars"}
    outside = re.sub(r"<!-- table: .*?<!-- end -->", "", page, flags=re.DOTALL)
    assert "\n|" not in outside, "every table has its markers"


def test_every_figure_says_how_it_was_measured() -> None:
    figures = TABLES["figures"](TABLES["read"]())
    assert len(figures) > 400
    for name, figure in figures.items():
        assert figure.keys() >= {
            "name",
            "value",
            "wanted",
            "command",
            "seeds",
            "hardware",
            "commit",
        }
        assert isinstance(figure["value"], int | float), name
        assert figure["command"], name
        assert figure["hardware"], name
        assert re.fullmatch("[0-9a-f]{7,40}", figure["commit"]), name
        assert all(isinstance(seed, int) for seed in figure["seeds"]), name
        assert figure.get("measures", 1) in (1, 2), name


def test_recorded_intervals_say_that_they_are_a_bootstraps() -> None:
    columns = [c for m in TABLES["read"]() for c in m.get("table", {}).get("columns", ())]
    intervals = [column for column in columns if "95 %" in column]
    assert set(intervals) == {"95 % bootstrap"}
    page = " ".join(SCRIPT.with_name("README.md").read_text().split())
    assert "95 % interval" not in page


def test_every_number_of_a_table_is_shown_and_every_table_shows_its_numbers() -> None:
    for measurement in TABLES["read"]():
        if "table" in measurement:
            rows = measurement["table"]["rows"]
            used = set(re.findall(r"\{([^{}:]+?)(?:\.wanted)?(?::[^{}]*)?\}", str(rows)))
            assert used <= {figure["name"] for figure in measurement["figures"]}
            widths = {len(row) for row in rows}
            assert widths == {len(measurement["table"]["columns"])}


@pytest.mark.parametrize(
    ("wanted", "value", "met"),
    [
        ("at least 0.6", 0.6, True),
        ("at least 0.6", 0.59, False),
        ("at most 10", 10, True),
        ("at most 10", 10.1, False),
        ("at most -1", -2, True),
        (None, 3, None),
        ("yes", 3, None),
    ],
)
def test_what_is_met(wanted: str | None, value: float, met: bool | None) -> None:
    assert TABLES["met"]({"wanted": wanted, "value": value}) is met


def test_what_was_missed_is_said_where_it_stands() -> None:
    for measurement in TABLES["read"]():
        for figure in measurement["figures"]:
            shown = [
                row
                for row in measurement.get("table", {"rows": []})["rows"]
                if any(f"{{{figure['name']}:" in cell for cell in row)
            ]
            missed = TABLES["met"]({"wanted": None, **figure}) is False
            assert all(("missed" in "".join(row)) >= missed for row in shown), figure["name"]


def test_tables_are_written_from_values_formats_and_what_was_wanted() -> None:
    figures = [
        {"name": "a/b", "value": 4302.25},
        {"name": "c", "value": 0.5, "wanted": "at least 1"},
    ]
    layout = {"columns": ["x", ""], "rows": [["{a/b:,.1f} of", "{c:.2f}: {c.wanted}"], ["", "-"]]}
    said = {"command": "run", "seeds": [], "hardware": "h", "commit": "abcdef0"}
    measurement = {"name": "m", **said, "figures": figures, "table": layout}
    rows = "| x | |\n|---|---|\n| 4,302.2 of | 0.50: at least 1 |\n| | - |\n"
    page = (
        "Before.\n<!-- table: m -->\nold\n<!-- end -->\n"
        "After.\n<!-- table: bars -->\n<!-- end -->\n"
    )
    assert TABLES["filled"](page, [measurement]) == (
        f"Before.\n<!-- table: m -->\n{rows}<!-- end -->\nAfter.\n<!-- table: bars -->\n"
        "| figure | wanted | measured | |\n|---|---|---|---|\n"
        "| `m/c` | at least 1 | 0.5 | **missed** |\n<!-- end -->\n"
    )


def test_figures_are_what_the_recorded_folders_hold() -> None:
    mini, short = (recorded(name) for name in ("pong-soup-mini", "pong-soup-short"))
    scratch = {cell.target: cell.areas.mean() for cell in mini.cells if cell.method == "scratch"}
    rows = {row.method: row for row in transfer_table(mini)}
    for method, name in {
        "output-only": "baseline-2",
        "finetune": "baseline-3",
        "random-column": "baseline-4",
        "progressive-2": "progressive-2-columns",
        "progressive-3": "progressive-3-columns",
    }.items():
        assert value(f"pong-soup-mini/{name}/mean") == round(rows[method].mean)
        assert value(f"pong-soup-mini/{name}/median") == round(rows[method].median)
    # By hand: three columns have no Noisy among their targets.
    same = shared_targets(mini)
    assert same is not None
    assert same.targets == ("White", "Zoom", "H-flip")
    for method in ("output-only", "finetune", "random-column", "progressive-2", "progressive-3"):
        own = [c for c in mini.cells if c.method == method and not c.target.endswith("noisy")]
        mean = np.mean([100 * cell.areas.mean() / scratch[cell.target] for cell in own])
        assert same.means[mini.title(method)] == pytest.approx(mean)
    assert shared_targets(short) is None
    rows = {row.method: row for row in transfer_table(short)}
    for method, name in {
        "finetune": "baseline-3",
        "progressive-2": "progressive-2-columns",
    }.items():
        assert value(f"pong-soup-short/{name}-relative/mean") == round(rows[method].mean)
        assert value(f"pong-soup-short/{name}-relative/median") == round(rows[method].median)
        for cell in short.cells:
            if cell.method == method:
                target = cell.target.rpartition("/")[2]
                for seed, area in enumerate(cell.areas, start=1):
                    shown = value(f"pong-soup-short/{name}-areas/{target}/{seed}")
                    assert shown == pytest.approx(area, abs=0.051)
    (ten,) = (s for s in sequences(recorded("ewc-permuted")) if len(s.tasks) == 10)
    for row in measured(ten):
        name = row.contender.title.lower().replace(" ", "-")
        assert value(f"ewc-permuted/{name}/average-accuracy") == pytest.approx(
            row.average.mean(), abs=0.00051
        )
        for seed, average in enumerate(row.average, start=1):
            shown = value(f"ewc-permuted/{name}/seeds-0-1-2/{seed}")
            assert shown == pytest.approx(average, abs=0.00051)
        assert value(f"ewc-permuted/{name}/just-learned") == pytest.approx(
            row.learned.mean(), abs=0.00051
        )
        assert value(f"ewc-permuted/{name}/forgetting") == pytest.approx(
            row.forgetting.mean(), abs=0.00051
        )


@functools.cache
def figures() -> dict[str, Any]:
    found: dict[str, Any] = TABLES["figures"](TABLES["read"]())
    return found


def value(name: str) -> float:
    return float(figures()[name]["value"])


def recorded(name: str) -> Results:
    return Results(SuiteFolder.read(SCRIPT.parent / name))


def test_the_draws_over_four_gaps_are_summed_up_as_their_table_has_them() -> None:
    with (SCRIPT.parent / "sim-to-real-gaps" / "jobs.csv").open() as file:
        rows = list(csv.DictReader(file))
    gaps = list(dict.fromkeys(row["target"] for row in rows))
    gains: dict[tuple[str, str], list[float]] = {}
    for gap in gaps:
        here = [row for row in rows if row["target"] == gap]
        above = {(row["method"], int(row["job"])): float(row["final_score"]) for row in here}
        (random,) = {float(row["random_score"]) for row in here}
        best = max(above.values()) - random
        for method, name in (("finetune", "finetune"), ("progressive-2", "progressive")):
            scores = [above[method, job] for job in range(30)]
            own = gains[gap, name] = [(score - random) / best for score in scores]
            key = f"sim-to-real-gaps/{gap.partition('/')[2]}/{name}"
            assert value(f"{key}/learned") == sum(gain >= 0.5 for gain in own)
            assert value(f"{key}/gain") == pytest.approx(np.mean(own), abs=6e-4)
            assert value(f"{key}/kept") == pytest.approx(np.mean(own) / max(own), abs=6e-4)
            assert value(f"{key}/best") == max(scores)
            assert value(f"{key}/worst") == min(scores)
            assert value(f"{key}/median") == pytest.approx(np.median(scores), abs=6e-3)
    pairs = np.mean(
        [np.subtract(gains[gap, "progressive"], gains[gap, "finetune"]) for gap in gaps], axis=0
    )
    interval = stats.ttest_1samp(pairs, 0).confidence_interval()
    for name, expected in (("", pairs.mean()), ("/low", interval.low), ("/high", interval.high)):
        figure = value(f"sim-to-real-gaps/all/progressive/ahead{name}")
        assert figure == pytest.approx(expected, abs=6e-4)


def test_starts_of_output_layers_are_what_their_runs_came_to() -> None:
    results = recorded("pong-outputs-mini")
    names = {
        "finetune": "finetune",
        "finetune-fresh-output": "finetune-fresh",
        "progressive-2": "progressive",
        "progressive-2-copied-output": "progressive-copied",
    }
    rows = {row.method: row for row in transfer_table(results)}
    for method, name in names.items():
        row = rows[method]
        for part, number in {
            "mean": row.mean, "low": row.low, "high": row.high, "median": row.median,
        }.items():  # fmt: skip
            assert value(f"pong-outputs-mini/{name}/{part}") == round(number)
        cells = [cell for cell in results.cells if cell.method == method]
        assert len(cells) == 4
        for cell in cells:
            target = cell.target.partition("/")[2]
            assert value(f"pong-outputs-mini/{name}/{target}") == round(100 * cell.score)
