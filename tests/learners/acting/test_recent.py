"""The last steps of an on-policy learner: how many, which go, what is drawn, and its state."""

import json

import pytest
import torch

from colonnade.learners.acting.recent import RecentSteps
from colonnade.types import Rollout


def rollout(number, steps=4, envs=3, recurrent=False):
    """Each step shows its own number: 100 a rollout, 10 a step, 1 an environment."""
    shown = 100 * number + 10 * torch.arange(steps)[:, None] + torch.arange(envs)
    zeros, no = torch.zeros(steps, envs), torch.zeros(steps, envs, dtype=torch.bool)
    return Rollout(
        inputs={
            "observation": shown[..., None].to(torch.uint8),
            "column0/stage1": shown[..., None].float(),
        },
        actions=shown[..., None],
        rewards=zeros, terminated=no, truncated=no, starts=no, log_probs=zeros, values=zeros,
        final_values=zeros, last_value=zeros[0],
        state={"core": torch.full((envs, 2), float(number))} if recurrent else {},
    )  # fmt: skip


def seen(memory, batches=60):
    drawn = memory.samples(0)
    return {int(v) for _ in range(batches) for v in next(drawn).actions.flatten()}


def test_it_keeps_the_newest_rollouts_that_make_enough_steps():
    memory = RecentSteps(kept=20)
    for number in range(5):
        given = rollout(number)
        memory.add(given)
        given.actions.fill_(-1)  # buffers are reused
    assert len(memory) == 24  # two rollouts of 12 make 20, one does not
    assert seen(memory) == {
        100 * n + 10 * t + e for n in (3, 4) for t in range(4) for e in range(3)
    }


@pytest.mark.parametrize("recurrent", [False, True])
def test_the_newest_steps_of_every_environment_can_be_forgotten(recurrent):
    memory = RecentSteps(kept=20)
    for number in (0, 1):
        memory.add(rollout(number, recurrent=recurrent))
    memory.drop_newest(6)
    assert len(memory) == 2 * 3
    assert seen(memory) == {10 * t + e for t in range(2) for e in range(3)}
    memory.drop_newest(50)
    assert len(memory) == 0


def test_steps_that_hang_on_each_other_stay_together():
    memory = RecentSteps(kept=5)
    memory.add(rollout(2, recurrent=True))
    batch = next(memory.samples(0))
    assert batch.actions[..., 0].tolist() == rollout(2).actions[..., 0].tolist()
    assert torch.equal(batch.state["core"], torch.full((3, 2), 2.0))
    independent = RecentSteps(kept=5)
    independent.add(rollout(2))
    assert next(independent.samples(0)).actions.shape == (1, 12, 1)


@pytest.mark.parametrize("recurrent", [False, True])
def test_a_state_brings_all_of_it_back_packed(recurrent):
    memory = RecentSteps(kept=20)
    for number in range(3):
        memory.add(rollout(number, recurrent=recurrent))
    tensors, meta = memory.state()
    again = RecentSteps(kept=20)
    again.load_state(
        {name: tensors[name].clone() for name in sorted(tensors)}, json.loads(json.dumps(meta))
    )
    assert again.state()[1] == meta
    one, other = memory.samples(3), again.samples(3)
    for _ in range(5):
        first, second = next(one), next(other)
        assert torch.equal(first.actions, second.actions)
        for name in first.inputs:
            assert torch.equal(first.inputs[name], second.inputs[name])
            assert first.inputs[name].dtype == second.inputs[name].dtype
    black = RecentSteps(kept=2000)
    large = rollout(0, steps=100)
    large.inputs["observation"] = torch.zeros(100, 3, 4, 20, 20, dtype=torch.uint8)
    black.add(large)
    packed = black.state()[0]["0/inputs/observation"]
    assert packed.numel() < 0.05 * large.inputs["observation"].numel()
