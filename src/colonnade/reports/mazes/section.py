"""The mazes of a suite, as its player and as a map shows them."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import Markup
from matplotlib.figure import Figure

from colonnade.experiments.results.mazes import maze_pictures, maze_tasks
from colonnade.experiments.results.transfer import Results
from colonnade.reports.mazes.charts import draw_mazes
from colonnade.reports.page import Section, render

MAZES = "mazes"
"""Name of the section's picture."""


class MazeSection(Section):
    """Each level's plan and view."""

    def __init__(self, results: Results) -> None:
        super().__init__(results)
        tasks = maze_tasks(results)
        self._mazes = maze_pictures(tasks)
        self._engine = any(task.startswith("doom-") for task in tasks.values())
        self.applies = bool(self._mazes)

    def figures(self) -> dict[str, Figure]:
        """Draw the levels."""
        return {MAZES: draw_mazes(self._mazes)}

    def html(self, drawings: Mapping[str, Markup]) -> Markup:
        """Write the section."""
        return render("mazes/section.html.jinja", mazes=drawings[MAZES], engine=self._engine)
