"""What a report says of domains: their looks and scores, and what each method learned there."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup
from matplotlib.figure import Figure

from colonnade.experiments.results.domains import (
    Learned,
    domain_scores,
    learned,
    measured_zero_shot,
    place_title,
    target_titles,
    zero_shot,
)
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.titles import distinct
from colonnade.experiments.trained.films.kept import domain_films
from colonnade.reports.domains.chart import rewards_chart
from colonnade.reports.domains.charts import reward_curves
from colonnade.reports.interactive.chart import Chart
from colonnade.reports.page import Section, embedded_film, render

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Row:
    title: str
    colour: str
    runs: int
    mean: str
    spread: str
    quartiles: str
    above: str


class DomainsSection(Section):
    """Every domain side by side, with what the first column scores there."""

    def __init__(self, results: Results) -> None:
        super().__init__(results)
        self._scores = domain_scores(results)
        self.applies = bool(self._scores)

    def html(self, drawings: Mapping[str, Markup]) -> Markup:
        """Write the section."""
        films, titles = _films(self.results), distinct(score.task for score in self._scores)
        shown = []
        for score in self._scores:
            beginnings = f"data:image/png;base64,{score.picture}"
            still, film = films.get(score.task, (beginnings, ""))
            shown.append((titles[score.task], still, film, _with_error(score.mean, score.error)))
        return render(
            "domains/domains.html.jinja",
            domains=shown,
            filmed=bool(films),
            episodes=self._scores[0].episodes,
        )


class RewardsSection(Section):
    """What was known on each target before, what each method came to, and rewards on the way."""

    def __init__(self, results: Results) -> None:
        super().__init__(results)
        self.applies = bool(results.comparisons) and measured_zero_shot(results)

    def figures(self) -> dict[str, Figure]:
        """Draw the rewards."""
        return {"rewards": reward_curves(self.results)}

    def charts(self) -> dict[str, Chart]:
        """Show the rewards as a chart."""
        return {"rewards": rewards_chart(self.results)}

    def html(self, drawings: Mapping[str, Markup]) -> Markup:
        """Write the section."""
        results = self.results
        tables = []
        for target, title in target_titles(results).items():
            rows = learned(results, target)
            places = [row.place for row in rows]
            before, error = zero_shot(results, target)
            chance = results.random_score(target).mean
            named = [
                _row(
                    row,
                    place_title(results, row.place, places),
                    results.colour(row.place.method),
                )
                for row in rows
            ]
            tables.append((title, _number(chance), _with_error(before, error), named))
        return render(
            "domains/rewards.html.jinja",
            tables=tables,
            rewards=drawings["rewards"],
            sweep=results.suite.sweep,
        )


def _films(results: Results) -> dict[str, tuple[Markup, Markup]]:
    """Embed the films of domains: first frames and films, by the ids of the domains' tasks."""
    found = {}
    for task, content in domain_films(results.suite).items():
        try:
            found[task] = embedded_film(content)
        except OSError as error:  # a report without a film is better than none
            logger.warning("The film of %s is left out: %s", task, error)
    return found


def _row(row: Learned, title: str, colour: str) -> _Row:
    low, high = row.quartiles
    return _Row(
        title=title,
        colour=colour,
        runs=row.scores.size,
        mean=_number(row.mean),
        spread=_number(row.spread),
        quartiles="?" if math.isnan(low) else f"{low:.2f} to {high:.2f}",
        above="?" if math.isnan(row.above) else f"{row.above:.0%}",
    )


def _with_error(mean: float, error: float) -> str:
    return "?" if math.isnan(mean) else f"{mean:.2f} ± {error:.2f}"


def _number(value: float) -> str:
    return "?" if math.isnan(value) else f"{value:.2f}"
