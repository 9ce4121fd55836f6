"""MiniPong against one game written out plainly, step by step."""

import numpy as np
import pytest

from colonnade.errors import UsageError
from colonnade.tasks import MiniPongTask
from colonnade.tasks.pong.mini import MiniPongVectorEnv
from colonnade.tasks.random_streams import RandomStreams


class PlainGame:
    """The rules of MiniPong, one game, numbers written out."""

    def __init__(self, seed):
        self.random = RandomStreams(1)
        self.random.seed(seed)
        self.begin()

    def draw_number(self):
        return self.random.uniform(np.array([True]))[0]

    def begin(self):
        self.agent = self.opponent = 6.0
        self.age = 0
        self.serve()

    def serve(self):
        self.x, self.dx = 7, 1
        self.y = 1 + 12 * self.draw_number()
        self.dy = 0.7 * (2 * self.draw_number() - 1)

    def picture(self):
        picture = [[236 if row in (0, 15) else 87 for _ in range(16)] for row in range(16)]
        for column, top in ((1, self.opponent), (14, self.agent)):
            for row in range(4):
                picture[round(top) + row][column] = 147
        for row in range(2):
            for column in range(2):
                picture[round(self.y) + row][self.x + column] = 236
        return picture

    def step(self, action):
        """Returns the reward, and whether the agent missed and whether time is up."""
        self.agent = min(max(self.agent + {0: 0, 1: -1, 2: 1}[action], 1), 11)
        behind = (self.y + 1) - (self.opponent + 2)
        self.opponent += min(max(behind, -0.1), 0.1)
        self.opponent = min(max(self.opponent, 1), 11)
        self.x += self.dx
        self.y += self.dy
        if self.y < 1:
            self.y, self.dy = 2 - self.y, -self.dy
        elif self.y > 13:
            self.y, self.dy = 26 - self.y, -self.dy
        if self.dx > 0 and self.x == 12:
            offset = (self.y + 1) - (self.agent + 2)
            if abs(offset) <= 2.5:
                self.dx, self.dy = -1, 2 * offset / 2.5
        elif self.dx < 0 and self.x == 2:
            offset = (self.y + 1) - (self.opponent + 2)
            if abs(offset) <= 2.5:
                self.dx, self.dy = 1, 0.7 * (2 * self.draw_number() - 1)
        self.age += 1
        if self.x == 0:
            self.serve()
            return 1, False, self.age == 100
        missed = self.x == 14
        return -1 if missed else 0, missed, self.age == 100 and not missed


def follow(game):
    return 1 if game.y < game.agent + 0.5 else 2 if game.y > game.agent + 1.5 else 0


@pytest.mark.parametrize("skilled", [False, True])
def test_games_follow_the_rules_written_out(skilled):
    seed, n = 11, 4
    games = [PlainGame(seed + i) for i in range(n)]
    env = MiniPongVectorEnv(n)
    shown = [[game.picture()] * 2 for game in games]
    np.testing.assert_array_equal(env.reset(seed=seed)[0], shown)
    rng = np.random.default_rng(0)
    seen = {"won": 0, "missed": 0, "timed out": 0}
    for _ in range(400):
        actions = [follow(game) if skilled else int(rng.integers(3)) for game in games]
        observations, rewards, terminated, truncated, info = env.step(np.array(actions))
        for i, (game, action) in enumerate(zip(games, actions, strict=True)):
            before = shown[i][1]
            outcome = game.step(action)
            assert (rewards[i], terminated[i], truncated[i]) == outcome
            shown[i] = [before, game.picture()]
            seen["won"] += outcome[0] > 0
            seen["missed"] += outcome[1]
            seen["timed out"] += outcome[2]
            if outcome[1] or outcome[2]:
                np.testing.assert_array_equal(info["final_obs"][i], shown[i])
                game.begin()
                shown[i] = [game.picture()] * 2
            np.testing.assert_array_equal(observations[i], shown[i])
    assert seen["missed"] > 0
    assert not skilled or min(seen.values()) > 0, seen


def average_return(policy, games=64, steps=600):
    env = MiniPongVectorEnv(games)
    env.reset(seed=0)
    running, returns = np.zeros(games), []
    for _ in range(steps):
        _, rewards, terminated, truncated, _ = env.step(policy(env))
        running += rewards
        ended = terminated | truncated
        returns += running[ended].tolist()
        running[ended] = 0
    return np.mean(returns)


def test_skill_pays():
    rng = np.random.default_rng(0)

    def follows(env):
        behind = env._y - env._agent - 1
        return np.where(behind < -0.5, 1, np.where(behind > 0.5, 2, 0))

    assert average_return(lambda env: rng.integers(0, 3, env.num_envs)) < -0.4
    assert average_return(lambda env: np.zeros(env.num_envs, int)) < -0.2
    assert average_return(follows) > 1.0


def test_unknown_variant_suggests_the_nearest():
    with pytest.raises(UsageError, match=r"'vhflip'.*'vh-flip'"):
        MiniPongTask("vhflip")
