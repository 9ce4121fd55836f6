"""The short way to Adam's kernel takes the steps that PyTorch's own takes."""

import copy

import pytest
import torch
from torch import nn

from colonnade.learners.descent.adam import adam_step
from colonnade.learners.descent.optimisation import clip_gradient


def trained(short: bool, **options: object) -> nn.Module:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2), nn.Linear(4, 2))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.1, fused=True, **options)  # type: ignore[arg-type]
    for step in range(6):
        optimizer.zero_grad()
        hidden = network[1](network[0](torch.ones(5, 3) * step))
        # The last layer learns now and then, as modules on a path do.
        network[2 if step % 3 else 3](hidden).square().sum().backward()
        if step == 4:
            optimizer.param_groups[0]["lr"] = 0.05
        adam_step(optimizer) if short else optimizer.step()
    return network


@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1}, {"amsgrad": True}, {"eps": 0.1}])
def test_steps_are_pytorchs_bit_for_bit(options: dict[str, object]) -> None:
    ours, theirs = trained(True, **options), trained(False, **options)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.equal(other)


@pytest.mark.parametrize("largest", [0.5, 1e9])
def test_gradients_are_clipped_as_pytorch_does(largest: float) -> None:
    network = trained(True)
    for parameter in network.parameters():
        parameter.grad = torch.randn_like(parameter)
    other = copy.deepcopy(network)
    for parameter, twin in zip(network.parameters(), other.parameters(), strict=True):
        assert parameter.grad is not None
        twin.grad = parameter.grad.clone()
    norm = clip_gradient(list(network.parameters()), largest)
    assert norm.equal(nn.utils.clip_grad_norm_(other.parameters(), largest))
    for parameter, twin in zip(network.parameters(), other.parameters(), strict=True):
        assert parameter.grad is not None
        assert twin.grad is not None
        assert parameter.grad.equal(twin.grad)
