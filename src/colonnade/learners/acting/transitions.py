"""What a learner that replays its experience learns from: transitions of one or more steps."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from colonnade.types import Inputs, Network


@dataclass(frozen=True)
class Transitions:
    """B transitions (s_t, a_t, r_t + ... + gamma^(m-1) r_(t+m-1), s_(t+m)).

    The target of a Q-network is `returns + discounts * max_a Q(next_inputs)`. m is the n asked for,
    and less where the episode ended before: `discounts` is gamma^m where it was truncated, since
    its value goes on, and 0 where it terminated.

    Attributes:
        inputs: s_t, each [B, ...].
        actions: a_t, [B, A] int64, one column per action component.
        returns: [B] float32, the discounted sum of the m rewards.
        discounts: [B] float32.
        next_inputs: s_(t+m), each [B, ...]; of a truncated episode its final observation.
    """

    inputs: Inputs
    actions: Tensor
    returns: Tensor
    discounts: Tensor
    next_inputs: Inputs

    @property
    def steps(self) -> int:
        """Number of transitions, B."""
        return len(self.returns)

    def to(self, device: torch.device) -> Transitions:
        """Return the same on a device."""
        if device.type == "cpu":
            return self
        return Transitions(
            inputs={name: value.to(device) for name, value in self.inputs.items()},
            actions=self.actions.to(device),
            returns=self.returns.to(device),
            discounts=self.discounts.to(device),
            next_inputs={name: value.to(device) for name, value in self.next_inputs.items()},
        )

    def outputs(self, network: Network) -> Tensor:
        """Run a network over the observations s_t: [B, outputs]."""
        return network(self.inputs)[0]
