"""What a report shows of agents at play: each task before training and after, beside its curve."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace

from markupsafe import Markup

from colonnade.errors import ColonnadeError
from colonnade.experiments.results.runs import RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.titles import option_titles
from colonnade.experiments.trained.films.kept import Films, films_of
from colonnade.reports.films.plan import draw_ways
from colonnade.reports.interactive.chart import Chart, Panel
from colonnade.reports.page import Section, embedded_film, render

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Film:
    words: str
    still: Markup
    film: Markup


class FilmsSection(Section):
    """Two films for each task that was filmed; they stand still until they are asked to play.

    They stand beside the task's curve, and in a section of their own where the page has none.
    """

    _boxes: dict[tuple[str, int], tuple[str, Markup]]

    def __init__(self, results: Results) -> None:
        super().__init__(results)
        self._boxes = self._read()
        self.applies = bool(self._boxes)

    def beside(self, charts: Mapping[str, Chart]) -> dict[str, Chart]:
        """Put films into the first panels that show their runs, and keep the others."""
        return {
            name: replace(chart, panels=[self._with_film(panel) for panel in chart.panels])
            for name, chart in charts.items()
        }

    def html(self, drawings: Mapping[str, Markup]) -> Markup:
        """Write the section, of the films that stand beside no curve."""
        if not self._boxes:
            return Markup()
        return render("films/section.html.jinja", boxes=list(self._boxes.values()))

    def _with_film(self, panel: Panel) -> Panel:
        place = next((place for place in self._boxes if place in panel.plays), None)
        return panel if place is None else replace(panel, beside=self._boxes.pop(place)[1])

    def _read(self) -> dict[tuple[str, int], tuple[str, Markup]]:
        try:
            found = films_of(self.results.suite)
        except ColonnadeError as error:  # a report without films is better than none
            logger.warning("Films are left out: %s", error)
            return {}
        titles = option_titles(films.run.spec.tasks[films.task].key for films in found)
        boxes = {}
        for films in found:
            title = titles[films.run.spec.tasks[films.task].key]
            try:
                boxes[films.run.id, films.task] = title, self._box(films, title)
            except OSError as error:
                logger.warning("A film of %s is left out: %s", films.run.id, error)
        return boxes

    def _box(self, films: Films, title: str) -> Markup:
        run = self.results.runs[films.run.id]
        task = films.run.spec.tasks[films.task]
        before, after = (run.score(policy, films.task) for policy in ("random", "trained"))
        pair = (
            _Film(f"Before: plays at random{_scores(before)}", *embedded_film(films.before)),
            _Film(
                f"After {run.steps:,} steps: {self._player(run)}{_scores(after)}",
                *embedded_film(films.after),
            ),
        )
        plan = draw_ways(task.name, title, films.ways) if films.ways else ""
        return render("films/film.html.jinja", title=title, films=pair, plan=plan)

    def _player(self, run: RunResult) -> str:
        methods = {entry.run: entry.method for entry in self.results.comparisons}
        key = run.spec.id
        return self.results.title(methods[key]) if key in methods else run.spec.label


def _scores(row: Mapping[str, object] | None) -> str:
    if row is None:
        return ""
    return f", mean return {row['return_mean']:.1f} over {row['episodes']} episodes"
