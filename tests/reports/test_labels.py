"""Labels that mean something to others (TeX, markup, half a surrogate pair): shown as they are."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from colonnade.cli.main import main
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.results.matrix_and_table import matrix_of
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites.progressive.pong_soup import SHORT
from colonnade.reports.suite import write_report

LABELS = ("$\\frac$", "$x_{", "[/x]", "[bold", "\ud800", "<script>", "{{ 7 * 7 }}", "%s %(a)s")


def test_a_report_shows_labels_as_they_are(fabricate: Callable[..., SuiteFolder]) -> None:
    runs = tuple(
        RunSpec(label, "scratch", (TaskBudget("mini-pong/pong", 40_000),), "a2c", "tiny", seed=n)
        for n, label in enumerate(LABELS)
    )
    page = write_report(fabricate(Plan(runs), name="mine.json")).read_text()
    for label in ("$\\frac$", "$x_{", "[/x]", "[bold", "\\ud800", "{{ 7 * 7 }}", "%s %(a)s"):
        assert label in page
    assert "<script>" not in page.partition("<h2")[2].partition("<style")[0]
    assert "49" not in page.partition("{{ 7")[0][-20:]


def test_names_of_tasks_are_shown_as_they_are(
    fabricate: Callable[..., SuiteFolder], capsys: pytest.CaptureFixture[str]
) -> None:
    runs = tuple(
        RunSpec(
            "one", "scratch", (TaskBudget("mini-pong/pong", 40_000, {"name": name}),), "a2c",
            "tiny", seed=n,
        )
        for n, name in enumerate(LABELS)
    )  # fmt: skip
    suite = fabricate(Plan(runs), name="mine.json")
    page = write_report(suite).read_text()
    assert "$\\frac$" in page
    assert "[/x]" in page
    status = main(["describe", str(suite.path)])
    said = capsys.readouterr().err
    assert status == 0 or (said.count("\n") == 1 and "unforeseen" not in said), said
    assert main(["play", str(suite.path), "--run", "[/x]"]) == 2
    assert "Unknown complete run '[/x]'" in capsys.readouterr().err


def test_a_task_is_called_what_its_user_calls_it(
    fabricate: Callable[..., SuiteFolder],
) -> None:
    plan = SHORT.plan(SuiteOptions(seeds=1))

    def named(spec: RunSpec) -> RunSpec:
        own = tuple(
            replace(task, options={**task.options, "name": "Winter"}) for task in spec.tasks
        )
        return replace(spec, tasks=own, parent=None) if spec.target.endswith("/zoom") else spec

    ids = {spec.id: named(spec) for spec in plan.runs}
    compared = tuple(replace(entry, run=ids[entry.run].id) for entry in plan.comparisons)
    suite = fabricate(replace(plan, runs=tuple(ids.values()), comparisons=compared))
    titles = Results(suite).target_titles
    assert list(titles.values()) == ["Noisy", "White", "Winter", "H-flip"]
    assert matrix_of(Results(suite)).columns == tuple(titles.values())
