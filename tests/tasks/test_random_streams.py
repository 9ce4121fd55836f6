"""The streams against SplitMix64's published outputs."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.tasks.random_streams import RandomStreams

# The reference implementation's first outputs from state 0, where stream 0 of seed 0 starts.
FROM_ZERO = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F]


def test_stream_zero_is_splitmix64():
    streams = RandomStreams(1)
    streams.seed(0)
    drawn = [streams.uniform(np.array([True]))[0] for _ in FROM_ZERO]
    assert drawn == [(word >> 11) / 2**53 for word in FROM_ZERO]


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**40),
    draws=st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=1, max_size=12),
)
def test_a_stream_depends_on_its_own_seed_and_draws_alone(seed, draws):
    together = RandomStreams(4)
    together.seed(seed)
    got = [[], [], [], []]
    for chosen in draws:
        numbers = iter(together.uniform(np.array(chosen)))
        for i, own in enumerate(chosen):
            if own:
                got[i].append(next(numbers))
    for i, numbers in enumerate(got):
        alone = RandomStreams(1)
        alone.seed(seed + i)
        assert numbers == [alone.uniform(np.array([True]))[0] for _ in numbers]


def test_numbers_are_uniform_and_streams_uncorrelated():
    streams = RandomStreams(1000)
    streams.seed(1)
    draws = np.stack([streams.uniform(np.ones(1000, bool)) for _ in range(100)])
    counts, _ = np.histogram(draws, bins=10, range=(0, 1))
    assert abs(counts - 10_000).max() < 400  # four standard deviations
    neighbours = np.corrcoef(draws[:, :-1].ravel(), draws[:, 1:].ravel())[0, 1]
    assert abs(neighbours) < 0.015


def test_streams_that_were_not_seeded_differ_from_run_to_run():
    everyone = np.ones(2, bool)
    assert (RandomStreams(2).uniform(everyone) != RandomStreams(2).uniform(everyone)).all()
