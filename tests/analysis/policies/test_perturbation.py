"""Noise where it matters and where it does not; thresholds worked by hand; a slow regression."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from signs import LENGTH, SignsTask, expert

from colonnade.analysis.policies.noise import noise_of, perturbation_curves
from colonnade.analysis.policies.perturbation import (
    PerturbationCurves,
    filled,
    half_noise,
    non_increasing,
    rank_correlation,
    undecided,
)
from colonnade.analysis.policies.players import player_pool
from colonnade.analysis.policies.sensitivity import activation_fisher
from colonnade.analysis.policies.states import policy_states
from colonnade.errors import ColonnadeError, UsageError
from colonnade.networks import Feature
from colonnade.seeding import generator

TASK = SignsTask()


def curves_of(network, **options):
    fisher = activation_fisher(network, policy_states(TASK, network, 400), (2,))
    options = {"episodes": 8, "noise": (0.5, 1, 2, 4, 8, 16, 32)} | options
    return fisher, perturbation_curves(TASK, network, fisher, **options)


@pytest.mark.parametrize("reuses", [False, True])
def test_a_column_that_is_not_read_can_be_disturbed_at_will(reuses):
    network = expert(reuses)
    fisher, curves = curves_of(network)
    used, unused = (Feature(0, 0), Feature(1, 0)) if reuses else (Feature(1, 0), Feature(0, 0))
    assert curves.clean.mean() > 0.95 * LENGTH
    assert 0.3 * LENGTH < curves.floor < 0.7 * LENGTH
    for level in curves.noise:  # alone, since together only the strongest is played
        _, single = curves_of(network, noise=(level,))
        np.testing.assert_array_equal(single.returns[unused], curves.clean[None])
    np.testing.assert_array_equal(curves.returns[unused][-1], curves.clean)
    assert np.isnan(curves.returns[unused][:-1]).all()
    np.testing.assert_array_equal(curves.means(unused), curves.clean.mean())
    assert curves.returns[used][-1].mean() < 0.7 * LENGTH
    assert curves.aps()[used] == (1, 1, 1)
    assert curves.aps()[unused] == (0, 0, 0)
    assert curves.precision(unused).value == 0
    assert fisher.layer_afs() == {used: pytest.approx(1), unused: 0}
    # A sign of size 1 under Gaussian noise: half of the score above chance is left where it comes
    # out right three times in four, at sigma = 1 / 0.674; its deviation is just below 1.
    estimate = curves.precision(used)
    assert estimate.low < 0.674**2 < estimate.high
    assert 0.2 < estimate.value < 0.9


def test_more_processes_play_the_same_games():
    network = expert(True)
    _, alone = curves_of(network, noise=(1, 4), episodes=3)
    with player_pool(2) as pool:
        _, together = curves_of(network, noise=(1, 4), episodes=3, pool=pool)
    for feature, returns in alone.returns.items():
        np.testing.assert_array_equal(returns, together.returns[feature])
    np.testing.assert_array_equal(alone.clean, together.clean)


def test_noise_has_the_deviation_asked_for_and_is_fresh():
    deviation = np.array([0.0, 2.0, 0.5])
    change = noise_of(deviation, 3.0, generator(0))
    still = torch.ones(4000, 3, 4, 2)
    first, second = (change(still) - 1 for _ in range(2))
    assert first.std((0, 2, 3)).numpy() == pytest.approx(3 * deviation, rel=0.03)
    assert first.mean((0, 2, 3)).numpy() == pytest.approx([0, 0, 0], abs=0.1)
    assert not torch.equal(first, second)
    assert np.corrcoef(first[:, 1, 0, 0], first[:, 1, 3, 1])[0, 1] == pytest.approx(0, abs=0.1)
    shared = noise_of(deviation, 3.0, generator(0), shared=True)(still) - 1
    assert torch.equal(shared, shared[:, :, :1, :1].expand_as(shared))
    assert shared[:, 1, 0, 0].std() == pytest.approx(6, rel=0.05)


def test_half_noise_by_hand():
    def half(scores, clean=10.0, floor=0.0):
        return half_noise((1, 2, 4), np.array(scores)[:, None], np.array([clean]), floor)[0]

    assert half([10, 5, 0]) == pytest.approx(2)
    assert half([10, 10, 0]) == pytest.approx(2 * math.sqrt(2)), "half-way in the logarithm"
    assert half([0, 0, 0]) == pytest.approx(0.5), "half-way from no noise at all"
    assert math.isinf(half([9, 8, 6]))
    assert half([9, 4, 4], floor=-2) == pytest.approx(2), "half of what lies above the floor"
    # 10, 4, 8 levels to 10, 6, 6: a lucky stretch does not hide what little noise did.
    assert half([4, 8, 0]) == pytest.approx(2 * 2 ** (1 / 6))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9).map(lambda v: sorted(v, reverse=True)))
def test_the_search_finds_the_half_that_playing_every_level_finds(shares):
    """Where noise never helps, what is left out can't change what is found."""
    levels = [2.0**i for i in range(len(shares))]
    floor, clean = -20.0, 10.0
    scores = [floor + share * (clean - floor) for share in shares]
    known = [None] * (len(scores) - 1) + [scores[-1]]
    while (place := undecided(known, clean, floor)) is not None:
        assert known[place] is None
        known[place] = scores[place]
    found = np.array([np.nan if score is None else score for score in known])[:, None]
    every = np.array(scores)[:, None]
    for score, complete in zip(filled(found), every, strict=True):
        assert score == pytest.approx(complete, abs=0.1 * (clean - floor) + 1e-9)
    one = np.array([clean])
    half, whole = (half_noise(levels, values, one, floor) for values in (filled(found), every))
    np.testing.assert_allclose(half, whole)


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=8))
def test_isotonic_regression_equals_pooling_of_violators(values):
    blocks = []
    for value in map(float, values):
        blocks.append([value])
        while len(blocks) > 1 and np.mean(blocks[-2]) < np.mean(blocks[-1]):
            last = blocks.pop()
            blocks[-1] += last
    expected = [np.mean(block) for block in blocks for _ in block]
    np.testing.assert_allclose(non_increasing(values), expected, atol=1e-9)


def test_rank_correlation_by_hand():
    assert rank_correlation([1, 2, 3], [10, 100, 1000]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [3, 2, 1]) == pytest.approx(-1)
    # ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4
    assert rank_correlation([0, 5, 5, 9], [1, 2, 3, 4]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))
    assert rank_correlation([1, math.nan, 2], [1, 7, 2]) == pytest.approx(1)
    assert math.isnan(rank_correlation([1, 1], [1, 2]))


def test_shares_and_their_intervals():
    low, high = Feature(0, 0), Feature(1, 0)
    returns = {
        low: np.array([[4.0, 6, 5], [0, 0, 0]]),
        high: np.array([[10.0, 10, 10], [4, 6, 5]]),
    }
    curves = PerturbationCurves((1.0, 2.0), np.full(3, 10.0), 0.0, returns, [(low, high)])
    assert curves.precision(low).value == pytest.approx(1)
    assert curves.precision(high).value == pytest.approx(1 / 4)
    share = curves.aps()[low]
    assert share.value == pytest.approx(0.8)
    assert share.low < 0.8 < share.high <= 1


def test_a_share_that_many_redraws_do_not_have_has_no_interval():
    """One episode in four is halved: a redraw without it, (3/4)^4 = 32 %, has no share at all."""
    once = np.array([[10.0, 10, 10, 0]])
    low, high = Feature(0, 0), Feature(1, 0)
    returns = {low: 0.6 * once, high: np.full((1, 4), 10.0)}
    curves = PerturbationCurves((1.0,), np.full(4, 10.0), 0.0, returns, [(low, high)])
    share = curves.aps()[low]
    assert share.value == 1
    assert math.isnan(share.low)
    assert math.isnan(share.high)
    assert not math.isnan(curves.precision(low).high), "a precision of 0 is a value"


def test_the_fewest_episodes_of_all_count():
    feature = Feature(0, 0)
    for clean, noisy in ((8, 2), (2, 8)):
        returns = {feature: np.linspace(3, 4, noisy)[None]}
        curves = PerturbationCurves((1.0,), np.linspace(9, 10, clean), 0.0, returns, [(feature,)])
        assert math.isnan(curves.precision(feature).low), "two have no interval"
        assert math.isnan(curves.aps()[feature].low)


def test_redraws_take_means_of_their_episodes():
    """Of three episodes 0, 0, 9 a redraw's mean is one of 0, 3, 6, 9; its median is 0 or 9."""
    feature = Feature(0, 0)
    returns = {feature: np.array([[9.0, 0, 0], [0.0, 0, 0]])}
    clean = np.full(3, 12.0)
    found = PerturbationCurves((1.0, 2.0), clean, 0.0, returns, [(feature,)])._redrawn([feature])
    means = {
        mean: PerturbationCurves(
            (1.0, 2.0), clean, 0.0, {feature: np.array([[mean], [0.0]])}, [(feature,)]
        )
        .precision(feature)
        .value
        for mean in (0.0, 3.0, 6.0, 9.0)
    }
    assert {round(value, 9) for value in found.ravel()} == {round(v, 9) for v in means.values()}
    assert len(set(means.values())) > 2


def test_redraws_take_means_of_the_undisturbed_episodes():
    """Of three episodes 6, 6, 15 a redraw's mean is one of 6, 9, 12, 15; its median is 6 or 15."""
    feature = Feature(0, 0)
    returns = {feature: np.array([[4.0], [0.0]])}

    def curves(*clean):
        return PerturbationCurves((1.0, 2.0), np.array(clean), 0.0, returns, [(feature,)])

    found = curves(6.0, 6.0, 15.0)._redrawn([feature])
    values = [curves(mean).precision(feature).value for mean in (6.0, 9.0, 12.0, 15.0)]
    assert {round(value, 9) for value in found.ravel()} == {round(value, 9) for value in values}
    assert len(set(values)) > 2


WRONG_NOISE = [
    ((0, 1), "A noise level must be a number above 0; got 0"),
    ((1, math.nan), "A noise level must be a number above 0; got nan"),
    ((1, math.inf), "A noise level must be a number above 0; got inf"),
    (("1",), "A noise level must be a number above 0; got '1'"),
    ((2, 1, 2.0), "one or more different numbers"),
    ((), "one or more different numbers"),
    (1.0, "a list of numbers above 0; got 1.0"),
    ("12", "a list of numbers above 0; got '12'"),
]


def test_wrong_use_is_refused_in_one_sentence():
    network = expert(True)
    for noise, words in WRONG_NOISE:
        with pytest.raises(UsageError, match=words):
            curves_of(network, noise=noise)
    for episodes in (0, 2.5):
        with pytest.raises(UsageError, match="episodes at each noise level must be a whole"):
            curves_of(network, episodes=episodes)
    with pytest.raises(ColonnadeError, match="no better than the random one"):
        curves_of(network, noise=(1,), floor=100.0)
    network.hook = lambda: None  # what no other process can be handed
    with player_pool(2) as pool, pytest.raises(UsageError, match="play without a pool"):
        curves_of(network, noise=(1,), pool=pool)
    with pytest.raises(UsageError, match="at least 1 process"), player_pool(0):
        pass


def test_episodes_end_where_their_error_suffices():
    network = expert(True)
    options = {"noise": (1, 4), "episodes": 80, "seed": 3}
    _, whole = curves_of(network, **options)
    _, short = curves_of(network, error=1.0, **options)
    _, exact = curves_of(network, error=1e-9, **options)
    stopped = 0
    for feature, returns in whole.returns.items():
        np.testing.assert_array_equal(exact.returns[feature], returns)
        assert short.returns[feature].shape == returns.shape
        for count, ours, theirs in zip(
            short.episodes(feature), short.returns[feature], returns, strict=True
        ):
            np.testing.assert_array_equal(ours[:count], theirs[:count])
            assert np.isnan(ours[count:]).all()
            if not 0 < count < 80:
                continue
            # At the first whole round of 16 from the second on whose error suffices, no later.
            errors = [theirs[:n].std(ddof=1) / math.sqrt(n) for n in range(32, 81, 16)]
            assert count == 32 + 16 * next(i for i, error in enumerate(errors) if error <= 1.0)
            stopped += 1
    assert stopped
    assert short.clean.size < 80
    assert short.fewest(short.returns) == 32
    assert exact.precision(Feature(0, 0)) == whole.precision(Feature(0, 0))


def test_levels_of_fewer_episodes_count_with_those_that_were_played():
    nan = math.nan
    feature = Feature(0, 0)
    returns = np.array([[9.0, 7.0, nan, nan], [nan] * 4, [1.0, 3.0, 2.0, 2.0]])
    curves = PerturbationCurves((1.0, 2.0, 4.0), np.full(3, 10.0), 0.0, {feature: returns}, [])
    assert curves.means(feature).tolist() == [8, 8, 2]
    assert curves.episodes(feature).tolist() == [2, 0, 4]
    assert curves.fewest([feature]) == 2
    # Half of 10 lies half way from 8 to 2, on a logarithmic scale between 2 and 4.
    assert curves.precision(feature).value == pytest.approx(1 / (2 * math.sqrt(2)) ** 2)
