import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.errors import UsageError
from colonnade.experiments.plans.search_space import (
    PAPER,
    SIM_TO_REAL,
    Choice,
    LogUniform,
    SearchSpace,
    parse_ranges,
)
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.suites import suite_from_name
from colonnade.records import read, write


def test_the_papers_ranges() -> None:
    assert PAPER.learner["learning_rate"] == Choice((1e-3, 5e-4, 1e-4))
    assert PAPER.learner["entropy_cost"] == Choice((1e-2, 1e-3, 1e-4))
    assert PAPER.learner["clip_norm"] == Choice((20.0, 40.0))
    assert PAPER.column["alpha"] == Choice((1.0, 0.1, 0.01))
    assert SIM_TO_REAL.learner == {
        "learning_rate": LogUniform(5e-5, 5e-3),
        "entropy_cost": LogUniform(1e-5, 1e-2),
    }
    assert suite_from_name("pong-soup").space("a2c") == PAPER
    assert suite_from_name("sim-to-real").space("a3c") == SIM_TO_REAL


def test_grids_are_drawn_evenly_and_names_independently() -> None:
    draws = [PAPER.draw(0, job) for job in range(5400)]
    pairs = Counter((draw["learning_rate"], draw["alpha"]) for draw in draws)
    assert len(pairs) == 9
    # 600 each, give or take four standard deviations.
    assert max(abs(count - 600) for count in pairs.values()) < 4 * math.sqrt(600)


def test_log_uniform_is_uniform_in_the_logarithm() -> None:
    values = [SIM_TO_REAL.draw(1, job)["learning_rate"] for job in range(4000)]
    shares = (np.log(values) - math.log(5e-5)) / math.log(100)
    assert 0 <= shares.min() < shares.max() < 1
    counts, _ = np.histogram(shares, bins=10, range=(0, 1))
    assert np.abs(counts - 400).max() < 4 * 20


@given(st.integers(0, 10**6), st.integers(0, 999))
def test_a_draw_depends_on_nothing_but_seed_job_and_name(seed: int, job: int) -> None:
    draw = PAPER.draw(seed, job)
    assert draw == PAPER.draw(seed, job)
    other = SearchSpace({"entropy_cost": PAPER.learner["entropy_cost"]})
    assert other.draw(seed, job)["entropy_cost"] == draw["entropy_cost"]


@given(st.floats(1e-8, 1e8), st.floats(1.001, 1e6), st.floats(0, 1, exclude_max=True))
def test_log_uniform_stays_in_its_range(low: float, factor: float, share: float) -> None:
    drawn = LogUniform(low, low * factor).at(share)
    assert low * (1 - 1e-9) <= drawn <= low * factor * (1 + 1e-9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("learning_rate=1e-2:1e-4", "from a number above 0 to a larger one, but 0.01:0.0001"),
        ("learning_rate=0:1", "above 0"),
        ("learning_rate=1:inf", "above 0 to a larger one, but 1:inf"),
        ("learning_rate=1:nan", "log-uniform"),
        ("learning_rate=1,2,1", "names each value once"),
        ("learning_rate=1,nan", "finite ones only"),
        ("learning_rate=", "NAME=LOW:HIGH or NAME=A,B,C"),
        ("learning_rate=1:2:3", "NAME=LOW:HIGH"),
        ("learning_rate", "NAME=LOW:HIGH"),
        ("learning_rate=low:high", "with numbers, but 'learning_rate=low:high'"),
    ],
)
def test_impossible_ranges(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_ranges((text,))


def test_ranges_of_a_user() -> None:
    given_ranges = parse_ranges(("learning_rate=1e-5:1e-2", "alpha=1,0.5"))
    space = PAPER.with_ranges(given_ranges)
    assert space.learner["learning_rate"] == LogUniform(1e-5, 1e-2)
    assert space.column["alpha"] == Choice((1.0, 0.5))
    assert space.learner["entropy_cost"] == PAPER.learner["entropy_cost"]
    with pytest.raises(UsageError, match="did you mean 'learning_rate'"):
        PAPER.with_ranges(parse_ranges(("learnin_rate=1,2",)))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"jobs": 0}, "at least 1 job, but --jobs 0"),
        ({"top": 0}, "from 1 to 25, but 0 came"),
        ({"jobs": 2}, "--top is how many of the 2 jobs count, from 1 to 2, but 3 came"),
        ({"added": -1}, "--add-jobs is 0 or more, but -1"),
        ({"jobs": 1001}, "at most 1000 jobs"),
        ({"seed": -1}, "--seed is 0 or more"),
    ],
)
def test_impossible_sweeps(changes: dict[str, int], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        Sweep(**changes)  # type: ignore[arg-type]


def test_added_jobs_leave_the_first_as_they_are() -> None:
    first, more = Sweep(jobs=5), Sweep(jobs=5, added=3)
    assert more.draw(PAPER)[:5] == first.draw(PAPER)
    assert len({job.seed for job in more.draw(PAPER)}) == 8
    assert [more.number_of(job.seed) for job in more.draw(PAPER)] == list(range(8))
    assert read(Sweep, write(more)) == more
