"""Pictures of mazes: each level's plan over what its player sees."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from colonnade.experiments.results.mazes import MazePicture, Picture
from colonnade.experiments.titles import distinct
from colonnade.reports.style import plain

_ACROSS = 4


def draw_mazes(mazes: Sequence[MazePicture]) -> Figure:
    """Draw levels side by side, at most four in a row."""
    titles = distinct(maze.task for maze in mazes)
    across = min(_ACROSS, len(mazes))
    rows = -(-len(mazes) // across)
    figure = Figure(figsize=(2.35 * across, 4.3 * rows), layout="constrained")
    panels = figure.subplots(2 * rows, across, squeeze=False)
    for axes in panels.flat:
        axes.set_axis_off()
    for place, maze in enumerate(mazes):
        row, column = divmod(place, across)
        _show(panels[2 * row][column], maze.plan)
        panels[2 * row][column].set_title(plain(titles[maze.task]))
        _show(panels[2 * row + 1][column], maze.view)
    return figure


def _show(axes: Axes, picture: Picture) -> None:
    axes.imshow(picture, interpolation="nearest")
