"""What a report shows of agents at play: each task before training and after."""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup

from colonnade.experiments.results.runs import RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.titles import option_titles
from colonnade.experiments.trained.film import first_frame
from colonnade.experiments.trained.films import Films, films_of
from colonnade.reports.page import Section, render

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Film:
    words: str
    still: Markup
    film: Markup


@dataclass(frozen=True)
class _Task:
    title: str
    films: tuple[_Film, ...]


class FilmsSection(Section):
    """Two films for each task that was filmed; they stand still until they are asked to play."""

    def __init__(self, results: Results) -> None:
        super().__init__(results)
        self._films = films_of(results.suite)
        self.applies = bool(self._films)

    def html(self, drawings: Mapping[str, Markup]) -> Markup:
        """Write the section."""
        titles = option_titles(films.run.spec.tasks[-1].key for films in self._films)
        tasks = []
        for films in self._films:
            try:
                shown = self._pair(films)
            except OSError as error:  # a report without a film is better than none
                logger.warning("A film of %s is left out: %s", films.run.id, error)
                continue
            tasks.append(_Task(titles[films.run.spec.tasks[-1].key], shown))
        return render("films/section.html.jinja", tasks=tasks)

    def _pair(self, films: Films) -> tuple[_Film, _Film]:
        run = self.results.runs[films.run.id]
        before, after = run.score("random"), run.score("trained")
        return (
            _film(f"Before: plays at random{_scores(before)}", films.before),
            _film(f"After {run.steps:,} steps: {self._player(run)}{_scores(after)}", films.after),
        )

    def _player(self, run: RunResult) -> str:
        methods = {entry.run: entry.method for entry in self.results.comparisons}
        key = run.spec.id
        return self.results.title(methods[key]) if key in methods else run.spec.label


def _scores(row: Mapping[str, object] | None) -> str:
    if row is None:
        return ""
    return f", mean return {row['return_mean']:.1f} over {row['episodes']} episodes"


def _film(words: str, content: bytes) -> _Film:
    return _Film(
        words, _data_url("image/png", first_frame(content)), _data_url("image/webp", content)
    )


def _data_url(kind: str, content: bytes) -> Markup:
    return Markup(f"data:{kind};base64,{base64.b64encode(content).decode()}")
