"""What an action is: to a policy, and to the environments that take it."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Actions:
    """The actions of a task.

    Policies know them as [..., A]. Of a Discrete or MultiDiscrete space these are choices, int64,
    one for each of A components. Of a Box they are its A numbers, float32, in units in which its
    bounds are -1 and 1; where a number has no bounds, in its own unit. What is beyond the bounds is
    cut off when it is sent to an environment, and nowhere else.

    Attributes:
        sizes: Number of choices of each component; Discrete(n) is (n,), and a Box has none.
        width: A.
    """

    def __init__(self, task: str, space: gymnasium.Space[Any]) -> None:
        """Read a space.

        Args:
            task: For messages.
            space: Of the actions of one environment.

        Raises:
            TypeError: It is none of the three kinds, or a Box of whole numbers.
        """
        self._space = space
        self.sizes: tuple[int, ...] = ()
        if isinstance(space, gymnasium.spaces.MultiDiscrete):
            self.sizes = tuple(int(n) for n in space.nvec.ravel())
        elif isinstance(space, gymnasium.spaces.Discrete):
            self.sizes = (int(space.n),)
        elif not isinstance(space, gymnasium.spaces.Box):
            raise TypeError(
                f"Task {task!r} has action space {space}; Colonnade's policies need Discrete, "
                "MultiDiscrete or Box actions, so wrap the environment to give it one of these."
            )
        elif not np.issubdtype(space.dtype, np.floating):
            raise TypeError(
                f"Task {task!r} has action space {space} of {space.dtype}; actions in a Box must "
                "be floating-point numbers, so give whole ones as MultiDiscrete."
            )
        self.width = len(self.sizes) or int(np.prod(space.shape or ()))
        if isinstance(space, gymnasium.spaces.Box):
            bounded = np.isfinite(space.low) & np.isfinite(space.high)
            self._low = np.where(bounded, space.low, -1).astype(np.float64)
            self._half = (np.where(bounded, space.high, 1).astype(np.float64) - self._low) / 2
            self._limits = space.low.astype(np.float64), space.high.astype(np.float64)

    @property
    def continuous(self) -> bool:
        """Whether actions are numbers, and not choices."""
        return not self.sizes

    @property
    def parameters(self) -> int:
        """How many numbers make a policy: the logits of all choices, or a mean and a width each."""
        return sum(self.sizes) or 2 * self.width

    @property
    def dtype(self) -> torch.dtype:
        """Of the tensors in which policies give them."""
        return torch.float32 if self.continuous else torch.int64

    def sent(self, actions: NDArray[Any]) -> NDArray[Any]:
        """Turn the actions [N, A] of a policy into what N environments take."""
        space = self._space
        if isinstance(space, gymnasium.spaces.Discrete):
            return actions[:, 0] + space.start if space.start else actions[:, 0]
        if isinstance(space, gymnasium.spaces.MultiDiscrete):
            choices = actions.reshape(len(actions), *space.shape)
            return choices + space.start if space.start.any() else choices
        assert isinstance(space, gymnasium.spaces.Box)
        numbers = actions.reshape(len(actions), *space.shape).astype(np.float64)
        numbers += 1
        numbers *= self._half
        numbers += self._low
        low, high = self._limits
        return np.minimum(np.maximum(numbers, low), high).astype(space.dtype)

    def random(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw actions [count, A] evenly; a number without bounds from a unit Gaussian."""
        place = generator.device
        if not self.continuous:
            choices = [
                torch.randint(n, (count,), generator=generator, device=place) for n in self.sizes
            ]
            return torch.stack(choices, -1)
        assert isinstance(self._space, gymnasium.spaces.Box)
        bounded = (np.isfinite(self._space.low) & np.isfinite(self._space.high)).ravel()
        uniform = torch.rand((count, self.width), generator=generator, device=place) * 2 - 1
        normal = torch.randn((count, self.width), generator=generator, device=place)
        return torch.where(torch.from_numpy(bounded).to(place), uniform, normal)
