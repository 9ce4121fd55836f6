"""The last steps that an on-policy learner took in a task, for when its environments are gone.

Where nobody says when tasks change, a change is noticed late, and no episode of the task that ended
can be played any more. What was last learned from stands for it: a slice of time of all
environments, in which steps of long and of short episodes have their shares.
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Generator
from operator import itemgetter
from typing import Any

import torch
from torch import Tensor

from colonnade.learners.acting.sampling import KEPT, independent
from colonnade.learners.trainer import under
from colonnade.types import Rollout

_BATCH = 256
_LEVEL = 1


class RecentSteps:
    """The last rollouts of a task, `kept` steps of them at least; a `Memory`."""

    def __init__(self, kept: int = KEPT) -> None:
        """Begin with none."""
        self._kept = kept
        self._rollouts: deque[Rollout] = deque()

    def __len__(self) -> int:
        """Steps that it holds, of all environments."""
        return sum(rollout.steps for rollout in self._rollouts)

    def add(self, rollout: Rollout) -> None:
        """Take a copy of a rollout, and let the oldest go."""
        self._rollouts.append(rollout.map(_copied, _copied))
        while len(self) - self._rollouts[0].steps >= self._kept:
            self._rollouts.popleft()

    def drop_newest(self, steps: int) -> None:
        """Forget the last `steps` steps of each environment."""
        while steps > 0 and self._rollouts:
            last = self._rollouts.pop()
            left = len(last.rewards) - steps
            steps -= len(last.rewards)
            if left > 0:
                self._rollouts.append(last.map(itemgetter(slice(left)), lambda v: v))

    def samples(self, seed: int) -> Generator[Rollout]:
        """Yield steps [1, B], or of a recurrent network whole rollouts [T, N], without end."""
        draw = torch.Generator().manual_seed(seed)
        shares = torch.tensor([float(rollout.steps) for rollout in self._rollouts])
        while len(self):
            rollout = self._rollouts[int(torch.multinomial(shares, 1, generator=draw))]
            if not rollout.recurrent:
                rollout = independent(rollout)
                order = torch.randperm(rollout.steps, generator=draw)[:_BATCH]
                rollout = rollout.of_environments(order.to(rollout.rewards.device))
            yield rollout

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all rollouts, frames packed."""
        tensors: dict[str, Tensor] = {}
        frames: dict[str, list[int]] = {}
        for number, rollout in enumerate(self._rollouts):
            for name, value in _parts(rollout).items():
                key, value = f"{number}/{name}", value.detach().cpu()
                if value.dtype == torch.uint8:
                    frames[key] = list(value.shape)
                    packed = zlib.compress(value.contiguous().numpy().tobytes(), _LEVEL)
                    value = torch.frombuffer(bytearray(packed), dtype=torch.uint8)
                tensors[key] = value
        return tensors, {"rollouts": len(self._rollouts), "frames": frames}

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` gave."""
        self._rollouts.clear()
        for number in range(meta["rollouts"]):
            parts = under(f"{number}/", tensors)
            for name, value in parts.items():
                if shape := meta["frames"].get(f"{number}/{name}"):
                    plain = bytearray(zlib.decompress(value.numpy().tobytes()))
                    parts[name] = torch.frombuffer(plain, dtype=torch.uint8).view(shape)
            self._rollouts.append(
                Rollout(
                    inputs=under("inputs/", parts),
                    state=under("state/", parts),
                    **{name: value for name, value in parts.items() if "/" not in name},
                )
            )


def _copied(value: Tensor) -> Tensor:
    return value.detach().clone()


def _parts(rollout: Rollout) -> dict[str, Tensor]:
    """Name all tensors of a rollout; those of inputs and state have a slash."""
    own = {name: value for name, value in vars(rollout).items() if isinstance(value, Tensor)}
    inputs = {f"inputs/{name}": value for name, value in rollout.inputs.items()}
    return own | inputs | {f"state/{name}": value for name, value in rollout.state.items()}
