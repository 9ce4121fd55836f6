"""The live table of a terminal, in windows wide and narrow."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from colonnade.cli import display
from colonnade.experiments.execution.progress import RunView
from colonnade.experiments.plans.spec import RunSpec, TaskBudget

SPEC = RunSpec(
    "progressive pong to the horizontally flipped one, seed 0", "progressive",
    (TaskBudget("mini-pong/h-flip", 1_000_000),), "ppo", "tiny", seed=0,
)  # fmt: skip
PROGRESS = {"run_step": 250_000, "steps_per_second": 1234.5, "recent_return": -3.25}


def shown(width: int, *views: RunView) -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.print(
        display._table("suite", list(views), lambda spec: {"run": spec.label}, console.width)
    )
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [40, 60, 80, 140])
def test_the_table_fits_and_breaks_labels_at_their_words(width: int) -> None:
    failed = RunView(replace(SPEC, label="short [bold]", seed=1), "failed", PROGRESS)
    lines = shown(width, RunView(SPEC, "running", PROGRESS), failed)
    assert max(map(len, lines)) <= width
    text = "\n".join(lines)
    for word in (*SPEC.label.split(), "[bold]", "failed", "25%", "10 min 08 s"):
        assert word in text, word
    assert ("1,234" in text and "-3.25" in text) == (width >= 72)


def test_a_sweeps_columns_go_first_where_there_is_no_room() -> None:
    def columns(spec: RunSpec) -> dict[str, str]:
        return {"job": "7", "run": spec.label, "learning_rate": "0.000123"}

    for width, there in ((120, True), (50, False)):
        table = display._table("t", [RunView(SPEC, "running", PROGRESS)], columns, width)
        assert ("learning_rate" in [column.header for column in table.columns]) == there
