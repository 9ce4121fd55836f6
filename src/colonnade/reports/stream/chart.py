"""A stream's scores as a chart: the numbers and colours of `charts`."""

from __future__ import annotations

from colonnade.experiments.results.stream import Stream
from colonnade.reports.interactive.chart import Chart, Line, Panel, Series, mean_of, seeds_of

_CEILING = "single tasks"


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
