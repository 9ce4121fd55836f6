"""The flat Forget-Me-Not of Kirkpatrick et al. (2017, SI): contexts from pictures alone.

A hidden Markov model over contexts, whose observations are small pictures of independent pixels
(`PixelModels`); docs/recognition.md has the equations and what was measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colonnade.checks import AT_LEAST_1, check_fields
from colonnade.errors import UsageError, unknown_name
from colonnade.recognition.pixel_models import PixelModels
from colonnade.recognition.pixels import Pixels
from colonnade.recognition.recogniser import Observation
from colonnade.types import TaskSpec

Keeps = Literal["latest", "window"]
WhenFull = Literal["nearest", "stop"]


@dataclass(frozen=True)
class ForgetMeNot:
    """How contexts are told apart by their pictures.

    Attributes:
        every: Agent steps from one observation to the next (stated: 4).
        window: Observations until a verdict (stated: 4).
        size: Longest side of the small picture (stated: 42).
        levels: Where brighter grey levels begin; 3 numbers make 4 levels. Not stated.
        concentration: alpha of the Dirichlet prior of each pixel's levels. Not stated.
        keeps: What of a window the winning context keeps: all ("window", as stated), or the
            pictures since it became the most probable for good ("latest"), so that a context found
            in the middle of a window does not begin with pictures of the one before.
        max_contexts: There will be at most so many.
        when_full: What then happens to pictures of yet another: they go to the "nearest" context,
            and a note says so, or training stops with that sentence ("stop").

    Raises:
        UsageError: A number makes no sense.
    """

    every: int = 4
    window: int = 4
    size: int = 42
    levels: tuple[int, ...] = (12, 40, 100)
    concentration: float = 0.5
    keeps: Keeps = "latest"
    max_contexts: int = 32
    when_full: WhenFull = "nearest"

    def __post_init__(self) -> None:
        check_fields(
            self,
            {
                "every": AT_LEAST_1,
                "window": AT_LEAST_1,
                "size": AT_LEAST_1,
                "concentration": (1e-8,),
                "max_contexts": AT_LEAST_1,
            },
        )
        for name, choices in (("keeps", get_args(Keeps)), ("when_full", get_args(WhenFull))):
            if getattr(self, name) not in choices:
                raise unknown_name(f"{name} of ForgetMeNot", str(getattr(self, name)), choices)
        levels = tuple(self.levels)
        whole = all(isinstance(x, int) and not isinstance(x, bool) for x in levels)
        if (
            not levels
            or not whole
            or any(not 0 < x < 256 for x in levels)
            or (list(levels) != sorted(set(levels)))
        ):
            raise UsageError(
                "levels of ForgetMeNot must be rising grey levels from 1 to 255, at which brighter "
                f"ones begin, as in (12, 40, 100); got {self.levels!r}."
            )
        object.__setattr__(self, "levels", levels)

    def build(self, specs: Sequence[TaskSpec]) -> FlatForgetMeNot:
        """Make the recogniser of tasks.

        Raises:
            UsageError: A task shows no picture, or one of another size than the others.
        """
        return FlatForgetMeNot(self, Pixels(self.size, self.levels, specs))


class FlatForgetMeNot:
    """Finds contexts as it goes, "context-0" first; see `Recogniser`.

    Args:
        config: How.
        pixels: What reads the pictures.
    """

    def __init__(self, config: ForgetMeNot, pixels: Pixels) -> None:
        self.notes: list[str] = []
        self._config = config
        self._pixels = pixels
        self._models = PixelModels(pixels.count, pixels.kinds, config.concentration)
        self._belief = np.ones(1)  # p(context | pictures so far) [C + 1], the hold-out's last
        self._best: list[int] = []  # the most probable model after each picture of the window
        self._pictures = 0  # t
        self._steps = 0
        self._current: int | None = None
        self._said_full = False

    @property
    def contexts(self) -> tuple[str, ...]:
        """Known so far, in the order in which they were found."""
        return tuple(_name(number) for number in range(len(self._models) - 1))

    @property
    def current(self) -> str | None:
        """Of the last window; None before the first is over."""
        return None if self._current is None else _name(self._current)

    @property
    def belief(self) -> NDArray[np.float64]:
        """The probability [C + 1] of each context, then that of the hold-out."""
        return self._belief.copy()

    def observe(self, observation: Observation, true: str = "") -> str | None:
        """Look at every fourth step's picture; give a verdict when a window is over.

        Raises:
            UsageError: The picture has another shape than the tasks', or there is a context more
                than allowed and `when_full` is "stop".
        """
        self._steps += 1
        if self._steps % self._config.every:
            return None
        levels = self._pixels.read(observation)
        self._filter(levels)
        self._models.learn(levels)
        if len(self._models.window) < self._config.window:
            return None
        return self._close()

    def identify(self, observations: Sequence[Observation], true: str = "") -> str | None:
        """Return the known context that makes all observations most probable; learn nothing."""
        if len(self._models) == 1 or not observations:
            return None
        scores = sum(self._models.score(self._pixels.read(one)) for one in observations)
        return _name(int(np.argmax(scores)))

    def _filter(self, levels: NDArray[np.uint8]) -> None:
        """Move the belief on by a picture: predict, then correct (the forward recursion).

        predict: p(c | o_<t) = (1 - 1/t) p(c) + 1/t (1 - p(c)) / (C - 1), of C models
        correct: p(c | o_<=t) ~ p(c | o_<t) prod_i (n_c,i(o_i) + alpha) / (N_c + K alpha)
        """
        self._pictures += 1
        prior, others = self._belief, len(self._models) - 1
        if others:
            rate = 1.0 / self._pictures
            prior = (1.0 - rate) * prior + rate * (1.0 - prior) / others
        with np.errstate(divide="ignore"):
            scores = np.log(prior) + self._models.log_likelihoods(levels)
        if self._is_full:
            self._say_full(int(scores.argmax()) == others)
            scores[-1] = -np.inf
        belief = np.exp(scores - scores.max())
        self._belief = belief / belief.sum()
        self._best.append(int(scores.argmax()))

    def _close(self) -> str:
        """End the window: the most probable model keeps what it learned, the others forget."""
        winner, first = self._best[-1], 0
        if self._config.keeps == "latest":
            first = len(self._best)
            while first and self._best[first - 1] == winner:
                first -= 1
        self._best.clear()
        if winner == len(self._models) - 1:
            self._belief = np.append(
                self._belief, 0.0
            )  # the next hold-out's, until it is predicted
        self._models.close(winner, first)
        self._current = winner
        return _name(winner)

    def _say_full(self, another: bool) -> None:
        """Say once that there is a context more than allowed, or stop."""
        if not another or self._said_full:
            return
        said = (
            f"Forget-Me-Not found more than the {self._config.max_contexts} contexts it may have; "
            "raise max_contexts, or tell the tasks by true labels."
        )
        if self._config.when_full == "stop":
            raise UsageError(said)
        self._said_full = True
        self.notes.append(said + " Until then the nearest context is taken.")

    @property
    def _is_full(self) -> bool:
        return len(self._models) > self._config.max_contexts

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return counts, belief and the window under way."""
        arrays = {**self._models.state(), "belief": self._belief.copy()}
        return {name: torch.from_numpy(value) for name, value in arrays.items()}, {
            "best": self._best.copy(),
            "pictures": self._pictures,
            "steps": self._steps,
            "current": self._current,
            "said_full": self._said_full,
        }

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Go on exactly where `state` was called."""
        counts, seen, window = (tensors[x].numpy() for x in ("counts", "seen", "window"))
        self._models.load_state(counts, seen, window)
        self._belief = tensors["belief"].numpy().copy()
        self._best = list(meta["best"])
        self._pictures, self._steps = meta["pictures"], meta["steps"]
        self._current, self._said_full = meta["current"], meta["said_full"]


def _name(number: int) -> str:
    return f"context-{number}"
