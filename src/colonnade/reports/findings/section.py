"""The first section of a report: what was learned from what, how much faster, how sure that is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from colonnade.analysis.intervals import FEWEST_RUNS
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.results.findings import Finding, findings
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.titles import distinct, source_title
from colonnade.experiments.trained.analysis import stored_analysis
from colonnade.experiments.trained.comparison import groups_of, reuse_words
from colonnade.reports.page import Section, render

_MOST_REUSED = 4
"""Of how many networks the section says what they reuse; analysis.html has all."""


_MOST_TARGETS = 6
"""With more, their number stands for them."""


@dataclass(frozen=True)
class _Card:
    title: str
    colour: str
    ratio: str
    what: str
    strong: bool
    words: str
    sure: str


class FindingsSection(Section):
    """What a suite that compares with learning from scratch came to, in words."""

    def __init__(self, results: Results) -> None:
        super().__init__(results)
        # What sequences gained, and forgot, has a section of its own.
        self._findings = [] if results.by_gain else findings(results)
        self.applies = bool(self._findings)

    def html(self, drawings: Mapping[str, Markup]) -> Markup:
        """Write the section."""
        results = self.results
        analyses = [
            found
            for run in results.runs.values()
            if run.done and (found := stored_analysis(run.folder)) is not None
        ]
        groups = groups_of(analyses, results.suite)
        targets = list(results.target_titles.values())
        return render(
            "findings/section.html.jinja",
            learned=_learned(results.sources),
            targets=_listed(targets, "or")
            if len(targets) <= _MOST_TARGETS
            else f"one of {len(targets)} new tasks",
            cards=[self._card(finding) for finding in self._findings],
            reused=[reuse_words(*group) for group in groups.values()][:_MOST_REUSED],
            grows=any(finding.row.method.startswith("progressive") for finding in self._findings),
            folder=results.suite.path.name,
        )

    def _card(self, finding: Finding) -> _Card:
        row = finding.row
        return _Card(
            title=row.title,
            colour=self.results.colour(row.method),
            ratio=_short(finding.ratio),
            what=_what(finding),
            strong=finding.verdict != "not known",
            words=_sooner(finding),
            sure=_sure(finding, sweep=self.results.suite.sweep),
        )


def _learned(sources: Sequence[str]) -> str:
    """Say what networks had learned: one source, another, or several one after another."""
    if not sources:
        return "learned before"
    chains = [source.split(" + ") for source in sources]
    titles = distinct((part for chain in chains for part in chain), source_title)
    alone = [titles[chain[0]] for chain in chains if len(chain) == 1]
    joined = [
        _listed([titles[part] for part in chain], "and then") for chain in chains if len(chain) > 1
    ]
    if not (alone and joined):
        return f"learned {_listed(alone or joined, 'or')} before"
    one_by_one = joined[0] if len(joined) == 1 else "several one after another"
    return f"learned {_listed(alone, 'or')} before, or {one_by_one},"


def _listed(words: Sequence[str], last: str) -> str:
    """List words with another one before the last: "Pong, Noisy or Zoom"."""
    return f"{', '.join(words[:-1])} {last} {words[-1]}" if len(words) > 1 else "".join(words)


def _what(finding: Finding) -> str:
    """Say what the ratio is of."""
    words = "the area under scratch's learning curve"
    if finding.row.pairs > 1:
        mean = _short(finding.row.mean / 100)
        words += f", median of {finding.row.pairs} pairs; their mean is {mean}"
    return words


def _short(ratio: float) -> str:
    """Write two digits of a ratio, or all before the point."""
    size = abs(ratio)
    return f"{ratio:.2f}" if size < 0.995 else f"{ratio:.1f}" if size < 9.95 else f"{ratio:.0f}"


def _sooner(finding: Finding) -> str:
    if not finding.pairs:
        return ""
    pairs = f" (median of {finding.pairs} pairs)" if finding.pairs > 1 else ""
    if math.isnan(finding.sooner):
        words = (
            f"In no more than half of {finding.pairs} pairs it comes to scratch's final return."
            if finding.pairs > 1
            else "It does not come to scratch's final return."
        )
    elif abs(finding.sooner - 1) < 0.05:
        words = f"It comes to scratch's final return as soon as scratch does{pairs}."
    elif finding.sooner < 1:
        words = f"It comes to scratch's final return {1 / finding.sooner:.1f} times later{pairs}."
    else:
        words = f"It comes to scratch's final return {finding.sooner:.1f} times sooner{pairs}."
    if finding.ends is not None:
        words += f" In the end it is at {finding.ends[0]:.1f}, scratch at {finding.ends[1]:.1f}."
    return words


def _sure(finding: Finding, *, sweep: Sweep | None) -> str:
    """Say how sure a ratio is, and on how many runs it stands."""
    row, what = finding.row, "jobs" if sweep else "runs"
    stands = (
        f"{row.runs} {what if row.runs > 1 else what[:-1]}, "
        f"{finding.references} from scratch{' for each task' if row.pairs > 1 else ''}"
    )
    if finding.verdict == "not known":
        return f"{_unsure(finding, sweep)}: {stands}."
    what = "95 % interval of the mean" if row.pairs > 1 else "95 % interval"
    reach = f"{what} {row.low / 100:.2f} to {row.high / 100:.2f}"
    verdict = {
        "faster": "Surely faster",
        "slower": "Surely slower",
        "not told apart": "Not to be told apart from scratch",
    }[finding.verdict]
    caution = f" ({row.caution})" if row.caution else ""
    return f"{verdict}: {reach}{caution}; {stands}."


def _unsure(finding: Finding, sweep: Sweep | None) -> str:
    """Say why there is no interval."""
    row = finding.row
    if row.runs <= row.pairs or finding.references == 1:
        return "One run a side shows what happened, not what will"
    if row.endless:
        whose, what = "jobs" if sweep else "seeds", "mean" if row.pairs > 1 else "ratio"
        return (
            f"Scratch's area{' on a task' if row.pairs > 1 else ''} may be 0 by what its {whose} "
            f"differ by, so that the {what} has no upper end"
        )
    if sweep and sweep.total >= FEWEST_RUNS:
        return "How sure that is can be said once all jobs are over"
    return "Too few runs to say how sure that is"
