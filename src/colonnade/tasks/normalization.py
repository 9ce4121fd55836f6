"""Observations and rewards brought to the same size by what was seen so far.

A task that asks for it keeps the running means and variances of its observations, and the variance
of its discounted returns, as Gymnasium's `NormalizeObservation` and `NormalizeReward` do. They move
while the task is learned and stand still from then on: whatever plays it later, evaluates or
analyses it sees what its network has learned to read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from gymnasium.spaces import Box, Dict, Space
from gymnasium.vector import VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray
from torch import Tensor

from colonnade.tasks.observations import full_batch
from colonnade.tasks.vector import GOING_ON, RAW_REWARDS, AnyVectorEnv, StepResult
from colonnade.types import OBSERVATION

EPSILON = 1e-8
"""Added to a variance before its root is divided by."""

_BEGIN = 1e-4
"""How many observations of mean 0 and variance 1 the statistics begin with."""

_RETURNS = "returns"
_STATISTICS = ("mean", "variance", "count")


class Moments:
    """Mean and variance of all that was seen, updated batch by batch (Chan et al. 1979).

    Attributes:
        mean: [...] float64.
        variance: [...] float64, of a population.
        count: How many were seen.
    """

    def __init__(self, shape: tuple[int, ...] = ()) -> None:
        """Begin with mean 0 and variance 1, which soon count for nothing."""
        self.mean: NDArray[np.float64] = np.zeros(shape)
        self.variance: NDArray[np.float64] = np.ones(shape)
        self.count = _BEGIN

    def update(self, batch: NDArray[Any]) -> None:
        """Take a batch [N, ...] in."""
        batch = np.asarray(batch, np.float64)
        size = len(batch)
        total = self.count + size
        moved = batch.mean(0) - self.mean
        squares = self.variance * self.count + batch.var(0) * size
        self.variance = (squares + moved**2 * (self.count * size / total)) / total
        self.mean = self.mean + moved * (size / total)
        self.count = total

    @property
    def deviation(self) -> NDArray[np.float64]:
        """What is divided by."""
        return np.sqrt(self.variance + EPSILON)


class Normalization:
    """What a task has seen of its observations and its returns.

    Attributes:
        discount: Of the returns by whose deviation rewards are divided; None leaves rewards as
            they are.
        frozen: Whether it stands still, as it does from the end of the task's training on.
        known: Whether it is of some training, under way or over; before that it says nothing.
    """

    def __init__(self, shapes: Mapping[str, tuple[int, ...]], discount: float | None) -> None:
        """Begin with nothing seen.

        Args:
            shapes: Of the inputs that are normalised, by name; none where only rewards are.
            discount: See above.
        """
        self.discount = discount
        self._shapes = dict(shapes)
        self.frozen = self.known = False
        self._forget()

    def begin(self) -> None:
        """Forget what was seen: the task is about to be learned from its beginning."""
        self._forget()
        self.frozen, self.known = False, True

    def _forget(self) -> None:
        self.observations = {name: Moments(shape) for name, shape in self._shapes.items()}
        self.returns = Moments()

    def observe(self, observations: Any) -> None:
        """Take a batch of observations in."""
        named = _by_name(observations)
        for name, moments in self.observations.items():
            moments.update(named[name])

    def normalized(self, observations: Any) -> Any:
        """Return observations less their mean, over their deviation: float32, each [N, ...]."""
        if not self.observations:
            return observations
        if isinstance(observations, dict):
            return {name: self.of(name, value) for name, value in observations.items()}
        return self.of(OBSERVATION, observations)

    def of(self, name: str, value: NDArray[Any]) -> NDArray[Any]:
        """Normalise the input of a name, [...] or [N, ...]; one that is not stays as it is."""
        if name not in self.observations:
            return value
        moments = self.observations[name]
        return ((value - moments.mean) / moments.deviation).astype(np.float32)

    def state(self) -> dict[str, Tensor]:
        """Return all that was seen, as tensors by name."""
        every = {f"input {name}": moments for name, moments in self.observations.items()}
        tensors = {
            f"{name}|{statistic}": torch.from_numpy(np.array(getattr(moments, statistic)))
            for name, moments in {**every, _RETURNS: self.returns}.items()
            for statistic in _STATISTICS
        }
        return tensors | {"frozen": torch.tensor(self.frozen)}

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Return to what `state` gave.

        Raises:
            KeyError: It is of a task with other inputs.
        """
        every = {f"input {name}": moments for name, moments in self.observations.items()}
        for name, moments in {**every, _RETURNS: self.returns}.items():
            for statistic in _STATISTICS:
                value = tensors[f"{name}|{statistic}"].numpy().astype(np.float64)
                setattr(moments, statistic, float(value) if statistic == "count" else value)
        self.frozen, self.known = bool(tensors["frozen"]), True


class NormalizedVectorEnv(VectorWrapper):
    """Shows normalised observations and rewards; `info[RAW_REWARDS]` [N] has them as they came.

    The final observation of an episode and the first of the next both count. A return begins anew
    with each episode.

    Attributes:
        learns: Whether what is seen here counts, unless the statistics are frozen.
        discounted_returns: [N] float32, of the episodes under way.
    """

    def __init__(self, env: AnyVectorEnv, normalization: Normalization) -> None:
        super().__init__(env)
        self._normalization = normalization
        self.single_observation_space = normalized_space(
            env.single_observation_space, normalization
        )
        self.observation_space = batch_space(self.single_observation_space, env.num_envs)
        self.learns = False
        self.discounted_returns: NDArray[np.float32] = np.zeros(env.num_envs, np.float32)

    def __getattr__(self, name: str) -> Any:
        """Return what `GOING_ON` names of the environment, where it has it."""
        if name in GOING_ON:
            return getattr(self.env, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def seeded_sources(self) -> NDArray[np.int64]:
        """What episodes are played under, where the environment offers it; may be set."""
        sources: NDArray[np.int64] = self.env.seeded_sources  # type: ignore[attr-defined]
        return sources

    @seeded_sources.setter
    def seeded_sources(self, bits: NDArray[np.int64]) -> None:
        self.env.seeded_sources = bits  # type: ignore[attr-defined]

    @property
    def _counts(self) -> bool:
        return self.learns and not self._normalization.frozen

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin episodes; see `gymnasium.vector.VectorEnv.reset`."""
        observations, info = self.env.reset(seed=seed, options=options)
        if self._counts:
            self._normalization.observe(observations)
        self.discounted_returns[:] = 0
        return self._normalization.normalized(observations), info

    def step(self, actions: Any) -> StepResult:
        """Take a step; see `gymnasium.vector.VectorEnv.step`."""
        normalization = self._normalization
        observations, rewards, terminated, truncated, info = self.env.step(actions)
        ended = np.asarray(terminated | truncated, np.bool_)
        final = None
        if "final_obs" in info:
            final = info["final_obs"]
            if not isinstance(final, dict) and final.dtype == object:
                final = full_batch(self.env.single_observation_space, final, ended)
        if self._counts:
            normalization.observe(_joined(observations, final, ended))
        if final is not None:
            info["final_obs"] = normalization.normalized(final)
        if self._counts and ended.any():  # the first observations of the next episodes
            normalization.observe(_rows(observations, ended))
        info[RAW_REWARDS] = np.asarray(rewards, np.float32)
        # By all that was seen so far, so that a checkpoint's statistics show the same again.
        shown = normalization.normalized(observations)
        return shown, self._rewards(rewards, terminated, ended), terminated, truncated, info

    def _rewards(
        self, rewards: NDArray[Any], terminated: NDArray[Any], ended: NDArray[np.bool_]
    ) -> NDArray[np.float32]:
        discount, moments = self._normalization.discount, self._normalization.returns
        if discount is None:
            return np.asarray(rewards, np.float32)
        goes_on = discount * (1 - np.asarray(terminated, np.float32))
        self.discounted_returns = (self.discounted_returns * goes_on + rewards).astype(np.float32)
        if self._counts:
            moments.update(self.discounted_returns)
        self.discounted_returns[ended] = 0
        return np.asarray(rewards / moments.deviation, np.float32)


def normalized_space(space: Space[Any], normalization: Normalization) -> Space[Any]:
    """Return the space of normalised observations of a Box or a Dict of Boxes."""
    if not normalization.observations:
        return space
    if isinstance(space, Dict):
        return Dict({name: _unbounded(part) for name, part in space.spaces.items()})
    return _unbounded(space)


class NormalizedBox(Box):
    """What a network is shown where a task normalises: numbers that mean nothing by themselves."""


def _unbounded(space: Space[Any]) -> Box:
    return NormalizedBox(-np.inf, np.inf, space.shape, np.float32)


def _by_name(observations: Any) -> dict[str, Any]:
    return observations if isinstance(observations, dict) else {OBSERVATION: observations}


def _rows(observations: Any, rows: NDArray[np.bool_]) -> Any:
    if isinstance(observations, dict):
        return {name: value[rows] for name, value in observations.items()}
    return observations[rows]


def _joined(observations: Any, others: Any, rows: NDArray[np.bool_]) -> Any:
    """Return a batch with some rows [N] taken from another, where there is another."""
    if others is None or not rows.any():
        return observations
    if isinstance(observations, dict):
        return {name: _joined(value, others[name], rows) for name, value in observations.items()}
    batch = np.array(observations)
    batch[rows] = others[rows]
    return batch
