"""What every later number rests on: returns in their bins, and the scores of whole episodes."""

import gymnasium as gym
import numpy as np
import pytest
import torch

from colonnade.errors import UsageError
from colonnade.experiments.store.measures import LearningCurve
from colonnade.networks import ColumnSpec, Dense, ProgressiveNetwork
from colonnade.tasks import DataTask, GymTask
from colonnade.training import evaluate
from colonnade.training.curves import Curve
from colonnade.types import Episode


def episode(total: float, step: int, length: int = 7, environment: int = 0) -> Episode:
    return Episode(total_return=total, length=length, environment=environment, step=step)


def test_episodes_count_in_the_bin_of_their_own_step():
    curve = Curve({"task": "task", "task_index": 0}, width=100, budget=400, envs=1)
    # The step at a bin's end belongs to it, the next one to the next.
    rows = curve.add([episode(1, 30), episode(2, 100, length=5), episode(9, 101)], step=220)
    rows += curve.add([episode(4, 200), episode(100, 390)], step=300)
    rows += curve.close(400)
    assert [(row["step"], row["width"]) for row in rows] == [(s, 100) for s in (100, 200, 300, 400)]
    assert [row["episodes"] for row in rows] == [2, 1, 1, 1]
    # 4 is told of when its bin is over, so that it counts in the one that is open.
    assert [row["return_mean"] for row in rows] == [1.5, 9, 4, 100]
    assert [row["return_std"] for row in rows] == [0.5, 0, 0, 0]
    assert [row["length_mean"] for row in rows] == [6, 7, 7, 7]


def test_a_bin_is_the_mean_of_its_episodes_not_their_median():
    curve = Curve({"task": "task", "task_index": 0}, width=100, budget=200, envs=1)
    (row,) = curve.add([episode(r, 50) for r in (0, 0, 6)], step=100)
    assert row["return_mean"] == 2
    assert row["return_std"] == pytest.approx(8**0.5)
    assert curve.recent_return == 2
    curve.add([episode(5, 50)] * 100, step=100)
    assert curve.recent_return == 5, "the last hundred"


class Counting(gym.Env):
    """Pays 2 a step; its n-th episode is n steps long, so that its return is 2 n."""

    observation_space = gym.spaces.Box(-1, 1, (1,))
    action_space = gym.spaces.Discrete(2)

    def __init__(self) -> None:
        self.episode = self.left = 0

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.episode += 1
        self.left = self.episode
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.left -= 1
        return np.zeros(1, np.float32), 2.0, self.left == 0, False, {}


gym.register("Counting-v0", Counting)


@pytest.mark.parametrize(("episodes", "envs"), [(6, 1), (6, 3), (5, 2)])
def test_every_environment_plays_equally_many_whole_episodes(episodes, envs):
    returns = evaluate(GymTask("Counting-v0", steps=1), None, episodes=episodes, num_envs=envs)
    each = -(-episodes // envs)
    expected = [2.0 * n for n in range(1, each + 1) for _ in range(envs)][:episodes]
    assert returns.tolist() == expected
    assert torch.is_grad_enabled()


def test_it_plays_until_the_error_of_the_mean_suffices():
    task = GymTask("Counting-v0", steps=1)
    # 2, 4 and 6, four times each: a deviation of sqrt(32 / 11), an error of 0.492; 2 and 4 alone
    # have one of 0.378, but are too few to be believed. With 8, 10 ... it grows.
    enough = evaluate(task, None, episodes=24, num_envs=4, error=0.5)
    assert enough.tolist() == [2.0] * 4 + [4.0] * 4 + [6.0] * 4
    assert len(evaluate(task, None, episodes=24, num_envs=4, error=0.48)) == 24
    poles = GymTask("CartPole-v1", steps=1)
    every = evaluate(poles, None, episodes=64, num_envs=4)
    error = 2.5
    errors = {n: every[:n].std(ddof=1) / n**0.5 for n in range(12, 65, 4)}
    first = next(n for n, found in errors.items() if found <= error)
    assert 12 < first < 64, "neither the first that may be nor the last"
    stopped = evaluate(poles, None, episodes=64, num_envs=4, error=error)
    assert stopped.tolist() == every[:first].tolist()
    with pytest.raises(UsageError, match="error of evaluate must be a number above 0; got 0"):
        evaluate(poles, None, error=0)


def test_a_label_is_right_or_wrong_and_chance_is_one_in_so_many():
    x = np.array([[3.0, 0, 0], [0, 2, 1], [0, 1, 2], [1, 0, 0]], np.float32)
    task = DataTask("mine", train=(x, [0, 1, 2, 1]), test=(x, [0, 1, 1, 2]), steps=4)
    network = ProgressiveNetwork()
    network.add_column(ColumnSpec((Dense(3),)), task.spec.input_shapes, task.spec.outputs)
    column = network.newest
    with torch.no_grad():  # the largest input names the label
        for layer in (column.stage(0), column.output):
            layer.weight.zero_()
            layer.weight[:3, :3] = torch.eye(3)
            layer.bias.zero_()
    assert evaluate(task, network, device="cpu").tolist() == [1, 1, 0, 0]
    assert evaluate(task, network, device="cpu", split="train").tolist() == [1, 1, 1, 0]
    assert evaluate(task, None) == pytest.approx([1 / 3] * 4)


def test_a_curve_says_how_many_bins_it_has_come_through():
    def come(reached: int) -> int:
        nothing = np.zeros(4)
        return LearningCurve(nothing, nothing > 0, 100, reached, nothing, nothing).bins_reached

    # Rows of the first version close a little behind their bin's end, or before it at a task's end.
    assert [come(n) for n in (0, 103, 190, 207, 400, 460)] == [1, 1, 2, 2, 4, 4]
