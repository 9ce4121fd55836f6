"""Measures of continual learning on a matrix worked by hand, and on random ones by slow loops."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from colonnade.analysis.continual import (
    average_scores,
    backward_transfer,
    forgetting,
    forward_transfer,
    learned_scores,
    score_matrix,
)

N = math.nan
BY_HAND = np.array(
    [
        [0.90, N, N],
        [0.70, 0.80, N],
        [0.75, 0.60, 0.95],
    ]
)


def test_by_hand():
    np.testing.assert_allclose(average_scores(BY_HAND), [0.9, 0.75, (0.75 + 0.6 + 0.95) / 3])
    np.testing.assert_allclose(learned_scores(BY_HAND), [0.9, 0.8, 0.95])
    assert forgetting(BY_HAND) == pytest.approx(((0.9 - 0.75) + (0.8 - 0.6)) / 2)
    assert backward_transfer(BY_HAND) == pytest.approx(((0.75 - 0.9) + (0.6 - 0.8)) / 2)
    before, chance = np.array([0.2, 0.3, 0.05, 0.2]), np.array([0.1, 0.1, 0.1, 0.1])
    assert forward_transfer(before, chance) == pytest.approx((0.2 - 0.05 + 0.1) / 3)


def test_a_task_that_later_ones_improve_is_not_forgotten_from_its_start():
    better = np.array([[0.5, N, N], [0.9, 0.5, N], [0.7, 0.5, 0.5]])
    assert forgetting(better) == pytest.approx(((0.9 - 0.7) + 0.0) / 2)
    assert backward_transfer(better) == pytest.approx((0.2 + 0.0) / 2)


def test_one_task_has_no_transfer():
    one = np.array([[0.9]])
    assert average_scores(one) == [0.9]
    assert math.isnan(forgetting(one))
    assert math.isnan(backward_transfer(one))
    assert math.isnan(forward_transfer(np.array([0.1]), np.array([0.1])))


@given(arrays(np.float64, (4, 4), elements=st.floats(0, 1)))
def test_against_slow_loops(full):
    matrix = np.where(np.tri(4, dtype=bool), full, np.nan)
    falls, changes = [], []
    for task in range(3):
        best = max(matrix[after, task] for after in range(task, 3))
        falls.append(best - matrix[3, task])
        changes.append(matrix[3, task] - matrix[task, task])
    assert forgetting(matrix) == pytest.approx(sum(falls) / 3)
    assert backward_transfer(matrix) == pytest.approx(sum(changes) / 3)
    assert forgetting(matrix) >= -backward_transfer(matrix) - 1e-12


def row(trained, tested, step, score):
    return {
        "kind": "test",
        "task_index": trained,
        "tested_index": tested,
        "step": step,
        "return_mean": score,
    }


def test_the_matrix_is_read_from_the_last_scores_of_each_task():
    rows = [
        row(0, 0, 0, 0.1),
        row(0, 0, 50, 0.5),
        {"kind": "curve", "task_index": 0, "step": 60, "return_mean": 0.99},
        row(0, 0, 100, 0.9),
        row(1, 0, 0, 0.9),
        row(1, 1, 0, 0.2),
        row(1, 0, 100, 0.7),
        row(1, 1, 100, 0.8),
    ]
    matrix, before = score_matrix(rows, 3)
    np.testing.assert_array_equal(matrix, [[0.9, N, N], [0.7, 0.8, N], [N, N, N]])
    np.testing.assert_array_equal(before, [0.1, 0.2, N])
