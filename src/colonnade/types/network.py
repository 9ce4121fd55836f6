"""What a network takes and gives."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor

Shape = tuple[int, ...]

Inputs = dict[str, Tensor]
"""What a network sees, by name. A leading axis N runs over environments. A task whose observation
space is a plain Box appears under the one name `OBSERVATION`; a Dict space keeps its own names.
`Network.precompute` adds entries of its own."""

State = dict[str, Tensor]
"""What a network carries per environment from step to step (LSTM cores, routes), each [N, ...].
Empty for a feed-forward network."""

OBSERVATION = "observation"

PROPRIOCEPTION = "proprioception"
"""Name of the input of joint angles and velocities, where there are pixels beside it."""


class Network(Protocol):
    """What a learner trains and an actor runs; a `torch.nn.Module` that has these methods.

    Output is [N, outputs]: policy logits followed by one value for actor-critics, plain scores
    for classifiers and Q-networks.
    """

    def initial_state(self, batch: int) -> State:
        """Make the state at the start of an episode, for `batch` environments."""
        ...

    def precompute(self, inputs: Inputs, state: State) -> tuple[Inputs, State]:
        """Extend `inputs` by whatever frozen parts compute from them, so that it is done once.

        `forward` and `unroll` accept inputs with and without these entries. The returned state has
        the frozen parts' entries moved on by one step.
        """
        ...

    def forward(self, inputs: Inputs | Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Take one step: [N, ...] inputs to [N, outputs] and the next state."""
        ...

    def unroll(self, inputs: Inputs, state: State, starts: Tensor) -> tuple[Tensor, State]:
        """Take T steps: [T, N, ...] inputs to [T, N, outputs] and the last state.

        Args:
            inputs: As returned by `precompute` at each step, stacked over time.
            state: The state before the first step.
            starts: [T, N] bool; True where a step is the first of an episode, before which that
                environment's state returns to `initial_state`.
        """
        ...

    def __call__(self, inputs: Inputs | Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Call `forward`, as in `torch.nn.Module`."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """As in `torch.nn.Module`."""
        ...

    def to(self, device: torch.device) -> Any:
        """As in `torch.nn.Module`."""
        ...

    def train(self, mode: bool = True) -> Any:
        """As in `torch.nn.Module`."""
        ...


Descent = Callable[[Inputs, Tensor], tuple[Tensor, Tensor]]
"""Takes a gradient step on the mean cross-entropy of inputs, each [B, ...], and labels [B]. Returns
that mean, in nats, and the share of right answers, both before the step."""


@runtime_checkable
class Descending(Protocol):
    """A network that can take plain gradient steps faster than automatic differentiation."""

    def descent(self, learning_rate: float) -> Descent | None:
        """Return how, where it can."""
        ...


Backward = Callable[[Tensor], None]
"""Takes the gradient [B, outputs] of a loss by an output, and sets `grad` of each parameter."""

Differentiated = Callable[[Inputs, Tensor], tuple[Tensor, Backward]]
"""Takes T steps as `Network.unroll` does, from inputs [T, N, ...] and `starts` [T, N]. Returns the
output [B, outputs], B = T x N, without a graph, and the way back from it."""


@runtime_checkable
class Differentiating(Protocol):
    """A network without state whose gradients may come faster than by automatic differentiation."""

    def differentiated(self) -> Differentiated | None:
        """Return how, where it can."""
        ...


@runtime_checkable
class Twofold(Protocol):
    """A network that may compute with two sets of values at once, faster than one by one."""

    def twofold(self, inputs: Inputs, others: Mapping[str, Tensor]) -> tuple[Tensor, Tensor] | None:
        """Take one step from inputs, each [B, ...], in evaluation mode.

        Args:
            inputs: As for a call.
            others: By name, what takes the place of parameters for the second output.

        Returns:
            Two outputs [B, outputs], with its own values and with the others, as calls give them;
            None where calls have to.
        """
        ...


class Distribution(Protocol):
    """What a network's output says of actions or labels [..., A]."""

    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-probability [...] of actions."""
        ...

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw actions [..., A]."""
        ...

    def mode(self) -> Tensor:
        """Most likely actions [..., A]."""
        ...


Likelihood = Callable[[Tensor], Distribution]
"""What a network's output [..., outputs] means; each learner says it of its own."""
