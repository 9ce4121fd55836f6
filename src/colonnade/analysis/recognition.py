"""How well contexts were recognised: against the true tasks, and how soon after each switch.

Contexts and tasks are numbered; a verdict is one entry of each array, in the order of time.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from colonnade.errors import UsageError

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]


def confusion(contexts: ArrayLike, tasks: ArrayLike, bins: int = 1) -> Ints:
    """Count the verdicts by context and true task, over time.

    Args:
        contexts: [V] the context of each verdict, numbered from 0.
        tasks: [V] the task it was given in, numbered from 0.
        bins: Into how many parts of (nearly) equal numbers of verdicts time is divided.

    Returns:
        [bins, contexts, tasks]; the sum over bins is the whole confusion.

    Raises:
        UsageError: The arrays differ in length, or hold no whole numbers from 0 on.
    """
    found, true = _verdicts(contexts, tasks)
    table = np.zeros((bins, _count(found), _count(true)), np.int64)
    part = np.arange(len(found)) * bins // max(1, len(found))
    np.add.at(table, (part, found, true), 1)
    return table


def owners(table: ArrayLike) -> Ints:
    """Return the task [C] in which each context was met most often, of a confusion [C, T].

    -1 for a context that was never met.
    """
    counts = np.asarray(table)
    return np.where(counts.sum(1) > 0, counts.argmax(1), -1).astype(np.int64)


def purity(table: ArrayLike) -> float:
    """Return the share of verdicts that fell to their context's own task, of a confusion [C, T].

    1 where no context was met in two tasks, however many contexts a task was split into; NaN
    without verdicts (Manning et al. 2008, "Introduction to Information Retrieval", 16.3).
    """
    counts = np.asarray(table)
    total = counts.sum()
    return float(counts.max(1).sum() / total) if total else float("nan")


def one_to_one_accuracy(table: ArrayLike) -> float:
    """Return the share of verdicts on the diagonal, each task being given one context at most.

    The assignment is the best there is; splits count as errors here.
    """
    from scipy.optimize import linear_sum_assignment

    counts = np.asarray(table)
    total = counts.sum()
    if not total:
        return float("nan")
    rows, columns = linear_sum_assignment(-counts)
    return float(counts[rows, columns].sum() / total)


def switch_delays(
    times: ArrayLike, contexts: ArrayLike, tasks: ArrayLike, begins: ArrayLike
) -> Floats:
    """Return how long after each switch of tasks its first right verdict came.

    Right is a context whose owner (see `owners`, over all verdicts) is the task switched to.

    Args:
        times: [V] agent step of each verdict, rising.
        contexts: [V] the context of each verdict.
        tasks: [V] the true task of each verdict.
        begins: [S] agent step after which each visit of a task began, rising; the first visit is
            no switch.

    Returns:
        [S - 1] agent steps; infinity where a visit ended before a right verdict. A visit without
        any verdict counts as that too.

    Raises:
        UsageError: There are not as many times as verdicts.
    """
    found, true = _verdicts(contexts, tasks)
    at, starts = np.asarray(times, np.int64), np.asarray(begins, np.int64)
    if len(at) != len(found):
        raise UsageError(f"Each verdict needs its time; got {len(at)} for {len(found)} verdicts.")
    right = owners(confusion(found, true)[0])[found] == true if len(found) else np.zeros(0, bool)
    delays = np.full(max(0, len(starts) - 1), np.inf)
    for number, begin in enumerate(starts[1:]):
        end = starts[number + 2] if number + 2 < len(starts) else np.inf
        hits = at[right & (at > begin) & (at <= end)]
        if len(hits):
            delays[number] = hits[0] - begin
    return delays


def _verdicts(contexts: ArrayLike, tasks: ArrayLike) -> tuple[Ints, Ints]:
    found, true = np.asarray(contexts), np.asarray(tasks)
    if found.shape != true.shape or found.ndim != 1:
        raise UsageError(
            "Verdicts need a context and a task each, in two arrays of one length; got "
            f"{list(found.shape)} and {list(true.shape)}."
        )
    for name, value in (("contexts", found), ("tasks", true)):
        if len(value) and (value.dtype.kind not in "iu" or value.min() < 0):
            raise UsageError(f"The {name} of verdicts are numbered from 0 in whole numbers.")
    return found.astype(np.int64), true.astype(np.int64)


def _count(numbers: Ints) -> int:
    return int(numbers.max()) + 1 if len(numbers) else 0
