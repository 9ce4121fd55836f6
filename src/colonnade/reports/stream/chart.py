"""A stream as charts: the numbers and colours of `charts`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from colonnade.experiments.method_titles import FALLBACK_COLOURS
from colonnade.experiments.results.recognised import Recognised
from colonnade.experiments.results.stream import (
    Stream,
    StreamRun,
)
from colonnade.experiments.words import short_number
from colonnade.reports.interactive.chart import (
    Chart,
    Line,
    Look,
    Panel,
    Series,
    cells_of,
    mean_of,
    seeds_of,
)

_CEILING = "single tasks"


def schedule_chart(run: StreamRun, titles: Mapping[str, str]) -> Chart:
    """Show which task is visited when, a row for each; see `schedule`."""
    names = [titles[task] for task in run.tasks]
    lines = []
    for task in range(len(names)):
        visits = [visit for visit, visited in enumerate(run.visited) if visited == task]
        ends = [(run.begins[visit], run.begins[visit + 1], math.nan) for visit in visits]
        lines.append(
            Line(
                str(task),
                np.array(ends).ravel(),
                np.full(3 * len(visits), float(task)),
                labels=[
                    f"visit {visit + 1}, steps {short_number(begin)} to {short_number(end)}"
                    for visit, (begin, end, _) in zip(visits, ends, strict=True)
                    for _ in range(3)
                ],
                look=Look(width=16),
            )
        )
    return Chart(
        title="Which task is learned when",
        description="The visits to each task over the agent steps of the stream.",
        x="agent steps",
        y="",
        series=[
            Series(str(n), name, FALLBACK_COLOURS[n % len(FALLBACK_COLOURS)])
            for n, name in enumerate(names)
        ],
        panels=[Panel("", lines, y_names=names)],
    )


def contexts_chart(found: Recognised, tasks: Sequence[str]) -> Chart:
    """Show the verdicts of each context in each task, a panel for each part; see `contexts`."""
    most = float(found.table.sum(1).max()) or 1.0
    panels = []
    for number, counts in enumerate(found.table):
        table = np.where(counts > 0, counts, np.nan)
        words = [f"{value:.0f}" for value in table[~np.isnan(table)]]
        panels.append(
            Panel(
                f"part {number + 1} of {len(found.table)}",
                [
                    cells_of(
                        "verdicts", table, counts / most, words, [f"{w} verdicts" for w in words]
                    )
                ],
                x_names=tasks,
                y_names=[str(n) for n in range(len(found.contexts))],
            )
        )
    return Chart(
        title="Which context was recognised in which task",
        description="Verdicts of each context while each task was played, in equal parts of time.",
        x="task",
        y="context",
        series=[Series("verdicts", "verdicts", "#1f6fb2")],
        panels=panels,
    )


def totals_chart(stream: Stream) -> Chart:
    """Show the sum of all tasks' scores over time; see `totals`."""
    lines: list[Line] = []
    for number, curve in enumerate(stream.curves):
        if (line := curve.line) is not None:
            begun = [run.run for run in curve.runs if run.total()[0].size]
            lines.append(mean_of(str(number), line, seeds_of(begun)))
    if (line := stream.ceiling_line) is not None:
        known = [run.run for run in stream.curves[0].runs if stream.ceiling(run) is not None]
        lines.append(mean_of(_CEILING, line, seeds_of(known)))
    return Chart(
        title="Scores of all tasks, added up",
        description="The sum of all tasks' scores over the agent steps of the stream.",
        x="agent steps",
        y=f"sum of scores, of {len(stream.tasks) - len(stream.unscored)} tasks",
        series=[
            *(
                Series(str(n), c.title, c.colour, "dash" if c.inferred else "solid")
                for n, c in enumerate(stream.curves)
            ),
            Series(_CEILING, "Single tasks", "#1a1b1e", "dash"),
        ],
        panels=[Panel("", lines, levels=[(1.0, "one task")])],
    )
