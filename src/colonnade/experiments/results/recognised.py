"""How runs told their tasks apart, where nobody told them: contexts, purity, delays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from colonnade.analysis.recognition import confusion, one_to_one_accuracy, owners, purity
from colonnade.experiments.results.runs import Floats
from colonnade.experiments.results.stream import StreamRun

PARTS = 6
"""Into how many parts time is divided where contexts are counted over time."""


@dataclass(frozen=True)
class Recognised:
    """How contexts were told apart, of one run.

    Attributes:
        contexts: Their ids.
        table: [parts, contexts, tasks] verdicts over time.
        purity: Share of verdicts that fell to their context's own task.
        accuracy: The same where each task is given one context.
        delays: Steps of all environments from each switch of tasks to its first right context.
    """

    contexts: tuple[str, ...]
    table: Floats
    purity: float
    accuracy: float
    delays: Floats


def recognised(run: StreamRun, parts: int = PARTS) -> Recognised | None:
    """Count the verdicts of a run whose contexts are recognised; None where there is none."""
    counted = [row for row in run.rows if row["kind"] == "contexts"]
    names = tuple(dict.fromkeys(name for row in counted for name in row["counts"]))
    if not names:
        return None
    contexts, tasks, times = [], [], []
    for row in counted:
        for name, count in row["counts"].items():
            contexts += [names.index(name)] * count
            tasks += [row["task_index"]] * count
            times += [run.time_of(row)] * count
    table = np.zeros((parts, len(names), len(run.tasks)))
    last = run.begins[-1]
    part = np.minimum((np.array(times) - 1) * parts // last, parts - 1).astype(int)
    for number in range(parts):
        own = part == number
        if own.any():
            one = confusion(np.array(contexts)[own], np.array(tasks)[own])[0]
            table[number, : one.shape[0], : one.shape[1]] = one
    whole = table.sum(0)
    return Recognised(
        names, table, purity(whole), one_to_one_accuracy(whole), _delays(run, names, whole)
    )


def _delays(run: StreamRun, names: Sequence[str], table: Floats) -> Floats:
    """Return how long after each switch of tasks its own context was learned again."""
    owner = owners(table)
    switches = [row for row in run.rows if row["kind"] == "switch"]
    first = switches[0].get("before") if switches else None
    current = names.index(first) if first in names else 0
    found = [(0.0, current, run.visited[0])]
    for row in switches:
        current = names.index(row["context"]) if row["context"] in names else current
        found.append((run.time_of(row), current, row["task_index"]))
    # A context that goes on over a visit's beginning is right at once, and no row says so.
    delays = np.full(max(0, len(run.visited) - 1), np.inf)
    for number, task in enumerate(run.visited[1:], 1):
        begin, end = run.begins[number], run.begins[number + 1]
        before = [context for time, context, _ in found if time <= begin]
        if before and owner[before[-1]] == task:
            delays[number - 1] = 0
            continue
        right = [t for t, context, _ in found if begin < t <= end and owner[context] == task]
        if right:
            delays[number - 1] = right[0] - begin
    return delays
