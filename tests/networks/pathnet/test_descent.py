"""Gradient descent along a path, written out, against autograd and PyTorch's own SGD."""

import copy

import pytest
import torch
import torch.nn.functional as F

from colonnade.learners import Compute, Supervised
from colonnade.networks import Conv, Dense, ModularNetwork, ModularSpec
from colonnade.tasks import DataTask
from colonnade.training.checkpoints import read_tensors, write_tensors
from colonnade.types import Examples

PATHS = (((0, 2), (1,), (0, 1, 3)), ((2, 3), (0, 1, 2), (3,)), ((0, 2), (1,), (0, 1, 3)))


DENSE = (Dense(6), Dense(5), Dense(4))


def network(last="sum", layers=DENSE, **changes):
    torch.manual_seed(0)
    spec = ModularSpec(layers, modules=4, active=3, last=last, **changes)
    made = ModularNetwork(spec, {"observation": (1, 4, 4)})
    made.add_head(3)
    return made


def batches(dtype):
    torch.manual_seed(1)
    for _ in range(9):
        pixels = torch.randint(0, 256, (7, 1, 4, 4), dtype=torch.uint8)
        inputs = pixels if dtype == torch.uint8 else pixels.float() / 100
        yield Examples({"observation": inputs}, torch.randint(0, 3, (7,)))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("last", ["sum", "average"])
@pytest.mark.parametrize("frozen", [None, ((2,), (1,), (0, 1))])
def test_it_is_plain_sgd(dtype, last, frozen):
    fast, slow = network(last), network(last)
    if frozen:
        for made in (fast, slow):
            made.freeze(frozen)
    start = copy.deepcopy(fast.state_dict())
    view = fast.view(PATHS[0])
    descent = view.descent(0.1)
    sgd = torch.optim.SGD([p for p in slow.parameters() if p.requires_grad], 0.1)
    for number, batch in enumerate(batches(dtype)):
        path = PATHS[number // 3]
        if view.path != path:
            view.path = path
        loss, right = descent(batch.inputs, batch.targets)
        sgd.zero_grad()
        output = slow(batch.inputs, path)
        expected = F.cross_entropy(output, batch.targets)
        expected.backward()
        sgd.step()
        torch.testing.assert_close(loss, expected.detach())
        assert right == (output.argmax(1) == batch.targets).float().mean()
    for name, value in slow.state_dict().items():
        torch.testing.assert_close(fast.state_dict()[name], value, msg=name)
    moved = {name for name, value in fast.state_dict().items() if not value.equal(start[name])}
    assert any(name.startswith("layers.2") for name in moved)
    for index, modules in enumerate(frozen or ()):
        for module in modules:
            assert f"layers.{index}.bank.{module}.weight" not in moved


def test_it_is_used_where_it_is_the_same_and_only_there():
    compute = Compute(torch.device("cpu"))
    images, labels = torch.randn(20, 1, 4, 4), torch.arange(20) % 3
    spec = DataTask("pairs", train=(images, labels), test=(images, labels)).spec
    plain = Supervised(momentum=0.0)
    path = PATHS[0]

    def used(config, made, precise=compute):
        return config.build(made.view(path), spec, precise)._descent is not None

    assert used(plain, network())
    assert not used(Supervised(momentum=0.9), network())
    assert not used(Supervised(momentum=0.0, optimizer="adam"), network())
    assert not used(Supervised(momentum=0.0, weight_decay=0.1), network())
    assert not used(Supervised(momentum=0.0, clip_norm=1.0), network())
    assert not used(Supervised(momentum=0.0, anneal=True), network())
    assert not used(plain, network(activation="tanh"))
    assert not used(plain, network(layers=(Conv(2, 2), Dense(5), Dense(4))))
    assert not used(plain, network(), Compute(torch.device("cpu"), bfloat16=True))


def test_a_penalty_is_not_passed_over():
    compute = Compute(torch.device("cpu"))
    images, labels = torch.randn(20, 1, 4, 4), torch.arange(20) % 3
    spec = DataTask("pairs", train=(images, labels), test=(images, labels)).spec
    learner = Supervised(momentum=0.0).build(network().view(PATHS[0]), spec, compute)
    batch = next(batches(torch.float32))
    assert "penalty" in learner.update(batch, lambda: torch.ones(()))
    assert "penalty" not in learner.update(batch, lambda: None)


def test_joined_weights_can_be_written(tmp_path):
    made = network()
    descent = made.view(PATHS[0]).descent(0.1)
    batch = next(batches(torch.float32))
    descent(batch.inputs, batch.targets)
    write_tensors(tmp_path / "weights.safetensors", made.state_dict(), {})
    tensors, _ = read_tensors(tmp_path / "weights.safetensors")
    for name, value in made.state_dict().items():
        assert torch.equal(tensors[name], value)
