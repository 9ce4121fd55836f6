"""What a page's first section says: ratios, how much sooner, how sure, against hand-made curves."""

import json
import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from fabricated import fabricate_run
from finished import run_spec
from reading import table_of

from colonnade.experiments.plans.plan import Comparison, Plan, SuiteOptions
from colonnade.experiments.plans.spec import TaskBudget
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.results.curves import CurveLine, source_panels
from colonnade.experiments.results.findings import Finding, _end, findings
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites.progressive.pong_soup import SHORT
from colonnade.reports.findings.section import FindingsSection, _learned, _sure
from colonnade.reports.suite import write_report

Write = Callable[..., Results]
BINS = 20
RECORDED = Path(__file__).parents[3] / "results"


@pytest.fixture
def write(fabricate: Callable[..., SuiteFolder]) -> Write:
    """Make the runs of one pair, whose bins each seed's function gives, and what they came to."""

    def make(seeds: int, **curves: Callable[[int, int], float]) -> Results:
        plan = SHORT.plan(SuiteOptions(seeds=seeds))
        wanted = {entry.run for entry in plan.comparisons if entry.target.endswith("/zoom")}
        suite = fabricate(plan.select(wanted.__contains__))
        for spec in suite.plan.runs:
            if spec.id not in wanted:
                continue
            folder = suite.run(spec.id)
            rows = [
                {**row, "return_mean": curves[spec.method](spec.seed, number + 1)}
                for number, row in enumerate(folder.metrics())
            ]
            folder.metrics_path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return Results(suite)

    return make


def found(results: Results) -> dict[str, Finding]:
    return {finding.row.method: finding for finding in findings(results)}


def rise(last: int, height: float = 20.0) -> Callable[[int, int], float]:
    """From the random policy's -20 in a straight line to a height above it, in so many bins."""
    return lambda seed, bin: -20 + height * min(1.0, bin / last) + 0.1 * seed


def test_a_curve_ends_with_the_mean_of_its_last_tenth() -> None:
    line = cast("CurveLine", SimpleNamespace(mean=np.array([0.0] * 27 + [1.0, 2.0, 6.0])))
    assert _end(line) == 3


def test_how_much_sooner_is_read_off_the_mean_curves(write: Write) -> None:
    results = write(3, scratch=rise(BINS), finetune=rise(5), progressive=rise(BINS, 10.0))
    bins = results.runs_of("scratch", None, "pong-soup/zoom")[0].curve.size
    shown = found(results)
    # Scratch ends with the mean of its last tenth, and comes to it in the middle of that.
    tail = [min(1.0, k / BINS) for k in range(bins - bins // 10 + 1, bins + 1)]
    level = sum(tail) / len(tail)
    first = next(k for k in range(1, bins + 1) if min(1.0, k / BINS) >= level - 1e-9)
    quick = next(k for k in range(1, 6) if min(1.0, k / 5) >= level - 1e-9)
    assert shown["finetune"].sooner == pytest.approx(first / quick)
    assert shown["finetune"].pairs == 1
    assert shown["progressive-2"].sooner != shown["progressive-2"].sooner, "it never came there"
    assert shown["progressive-2"].pairs == 1
    # Seeds lie 0, 0.1 and 0.2 above the first.
    ends = (-20 + 20 + 0.1, -20 + 20 * level + 0.1)
    assert shown["finetune"].ends == pytest.approx(ends)


def test_curves_of_runs_under_way_say_nothing_of_the_end(write: Write) -> None:
    results = write(3, scratch=rise(BINS), finetune=rise(5), progressive=rise(BINS, 10.0))
    chosen = {e.run for e in results.comparisons if e.method == "finetune"}
    (last,) = (results.runs[n].folder for n in chosen if results.runs[n].spec.seed == 2)
    (last.path / "DONE").unlink()
    last.metrics_path.write_text("\n".join(last.metrics_path.read_text().splitlines()[:9]) + "\n")
    shown = found(Results(results.suite))["finetune"]
    assert shown.ends is None
    assert shown.sooner != shown.sooner
    assert shown.row.mean == pytest.approx(found(results)["finetune"].row.mean, rel=0.1)


def test_what_may_be_said_follows_the_interval(write: Write) -> None:
    results = write(3, scratch=rise(BINS), finetune=rise(5), progressive=rise(BINS, 10.0))
    shown = found(results)
    assert shown["finetune"].verdict == "faster"
    assert shown["progressive-2"].verdict == "slower"
    assert shown["progressive-2"].ratio == pytest.approx(0.5, abs=0.02)
    assert (shown["finetune"].row.runs, shown["finetune"].references) == (3, 3)
    assert FindingsSection(results).html({}).count("ratio main") == 2


def test_what_the_interval_holds_is_not_told_apart(write: Write) -> None:
    def noisy(seed: int, bin: int) -> float:
        return rise(BINS)(seed, bin) + (6 * (seed - 1) if bin > 1 else 0)

    shown = found(write(3, scratch=rise(BINS), finetune=noisy, progressive=rise(5)))
    assert shown["finetune"].verdict == "not told apart"


def test_one_run_a_side_says_nothing_of_how_sure_it_is(write: Write) -> None:
    results = write(1, scratch=rise(BINS), finetune=rise(5), progressive=rise(5))
    shown = found(results)["finetune"]
    assert (shown.verdict, shown.row.runs) == ("not known", 1)
    words = " ".join(FindingsSection(results).html({}).split())
    assert "pairs; their mean" not in words
    assert "One run a side shows what happened, not what will: 1 run, 1 from scratch." in words
    assert "ratio main" not in words
    assert "learned Pong before learns Zoom" in words


def test_an_interval_without_an_end_is_no_want_of_runs(write: Write) -> None:
    def uneven(seed: int, bin: int) -> float:
        return rise(BINS, (1.0, 10.0, 40.0)[seed])(seed, bin)

    results = write(3, scratch=uneven, finetune=rise(5), progressive=rise(BINS))
    shown = found(results)["finetune"]
    assert (shown.verdict, shown.row.runs, shown.references) == ("not known", 3, 3)
    words = " ".join(FindingsSection(results).html({}).split())
    assert words.count(
        "Scratch&#39;s area may be 0 by what its seeds differ by, so that the ratio has no upper "
        "end: 3 runs, 3 from scratch."
    ) == len(found(results))
    assert "Too few runs" not in words
    assert "ratio main" not in words
    page = write_report(results.suite).read_text()
    row = table_of(page, "95 % interval")[shown.row.title]
    assert row["95 % interval"] == "no upper end"
    assert "It has no upper end where baseline 1's area may be 0" in " ".join(page.split())


def test_two_runs_a_side_are_too_few_and_not_in_bold(write: Write) -> None:
    results = write(2, scratch=rise(BINS), finetune=rise(5), progressive=rise(BINS))
    words = " ".join(FindingsSection(results).html({}).split())
    assert "Too few runs to say how sure that is: 2 runs, 2 from scratch." in words
    assert "no upper end" not in words
    assert "ratio main" not in words


@pytest.mark.parametrize(
    ("endless", "pairs", "total", "words"),
    [
        (
            True,
            2,
            None,
            "area on a task may be 0 by what its seeds differ by, so that the mean has",
        ),
        (True, 1, 25, "area may be 0 by what its jobs differ by, so that the ratio has"),
        (False, 1, 25, "How sure that is can be said once all jobs are over: 6 jobs, 6 from"),
        (False, 1, 2, "Too few runs to say how sure that is: 6 jobs, 6 from"),
    ],
)
def test_why_it_is_not_known_how_sure_a_ratio_is(
    write: Write, endless: bool, pairs: int, total: int | None, words: str
) -> None:
    shown = found(write(2, scratch=rise(BINS), finetune=rise(5), progressive=rise(5)))["finetune"]
    row = replace(shown.row, endless=endless, pairs=pairs, runs=6)
    sweep = cast("Sweep", SimpleNamespace(total=total)) if total else None
    assert words in _sure(replace(shown, row=row, references=6), sweep=sweep)


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        ((), "learned before"),
        (("pong",), "learned Pong before"),
        (("pong", "noisy"), "learned Pong or Noisy before"),
        (("pong", "noisy", "zoom"), "learned Pong, Noisy or Zoom before"),
        (("pong + noisy",), "learned Pong and then Noisy before"),
        (
            ("pong", "noisy", "pong + noisy"),
            "learned Pong or Noisy before, or Pong and then Noisy,",
        ),
        (
            ("pong", "pong + noisy + zoom"),
            "learned Pong before, or Pong, Noisy and then Zoom,",
        ),
        (
            ("pong", "noisy", "pong + noisy", "noisy + pong"),
            "learned Pong or Noisy before, or several one after another,",
        ),
    ],
)
def test_sources_are_said_to_be_learned_one_or_the_other(
    sources: tuple[str, ...], words: str
) -> None:
    assert _learned(sources) == words


def test_no_network_is_said_to_have_learned_all_there_is() -> None:
    words = [
        " ".join(FindingsSection(Results(SuiteFolder.read(RECORDED / name))).html({}).split())
        for name in ("pong-soup-mini", "atari-pairs")
    ]
    assert (
        "A network that has learned Pong or Noisy before, or Pong and then Noisy, learns Noisy, "
        "White, Zoom or H-flip." in words[0]
    )
    assert "or several one after another, learns one of 12 new tasks." in words[1]


def test_one_pair_does_not_make_the_headline() -> None:
    """As on the recorded Pong to four looks, where scratch hardly begins on one of them."""
    results = Results(SuiteFolder.read(RECORDED / "pong-soup-short"))
    shown = found(results)["finetune"]
    assert shown.row.mean == pytest.approx(1824, abs=1)
    assert shown.ratio == pytest.approx(2.01, abs=0.005)
    words = " ".join(FindingsSection(results).html({}).split())
    assert re.search(r"2\.0 .</p>", words)
    assert "median of 4 pairs; their mean is 18" in words
    assert not re.search(r"18 .</p>", words)


def test_nothing_is_found_before_anything_is_complete(
    fabricate: Callable[..., SuiteFolder], tmp_path: Path
) -> None:
    plan: Plan = SHORT.plan(SuiteOptions(seeds=1))
    assert not FindingsSection(Results(fabricate(plan, done=0))).applies


def test_a_run_that_ended_at_its_goal_goes_on_as_it_was(write: Write) -> None:
    results = write(2, scratch=rise(5), finetune=rise(BINS), progressive=rise(BINS))
    (first, second) = results.runs_of("scratch", None, "pong-soup/zoom")
    rows = first.folder.metrics_path.read_text().splitlines()[:6]
    first.folder.metrics_path.write_text("\n".join(rows) + "\n")
    again = Results(results.suite)
    (panel,) = source_panels(again, "pong")
    (line,) = (line for line in panel.lines if line.key == "scratch")
    assert line.steps[-1] == second.learning.ends[-1]
    np.testing.assert_allclose(line.each[0, 5:], 0.0)
    np.testing.assert_allclose(line.mean, line.each.mean(axis=0))
    (_, finetuned) = again.runs_of("finetune", "pong", "pong-soup/zoom")
    (finetuned.folder.path / "DONE").unlink()
    finetuned.folder.metrics_path.write_text("\n".join(rows[:3]) + "\n")
    (panel,) = source_panels(Results(results.suite), "pong")
    lengths = {line.key: line.mean.size for line in panel.lines}
    assert lengths["finetune"] == 3, "the one under way"
    assert lengths["scratch"] == line.mean.size


def test_a_plateau_is_reached_though_its_mean_is_rounded(write: Write) -> None:
    def flat(seed: int, bin: int) -> float:
        return 0.97 if bin > 3 else -20.0

    shown = found(write(1, scratch=flat, finetune=flat, progressive=rise(BINS)))
    assert shown["finetune"].sooner == 1.0


def test_half_of_the_pairs_make_no_median_with_those_that_never_come(tmp_path: Path) -> None:
    specs, comparisons, curves = [], [], []
    heights = {"zoom": (5, 40.0), "h-flip": (20, 20.0), "noisy": (2, 40.0)}
    for target, (last, height) in heights.items():
        for method, source in (("scratch", None), ("progressive", "pong")):
            spec = run_spec(f"{method} {target}", method, f"mini-pong/{target}")
            spec = replace(spec, tasks=(TaskBudget(f"mini-pong/{target}", 200_000),))
            specs.append(spec)
            comparisons.append(Comparison(spec.id, method, source, f"mini-pong/{target}", 0))
            learns = rise(last, height) if source else rise(BINS, 40.0)
            curves.append([learns(0, number + 1) for number in range(BINS)])
    plan = Plan(tuple(specs), tuple(comparisons))
    suite = SuiteFolder(tmp_path / "out", "mine", {}, plan)
    suite.begin()
    for spec, curve in zip(specs, curves, strict=True):
        fabricate_run(suite.run(spec.id).path, spec, list(curve), done=True)
    # Zoom is learned 4 times sooner, and H-flip never; of three with Noisy, 10 times sooner, 4.
    assert found(Results(suite))["progressive"].sooner == pytest.approx(4.0, rel=0.05)
    wanted = {spec.id for spec in specs if "noisy" not in spec.target}
    two = Results(replace(suite, plan=plan.select(wanted.__contains__)))
    (pair,) = findings(two)
    assert (math.isnan(pair.sooner), pair.pairs) == (True, 2)
    words = " ".join(FindingsSection(two).html({}).split())
    assert "In no more than half of 2 pairs it comes" in words


def test_what_failed_is_no_end_of_its_methods_line(write: Write) -> None:
    results = write(3, scratch=rise(BINS), finetune=rise(5), progressive=rise(BINS, 10.0))
    whole = found(results)["finetune"]
    (failed,) = (
        run for run in results.runs_of("finetune", "pong", "pong-soup/zoom") if run.spec.seed == 0
    )
    (failed.folder.path / "DONE").unlink()
    rows = failed.folder.metrics_path.read_text().splitlines()[:2]
    failed.folder.metrics_path.write_text("\n".join(rows) + "\n")
    (failed.folder.path / "failed.json").write_text('{"reason": "The disk is full."}')
    again = Results(results.suite)
    (panel,) = source_panels(again, "pong")
    lines = {line.key: line for line in panel.lines}
    assert lines["finetune"].seeds == (1, 2)
    assert lines["finetune"].mean.size == lines["scratch"].mean.size
    assert found(again)["finetune"].sooner == pytest.approx(whole.sooner, rel=0.1)
