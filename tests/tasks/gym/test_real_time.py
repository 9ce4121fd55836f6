"""A robot's stand-in: one of it, in real time, without seeds; learned through `GymTask`."""

import time
from collections import Counter
from dataclasses import replace
from functools import partial
from typing import ClassVar

import gymnasium
import numpy as np
import pytest
import torch
from interrupting import Interrupting

from colonnade.errors import ColonnadeError, UsageError
from colonnade.learners import A2C, Compute, Lesson
from colonnade.methods import EWC, Finetune
from colonnade.networks import mlp_column
from colonnade.tasks import GymTask
from colonnade.tasks.arm import Rules
from colonnade.tasks.arm.reacher import ArmVectorEnv
from colonnade.tasks.gym.real_time import Pacer, RealTimeVectorEnv, Robot
from colonnade.training import MemoryRecorder, TrainingOptions, train_sequence

ONE_JOINT = """
<mujoco>
  <compiler angle="radian"/>
  <worldbody>
    <body pos="0 0 .1">
      <joint name="turn" axis="0 0 1" range="-2 2"/>
      <geom type="box" pos=".2 0 0" size=".2 .02 .02"/>
      <site name="palm" pos=".4 0 0"/>
    </body>
  </worldbody>
  <actuator><velocity joint="turn" kv="50" ctrlrange="-1 1"/></actuator>
</mujoco>
"""

RULES = Rules(area=(0.0, 0.4), max_steps=20, radius=0.15, target_every=3, spread=4.0)


class StandIn(gymnasium.Env):
    """A small arm that insists on what a robot insists on, and counts what happens to it."""

    metadata: ClassVar = {"real_time": True, "render_modes": []}
    happened: ClassVar = Counter()
    lost_in_steps: tuple[int, ...] = ()
    lost_in_resets: tuple[int, ...] = ()

    def __init__(self, mjcf):
        self._arm = ArmVectorEnv(1, rules=RULES, view="state", mjcf=mjcf)
        self.observation_space = self._arm.single_observation_space
        self.action_space = self._arm.single_action_space
        self._begun = self._arm.reset(seed=0)[0]
        self._under_way = False
        self.happened["connections"] += 1
        self.happened["open"] += 1
        assert self.happened["open"] == 1, "there is one of it"

    def reset(self, *, seed=None, options=None):
        assert seed is None, "it can't be seeded"
        assert not self._under_way, "it can't be reset at will"
        self.happened["resets"] += 1
        if self.happened["resets"] in self.lost_in_resets:
            raise TimeoutError("no packet\nfor 2 s")
        if self.happened["resets"] % 3 == 0:
            time.sleep(0.001)  # a person moves the target
            self.happened["pauses"] += 1
        self._under_way = True
        return self._begun[0], {}

    def step(self, action):
        assert self._under_way
        self.happened["steps"] += 1
        if self.happened["steps"] in self.lost_in_steps:
            self._under_way = False
            self._begun = self._arm.reset()[0]
            raise TimeoutError("no packet")
        observations, rewards, terminated, truncated, info = self._arm.step(action[None])
        if terminated[0] or truncated[0]:
            self._under_way, self._begun = False, observations
            observations = info["final_obs"]
        return observations[0], float(rewards[0]), bool(terminated[0]), bool(truncated[0]), {}

    def close(self):
        self.happened["open"] -= 1
        self._arm.close()


gymnasium.register("standin/Arm-v0", StandIn)


@pytest.fixture
def mjcf(tmp_path):
    path = tmp_path / "one_joint.xml"
    path.write_text(ONE_JOINT)
    StandIn.happened.clear()
    StandIn.lost_in_steps = StandIn.lost_in_resets = ()
    yield str(path)
    assert StandIn.happened["open"] == 0, "it is let go of"


def task(mjcf, steps=400):
    return GymTask("standin/Arm-v0", steps=steps, options={"mjcf": mjcf}, name="robot")


A2C_ALONE = A2C(learning_rate=0.02, gamma=0.9, rollout_steps=20, entropy_cost=0.003, clip_norm=1.0)
ONE = TrainingOptions(num_envs=1, curve_steps=200, segment_steps=200)


def learn(mjcf, recorder, steps=400):
    method = Finetune(mlp_column((32,)))
    train_sequence([task(mjcf, steps)], method, A2C_ALONE, seed=0, options=ONE, recorder=recorder)
    return method


def test_it_is_looked_at_without_being_moved(mjcf):
    spec = task(mjcf).spec
    assert (spec.id, spec.action_sizes) == ("robot", (3,))
    assert StandIn.happened["connections"] == 1
    assert not StandIn.happened["resets"]
    assert not StandIn.happened["steps"]


def test_it_is_learned_by_one_a2c_whatever_happens_to_it(mjcf):
    StandIn.lost_in_steps, StandIn.lost_in_resets = (333, 1500), (7, 50, 51)
    recorder = MemoryRecorder()
    learn(mjcf, recorder, steps=2000)
    curve = [row["return_mean"] for row in recorder.history if row["kind"] == "curve"]
    assert curve[0] < 8
    assert np.mean(curve[-4:]) > 13, "of 20"
    assert StandIn.happened["steps"] == 2000
    assert StandIn.happened["pauses"] > 20


def test_an_episode_that_is_lost_is_cut_off_where_it_was(mjcf):
    StandIn.lost_in_steps = (3,)
    env = RealTimeVectorEnv(Robot(partial(StandIn, mjcf)))
    first = env.reset(seed=5)[0]
    seen = [env.step(np.array([[1]])) for _ in range(3)]
    observations, rewards, terminated, truncated, info = seen[-1]
    assert (rewards[0], terminated[0], truncated[0], info["lost"][0]) == (0, False, True, True)
    np.testing.assert_array_equal(info["final_obs"], seen[1][0])
    assert (observations != seen[1][0]).any()
    assert (first != seen[0][0]).any()
    env.close()


def test_one_that_never_answers_ends_training_in_a_sentence(mjcf):
    StandIn.lost_in_resets = (1, 2, 3)
    with pytest.raises(
        ColonnadeError, match=r"did not answer 3 times in a row \(no packet for 2 s"
    ):
        learn(mjcf, MemoryRecorder())


def test_there_is_but_one(mjcf):
    with pytest.raises(UsageError, match="there is one of it, but 2 are asked for; set num_envs=1"):
        task(mjcf).make_vec(2)


def test_who_scores_takes_the_robot_and_the_learner_begins_another_episode(mjcf):
    one = task(mjcf)
    learner = one.make_vec(1)
    learner.reset(seed=0)
    seen = learner.step(np.array([[1]]))[0]
    judge = one.make_vec(1)
    judge.reset(seed=0)
    judge.step(np.array([[2]]))
    judge.close()
    steps, resets = StandIn.happened["steps"], StandIn.happened["resets"]
    observations, rewards, terminated, truncated, info = learner.step(np.array([[1]]))
    assert (rewards[0], terminated[0], truncated[0]) == (0, False, True)
    np.testing.assert_array_equal(info["final_obs"], seen)
    assert (observations != seen).any()
    assert (StandIn.happened["steps"], StandIn.happened["resets"]) == (steps, resets + 1)
    assert not learner.step(np.array([[1]]))[3][0]
    learner.close()


def test_it_is_one_also_where_it_is_tested_now_and_then_and_a_fisher_is_taken(mjcf):
    recorder = MemoryRecorder()
    options = replace(ONE, test_episodes=2)
    method = EWC(mlp_column((32,)), samples=50)
    train_sequence([task(mjcf, 600)], method, A2C_ALONE, seed=0, options=options, recorder=recorder)
    tests = [row["step"] for row in recorder.history if row["kind"] == "test"]
    assert tests == [0, 200, 400, 600]
    # What was learned, but for a step without an action after each of two scores; four times two
    # episodes of 20 steps or less, and whole episodes of which fifty steps are taken.
    assert StandIn.happened["steps"] > 598 + 50


def test_the_learner_goes_on_exactly_and_the_robot_with_another_episode(mjcf):
    recorder = Interrupting(stop_at=13)  # rollouts of 20: within the second segment of 200 steps
    with pytest.raises(ColonnadeError, match="Stopped"):
        learn(mjcf, recorder)
    tensors = recorder.kept[0]
    before, resets = StandIn.happened["steps"], StandIn.happened["resets"]
    recorder.resume_for(10**6)
    learn(mjcf, recorder)
    assert StandIn.happened["resets"] > resets
    assert StandIn.happened["steps"] - before == 199, "of 200, one cut the old episode off"
    assert any(name.endswith("environments/state/observation") for name in tensors)


def test_what_is_restored_of_the_learner_is_what_was_saved(mjcf):
    def trainer():
        one = task(mjcf)
        network = Finetune(mlp_column((32,))).begin_task(one.spec)
        compute = Compute.choose(one.spec, "cpu")
        return network, A2C_ALONE.trainer(Lesson(one, network, lambda: None, compute, 1))

    network, first = trainer()
    with first:
        first.begin(lambda stream: 0)
        for _ in range(7):
            first.advance()
        tensors, meta = first.state()
        weights = {name: value.clone() for name, value in network.state_dict().items()}
    other, second = trainer()
    other.load_state_dict(weights)
    with second:
        second.begin(lambda stream: 0)
        second.load_state({name: value.clone() for name, value in tensors.items()}, meta)
        again, meta_again = second.state()
        assert meta == meta_again
        assert tensors.keys() == again.keys()
        for name, value in tensors.items():
            assert torch.equal(value, again[name]), name
        assert second.advance().notes == []
        lengths = [episode.length for episode in second.advance().episodes]
        assert lengths == [] or min(lengths) >= 1


def test_a_pacer_keeps_time_and_does_not_hurry_after_a_pause():
    pacer = Pacer(0.02)
    pacer.start()
    begun = time.monotonic()
    for _ in range(5):
        pacer.wait()
    assert 0.095 < time.monotonic() - begun < 0.3
    late = pacer.late
    time.sleep(0.07)
    begun = time.monotonic()
    pacer.wait()
    assert pacer.late == late + 1
    pacer.wait()
    assert time.monotonic() - begun > 0.019


def test_one_that_is_reset_but_never_steps_ends_training_in_a_sentence(mjcf):
    StandIn.lost_in_steps = tuple(range(10, 1000))
    with pytest.raises(ColonnadeError, match=r"did not answer 3 times in a row \(no packet\)"):
        learn(mjcf, MemoryRecorder())
    assert StandIn.happened["steps"] == 12
