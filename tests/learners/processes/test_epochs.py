"""PPO over several processes: its steps against those of one process with the same experience."""

import copy
import dataclasses
from contextlib import ExitStack

import pytest
import torch
from short_sequences import COLUMN, TASKS, Held

from colonnade.errors import UsageError
from colonnade.learners import PPO, Collector, Compute, Lesson
from colonnade.learners.acting.collector import Share
from colonnade.methods import Scratch
from colonnade.networks import ColumnSpec, Conv, Custom, Dense
from colonnade.tasks import MiniPongTask
from colonnade.training import TrainingOptions, train_sequence
from colonnade.types import Rollout

CPU = Compute(torch.device("cpu"))
SPEC = TASKS[0].spec
STREAMS = {
    "actions": 1,
    "actions of worker 1, start 0": 2,
    "environments": 3,
    "environments of worker 1, start 0": 4,
}


class InStep(PPO):
    """Goes through six environments as two workers go through three each."""

    def orders(self, size: int) -> torch.Tensor:
        if size != 6:
            return super().orders(size)
        parts = super().orders(3).tensor_split(self.minibatches, 1)
        return torch.cat([part for own in parts for part in (own, own + 3)], 1)


def joined(parts: list[Rollout]) -> Rollout:
    """Lay rollouts of some environments each side by side."""
    first, fields = parts[0], {}
    for field in dataclasses.fields(Rollout):
        values = [getattr(part, field.name) for part in parts]
        axis = 0 if field.name in ("last_value", "state") else 1
        fields[field.name] = (
            {name: torch.cat([value[name] for value in values], axis) for name in values[0]}
            if isinstance(values[0], dict)
            else torch.cat(values, axis)
        )
    return dataclasses.replace(first, **fields)


@pytest.mark.parametrize("column", [ColumnSpec((Conv(4, 4, 2), Dense(8))), COLUMN])
def test_workers_in_step_take_the_steps_of_one_process(column):
    config = PPO(workers=2, rollout_steps=7, minibatches=3, epochs=2, learning_rate=1e-3)
    method = Held(column)
    network = method.begin_task(SPEC)
    twin_method = copy.deepcopy(method)
    twin = twin_method.network_for(SPEC.id)

    with config.trainer(Lesson(TASKS[0], network, method.penalty, CPU, num_envs=6)) as trainer:
        trainer.begin(lambda name: STREAMS.get(name, 0))
        torch.manual_seed(5)
        advances = [trainer.advance() for _ in range(4)]
        state, meta = trainer.state()

    alone = InStep(**dataclasses.asdict(config))
    learner = alone.build(twin, SPEC, CPU)
    torch.manual_seed(5)
    found = []
    with ExitStack() as stack:
        collectors = []
        for worker, name in enumerate(("", " of worker 1, start 0")):
            generator = torch.Generator().manual_seed(STREAMS[f"actions{name}"])
            policy = config.policy(twin, SPEC, CPU, generator)
            collector = Collector(
                TASKS[0], twin, policy, CPU, steps=7, num_envs=3, share=Share(3 * worker, 6)
            )
            stack.enter_context(collector).begin(STREAMS[f"environments{name}"])
            collectors.append(collector)
        for _ in advances:
            rollout = joined([collector.collect() for collector in collectors])
            found.append(learner.update(rollout, twin_method.penalty))
        episodes = [e for c in collectors for e in c.episodes]

    for name, value in method.network.state_dict().items():
        torch.testing.assert_close(value, twin_method.network.state_dict()[name], rtol=0, atol=1e-5)
    for advance, metrics in zip(advances, found, strict=True):
        assert advance.steps == 42
        assert set(advance.metrics) == set(metrics)
        for name, value in metrics.items():
            torch.testing.assert_close(advance.metrics[name], value, rtol=2e-3, atol=1e-5)
    assert sorted(e for advance in advances for e in advance.episodes) == sorted(episodes)
    expected, counters = learner.optimisation.state()
    assert meta == counters
    for name, value in expected.items():
        torch.testing.assert_close(state[f"optimisation/{name}"], value, rtol=1e-2, atol=1e-5)


class Dropping(torch.nn.Module):
    """Draws random numbers while it learns, and keeps running means."""

    def __init__(self, shape):
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(shape[0])

    def forward(self, x):
        return torch.nn.functional.dropout(self.norm(x).flatten(1), 0.3, self.training)


def test_where_training_mode_matters_the_first_ratio_is_one_and_runs_repeat():
    column = ColumnSpec((Custom(Dropping, (512,)), Dense(8)))
    states, found = [], []
    for _ in range(2):
        torch.manual_seed(4)
        method = Scratch(column)
        network = method.begin_task(SPEC)
        config = PPO(workers=2, rollout_steps=8, minibatches=1, epochs=1)
        with config.trainer(Lesson(TASKS[0], network, lambda: None, CPU, num_envs=4)) as trainer:
            trainer.begin(lambda name: STREAMS.get(name, 0))
            torch.manual_seed(5)
            found += [trainer.advance().metrics["kl"] for _ in range(2)]
        states.append(method.network.state_dict())
    assert max(found) < 1e-6
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    counts = [value for name, value in states[0].items() if name.endswith("num_batches_tracked")]
    assert [int(count) for count in counts] == [2]


def test_too_few_steps_or_environments_are_refused_before_anything_is_collected():
    def train(column, **options):
        task = MiniPongTask("pong", steps=100)
        config = PPO(workers=2, **options)
        train_sequence([task], Scratch(column), config, options=TrainingOptions(num_envs=4))

    with pytest.raises(UsageError, match="can't split 2 environments into 3 minibatches"):
        train(COLUMN, minibatches=3)
    with pytest.raises(UsageError, match="can't split 3 steps a rollout into 4 minibatches"):
        train(ColumnSpec((Conv(4, 4, 2), Dense(8))), rollout_steps=3)
    with pytest.raises(UsageError, match="PPO shares environments out equally, but 4 can't be"):
        PPO(workers=3).trainer(
            Lesson(TASKS[0], Scratch(COLUMN).begin_task(SPEC), lambda: None, CPU, num_envs=4)
        )
