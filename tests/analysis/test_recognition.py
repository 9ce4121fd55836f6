"""Confusion, purity and delays of recognised contexts, worked out by hand."""

import math

import numpy as np
import pytest

from colonnade.analysis.recognition import (
    confusion,
    one_to_one_accuracy,
    owners,
    purity,
    switch_delays,
)
from colonnade.errors import UsageError

# Task 0 has contexts 0 and 2, task 1 has context 1; the fourth verdict is late, the last wrong.
TIMES = [16, 32, 48, 64, 80, 96, 112, 128]
CONTEXTS = [0, 0, 0, 0, 1, 1, 2, 1]
TASKS = [0, 0, 0, 1, 1, 1, 0, 0]


def test_confusion_counts_each_verdict_once():
    assert confusion(CONTEXTS, TASKS)[0].tolist() == [[3, 1], [1, 2], [1, 0]]
    halves = confusion(CONTEXTS, TASKS, bins=2)
    assert halves.tolist() == [[[3, 1], [0, 0], [0, 0]], [[0, 0], [1, 2], [1, 0]]]
    thirds = confusion(CONTEXTS, TASKS, bins=3)
    assert thirds.sum((1, 2)).tolist() == [3, 3, 2]
    assert (thirds.sum(0) == halves.sum(0)).all()


def test_purity_and_accuracy():
    table = confusion(CONTEXTS, TASKS)[0]
    assert owners(table).tolist() == [0, 1, 0]
    assert purity(table) == 6 / 8
    assert one_to_one_accuracy(table) == 5 / 8  # the split of task 0 counts here
    assert owners([[0, 0], [0, 2]]).tolist() == [-1, 1]
    assert purity([[5, 0], [0, 5], [3, 0]]) == 1
    assert one_to_one_accuracy([[1, 4], [5, 3]]) == 9 / 13
    assert math.isnan(purity(np.zeros((2, 2))))
    assert math.isnan(one_to_one_accuracy(np.zeros((2, 2))))


def test_delays_run_from_the_switch_to_the_first_right_verdict():
    begins = [0, 50, 100]
    assert switch_delays(TIMES, CONTEXTS, TASKS, begins).tolist() == [80 - 50, 112 - 100]
    assert switch_delays(TIMES, CONTEXTS, TASKS, [0, 50, 70, 100])[0] == math.inf
    assert switch_delays(TIMES, CONTEXTS, TASKS, [0, 48]).tolist() == [80 - 48]
    assert switch_delays([], [], [], [0, 5]).tolist() == [math.inf]
    assert switch_delays(TIMES, CONTEXTS, TASKS, [0]).tolist() == []


def test_arrays_that_do_not_fit_are_named():
    with pytest.raises(UsageError, match=r"one length; got \[2\] and \[1\]"):
        confusion([0, 1], [0])
    with pytest.raises(UsageError, match="contexts of verdicts are numbered from 0"):
        confusion([-1], [0])
    with pytest.raises(UsageError, match="got 1 for 2 verdicts"):
        switch_delays([3], [0, 1], [0, 1], [0])
