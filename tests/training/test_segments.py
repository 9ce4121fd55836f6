"""A score never depends on where checkpoints are, nor on how many steps are handed over at once."""

import math
from dataclasses import dataclass

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from interrupting import Interrupting, without_clock
from worlds import CountingTask

from colonnade.analysis.transfer import area_under_curve, pool_bins
from colonnade.errors import UsageError
from colonnade.learners import A2C, A3C, PPO, ActorCritic, Advance
from colonnade.methods import Finetune, PathNet, Scratch
from colonnade.networks import ColumnSpec, Dense, ModularSpec
from colonnade.training import Interrupted, MemoryRecorder, TrainingOptions, train_sequence
from colonnade.training.curves import Curve
from colonnade.types import Episode, TaskSpec

TINY = ColumnSpec((Dense(2),))


class Lengths(VectorEnv):
    """Episodes whose length is drawn, and with it their return; actions do nothing."""

    def __init__(self, num_envs, lengths, returns):
        self.num_envs = num_envs
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}
        self.single_observation_space = gymnasium.spaces.Box(0, 1, (1,), np.float32)
        self.single_action_space = gymnasium.spaces.Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._lengths, self._returns = np.array(lengths), np.array(returns, np.float32)

    def reset(self, *, seed=None, options=None):
        self._rng = np.random.default_rng(seed)
        self._kind = self._rng.integers(len(self._lengths), size=self.num_envs)
        self._age = np.zeros(self.num_envs, np.int64)
        return np.zeros((self.num_envs, 1), np.float32), {}

    def step(self, actions):
        self._age += 1
        ended = self._age == self._lengths[self._kind]
        rewards = np.where(ended, self._returns[self._kind], 0.0).astype(np.float32)
        observations = np.zeros((self.num_envs, 1), np.float32)
        info = {}
        if ended.any():
            info["final_obs"] = observations
            self._kind[ended] = self._rng.integers(len(self._lengths), size=int(ended.sum()))
            self._age[ended] = 0
        return observations, rewards, ended, np.zeros(self.num_envs, bool), info


@dataclass(frozen=True)
class LengthsTask:
    lengths: tuple[int, ...]
    returns: tuple[float, ...]
    steps: int

    @property
    def spec(self):
        env = Lengths(1, self.lengths, self.returns)
        return TaskSpec(
            "lengths", env.single_observation_space, env.single_action_space, self.steps
        )

    def make_vec(self, num_envs, threads=1):
        return Lengths(num_envs, self.lengths, self.returns)


class Idle(A2C):
    """Learns nothing, quickly: what is measured here is not learned."""

    def trainer(self, lesson):
        trainer = super().trainer(lesson)
        trainer._learner.update = lambda rollout, penalty: {"loss": torch.zeros(())}
        return trainer


class Events:
    """Plays the same episodes as `Lengths` by knowing beforehand when they end: much faster."""

    may_lose_workers = False
    likelihood = None

    def __init__(self, task, envs, rollout):
        self._task, self._envs, self._rollout = task, envs, rollout

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def begin(self, streams):
        rng = np.random.default_rng(streams("environments"))
        count = 2 + self._task.steps // (self._envs * min(self._task.lengths))
        kinds = rng.integers(len(self._task.lengths), size=(self._envs, count))
        lengths = np.array(self._task.lengths)[kinds]
        returns = np.array(self._task.returns)[kinds]
        self._coming = sorted(
            Episode(float(returns[e, i]), int(lengths[e, i]), e, int(end) * self._envs)
            for e in range(self._envs)
            for i, end in enumerate(np.cumsum(lengths[e]))
        )
        self._coming.sort(key=lambda episode: -episode.step)
        self._taken = 0

    def advance(self):
        self._taken += self._rollout * self._envs
        ended = []
        while self._coming[-1].step <= self._taken:
            ended.append(self._coming.pop())
        return Advance(self._rollout * self._envs, {"loss": torch.zeros(())}, ended)

    def samples(self):
        yield from ()

    def state(self):
        return {}, {}


@dataclass(frozen=True)
class Eventful(ActorCritic):
    rollout: int = 125

    def trainer(self, lesson):
        return Events(lesson.task, lesson.num_envs, self.rollout)


def curve_rows(task, per_env, envs=8, seed=0, width=10_000, learner=None):
    options = TrainingOptions(
        num_envs=envs, segment_steps=per_env * envs, curve_steps=width, device="cpu"
    )
    recorder = MemoryRecorder()
    learner = learner or Eventful()
    train_sequence([task], Scratch(TINY), learner, seed=seed, options=options, recorder=recorder)
    return [row for row in recorder.history if row["kind"] == "curve"]


def pooled(rows):
    counts = np.array([row["episodes"] for row in rows])
    means = np.array([row["return_mean"] or 0.0 for row in rows])
    return float((counts * means).sum() / counts.sum())


def area(rows):
    """Mean height of the curve above 0, as reports measure it."""
    curve = np.array([row["return_mean"] for row in rows], float)
    return float(area_under_curve(pool_bins(curve, [row["episodes"] for row in rows]), 0.0))


@pytest.mark.parametrize("per_env", [625, 1250, 5000])
@pytest.mark.parametrize("width", [2500, 10_000])
def test_long_episodes_count_like_short_ones(per_env, width):
    # 50 mean episodes an environment; a score that favoured short ones would be 231 to 291.
    task = LengthsTask((100, 600), (100.0, 600.0), steps=8 * 50 * 350)
    runs = [curve_rows(task, per_env, seed=seed, width=width) for seed in range(20)]
    assert np.mean([pooled(rows) for rows in runs]) == pytest.approx(350, rel=0.03)
    assert np.mean([area(rows) for rows in runs]) == pytest.approx(350, rel=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("per_env", [625, 1250, 5000])
def test_long_episodes_count_like_short_ones_when_they_are_played(per_env):
    task = LengthsTask((100, 600), (100.0, 600.0), steps=8 * 50 * 350)
    learner = Idle(rollout_steps=125)
    runs = [curve_rows(task, per_env, seed=seed, learner=learner) for seed in range(20)]
    assert np.mean([pooled(rows) for rows in runs]) == pytest.approx(350, rel=0.03)
    assert np.mean([area(rows) for rows in runs]) == pytest.approx(350, rel=0.03)


def test_where_checkpoints_are_changes_no_row():
    task = LengthsTask((100, 600), (100.0, 600.0), steps=16_000)
    learner = Idle(rollout_steps=125)
    rows = [
        without_clock(curve_rows(task, per_env, width=2500, learner=learner))
        for per_env in (250, 625, 10**6)
    ]
    assert sum(row["episodes"] for row in rows[0]) > 30
    assert rows[0] == rows[1] == rows[2]


def test_episodes_longer_than_a_segment_are_scored():
    task = LengthsTask((700,), (700.0,), steps=40_000)
    rows = curve_rows(task, 625, width=2500, learner=Idle(rollout_steps=125))
    known = [row["return_mean"] for row in rows if row["return_mean"] is not None]
    assert len(known) == 7  # 5,000 steps of each environment are 7 episodes, which end together
    assert set(known) == {700.0}


def test_bins_before_every_environment_has_finished_an_episode_are_marked():
    task = LengthsTask((100, 600), (100.0, 600.0), steps=40_000)
    rows = curve_rows(task, 625, width=800)  # 100 steps of each environment
    early = [row.get("early", False) for row in rows]
    assert early[0] is True
    assert early == sorted(early, reverse=True)  # first marked, then not
    # The first episode of some environment lasts 600 steps, or all have ended after 100.
    assert early.count(True) in (0, 5)


def test_winning_slowly_and_losing_fast_is_worth_nothing():
    # The setting of PathNet on Atari: 64 environments, 250,000 steps a segment.
    task = LengthsTask((3000, 1000), (10.0, -10.0), steps=64 * 400_000)
    runs = [
        curve_rows(task, 3906, 64, seed, learner=Eventful(500), width=100_000) for seed in range(4)
    ]
    errors = [10 / math.sqrt(sum(row["episodes"] for row in rows)) for rows in runs]
    scores = np.array([pooled(rows) for rows in runs])
    assert errors[0] < 0.1
    assert np.sqrt(np.mean(scores**2)) < np.mean(errors)


@pytest.mark.parametrize("handed", [64, 1024, 10_000, 50_000])
def test_a_linear_curve_has_the_same_area_however_many_steps_are_handed_over(handed):
    budget, width = 200_000, 2_500
    curve = Curve({"task": "line", "task_index": 0}, width, budget, envs=1)
    rows = []
    for start in range(0, budget, handed):
        end = min(budget, start + handed)
        ends = range(-(-(start + 1) // 40) * 40, end + 1, 40)  # an episode ends every 40 steps
        rows += curve.add([Episode(step / budget, 40, 0, step) for step in ends], end)
    rows += curve.close(budget)
    assert [row["step"] for row in rows] == list(range(width, budget + 1, width))
    heights = np.array([row["return_mean"] for row in rows])
    np.testing.assert_allclose(heights, (np.arange(80) + 0.5) / 80, atol=1e-3)
    assert area(rows) == pytest.approx(0.5, rel=0.01)


def test_a3c_puts_episodes_into_the_bins_of_their_own_steps():
    task = LengthsTask((50,), (1.0,), steps=9000)
    options = TrainingOptions(num_envs=4, curve_steps=500, device="cpu")
    recorder = MemoryRecorder()
    learner = A3C(workers=2, rollout_steps=5)
    train_sequence([task], Scratch(TINY), learner, options=options, recorder=recorder)
    rows = [row for row in recorder.history if row["kind"] == "curve"]
    assert [row["step"] for row in rows][:-1] == list(range(500, 9000, 500))
    counts = np.array([row["episodes"] for row in rows])
    assert abs(counts.sum() - 180) <= 8  # 9,000 steps of episodes of 50, and those under way
    # All of 4,096 steps handed over in one bin would be 80 episodes in it and none in the next.
    assert (counts[1:-1] > 0).all()
    assert counts.max() <= 30


def test_a_goal_sees_long_episodes_too():
    # The mean of the short ones alone, 100, would miss the goal for ever.
    task = LengthsTask((100, 600), (0.0, 1.0), steps=200_000)
    options = TrainingOptions(
        num_envs=8, segment_steps=1000, goal_episodes=40, goal_return=0.4, device="cpu"
    )
    recorder = MemoryRecorder()
    train_sequence([task], Scratch(TINY), Idle(), options=options, recorder=recorder)
    (row,) = [row for row in recorder.history if row["kind"] == "goal"]
    assert row["reached"]
    assert row["return_mean"] >= 0.4


CUT_OFF = LengthsTask((30, 170), (30.0, 170.0), steps=2000)


@pytest.mark.parametrize(
    ("learner", "task"),
    [
        (A2C(), CUT_OFF),
        (A2C(workers=2), CUT_OFF),
        (PPO(rollout_steps=16, epochs=1), CUT_OFF),
        (PPO(rollout_steps=16, epochs=1, workers=2), CUT_OFF),
        (PPO(rollout_steps=16, epochs=1), CountingTask(steps=1000)),  # counts its resets
    ],
)
def test_a_run_that_was_cut_off_in_the_middle_of_episodes_has_the_same_rows(learner, task):
    options = TrainingOptions(num_envs=4, segment_steps=400, curve_steps=150, device="cpu")
    reference, recorder = MemoryRecorder(), Interrupting(17)
    train_sequence([task], Finetune(TINY), learner, options=options, recorder=reference)
    for _ in range(50):
        try:
            train_sequence([task], Finetune(TINY), learner, options=options, recorder=recorder)
            break
        except Interrupted:
            recorder.resume_for(25)
    assert without_clock(recorder.history) == without_clock(reference.history)
    assert not recorder.notes


def test_an_old_checkpoint_is_not_gone_on_from():
    recorder = Interrupting(30)
    task = LengthsTask((30,), (1.0,), steps=4000)
    options = TrainingOptions(num_envs=4, segment_steps=100, device="cpu")
    with pytest.raises(Interrupted):
        train_sequence([task], Finetune(TINY), A2C(), options=options, recorder=recorder)
    recorder.kept = (recorder.kept[0], recorder.kept[1].replace('"format": 2, ', ""))
    with pytest.raises(UsageError, match="made by an earlier version of Colonnade"):
        train_sequence([task], Finetune(TINY), A2C(), options=options, recorder=recorder)


MODULES = ModularSpec((Dense(3), Dense(3)), modules=4, active=2)


def test_an_episode_counts_for_the_genotype_that_played_it_whole():
    """Every evaluation is of whole episodes, however long a segment is."""
    fitness = {}
    for segment in (40, 10**6):
        method = PathNet(MODULES, population=4, episodes=2, rivals=2)
        task = LengthsTask((30, 170), (30.0, 170.0), steps=8000)
        options = TrainingOptions(num_envs=4, segment_steps=segment, device="cpu")
        train_sequence([task], method, Idle(), seed=3, options=options)
        snapshots = method.histories["lengths"]["snapshots"]
        known = [v for s in snapshots for v in s["fitness"] if v is not None]
        assert set(known) <= {30.0, 100.0, 170.0}  # means of two whole episodes
        assert np.mean(known) > 60
        fitness[segment] = method.histories["lengths"]
    assert fitness[40] == fitness[10**6]


def test_a_genotype_that_was_never_played_is_never_chosen():
    method = PathNet(MODULES, population=4, episodes=2)
    task = LengthsTask((700,), (700.0,), steps=2000)  # 500 steps an environment
    options = TrainingOptions(num_envs=4, device="cpu")
    with pytest.raises(UsageError, match="no episode of task 'lengths' ended"):
        train_sequence([task], method, Idle(), options=options)
