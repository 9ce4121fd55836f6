"""A2C over several processes: its steps against those of one process with the same experience."""

import copy
from contextlib import ExitStack

import pytest
import torch
from short_sequences import COLUMN, TASKS, Held

from colonnade.errors import UsageError
from colonnade.learners import A2C, Collector, Compute, Lesson, learner_from_name
from colonnade.learners.acting.collector import Share
from colonnade.learners.descent.backward import Pass
from colonnade.learners.processes.parameters import SharedGradients
from colonnade.methods import Scratch
from colonnade.networks import ColumnSpec, Conv, Custom, Dense
from colonnade.tasks import MiniPongTask
from colonnade.training import TrainingOptions, train_sequence

CPU = Compute(torch.device("cpu"))
STREAMS = {
    "actions": 1,
    "actions of worker 1, start 0": 2,
    "environments": 3,
    "environments of worker 1, start 0": 4,
}


def streams(name):
    return STREAMS.get(name, 0)


@pytest.mark.parametrize("column", [ColumnSpec((Conv(4, 4, 2), Dense(8))), COLUMN])
def test_workers_in_step_take_the_steps_of_one_process(column):
    config = A2C(workers=2, rollout_steps=6, clip_norm=0.1, learning_rate=0.01)
    method = Held(column)
    network = method.begin_task(TASKS[0].spec)
    twin_method = copy.deepcopy(method)
    twin = twin_method.network_for(TASKS[0].spec.id)

    with config.trainer(Lesson(TASKS[0], network, method.penalty, CPU, num_envs=6)) as trainer:
        trainer.begin(streams)
        advances = [trainer.advance() for _ in range(5)]
        state, meta = trainer.state()

    learner = config.build(twin, TASKS[0].spec, CPU)
    steps, episodes, held = [], [], twin_method.penalty
    with ExitStack() as stack:
        collectors = []
        for worker, name in enumerate(("", " of worker 1, start 0")):
            generator = torch.Generator().manual_seed(STREAMS[f"actions{name}"])
            policy = config.policy(twin, TASKS[0].spec, CPU, generator)
            collector = Collector(
                TASKS[0], twin, policy, CPU, steps=6, num_envs=3, share=Share(3 * worker, 6)
            )
            stack.enter_context(collector).begin(STREAMS[f"environments{name}"])
            collectors.append(collector)
        for _ in advances:
            descent = learner.optimisation
            descent.anneal(36)
            rollouts, parts, gradients = [c.collect() for c in collectors], [], []
            for rollout in rollouts:
                descent.clear()
                given = Pass(twin, CPU), rollout, TASKS[0].spec, held
                parts.append(config.differentiate(*given))
                gradients.append([p.grad for p in descent.parameters])
            for p, one, other in zip(descent.parameters, *gradients, strict=True):
                p.grad = (one + other) / 2
            norm = torch.nn.utils.clip_grad_norm_(descent.parameters, config.clip_norm)
            descent.optimizer.step()
            steps.append((norm, [metrics["entropy"] for metrics in parts]))
        episodes = [e for c in collectors for e in c.episodes]

    for name, value in method.network.state_dict().items():
        torch.testing.assert_close(value, twin_method.network.state_dict()[name], rtol=0, atol=1e-5)
    for advance, (norm, entropies) in zip(advances, steps, strict=True):
        assert advance.steps == 36
        torch.testing.assert_close(advance.metrics["gradient_norm"], norm, rtol=1e-3, atol=1e-5)
        torch.testing.assert_close(advance.metrics["entropy"], sum(entropies) / 2)
        assert advance.metrics["penalty"] > 0
    assert norm > 0.1, "the clipping should have had something to do"
    found = [e for advance in advances for e in advance.episodes]
    assert sorted(found) == sorted(episodes)
    expected, counters = learner.optimisation.state()
    assert meta == counters
    for name, value in expected.items():
        torch.testing.assert_close(state[f"optimisation/{name}"], value, rtol=1e-3, atol=1e-6)


def test_the_mean_is_over_all_workers_and_unused_parameters_have_none():
    parameters = [torch.nn.Parameter(torch.zeros(2)) for _ in range(3)]
    shared = SharedGradients(parameters, workers=2)
    for worker, gradients in enumerate([([1.0, 2.0], [4.0, 4.0], None), ([3.0, 4.0], None, None)]):
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = None if gradient is None else torch.tensor(gradient)
        shared.give(worker)
    shared.take()
    assert [None if p.grad is None else p.grad.tolist() for p in parameters] == [
        [2.0, 3.0],
        [2.0, 2.0],  # the other worker's is zero
        None,
    ]
    parameters[1].grad = None
    shared.give(0)
    shared.take()
    assert parameters[1].grad is None, "what was given before is forgotten"


class Normed(torch.nn.Module):
    def __init__(self, shape):
        super().__init__()
        self.norm = torch.nn.BatchNorm2d(shape[0])

    def forward(self, x):
        return self.norm(x).flatten(1)


def test_running_means_are_those_of_one_worker_and_the_same_each_time():
    column = ColumnSpec((Custom(Normed, (512,)), Dense(8)))
    options = TrainingOptions(num_envs=4, device="cpu")
    states = []
    for _ in range(2):
        method = Scratch(column)
        task = MiniPongTask("pong", steps=400)
        train_sequence([task], method, A2C(workers=2), options=options)
        states.append(method.network.state_dict())
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    counts = [value for name, value in states[0].items() if name.endswith("num_batches_tracked")]
    assert [int(count) for count in counts] == [20]  # one an update, of 20 steps each


def test_wrong_use_is_refused_in_one_sentence():
    def trainer(learner, device="cpu"):
        method = Held(COLUMN)
        network = method.begin_task(TASKS[0].spec)
        compute = Compute(torch.device(device))
        return learner.trainer(Lesson(TASKS[0], network, method.penalty, compute, num_envs=4))

    with pytest.raises(UsageError, match="A2C shares environments out equally, but 4 can't be"):
        trainer(A2C(workers=3))
    with pytest.raises(UsageError, match="A2C's workers share the memory of the processor"):
        trainer(A2C(workers=2), device="meta")
    with pytest.raises(UsageError, match="workers"):
        learner_from_name("a2c", workers=0)
