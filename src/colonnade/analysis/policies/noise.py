"""Playing with noise in the network: the runs behind the Average Perturbation Sensitivity."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from colonnade.analysis.policies.activations import Change, changed, check_feature
from colonnade.analysis.policies.choices import NOISE, noise_levels
from colonnade.analysis.policies.perturbation import (
    Floats,
    PerturbationCurves,
    check_skill,
    undecided,
)
from colonnade.analysis.policies.sensitivity import ActivationFisher
from colonnade.checks import whole
from colonnade.errors import UsageError
from colonnade.learners import Acting
from colonnade.networks import ColumnView, Feature
from colonnade.seeding import derive, generator
from colonnade.training import EPISODE_LIMIT, evaluate
from colonnade.types import Task

_SIDE_BY_SIDE = 16
"""Most environments that one process steps at once."""


def perturbation_curves(
    task: Task,
    network: ColumnView,
    fisher: ActivationFisher,
    *,
    learner: Acting | None = None,
    noise: Sequence[float] = NOISE,
    episodes: int = 10,
    error: float | None = None,
    seed: int = 0,
    shared: bool = False,
    pool: Executor | None = None,
    floor: float | None = None,
    limit: int = EPISODE_LIMIT,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PerturbationCurves:
    """Play a task with noise in one layer of one column at a time.

    Levels whose outcome is plain from others are not played: those below one that takes hardly
    anything, and those above one that leaves hardly anything.

    Args:
        task: What to play.
        network: Whose newest column plays.
        fisher: Of the same policy; its variances scale the noise.
        learner: Whose network it is; an actor-critic's by default.
        noise: Noise levels, in standard deviations of each feature (of a feature map: over states
            and pixels).
        episodes: How many to play at each level in each layer.
        error: Standard error of a mean return that suffices, so that fewer are played; see
            `colonnade.training.evaluate`.
        seed: Of the environments, the actions and the noise.
        shared: Let all pixels of a map share one draw, in place of one draw for each pixel.
        pool: Processes that play at once, each another layer, column or level; see `player_pool`.
        floor: The random policy's mean return; measured if not given.
        limit: Agent steps that an episode may last; see `colonnade.training.evaluate`.
        progress: Told how many of how many plays are over.

    Raises:
        UsageError: A number makes no sense, or network and Fisher do not belong together.
        ColonnadeError: The policy scores no better than the random one.
    """
    levels, episodes = noise_levels(noise), whole("episodes at each noise level", episodes)
    features = [feature for level in fisher.levels for feature in level]
    for feature in features:
        check_feature(network, feature)
    stage = _Stage(task, network, learner, fisher, episodes, error, seed, shared, limit)
    if floor is None:
        played = evaluate(task, None, episodes=max(10, episodes), seed=seed, limit=limit)
        floor = float(played.mean())
    found = _Search(stage, levels, features, floor, pool).run(progress)
    clean = found.pop(_NO_NOISE)
    returns = {
        feature: np.stack(
            [_padded(found.get(_Play(feature, level), clean[:0]), episodes) for level in levels]
        )
        for feature in features
    }
    return PerturbationCurves(levels, clean, floor, returns, fisher.levels)


def noise_of(
    deviation: Floats, sigma: float, stream: torch.Generator, shared: bool = False
) -> Change:
    """Make the change that adds fresh Gaussian noise to activations [B, n, ...].

    Args:
        deviation: [n] standard deviation of each feature.
        sigma: Factor on them.
        stream: Where the noise comes from.
        shared: One draw for all pixels of a map.
    """
    scale = torch.from_numpy(sigma * deviation).to(torch.float32)

    def disturb(activations: Tensor) -> Tensor:
        ones = [1] * (activations.dim() - 2)
        if shared:
            draw = activations.new_empty(*activations.shape[:2], *ones)
        else:
            draw = torch.empty_like(activations)
        noise = draw.normal_(generator=stream) * scale.to(draw).view(1, -1, *ones)
        return activations + noise

    return disturb


@dataclass(frozen=True)
class _Play:
    """Noise of one level in one layer; without a layer, no noise."""

    feature: Feature | None
    sigma: float


@dataclass(frozen=True)
class _Stage:
    """What all plays have in common."""

    task: Task
    network: ColumnView
    learner: Acting | None
    fisher: ActivationFisher
    episodes: int
    error: float | None
    seed: int
    shared: bool
    limit: int

    def returns(self, play: _Play) -> Floats:
        device = next(self.network.parameters()).device
        place: AbstractContextManager[None] = nullcontext()
        if play.feature is not None:
            site = self.fisher.sites.get(play.feature)
            # What the output does not depend on may be disturbed at will.
            deviation = np.zeros(1) if site is None else np.sqrt(site.map_variance)
            stream = generator(self.seed, "noise", play.feature.key, str(play.sigma), device=device)
            change = noise_of(deviation, play.sigma, stream, self.shared)
            place = changed(self.network, {play.feature: change})
        with place:
            return evaluate(
                self.task,
                self.network,
                learner=self.learner,
                episodes=self.episodes,
                error=self.error,
                seed=derive(self.seed, "perturbed episodes"),
                num_envs=min(self.episodes, _SIDE_BY_SIDE),
                device=str(device),
                limit=self.limit,
            )


_NO_NOISE = _Play(None, 0.0)


class _Search:
    """Plays without noise and, in each layer, at those levels whose outcome is not plain yet."""

    def __init__(
        self,
        stage: _Stage,
        levels: Sequence[float],
        features: Sequence[Feature],
        floor: float,
        pool: Executor | None,
    ) -> None:
        self._stage = stage
        self._levels = levels
        self._features = features
        self._floor = floor
        self._submit = _at_once if pool is None else pool.submit
        if pool is not None:
            check_sendable(stage)
        self._waiting: dict[Future[Floats], _Play] = {}
        self._found: dict[_Play, Floats] = {}

    def run(self, progress: Callable[[int, int], None]) -> dict[_Play, Floats]:
        """Play until every layer's curve is known; see `perturbation_curves`."""
        total = 1 + len(self._features) * len(self._levels)
        try:
            self._start(_NO_NOISE)
            self._go_on()
            while self._waiting:
                for future in wait(self._waiting, return_when=FIRST_COMPLETED).done:
                    self._found[self._waiting.pop(future)] = future.result()
                if _NO_NOISE in self._found:
                    check_skill(self._found[_NO_NOISE], self._floor)
                progress(self._go_on(), total)
        finally:
            for future in self._waiting:
                future.cancel()
        return self._found

    def _go_on(self) -> int:
        """Start what each layer needs next; return how many plays are over or needless.

        The strongest noise comes first: where that changes nothing, no other level need be played.
        """
        clean = self._found.get(_NO_NOISE)
        busy = {play.feature for play in self._waiting.values()}
        settled = 0 if clean is None else 1
        for feature in self._features:
            plays = [_Play(feature, level) for level in self._levels]
            means = [float(self._found[p].mean()) if p in self._found else None for p in plays]
            settled += len(means) - means.count(None)
            if feature in busy:
                continue
            if means[-1] is None:
                self._start(plays[-1])
            elif clean is not None:
                place = undecided(means, float(clean.mean()), self._floor)
                if place is None:
                    settled += means.count(None)
                else:
                    self._start(plays[place])
        return settled

    def _start(self, play: _Play) -> None:
        self._waiting[self._submit(_Stage.returns, self._stage, play)] = play


def _padded(returns: Floats, episodes: int) -> Floats:
    """Write NaN for episodes [E] that were not played."""
    return np.concatenate([returns, np.full(episodes - returns.size, np.nan)])


def _at_once(work: Callable[..., Floats], *arguments: Any) -> Future[Floats]:
    future: Future[Floats] = Future()
    future.set_result(work(*arguments))
    return future


def check_sendable(stage: object) -> None:
    """Refuse to hand to other processes what cannot be.

    Raises:
        UsageError: It can't.
    """
    try:
        pickle.dumps(stage)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise UsageError(
            f"The task or the network can't be handed to other processes ({error}); play without a "
            "pool, or define their classes and functions at the top of a module."
        ) from None
