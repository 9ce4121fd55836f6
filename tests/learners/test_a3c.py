"""A3C: its steps against A2C's and against hand-made ones, its workers' sharing and its budget."""

import copy
import dataclasses
import multiprocessing
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from gymnasium import spaces
from interrupting import Interrupting, without_clock
from short_sequences import COLUMN, TASKS, Held
from worlds import ClockNetwork, CountingTask

from colonnade.errors import UsageError
from colonnade.learners import A2C, A3C, Compute, Lesson
from colonnade.learners.a3c import SharedRMSProp
from colonnade.learners.processes.parameters import SharedParameters, shared_copy
from colonnade.methods import PathNet, Progressive, Scratch
from colonnade.networks import Conv, Dense, ModularSpec
from colonnade.tasks import MiniPongTask
from colonnade.training import (
    Interrupted,
    MemoryRecorder,
    TrainingOptions,
    evaluate,
    train_sequence,
)
from colonnade.types import Examples, TaskSpec

CPU = Compute(torch.device("cpu"))
OPTIONS = TrainingOptions(num_envs=4, segment_steps=240, curve_steps=100, device="cpu")


def train(learner, recorder, method=Held):
    made = method(COLUMN)
    train_sequence(TASKS, made, learner, seed=5, options=OPTIONS, recorder=recorder)
    return made.network.state_dict()


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.parametrize("changes", [{}, {"lam": 0.9, "clip_norm": 0.1, "anneal": False}])
def test_one_worker_is_a2c_step_for_step(changes):
    expected, found = MemoryRecorder(), MemoryRecorder()
    weights = train(A2C(rollout_steps=15, **changes), expected)
    assert same(train(A3C(rollout_steps=15, workers=1, **changes), found), weights)
    assert without_clock(found.history) == without_clock(expected.history)
    assert any("loss/penalty" in row for row in found.history)


@pytest.mark.parametrize("learner", [A3C(workers=1), A2C(workers=2)])
def test_a_run_goes_on_exactly_where_it_was_stopped(learner):
    learner = dataclasses.replace(learner, rollout_steps=15)
    reference, stopped = MemoryRecorder(), Interrupting(14)
    weights = train(learner, reference)
    with pytest.raises(Interrupted):
        train(learner, stopped)
    stopped.resume_for(10**6)
    assert same(train(learner, stopped), weights)
    assert without_clock(stopped.history) == without_clock(reference.history)


def descend(optimizer, shared, loss, worker, steps):
    """As a worker does."""
    rate = optimizer.anneal(worker, steps)
    for parameter in shared.parameters:
        parameter.grad = None
    loss.backward()
    optimizer.step(rate)


def optimizer_of(network, budget, workers):
    shared = SharedParameters(network)
    shared.pull()  # as a worker does
    return SharedRMSProp(shared, A3C(workers=workers), budget), shared


@pytest.mark.parametrize("workers", [1, 3])
def test_the_gradient_is_applied_once_each_time(workers):
    network = torch.nn.Linear(2, 1, bias=False)
    torch.nn.init.zeros_(network.weight)
    config = A3C(
        learning_rate=0.1, decay=0.5, epsilon=0.25, clip_norm=1e9, anneal=False, workers=workers
    )
    shared = SharedParameters(network)
    optimizer = SharedRMSProp(shared, config, budget=1)
    gradient = torch.tensor([[3.0, -4.0]])
    expected, mean_square = torch.zeros(1, 2), torch.zeros(1, 2)
    for number in range(4):
        shared.pull()
        # Its gradient is the same at every update, so that a sum of several would show.
        loss = (network.weight * gradient).sum()
        descend(optimizer, shared, loss, number % workers, 7)
        mean_square = 0.5 * mean_square + 0.5 * gradient**2
        expected = expected - 0.1 * gradient / (mean_square + 0.25).sqrt()
        assert torch.allclose(shared.values[0], expected)
        assert optimizer.taken == 7 * (number + 1)


def test_the_learning_rate_falls_to_zero_by_the_steps_of_all_workers():
    network = torch.nn.Linear(1, 1, bias=False)
    config = A3C(learning_rate=0.1, decay=0.0, epsilon=0.0)
    shared = SharedParameters(network)
    optimizer = SharedRMSProp(shared, config, budget=40)
    start = shared.values[0].item()
    moved = []
    for number in range(5):
        shared.pull()
        descend(optimizer, shared, network.weight.sum(), number % 2, 10)
        moved.append(start - shared.values[0].item())
        start = shared.values[0].item()
    # With decay 0 each step is as long as the rate: 4, 3, 2, 1 and 0 quarters of it.
    assert moved == pytest.approx([0.1, 0.075, 0.05, 0.025, 0.0], abs=1e-6)


def test_parameters_that_a_loss_leaves_out_stay_as_they_are():
    network = torch.nn.ModuleList([torch.nn.Linear(2, 2), torch.nn.Linear(2, 2)])
    optimizer, shared = optimizer_of(network, budget=1, workers=1)
    descend(optimizer, shared, network[0].weight.sum() + network[0].bias.sum(), 0, 1)
    tensors, _ = optimizer.state()
    assert tensors["0.weight|square_avg"].all()
    descend(optimizer, shared, network[1].weight.sum(), 0, 1)
    again, _ = optimizer.state()
    assert torch.equal(again["0.weight|square_avg"], tensors["0.weight|square_avg"])
    assert not again["1.bias|square_avg"].any()


def test_state_restores_statistics_and_the_count_of_steps():
    network = torch.nn.Linear(2, 2)
    twin = copy.deepcopy(network)
    optimizer, shared = optimizer_of(network, budget=100, workers=3)
    for worker in range(3):
        descend(optimizer, shared, network.weight.square().sum() + network.bias.sum(), worker, 10)
    tensors, meta = optimizer.state()
    other, _ = optimizer_of(twin, budget=100, workers=2)
    other.load_state({k: v.clone() for k, v in tensors.items()}, dict(meta))
    assert other.taken == 30
    assert same(other.state()[0], tensors)


def test_shared_memory_keeps_layout_and_is_given_back():
    weight = torch.randn(3, 4, 2, 2).to(memory_format=torch.channels_last)
    copied = shared_copy(weight)
    assert torch.equal(copied, weight)
    assert copied.stride() == weight.stride()
    network = torch.nn.Linear(2, 2)
    before = network.weight.clone()
    shared = SharedParameters(network)
    place = shared.values[0].data_ptr()
    assert network.weight.data_ptr() == place
    shared.release()
    assert network.weight.data_ptr() != place
    assert torch.equal(network.weight, before)


def mapping_of(tensor):
    """The permissions of the memory that holds a tensor, as in "rw-s" where it is shared."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, permissions, *_ = line.split()
        low, high = (int(end, 16) for end in span.split("-"))
        if low <= tensor.data_ptr() < high:
            return permissions
    raise AssertionError("mapped nowhere")


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="looks at Linux's /proc")
def test_frozen_columns_exist_once():
    spec = TASKS[0].spec
    method = Progressive(COLUMN)
    method.begin_task(spec)
    network = method.begin_task(dataclasses.replace(spec, id="second"))
    shared = SharedParameters(network)

    def work(connection):
        shared.pull()
        connection.send({n: mapping_of(p) for n, p in network.named_parameters()})
        connection.recv()
        connection.send(bool((network.columns[0].output.weight == 7.0).all()))

    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=work, args=(theirs,))
    process.start()
    for name, permissions in ours.recv().items():
        assert permissions.endswith("s") == name.startswith("columns.0."), name
    with torch.no_grad():
        network.columns[0].output.weight.fill_(7.0)
    ours.send(None)
    assert ours.recv()  # what the parent wrote is what the worker reads
    process.join()


class RoutedNetwork(ClockNetwork):
    """Its value is a route that the parent chooses, and it counts its rollouts in a buffer."""

    def __init__(self):
        super().__init__()
        self.register_buffer("route", torch.tensor([2.0]))
        self.register_buffer("rollouts", torch.tensor([0.0]))

    def initial_state(self, batch):
        return {"route": self.route.expand(batch, 1).clone()}

    def forward(self, inputs, state=None):
        logits = self.logits.expand(len(inputs["observation"]), 2)
        return torch.cat([logits, state["route"]], -1), state

    def unroll(self, inputs, state, starts):
        self.rollouts += 1
        self.last_route = state["route"]
        logits = self.logits.expand(*starts.shape, 2)
        return torch.cat([logits, state["route"].expand(*starts.shape, 1)], -1), state


def test_buffers_reach_the_workers_and_come_back():
    network = RoutedNetwork()
    routes = []

    def penalty():  # runs in the worker, where the route of the rollout is known
        return network.last_route.mean() + 0 * network.logits.sum()

    config = A3C(workers=1, rollout_steps=4)
    with config.trainer(Lesson(CountingTask(), network, penalty, CPU, num_envs=1)) as trainer:
        trainer.begin(lambda name: 0)
        for route in (2.0, 5.0, 5.0, 6.0, 6.0):
            network.route.fill_(route)
            routes.append(trainer.advance().metrics["penalty"].item())
    # Episodes of 3 steps in rollouts of 4: a new route counts from the next episode on.
    assert routes == [2.0, 2.0, 5.0, 5.0, 6.0]
    assert network.rollouts == 5


def test_episodes_carry_the_place_of_their_environment():
    config = A3C(workers=2, rollout_steps=12)
    task = CountingTask(steps=96)
    with config.trainer(Lesson(task, ClockNetwork(), lambda: None, CPU, num_envs=4)) as trainer:
        trainer.begin(lambda name: 0)
        advance = trainer.advance()
    assert {e.environment for e in advance.episodes} == {0, 1, 2, 3}
    assert all(e.length == 3 + e.environment % 2 for e in advance.episodes)
    assert advance.steps == 96  # several rollouts, and not one beyond the budget


class PlacedNetwork(ClockNetwork):
    """Its value is the place of each of six environments among all."""

    def initial_state(self, batch):
        assert batch == 6
        return {"age": 10.0 * torch.arange(6.0)[:, None]}

    def forward(self, inputs, state=None):
        logits = self.logits.expand(len(state["age"]), 2)
        return torch.cat([logits, state["age"]], -1), state

    def unroll(self, inputs, state, starts):
        self.places = state["age"][:, 0]
        logits = self.logits.expand(*starts.shape, 2)
        return torch.cat([logits, self.places.expand(*starts.shape)[..., None]], -1), state


def test_workers_take_their_environments_part_of_the_initial_state():
    network = PlacedNetwork()
    seen = shared_copy(torch.zeros(3, 2))

    def penalty():
        seen[int(network.places[0] / 20)] = network.places
        return 0 * network.logits.sum()

    config = A3C(workers=3, rollout_steps=4)
    with config.trainer(Lesson(CountingTask(), network, penalty, CPU, num_envs=6)) as trainer:
        trainer.begin(lambda name: 0)
        trainer.advance()
        with closing(trainer.samples()) as samples:
            ages = set(next(samples).state["age"][:, 0].tolist())
        assert ages == {0, 10, 20, 30, 40, 50}
    assert seen.tolist() == [[0, 10], [20, 30], [40, 50]]


def test_new_paths_of_a_pathnet_reach_the_workers(monkeypatch):
    monkeypatch.setattr("colonnade.learners.a3c._ADVANCE_STEPS", 400)
    task = MiniPongTask("pong", steps=10**9)
    # Wide enough, and slow enough in learning, that no module's rectifiers all fall silent.
    modular = ModularSpec((Conv(8, 4, 2), Dense(32)), modules=5, active=2)
    torch.manual_seed(0)
    method = PathNet(modular, population=4)
    network = method.begin_task(task.spec)
    config = A3C(workers=2, learning_rate=1e-4)
    with config.trainer(Lesson(task, network, method.penalty, CPU, num_envs=4)) as trainer:
        trainer.begin(lambda name: 0)
        trainer.advance()
        network.set_paths([((0, 1), (2, 4))] * 4)
        for environment in range(4):  # the episodes under way go on with their old paths
            while environment not in {e.environment for e in trainer.advance().episodes}:
                pass
        before = {k: v.clone() for k, v in method.network.state_dict().items()}
        wanted = {("0", "0"), ("0", "1"), ("1", "2"), ("1", "4")}
        modules: set[tuple[str, ...]] = set()
        for _ in range(30):  # on a busy machine a module may see few steps, and rest in all of them
            trainer.advance()
            after = method.network.state_dict()
            moved = {name for name, value in after.items() if not torch.equal(value, before[name])}
            modules = {tuple(name.split(".")[1:4:2]) for name in moved if name.startswith("layers")}
            if modules >= wanted:
                break
    assert modules == wanted


def test_samples_teach_nothing_and_are_reproducible():
    method = Scratch(COLUMN)
    network = method.begin_task(TASKS[0].spec)
    before = {k: v.clone() for k, v in method.network.state_dict().items()}
    with A3C(workers=2).trainer(
        Lesson(TASKS[0], network, method.penalty, CPU, num_envs=4)
    ) as trainer:
        trainer.begin(lambda name: len(name))
        with closing(trainer.samples()) as one, closing(trainer.samples()) as other:
            first = next(one)
            assert first.actions.shape[0] == 16  # sequences of 16 steps
            assert torch.equal(next(other).actions, first.actions)
    assert same(dict(method.network.state_dict()), before)


class Labels:
    spec = TaskSpec("labels", spaces.Box(0, 1, (2,), np.float32), spaces.Discrete(2), 10)

    def examples(self, split):
        return Examples({"observation": torch.zeros(3, 2)}, torch.zeros(3, dtype=torch.int64))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: A3C(workers=0), "workers of A3C must be a whole number at least 1; got 0"),
        (lambda: A3C(gamma=2.0), "gamma of A3C"),
        (
            lambda: A3C(workers=3).trainer(Lesson(CountingTask(), None, None, CPU, num_envs=16)),
            "16 can't be split among 3 workers",
        ),
        (
            lambda: A3C().trainer(
                Lesson(CountingTask(), None, None, Compute(torch.device("cuda")))
            ),
            "the device is 'cuda'; choose device 'cpu'",
        ),
        (lambda: A3C().trainer(Lesson(Labels(), None, None, CPU)), "'labels' has no environments"),
    ],
)
def test_mistakes_are_told_in_a_sentence(make, message):
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_two_workers_solve_mini_pong(seed):
    task, method = MiniPongTask("pong", steps=300_000), Scratch()
    options = TrainingOptions(num_envs=32, segment_steps=100_000, device="cpu")
    learner = A3C(workers=2, learning_rate=3e-3, rollout_steps=10)
    train_sequence([task], method, learner, seed=seed, options=options)
    assert evaluate(task, method.network_for(task.spec.id), episodes=100).mean() > 0.8
