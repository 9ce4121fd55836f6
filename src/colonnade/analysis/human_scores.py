"""Scores on a scale where a random player has 0 and a human 1, and their sum over games.

Kirkpatrick et al. (2017, Fig. 3B): (score - random) / (human - random), clipped at 1, summed. The
random and human scores are those of Mnih et al. (2015, "Human-level control through deep
reinforcement learning", Extended Data Table 2), whose games begin with up to 30 idle actions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from colonnade.errors import UsageError

Floats = NDArray[np.float64]


class Reference(NamedTuple):
    """What the scale of a game runs between.

    Attributes:
        random: Mean score of a player that acts at random.
        human: Mean score of a professional tester; of another task, of whatever counts as good.
    """

    random: float
    human: float


HUMAN_SCORES: Mapping[str, Reference] = {
    "alien": Reference(227.8, 6875.4),
    "amidar": Reference(5.8, 1675.8),
    "assault": Reference(222.4, 1496.4),
    "asterix": Reference(210.0, 8503.3),
    "asteroids": Reference(719.1, 13156.7),
    "atlantis": Reference(12850.0, 29028.1),
    "bank_heist": Reference(14.2, 734.4),
    "battle_zone": Reference(2360.0, 37800.0),
    "beam_rider": Reference(363.9, 5774.7),
    "bowling": Reference(23.1, 154.8),
    "boxing": Reference(0.1, 4.3),
    "breakout": Reference(1.7, 31.8),
    "centipede": Reference(2090.9, 11963.2),
    "chopper_command": Reference(811.0, 9881.8),
    "crazy_climber": Reference(10780.5, 35410.5),
    "demon_attack": Reference(152.1, 3401.3),
    "double_dunk": Reference(-18.6, -15.5),
    "enduro": Reference(0.0, 309.6),
    "fishing_derby": Reference(-91.7, 5.5),
    "freeway": Reference(0.0, 29.6),
    "frostbite": Reference(65.2, 4334.7),
    "gopher": Reference(257.6, 2321.0),
    "gravitar": Reference(173.0, 2672.0),
    "hero": Reference(1027.0, 25762.5),
    "ice_hockey": Reference(-11.2, 0.9),
    "jamesbond": Reference(29.0, 406.7),
    "kangaroo": Reference(52.0, 3035.0),
    "krull": Reference(1598.0, 2394.6),
    "kung_fu_master": Reference(258.5, 22736.2),
    "montezuma_revenge": Reference(0.0, 4366.7),
    "ms_pacman": Reference(307.3, 15693.4),
    "name_this_game": Reference(2292.3, 4076.2),
    "pong": Reference(-20.7, 9.3),
    "private_eye": Reference(24.9, 69571.3),
    "qbert": Reference(163.9, 13455.0),
    "riverraid": Reference(1338.5, 13513.3),
    "road_runner": Reference(11.5, 7845.0),
    "robotank": Reference(2.2, 11.9),
    "seaquest": Reference(68.4, 20181.8),
    "space_invaders": Reference(148.0, 1652.3),
    "star_gunner": Reference(664.0, 10250.0),
    "tennis": Reference(-23.8, -8.9),
    "time_pilot": Reference(3568.0, 5925.0),
    "tutankham": Reference(11.4, 167.6),
    "up_n_down": Reference(533.4, 9082.0),
    "venture": Reference(0.0, 1187.5),
    "video_pinball": Reference(16256.9, 17297.6),
    "wizard_of_wor": Reference(563.5, 4756.5),
    "zaxxon": Reference(32.5, 9173.3),
}
"""By the game's name as in `colonnade.tasks.AtariTask`; 49 games."""

FOLLOWER_OF_MINI_PONG = Reference(-0.6, 1.4)
"""MiniPong's: 1 is a player that just follows the ball (`colonnade.tasks.MiniPongVectorEnv`)."""


def reference_of(task: str) -> Reference:
    """Return the scale of a task by its id, "atari/pong", "mini-pong/black" or "pong".

    Raises:
        UsageError: The game has no human score.
    """
    family, _, game = task.rpartition("/")
    if family == "mini-pong":
        return FOLLOWER_OF_MINI_PONG
    name = {"pong-soup": "pong", "atari": game, "": game}.get(family, "")
    if name in HUMAN_SCORES:
        return HUMAN_SCORES[name]
    raise UsageError(
        f"Task {task!r} has no human score among the {len(HUMAN_SCORES)} games of Mnih et al. "
        "(2015); give its own Reference(random, human), or leave it out of the sum."
    )


def normalised(scores: ArrayLike, reference: Reference, *, clip: bool = True) -> Floats:
    """Bring scores [...] to the scale on which random is 0 and human 1.

    Args:
        scores: As the game counts them.
        reference: The scale.
        clip: Whether no score counts for more than 1, as in the paper; below 0 nothing is clipped.

    Raises:
        UsageError: Human and random scores are equal.
    """
    if reference.human == reference.random:
        raise UsageError(f"A scale needs two different scores; got {reference}.")
    values = (np.asarray(scores, np.float64) - reference.random) / (
        reference.human - reference.random
    )
    return np.minimum(values, 1.0) if clip else values


def normalised_sum(
    scores: Mapping[str, ArrayLike], references: Mapping[str, Reference] | None = None
) -> Floats:
    """Add up the clipped normalised scores [...] of several tasks: at most one for each.

    Args:
        scores: By task id, all of one shape, as over time.
        references: Scales of tasks that have no human score, or other ones, by task id.

    Raises:
        UsageError: A task has no scale, or there is no task.
    """
    if not scores:
        raise UsageError("A sum of normalised scores needs the score of one task at least.")
    own = references or {}
    parts = [normalised(value, own.get(t) or reference_of(t)) for t, value in scores.items()]
    return np.asarray(np.stack(np.broadcast_arrays(*parts)).sum(0), np.float64)
