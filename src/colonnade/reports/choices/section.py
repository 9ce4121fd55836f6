"""What a report says of choices that were made while a suite ran."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from colonnade.experiments.results.choices import Choice, Try, choices
from colonnade.experiments.results.transfer import Results
from colonnade.reports.page import Section, render


class ChoicesSection(Section):
    """What was tried, how it scored, and which of it others went on with."""

    def __init__(self, results: Results) -> None:
        super().__init__(results)
        # The report of a sweep says the same of its jobs.
        self.applies = results.suite.sweep is None and bool(results.suite.plan.selections)

    def html(self, drawings: Mapping[str, Markup]) -> Markup:
        """Write the section."""
        return render(
            "choices/section.html.jinja",
            choices=[_row(choice) for choice in choices(self.results)],
        )


def _row(choice: Choice) -> dict[str, Any]:
    scores = [each.score for each in choice.tries if not math.isnan(each.score)]
    return {
        "title": choice.title,
        "complete": f"{len(scores)} of {len(choice.tries)}",
        "range": f"{min(scores):.2f} to {max(scores):.2f}" if scores else "",
        "taken": "; ".join(map(_words, choice.taken)) or "not chosen yet",
        "tries": [
            {
                "name": each.name,
                "score": "" if math.isnan(each.score) else f"{each.score:.2f}",
                "values": _values(each),
                "rank": each.rank or "",
            }
            for each in choice.tries
        ],
    }


def _words(each: Try) -> str:
    """Name a try, as in "draw 3: learning_rate 0.001, alpha 0.1"."""
    return f"{each.name}: {_values(each)}" if each.values else each.name


def _values(each: Try) -> str:
    return ", ".join(
        f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in each.values.items()
    )
