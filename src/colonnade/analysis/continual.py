"""Measures of continual learning, from the matrix of scores on each task after each task.

R[i, j] is the score on task j after task i has been learned (Lopez-Paz & Ranzato 2017); what was
not measured is NaN, above the diagonal as a rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.errors import UsageError

Floats = NDArray[np.float64]


def score_matrix(rows: Iterable[dict[str, Any]], tasks: int) -> tuple[Floats, Floats]:
    """Read the scores out of metrics rows of kind "test".

    Args:
        rows: In the order of writing: a later row of a task in training replaces an earlier one.
        tasks: T, how many the sequence has.

    Returns:
        R [T, T], and [T] the score on each task just before it was learned; NaN where unknown.
    """
    matrix = np.full((tasks, tasks), np.nan)
    before = np.full(tasks, np.nan)
    for row in rows:
        if row.get("kind") != "test":
            continue
        trained, tested = row["task_index"], row["tested_index"]
        if row["step"] == 0:
            if trained == tested:
                before[tested] = row["return_mean"]
            continue
        matrix[trained, tested] = row["return_mean"]
    return matrix, before


def _square(matrix: Floats) -> Floats:
    if matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]:
        return matrix
    raise UsageError(f"Scores of all tasks after each are a matrix [T, T]; got {matrix.shape}.")


def average_scores(matrix: Floats) -> Floats:
    """Average the scores on all tasks so far, after each task: [T] of R [T, T].

    The last is the average accuracy (Lopez-Paz & Ranzato 2017, Eq. 2).
    """
    matrix = _square(matrix)
    return np.array([matrix[i, : i + 1].mean() for i in range(len(matrix))])


def learned_scores(matrix: Floats) -> Floats:
    """Score on each task just after it was learned: [T], the diagonal of R."""
    return np.diagonal(matrix).copy()


def forgetting(matrix: Floats) -> float:
    """How far scores have fallen from their best, averaged over all tasks but the last.

    Chaudhry et al. 2018, Eq. 3: max over i < T of R[i, j], minus R[T, j]. NaN for one task.
    """
    last = len(_square(matrix)) - 1
    if last < 1:
        return float("nan")
    best = np.array([matrix[j:last, j].max() for j in range(last)])
    return float((best - matrix[last, :last]).mean())


def backward_transfer(matrix: Floats) -> float:
    """How later tasks have changed the scores on earlier ones; below 0 they have harmed.

    Lopez-Paz & Ranzato 2017, Eq. 3: the mean over j < T of R[T, j] - R[j, j]. NaN for one task.
    """
    last = len(_square(matrix)) - 1
    if last < 1:
        return float("nan")
    return float((matrix[last, :last] - learned_scores(matrix)[:last]).mean())


def forward_transfer(before: Floats, chance: Floats) -> float:
    """How far earlier tasks lift the score on a task that has not been learned yet.

    Lopez-Paz & Ranzato 2017, Eq. 4: the mean over j > 1 of R[j - 1, j] - b_j, where b_j here is
    chance, in place of one random network's score. NaN for one task.

    Args:
        before: [T] score on each task just before it was learned.
        chance: [T] score of guessing, or of the random policy.
    """
    return float((before[1:] - chance[1:]).mean()) if len(before) > 1 else float("nan")
