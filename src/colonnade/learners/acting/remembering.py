"""Collecting experience into a replay: a step of all environments at a time, as it comes."""

from __future__ import annotations

from collections.abc import Mapping

import gymnasium
import numpy as np
import torch
from torch import Tensor

from colonnade.learners.acting.collector import Collector
from colonnade.learners.acting.observed import completed, kept_dtype
from colonnade.learners.acting.replay import Replay
from colonnade.learners.compute import Compute
from colonnade.learners.trainer import Policy, Watch, under
from colonnade.ops import evaluation
from colonnade.tasks.vector import episodes_ended, rewards_as_they_came
from colonnade.types import EnvironmentTask, Inputs, Network, Shape, State, TaskSpec
from colonnade.watching import beat

CARRIED = "carried: "
"""Before the names under which a replay keeps what the network remembered before a step."""


def observed_inputs(spec: TaskSpec) -> dict[str, tuple[Shape, torch.dtype]]:
    """Return the shape and the type of each part of a task's observations, as collectors have it.

    See `kept_dtype`: float64 is narrowed to float32.
    """
    space = spec.observation_space
    parts = space.spaces if isinstance(space, gymnasium.spaces.Dict) else None
    found: dict[str, tuple[Shape, torch.dtype]] = {}
    for name, shape in spec.input_shapes.items():
        kind = (space if parts is None else parts[name]).dtype or np.dtype(np.float32)
        dtype = torch.from_numpy(np.zeros(0, kind)).dtype
        found[name] = shape, kept_dtype(dtype)
    return found


def remembered_inputs(
    network: Network,
    spec: TaskSpec,
    num_envs: int,
    compute: Compute,
    *,
    keep_features: bool = True,
) -> dict[str, tuple[Shape, torch.dtype]]:
    """Say what a replay keeps of an observation: shape and type of each part, without the axis N.

    That is what `Network.precompute` makes of it, so that frozen columns are computed once, or the
    observation as it came; and what the network remembers before the step (`CARRIED`).

    Args:
        network: Whose frozen parts.
        spec: Of the task.
        num_envs: N.
        compute: Where and in which precision.
        keep_features: Whether to keep what frozen parts compute.
    """
    device = compute.device
    raw = {
        name: torch.zeros((num_envs, *shape), dtype=dtype, device=device)
        for name, (shape, dtype) in observed_inputs(spec).items()
    }
    with torch.no_grad(), evaluation(network), compute.autocast():
        state = {k: v.to(device) for k, v in network.initial_state(num_envs).items()}
        kept = _kept(*(network.precompute(raw, state) if keep_features else (raw, state)))
    return {name: (tuple(value.shape[1:]), value.dtype) for name, value in kept.items()}


def seen_and_carried(kept: Mapping[str, Tensor]) -> tuple[Inputs, State]:
    """Take apart what a replay kept: a network's inputs, and its state before the step."""
    inputs = {name: value for name, value in kept.items() if not name.startswith(CARRIED)}
    return inputs, under(CARRIED, dict(kept))


class RememberingCollector(Collector):
    """Steps N environments with a policy and writes every step to a replay; a context.

    Of an episode that ends the final observation is written too, with what frozen parts compute
    from it and what the network remembers then.
    """

    def __init__(
        self,
        task: EnvironmentTask,
        network: Network,
        policy: Policy,
        compute: Compute,
        replay: Replay,
        *,
        num_envs: int,
        threads: int = 1,
        watch: Watch | None = None,
        keep_features: bool = True,
    ) -> None:
        """Make the environments; call `begin` before use.

        Args:
            task: What to play.
            network: Whose frozen parts to compute and whose state to carry.
            policy: What decides.
            compute: Where and in which precision.
            replay: Made for `remembered_inputs`.
            num_envs: N.
            threads: Threads that step the environments, where they can use several.
            watch: Called with what the first environment shows after each step.
            keep_features: Whether what frozen parts compute is kept.
        """
        super().__init__(
            task,
            network,
            policy,
            compute,
            steps=1,
            num_envs=num_envs,
            threads=threads,
            resumable=True,
            watch=watch,
        )
        self._replay = replay
        self._keep_features = keep_features

    @torch.no_grad()
    def remember(self, steps: int) -> None:
        """Take so many steps in every environment."""
        if self._to_begin is not None:
            self._begin(self._to_begin)
        with evaluation(self._network):
            for _ in range(steps):
                self._remember()
        self._under_way.forget(self._lengths)

    def _begin(self, seed: int) -> None:
        super()._begin(seed)
        self._replay.begin(self._now(self._steps))

    def _remember(self) -> None:
        now, spare = self._steps, self._steps + 1
        decision = self._policy(self._inputs(now), self._state)
        self._state = decision.state
        actions = decision.actions.cpu()
        sent = self._form.sent(actions.numpy())
        beat()
        observations, rewards, terminated, truncated, info = self._envs.step(sent)
        self._check(observations, rewards)
        self._under_way.note(actions.numpy())
        ended = episodes_ended(terminated, truncated, info)
        final = None
        if ended.any():
            last = completed(info, observations)
            self._check(last, rewards, truncated)
            final = self._now(spare, self._perceive(last, spare))
        self.taken += 1
        self._show(observations)
        self._count(rewards_as_they_came(rewards, info), ended)
        self._host.starts[now] = ended
        self._observe(observations, now)
        clip = self._spec.reward_clip
        earned = torch.from_numpy(np.asarray(rewards, np.float32))
        self._replay.add(
            actions,
            earned if clip is None else earned.clamp(-clip, clip),
            torch.from_numpy(np.array(terminated)),
            torch.from_numpy(np.array(truncated)),
            self._now(now),
            ended=torch.from_numpy(np.array(ended)),
            final=final,
        )

    def _precompute(self, raw: Inputs) -> tuple[Inputs, State]:
        return super()._precompute(raw) if self._keep_features else (raw, self._state)

    def _now(self, place: int, state: State | None = None) -> Inputs:
        """Return, on the host, what is kept of the observation at a place."""
        kept = _kept(self._inputs(place), self._state if state is None else state)
        return {name: value.cpu() for name, value in kept.items()}


def _kept(inputs: Inputs, state: State) -> dict[str, Tensor]:
    return {**inputs, **{CARRIED + name: value for name, value in state.items()}}
