"""A maze from above with the ways that were walked in it while films were made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from colonnade.experiments.results.mazes import plan_of
from colonnade.experiments.trained.films.ways import Way
from colonnade.reports.page import embedded, render
from colonnade.tasks.frames import to_png
from colonnade.tasks.mazes.levels import Layout

BEFORE, AFTER = "#7a2d00", "#0b4fa8"
"""Colours of the two ways; both are readable on every level's floor."""


@dataclass(frozen=True)
class _Way:
    words: str
    colour: str
    dash: str
    points: str
    end: tuple[float, float]


def draw_ways(task: str, title: str, ways: tuple[Way, Way]) -> Markup:
    """Draw the level that both ways lead through; nothing where a file of the user's is gone.

    Args:
        task: Name of the task, such as "labyrinth/track-1".
        title: The same for people.
        ways: Those walked before training and after; both episodes begin alike.
    """
    plan = plan_of(task, Layout(ways[0].items, float(ways[0].headings[0])))
    if plan is None:
        return Markup()
    drawn = []
    for way, colour, dash in zip(ways, (BEFORE, AFTER), ("4 4", ""), strict=True):
        pixels = [(float(x), float(y)) for x, y in plan.pixels(way.places).round(1)]
        points = " ".join(f"{x:g},{y:g}" for x, y in pixels)
        drawn.append(_Way(_words(way), colour, dash, points, pixels[-1]))
    height, width = plan.picture.shape[:2]
    return render(
        "films/plan.html.jinja",
        title=title,
        name=f"way-{title.lower().replace(' ', '-')}",
        width=width,
        height=height,
        picture=embedded("image/png", to_png(plan.picture)),
        ways=drawn,
    )


def _words(way: Way) -> str:
    metres = float(np.linalg.norm(np.diff(way.places, axis=0), axis=1).sum())
    eaten = int((way.eaten >= 0).sum())
    return f"{metres:.1f} m, {eaten} of {way.eaten.size} items eaten"
