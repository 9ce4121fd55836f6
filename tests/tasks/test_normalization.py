"""Running statistics of observations and rewards, against Gymnasium's own wrappers."""

import contextlib
from typing import Any

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.wrappers import NormalizeObservation
from gymnasium.wrappers.vector import NormalizeReward

from colonnade.errors import UsageError
from colonnade.tasks import GymTask
from colonnade.tasks.normalization import Moments, Normalization, NormalizedVectorEnv
from colonnade.tasks.vector import RAW_REWARDS
from colonnade.testing import check_task


def learning(task: GymTask, num_envs: int) -> NormalizedVectorEnv:
    envs = task.make_vec(num_envs)
    assert isinstance(envs, NormalizedVectorEnv)
    envs.learns = True
    return envs


def test_moments_are_those_of_all_batches_together() -> None:
    seen = np.random.default_rng(0).normal(3, 2, (50, 4))
    moments = Moments((4,))
    for batch in np.split(seen, [1, 8, 9, 40]):
        moments.update(batch)
    np.testing.assert_allclose(moments.mean, seen.mean(0), rtol=1e-4)
    np.testing.assert_allclose(moments.variance, seen.var(0), rtol=1e-3)
    assert moments.count == pytest.approx(50, abs=1e-3)


def test_observations_are_gymnasiums_through_many_episodes() -> None:
    task = GymTask("CartPole-v1", normalize_observations=True)
    bare = NormalizeObservation(gymnasium.make("CartPole-v1"))
    actions = np.random.default_rng(1).integers(0, 2, 400)
    with contextlib.closing(learning(task, 1)) as envs:
        shown, _ = envs.reset(seed=[7])
        expected, _ = bare.reset(seed=7)
        ends = 0
        for action in actions:
            np.testing.assert_allclose(shown[0], expected, rtol=1e-3, atol=1e-5)
            shown, _, terminated, truncated, info = envs.step(np.array([action]))
            expected, _, ended, cut, _ = bare.step(action)
            assert (terminated[0], truncated[0]) == (ended, cut)
            if ended or cut:
                ends += 1
                np.testing.assert_allclose(info["final_obs"][0], expected, rtol=1e-3, atol=1e-5)
                expected, _ = bare.reset(seed=int(envs.episode_seeds[0]))
    assert ends > 10


def test_rewards_are_gymnasiums_and_come_raw_beside() -> None:
    task = GymTask("Acrobot-v1", normalize_rewards=0.9, wrappers=[CUT])
    theirs = NormalizeReward(
        SyncVectorEnv(
            [lambda: gymnasium.wrappers.TimeLimit(gymnasium.make("Acrobot-v1"), 7)] * 3,
            autoreset_mode=AutoresetMode.SAME_STEP,
        ),
        gamma=0.9,
    )
    if not hasattr(theirs, "_prev_dones"):
        pytest.skip("this version of Gymnasium carries returns over the ends of episodes")
    with contextlib.closing(learning(task, 3)) as envs, contextlib.closing(theirs):
        shown, _ = envs.reset(seed=4)
        assert shown.max() <= 30  # observations stay as they are
        theirs.reset(seed=4)
        for action in np.random.default_rng(2).integers(0, 3, (40, 3)):
            _, rewards, _, cut, info = envs.step(action)
            _, expected, _, _, _ = theirs.step(action)
            np.testing.assert_allclose(rewards, expected, rtol=1e-5)
            assert info[RAW_REWARDS].tolist() == [-1, -1, -1]
            assert rewards.dtype == np.float32
        assert cut.tolist() == [False] * 3


CUT = {"wrapper": "gymnasium.wrappers:TimeLimit", "max_episode_steps": 7}


class Climbs(gymnasium.Env[Any, Any]):
    """Shows how long the episode has lasted, by two names; ends after `limit` steps."""

    observation_space = Dict({"a": Box(0, 9, (1,), np.float32), "b": Box(0, 9, (1,), np.float64)})
    action_space = gymnasium.spaces.Discrete(2)

    def __init__(self, limit: int = 3) -> None:
        self.limit = limit

    def _seen(self) -> dict[str, Any]:
        return {"a": np.float32([self.age]), "b": np.array([2.0 * self.age])}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.age = 0
        return self._seen(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.age += 1
        return self._seen(), 1.0, self.age == self.limit, False, {}


@pytest.mark.parametrize("processes", [False, True])
def test_several_environments_and_inputs_by_hand(processes: bool) -> None:
    task = GymTask(Climbs, name="climbs", processes=processes, normalize_observations=True)
    with contextlib.closing(learning(task, 2)) as envs:
        envs.reset(seed=0)
        seen = [0.0, 0.0]
        for age in range(1, 7):
            shown, _, terminated, _, info = envs.step(np.zeros(2, np.int64))
            seen += [(age - 1) % 3 + 1] * 2
            ended = age % 3 == 0
            assert terminated.tolist() == [ended] * 2
            for name, scale in (("a", 1.0), ("b", 2.0)):
                values = scale * np.array(seen)
                now = (values[-1] - values.mean()) / values.std()
                last = info["final_obs"][name] if ended else shown[name]
                np.testing.assert_allclose(last[:, 0], now, rtol=1e-3, atol=1e-3)
                assert last.dtype == np.float32
            if ended:
                seen += [0, 0]
                first = (0 - np.mean(seen)) / np.std(seen)
                np.testing.assert_allclose(shown["a"][:, 0], first, rtol=1e-3, atol=1e-3)


def test_what_is_frozen_or_not_learned_from_stands_still() -> None:
    task = GymTask("CartPole-v1", normalize_observations=True, normalize_rewards=0.9)
    seen = task.normalization
    assert seen is not None
    with contextlib.closing(learning(task, 2)) as envs:
        envs.reset(seed=0)
        for learns, frozen in ((True, True), (False, False)):
            before = {name: value.clone() for name, value in seen.state().items()}
            envs.learns, seen.frozen = learns, frozen
            for _ in range(20):
                envs.step(np.array([1, 1]))
            after = seen.state()
            assert all(before[name].equal(after[name]) for name in before if name != "frozen")
        envs.learns = True
        envs.step(np.array([1, 1]))
        assert not seen.state()["returns|mean"].equal(before["returns|mean"])


def test_state_comes_back_as_it_was() -> None:
    seen = Normalization({"a": (2,)}, 0.5)
    seen.begin()
    seen.observe({"a": np.array([[1.0, 2], [3, 5]])})
    seen.frozen = True
    again = Normalization({"a": (2,)}, 0.5)
    again.load_state(seen.state())
    assert again.frozen
    assert again.known
    value = np.array([[0.5, 7]])
    assert again.of("a", value).tolist() == seen.of("a", value).tolist() != value.tolist()
    with pytest.raises(KeyError):
        Normalization({"b": (2,)}, 0.5).load_state(seen.state())


@pytest.mark.parametrize("processes", [False, True])
def test_normalised_tasks_keep_the_contract(processes: bool) -> None:
    task = GymTask(
        "Acrobot-v1",
        normalize_observations=True,
        normalize_rewards=0.99,
        processes=processes,
        wrappers=[CUT],
    )
    check_task(task, num_envs=2)
    space = task.spec.observation_space
    assert isinstance(space, Box)
    assert space.dtype == np.float32
    assert np.isinf(space.high).all()


@pytest.mark.parametrize("discount", [-0.1, 1.5, float("nan"), "much"])
def test_a_discount_that_is_none_is_told(discount: Any) -> None:
    with pytest.raises(UsageError, match="normalize_rewards of GymTask must be a number from 0"):
        GymTask("CartPole-v1", normalize_rewards=discount)
