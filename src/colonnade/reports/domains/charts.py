"""Raw rewards under their median-filtered curves, in the form of Rusu et al. 2017, Fig. 5."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from colonnade.experiments.results.domains import rewards, target_titles, zero_shot
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.words import short_number
from colonnade.reports.style import INK, plain
from colonnade.reports.transfer.curves import method_legend, panels_of


def reward_curves(results: Results) -> Figure:
    """Draw a panel for each target: every run's bins as dots, each method's median as a line."""
    titles = target_titles(results)
    figure, panels = panels_of(len(titles))
    drawn = set()
    for axes, (target, title) in zip(panels, titles.items(), strict=True):
        axes.set_title(plain(title))
        for line in rewards(results, target):
            colour = results.colour(line.place.method)
            steps = np.broadcast_to(line.steps, line.raw.shape)
            axes.plot(steps.ravel(), line.raw.ravel(), ".", color=colour, ms=2, mew=0, alpha=0.35)
            axes.plot(line.steps, line.filtered, color=colour)
            drawn.add(line.place.method)
        before, _ = zero_shot(results, target)
        if not math.isnan(before):
            axes.axhline(before, color=INK, lw=1, ls="--")
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("agent steps")
        axes.set_ylabel("return of an episode")
        axes.xaxis.set_major_locator(MaxNLocator(4))
        axes.xaxis.set_major_formatter(FuncFormatter(lambda steps, _: short_number(steps)))
    method_legend(figure, results, drawn, random=False)
    return figure
