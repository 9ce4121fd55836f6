"""What a column promises, with modules of one's own in it."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from colonnade.networks import ColumnSpec, ProgressiveNetwork, custom_factories
from colonnade.testing.contract import demand
from colonnade.types import Shape


def check_column(
    column: ColumnSpec, input_shapes: Mapping[str, Shape], *, outputs: int = 3, batch: int = 5
) -> None:
    """Check that columns of a spec can stand side by side, learn, and go through a file.

    Args:
        column: What two columns look like; the second reads the first.
        input_shapes: Shape of each input without the batch.
        outputs: Width of the output layer.
        batch: How many observations to try it on.

    Raises:
        UsageError: It is no column, or does not fit the inputs; see
            `ProgressiveNetwork.add_column`.
        ContractError: An output has another shape, a free parameter has no gradient, a frozen one
            has, what frozen columns compute beforehand differs from what they compute on the way,
            an observation's output hangs on others of its batch, or the spec's JSON data give
            another network.
    """
    network = ProgressiveNetwork()
    for _ in range(2):
        network.add_column(column, input_shapes, outputs)
    view = network.view(1)
    generator = torch.Generator().manual_seed(0)
    inputs = {
        name: torch.rand((batch, *shape), generator=generator)
        for name, shape in input_shapes.items()
    }
    output, _ = view(inputs, view.initial_state(batch))
    got = tuple(output.shape)
    demand(
        got == (batch, outputs), f"The output should have shape {(batch, outputs)}, but has {got}."
    )
    output.square().sum().backward()
    for name, parameter in network.named_parameters():
        demand(
            parameter.requires_grad == (parameter.grad is not None),
            f"Parameter {name} "
            + ("got no gradient." if parameter.requires_grad else "is frozen but got a gradient."),
        )
    view.eval()
    with torch.no_grad():
        plain = view(inputs, view.initial_state(batch))[0]
        ready, state = view.precompute(inputs, view.initial_state(batch))
        _close(plain, view(ready, state)[0], "what frozen columns compute beforehand")
        first = {name: value[:1] for name, value in inputs.items()}
        _close(plain[:1], view(first, view.initial_state(1))[0], "one observation by itself")
        with custom_factories("import"):
            again = ProgressiveNetwork.from_spec(network.spec_dict(), lambda _: [column])
        again.load_state_dict(network.state_dict())
        other = again.view(1)
        other.eval()
        _close(plain, other(inputs, other.initial_state(batch))[0], "the spec's JSON data")


def _close(one: Tensor, other: Tensor, what: str) -> None:
    worst = float((one - other).abs().max())
    scale = float(one.abs().max().clamp_min(1e-6))
    demand(
        worst <= 1e-4 * scale,
        f"The output should be the same with {what}, but differs by {worst:.2g} of {scale:.2g}.",
    )
