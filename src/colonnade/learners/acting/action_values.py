"""How networks whose output is a value for each action act, and what that output means."""

from __future__ import annotations

import math
from collections.abc import Callable

import gymnasium
import torch
from torch import Tensor

from colonnade.errors import UsageError
from colonnade.learners.compute import Compute
from colonnade.learners.trainer import Decision, Policy
from colonnade.ops.likelihoods import Gaussian
from colonnade.types import Inputs, Network, State, TaskSpec


class ActionValues(Gaussian):
    """A unit Gaussian around the value of each action.

    Half the squared TD error is minus the log-density of the target, up to a constant. So the
    exact Fisher is the sum over all actions of the squared gradients of their values. Steps that
    were played say which action was taken, and of that one alone the empirical Fisher takes the
    squared gradient: the target counts as a standard deviation away.
    """

    def fit(self, labels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Bring actions [..., 1] to targets [..., D]: the values, and one more of what was done.

        Raises:
            UsageError: They are no such actions.
        """
        if labels.is_floating_point() or labels.shape != (*self.mean.shape[:-1], 1):
            return super().fit(labels)
        taken = torch.zeros_like(self.mean).scatter(-1, labels.long(), self.std)
        return self.mean.detach() + taken, None


def choices(spec: TaskSpec) -> int:
    """Return how many actions there are to choose from.

    Raises:
        UsageError: An action is not one choice among several.
    """
    if spec.labelled:
        raise UsageError(
            f"Task {spec.id!r} has no environments to act in, so DQN can't learn it; a data set is "
            "learned with the learner 'supervised'."
        )
    space = spec.action_space
    if not isinstance(space, gymnasium.spaces.Discrete):
        raise UsageError(
            f"DQN needs Discrete actions, one choice among several, but task {spec.id!r} has "
            f"{space}; learn it with 'ppo', 'a2c' or 'a3c', or list the choices as one Discrete."
        )
    return int(space.n)


def epsilon_greedy(
    network: Network,
    spec: TaskSpec,
    compute: Compute,
    generator: torch.Generator,
    epsilon: Callable[[], float],
) -> Policy:
    """Make the policy that takes the action of highest value, or with a chance any one.

    Args:
        network: Its output [N, D] is the value of each of the task's actions.
        spec: The task.
        compute: Where and in which precision.
        generator: Draws the chance and the actions, on the network's device.
        epsilon: Says the chance that the action is drawn from all, at each step anew.
    """
    count = choices(spec)

    @torch.no_grad()
    def decide(inputs: Inputs, state: State) -> Decision:
        with compute.autocast():
            output, state = network(inputs, state)
        values = output.float()
        if values.shape[-1] != count:
            raise UsageError(
                f"A Q-network for task {spec.id!r} needs {count} outputs, a value for each action; "
                f"got {values.shape[-1]}."
            )
        chance, device = epsilon(), values.device
        greatest, best = values.max(-1)
        explores = torch.rand(len(values), generator=generator, device=device) < chance
        drawn = torch.randint(count, (len(values),), generator=generator, device=device)
        actions = torch.where(explores, drawn, best)
        other = chance / count
        log_probs = torch.where(
            actions == best,
            math.log(1 - chance + other),
            math.log(other) if other else -math.inf,
        )
        return Decision(actions[:, None], log_probs, greatest, state)

    return decide
