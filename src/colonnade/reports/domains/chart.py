"""Rewards on the way as a chart: the numbers and colours of `charts`."""

from __future__ import annotations

import numpy as np

from colonnade.experiments.results.domains import Rewards, rewards, target_titles, zero_shot
from colonnade.experiments.results.transfer import Results
from colonnade.reports.interactive.chart import Chart, Line, Panel, Series
from colonnade.reports.transfer.chart import names_of


def rewards_chart(results: Results) -> Chart:
    """Show every run's bins as dots, and each method's running median; see `reward_curves`."""
    return Chart(
        title="Rewards while learning",
        description="Mean return of every bin of every run, and each method's running median.",
        x="agent steps",
        y="return of an episode",
        series=[
            Series(method, results.title(method), results.colour(method))
            for method in results.methods
        ],
        panels=[
            Panel(
                title,
                [line for found in rewards(results, target) for line in _lines(results, found)],
                levels=[(zero_shot(results, target)[0], "without learning here")],
                plays={
                    (run.spec.id, len(run.spec.tasks) - 1)
                    for found in rewards(results, target)
                    for run in results.runs_of(*found.place)
                },
            )
            for target, title in target_titles(results).items()
        ],
    )


def _lines(results: Results, found: Rewards) -> tuple[Line, Line]:
    steps = np.broadcast_to(found.steps, found.raw.shape)
    known, names = ~np.isnan(found.raw), names_of(results, found.seeds)
    labels = [names[run] for run in np.nonzero(known)[0]]
    key = found.place.method
    return (
        Line(key, steps[known], found.raw[known], joined=False, labels=labels),
        Line(key, found.steps, found.filtered, runs=names),
    )
