"""Human-normalised scores against numbers that papers printed."""

import math

import numpy as np
import pytest

from colonnade.analysis.human_scores import (
    HUMAN_SCORES,
    Reference,
    normalised,
    normalised_sum,
    reference_of,
)
from colonnade.errors import UsageError
from colonnade.tasks import AtariTask, MiniPongTask, PongSoupTask

# Mnih et al. (2015), Extended Data Table 2: DQN's score and its share of human, in percent.
PRINTED = {
    "breakout": (401.2, 1327),
    "boxing": (71.8, 1707),
    "pong": (18.9, 132),
    "star_gunner": (57997, 598),
    "space_invaders": (1976, 121),
    "enduro": (301.8, 97),
    "riverraid": (8316, 57),
    "ms_pacman": (2311, 13),
    "seaquest": (5286, 25),
    "montezuma_revenge": (0, 0),
}


@pytest.mark.parametrize("game", PRINTED)
def test_dqn_is_as_good_as_was_printed(game):
    score, percent = PRINTED[game]
    reference = reference_of(AtariTask(game).spec.id)
    assert 100 * normalised(score, reference, clip=False) == pytest.approx(percent, abs=1)


def test_every_game_can_be_played_and_humans_are_better_than_chance():
    assert len(HUMAN_SCORES) == 49
    for game, reference in HUMAN_SCORES.items():
        assert AtariTask(game).game == game
        assert reference.human > reference.random


def test_scores_are_clipped_at_one_and_not_at_zero():
    scale = Reference(-10.0, 30.0)
    assert normalised([-10, 10, 30, 70, -30], scale).tolist() == [0, 0.5, 1, 1, -0.5]
    assert normalised(70, scale, clip=False) == 2


def test_the_sum_is_over_tasks_and_each_counts_one_at_most():
    scores = {
        "atari/pong": np.array([-20.7, 9.3, 21.0]),
        "atari/breakout": np.array([1.7, 16.75, 400.0]),
        "mini-pong/black": np.array([-0.6, 0.4, 4.2]),
        "mine": np.array([0.0, 1.0, 5.0]),
    }
    own = {"mine": Reference(0, 4)}
    assert normalised_sum(scores, own).tolist() == pytest.approx([0, 1 + 0.5 + 0.5 + 0.25, 4])
    assert float(normalised_sum({"atari/pong": -5.7})) == pytest.approx(0.5)


def test_each_family_of_tasks_has_its_scale():
    assert reference_of(PongSoupTask("black").spec.id) == HUMAN_SCORES["pong"]
    assert reference_of(MiniPongTask("zoom").spec.id) == Reference(-0.6, 1.4)
    assert reference_of("pong") == HUMAN_SCORES["pong"]
    for own in ("gym/pong", "line/boxing", "mine/atari/pong"):
        with pytest.raises(UsageError, match="has no human score"):
            reference_of(own)


def test_what_has_no_scale_is_named():
    with pytest.raises(UsageError, match=r"'atari/berzerk' has no human score among the 49"):
        normalised_sum({"atari/berzerk": 1.0})
    with pytest.raises(UsageError, match="two different scores"):
        normalised(1.0, Reference(2.0, 2.0))
    with pytest.raises(UsageError, match="one task at least"):
        normalised_sum({})
    assert math.isfinite(normalised(1.0, Reference(0.0, 2.0)))
