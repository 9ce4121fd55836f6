"""What finetuning keeps of the task before."""

import gymnasium
import numpy as np
import pytest
import torch

from colonnade.errors import UsageError
from colonnade.methods import Finetune, OutputOnly
from colonnade.networks import ColumnSpec, Dense
from colonnade.types import TaskSpec

COLUMN = ColumnSpec((Dense(5), Dense(4)))
X = torch.randn(3, 6, generator=torch.Generator().manual_seed(0))


def task(name):
    space = gymnasium.spaces.Box(-1, 1, (6,), np.float32)
    return TaskSpec(name, space, gymnasium.spaces.Discrete(3), 100)


def state(method):
    return {name: value.clone() for name, value in method.network.newest.state_dict().items()}


@pytest.mark.parametrize("kind", [Finetune, OutputOnly])
def test_it_goes_on_with_the_policy_of_the_task_before(kind):
    method = kind(COLUMN)
    before = method.begin_task(task("a"))(X)[0]
    assert torch.equal(method.begin_task(task("b"))(X)[0], before)


@pytest.mark.parametrize("kind", [Finetune, OutputOnly])
def test_a_fresh_output_is_all_that_changes(kind):
    method = kind(COLUMN, fresh_output=True)
    method.begin_task(task("a"))
    first = state(method)
    torch.nn.init.normal_(method.network.newest.output.weight)
    before = state(method)
    method.begin_task(task("b"))
    after = state(method)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {"output.weight"}
    # As random as a first output layer, which is orthogonal with a gain of 0.01.
    weight = after["output.weight"]
    assert torch.allclose(weight @ weight.T, 1e-4 * torch.eye(len(weight)), atol=1e-7)
    assert not torch.equal(weight, first["output.weight"])
    learns = {n for n, p in method.network.newest.named_parameters() if p.requires_grad}
    if kind is OutputOnly:
        assert learns == {"output.weight", "output.bias"}
    else:
        assert learns == set(before)


def test_a_fresh_output_leaves_the_gains_of_other_tasks():
    method = Finetune(ColumnSpec((Dense(5),), task_gains=True), fresh_output=True)
    method.begin_task(task("a"))
    network = method.begin_task(task("b"))
    gains = method.network.newest.output.gains
    assert gains is not None
    learns = {n: p.requires_grad for n, p in gains.named_parameters()}
    assert {n for n, yes in learns.items() if yes} == {n for n in learns if n.endswith("1")}
    assert network(X)[0].shape == (3, 4)


def test_what_is_no_flag_is_refused():
    with pytest.raises(UsageError, match="fresh_output of finetuning"):
        Finetune(COLUMN, fresh_output="yes")
