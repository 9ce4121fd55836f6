"""Gains and biases of single tasks: the equation, which row learns, which row plays."""

import json

import pytest
import torch

from colonnade.errors import UsageError
from colonnade.learners import A2C, DQN, Compute
from colonnade.methods import EWC, Finetune, Progressive
from colonnade.networks import LSTM, ColumnSpec, Conv, Dense, Join, ProgressiveNetwork
from colonnade.networks.progressive.pruning import prune
from colonnade.tasks import MiniPongTask
from colonnade.training import TrainingOptions, Visit, train_sequence

OPTIONS = TrainingOptions(num_envs=4, segment_steps=1000, curve_steps=100, device="cpu")
COLUMN = ColumnSpec((Conv(4, 4, 2), Dense(8)), task_gains=True)
TASKS = [MiniPongTask(variant, steps=160) for variant in ("pong", "black")]
PONG, BLACK = (task.spec.id for task in TASKS)


def test_each_layer_scales_and_shifts_by_its_row():
    torch.manual_seed(0)
    network = ProgressiveNetwork()
    spec = ColumnSpec((Dense(3), Join("more", 2)), task_gains=True, output_gain=1.0)
    network.add_column(spec, {"observation": (4,), "more": (5,)}, 2)
    assert network.add_row() == 1
    column = network.newest
    with torch.no_grad():
        for values in (p for n, p in network.named_parameters() if "gains." in n):
            values.normal_()
    x, more = torch.randn(6, 4), torch.randn(6, 5)
    for row in (0, 1):

        def of(stage, total, row=row):
            return stage.gains.gains[row] * total + stage.gains.biases[row]

        dense, join, output = column.stage(0), column.stage(1), column.output
        h = of(dense, x @ dense.weight.T).relu()
        h = torch.cat([h, of(join, more @ join.weight.T).relu()], 1)
        expected = of(output, h @ output.weight.T)
        found, _ = network.view(0, row)({"observation": x, "more": more})
        assert torch.allclose(found, expected, atol=1e-6)


def test_a_fresh_row_changes_nothing_to_the_bit():
    torch.manual_seed(1)
    plain, gains = ProgressiveNetwork(), ProgressiveNetwork()
    shapes = {"observation": (2, 16, 16)}
    plain.add_column(ColumnSpec((Conv(4, 4, 2), Dense(8))), shapes, 3)
    gains.add_column(COLUMN, shapes, 3)
    gains.load_state_dict(plain.state_dict(), strict=False)
    gains.add_row()
    x = torch.randint(0, 255, (5, 2, 16, 16), dtype=torch.uint8)
    for row in (0, 1):
        assert torch.equal(gains.view(0, row)(x)[0], plain(x)[0])


def values(method):
    return {name: p.detach().clone() for name, p in method.network.named_parameters()}


def rows_moved(before, after):
    """The numbers of the rows of which anything moved."""
    names = [n for n in before if not torch.equal(before[n], after[n])]
    return {int(n.rsplit(".", 1)[1]) for n in names if ".gains." in n}, names


@pytest.mark.parametrize("learner", [A2C(rollout_steps=20), DQN(warm_up=40, replay=200)])
def test_the_row_of_the_task_learns_and_others_stay_also_at_a_return(learner):
    ends = []

    class Watching(Finetune):
        def end_task(self, samples, likelihood):
            ends.append(values(self))

    schedule = [Visit(name, 160) for name in (PONG, BLACK, PONG)]
    method = Watching(COLUMN)
    train_sequence(TASKS, method, learner, options=OPTIONS, schedule=schedule)
    assert method.rows == {PONG: 0, BLACK: 1}
    rows, moved = rows_moved(ends[0], ends[1])
    assert rows == set()  # row 1 was not there before
    rows, moved = rows_moved(ends[1], ends[2])
    assert rows == {0}
    assert any("stages.0.weight" in name for name in moved)
    assert not any(name.endswith(".bias") for name in moved)
    assert method.network_for(PONG).row == 0
    assert method.network_for(BLACK).row == 1
    learns = {name for name, p in method.network.named_parameters() if p.requires_grad}
    assert {int(n[-1]) for n in learns if ".gains." in n} == {0}


def test_a_state_brings_back_rows_and_which_of_them_learns():
    method = Finetune(COLUMN)
    for task in TASKS:
        method.begin_task(task.spec)
    with torch.no_grad():
        for p in method.network.parameters():
            p.normal_()
    method.revisit(TASKS[0].spec)
    tensors, meta = method.state()
    again = Finetune(COLUMN)
    again.load_state(dict(tensors), json.loads(json.dumps(meta)))
    x = torch.randint(0, 255, (3, 2, 16, 16), dtype=torch.uint8)
    for name in (PONG, BLACK):
        assert torch.equal(again.network_for(name)(x)[0], method.network_for(name)(x)[0])
    one, other = (
        {n: p.requires_grad for n, p in m.network.named_parameters()} for m in (again, method)
    )
    assert one == other
    assert again.state()[1] == meta


def test_what_ewc_holds_is_the_row_of_the_task_that_ended():
    held = []

    class Watching(EWC):
        def end_task(self, samples, likelihood):
            super().end_task(samples, likelihood)
            held.append(
                {
                    name: float(value.sum())
                    for name, value in self.consolidation.quadratic.curvature.items()
                    if ".gains." in name
                }
            )

    method = Watching(COLUMN, lam=1.0, samples=100, own="released")
    train_sequence(TASKS, method, A2C(rollout_steps=20), options=OPTIONS)
    assert {int(n[-1]) for n in held[0]} == {0}
    assert {int(n[-1]) for n in held[1]} == {0, 1}
    assert all(total > 0 for name, total in held[1].items() if "output" in name)


def test_dqns_target_has_the_returning_tasks_row():
    method = Finetune(COLUMN)
    config = DQN(warm_up=1, replay=100)
    for task in TASKS:
        method.begin_task(task.spec, 3)
    with torch.no_grad():
        for p in method.network.parameters():
            p.normal_()
    compute = Compute(torch.device("cpu"))
    x = torch.randint(0, 255, (3, 2, 16, 16), dtype=torch.uint8)
    for task in (TASKS[0], TASKS[1]):
        network = method.revisit(task.spec)
        learner = config.build(network, task.spec, compute)
        found = torch.func.functional_call(network, learner.target, (x,))[0]
        assert torch.equal(found, method.network_for(task.spec.id)(x)[0])
        row = str(method.rows[task.spec.id])
        assert {n[-1] for n in learner.target if ".gains." in n} == {row}


def test_each_column_of_a_progressive_network_has_one_row():
    method = Progressive(COLUMN)
    train_sequence(TASKS, method, A2C(rollout_steps=20), options=OPTIONS)
    assert [column.rows for column in method.network._built] == [1, 1]
    assert method.rows == {PONG: 0, BLACK: 0}


def test_what_cannot_be_is_explained():
    with pytest.raises(UsageError, match="task_gains are for layers without a state"):
        ColumnSpec((Dense(3), LSTM(4)), task_gains=True)
    network = ProgressiveNetwork()
    network.add_column(ColumnSpec((Dense(3),)), {"observation": (4,)}, 2)
    with pytest.raises(UsageError, match="task_gains=True"):
        network.add_row()
    gains = ProgressiveNetwork()
    gains.add_column(ColumnSpec((Dense(3),), task_gains=True), {"observation": (4,)}, 2)
    with pytest.raises(UsageError, match="can't be pruned"):
        prune(gains, {})
    assert "task_gains" not in ColumnSpec((Dense(3),)).to_dict()
