"""Collecting experience: one way for every on-policy learner, network and task."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

import gymnasium
import numpy as np
import torch
from torch import Tensor

from colonnade.errors import UsageError
from colonnade.learners.actor_critic import Policy
from colonnade.learners.compute import Compute
from colonnade.types import OBSERVATION, Inputs, Network, Rollout, Shape, State, Task


class Episode(NamedTuple):
    """A finished episode.

    Attributes:
        total_return: Undiscounted, unclipped.
        length: Agent steps.
        environment: Which of the N environments it was in.
    """

    total_return: float
    length: int
    environment: int


@dataclass
class _Arrays:
    """What the environments say in T steps, gathered on the host."""

    rewards: np.ndarray[Any, np.dtype[np.float32]]
    terminated: np.ndarray[Any, np.dtype[np.bool_]]
    truncated: np.ndarray[Any, np.dtype[np.bool_]]
    starts: np.ndarray[Any, np.dtype[np.bool_]]

    @classmethod
    def empty(cls, steps: int, envs: int) -> _Arrays:
        flags = [np.zeros((steps + extra, envs), bool) for extra in (0, 0, 1)]
        return cls(np.zeros((steps, envs), np.float32), *flags)


class _Lane:
    """A group of environments that are stepped together, beside the other groups.

    Attributes:
        part: Which of the N environments these are.
        state: The network's state for them, up to the present observation.
    """

    def __init__(self, task: Task, start: int, count: int, threads: int) -> None:
        self.envs = task.make_vec(count, threads)
        self.part = slice(start, start + count)
        self.initial: State = {}
        self.state: State = {}
        self._pending: Future[Any] | None = None

    def reset(self, seed: int) -> Any:
        """Begin new episodes and return the observations."""
        self.wait()
        return self.envs.reset(seed=seed + self.part.start)[0]

    def send(self, actions: Any, pool: ThreadPoolExecutor | None) -> None:
        """Take a step, in the background if there is a pool."""
        if pool is not None:
            self._pending = pool.submit(self.envs.step, actions)
        else:
            self._result = self.envs.step(actions)

    def receive(self) -> Any:
        """Return what the last step gave."""
        if self._pending is not None:
            self._result, self._pending = self._pending.result(), None
        return self._result

    def wait(self) -> None:
        """Let a step that is under way end."""
        if self._pending is not None:
            wait([self._pending])
            self._pending = None


class Collector:
    """Steps N environments with a policy and hands over rollouts of T steps; a context.

    The environments reset in the same step as an episode ends, so every step is experience.
    Frozen parts of the network are computed once per observation, here; learners find their
    results in `Rollout.inputs`. Buffers are reused: a rollout is valid until the next `collect`.

    With several lanes, one group of environments is stepped in the background while the network
    decides for another; the numbers do not depend on which is faster.

    Attributes:
        episodes: Episodes finished since this list was last cleared.
    """

    def __init__(
        self,
        task: Task,
        network: Network,
        policy: Policy,
        compute: Compute,
        *,
        steps: int,
        num_envs: int,
        threads: int = 1,
        lanes: int = 1,
    ) -> None:
        """Make the environments; call `reset` before use.

        Args:
            task: What to play.
            network: Whose frozen parts to compute and whose state to carry.
            policy: What decides.
            compute: Where and in which precision.
            steps: T.
            num_envs: N, all lanes together.
            threads: Threads that step each lane, where the environment can use several.
            lanes: Groups of environments.
        """
        if lanes > num_envs:
            raise UsageError(f"{num_envs} environments can't be split into {lanes} lanes.")
        self.episodes: list[Episode] = []
        self._spec = task.spec
        self._network = network
        self._policy = policy
        self._steps = steps
        self._compute = compute
        bounds = [num_envs * lane // lanes for lane in range(lanes + 1)]
        self._lanes = [_Lane(task, start, end - start, threads) for start, end in pairwise(bounds)]
        self._pool = ThreadPoolExecutor(lanes) if lanes > 1 else None
        for lane in self._lanes:
            count = lane.part.stop - lane.part.start
            initial = network.initial_state(count)
            lane.initial = {name: part.to(compute.device) for name, part in initial.items()}
        self._buffers: Inputs = {}  # T + 2 places: one after the rollout, one for final values
        self._host = _Arrays.empty(steps, num_envs)
        device = compute.device
        sizes = self._spec.action_sizes
        self._actions = torch.empty((steps, num_envs, len(sizes)), dtype=torch.int64, device=device)
        self._log_probs = torch.empty((steps, num_envs), device=device)
        self._values = torch.empty((steps, num_envs), device=device)
        self._returns = np.zeros(num_envs)
        self._lengths = np.zeros(num_envs, np.int64)
        self._flat = isinstance(self._spec.action_space, gymnasium.spaces.Discrete)

    def __enter__(self) -> Collector:
        """Return the collector."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the environments."""
        for lane in self._lanes:
            lane.wait()
            lane.envs.close()
        if self._pool is not None:
            self._pool.shutdown()

    @torch.no_grad()
    def reset(self, seed: int) -> None:
        """Begin new episodes in all environments."""
        self._returns[:] = 0
        self._lengths[:] = 0
        self._host.starts[self._steps] = True
        for lane in self._lanes:
            observations = lane.reset(seed)
            lane.state = dict(lane.initial)
            self._observe(lane, observations, self._steps)

    @torch.no_grad()
    def collect(self) -> Rollout:
        """Take T steps in every environment."""
        steps, lanes = self._steps, self._lanes
        self._host.starts[0] = self._host.starts[steps]
        for buffer in self._buffers.values():
            buffer[0].copy_(buffer[steps])
        names = lanes[0].state
        first_state = {name: torch.cat([lane.state[name] for lane in lanes]) for name in names}
        self._final_values = torch.zeros_like(self._values)
        for t in range(steps):
            for lane in lanes:
                if t > 0:
                    self._receive(lane, t - 1)
                self._act(lane, t)
        for lane in lanes:
            self._receive(lane, steps - 1)
        last = [self._policy(self._inputs(lane, steps), lane.state).values for lane in lanes]
        return self._rollout(first_state, torch.cat(last))

    def _act(self, lane: _Lane, t: int) -> None:
        """Decide step `t` of a lane and let it be taken."""
        decision = self._policy(self._inputs(lane, t), lane.state)
        lane.state = decision.state
        self._actions[t, lane.part] = decision.actions
        self._log_probs[t, lane.part] = decision.log_probs
        self._values[t, lane.part] = decision.values
        actions = decision.actions.cpu().numpy()
        lane.send(actions[:, 0] if self._flat else actions, self._pool)

    def _receive(self, lane: _Lane, t: int) -> None:
        """Take in what step `t` of a lane gave."""
        observations, rewards, terminated, truncated, info = lane.receive()
        host, part = self._host, lane.part
        ended = terminated | truncated
        host.rewards[t, part], host.terminated[t, part] = rewards, terminated
        host.truncated[t, part], host.starts[t + 1, part] = truncated, ended
        if truncated.any():
            final = _complete(info["final_obs"], observations)
            state = self._perceive(lane, final, self._steps + 1)
            inputs = self._inputs(lane, self._steps + 1)
            self._final_values[t, part] = self._policy(inputs, state).values
        self._count(lane, host.rewards[t, part], ended)
        self._observe(lane, observations, t + 1)

    def _inputs(self, lane: _Lane, t: int) -> Inputs:
        return {name: self._buffers[name][t, lane.part] for name in self._needed}

    def _observe(self, lane: _Lane, observations: Any, t: int) -> None:
        """Bring what the network needs of an observation to place `t`, and its state up to it."""
        starts = self._host.starts[t, lane.part]
        if lane.state and starts.any():
            mask = torch.from_numpy(starts).to(self._compute.device)
            lane.state = {
                name: torch.where(_expand(mask, part), lane.initial[name], part)
                for name, part in lane.state.items()
            }
        lane.state = self._perceive(lane, observations, t)

    def _perceive(self, lane: _Lane, observations: Any, t: int) -> State:
        """Write an observation, and what frozen parts compute from it, to place `t`."""
        named = observations if isinstance(observations, dict) else {OBSERVATION: observations}
        raw = {
            name: self._write(name, torch.as_tensor(value), lane, t)
            for name, value in named.items()
        }
        with self._compute.autocast():
            inputs, state = self._network.precompute(raw, lane.state)
        for name, value in inputs.items():
            if name not in raw:
                self._write(name, value, lane, t)
        self._needed = tuple(inputs)
        return state

    def _write(self, name: str, value: Tensor, lane: _Lane, t: int) -> Tensor:
        if name not in self._buffers:
            shape = (self._steps + 2, len(self._returns), *value.shape[1:])
            self._buffers[name] = _buffer(shape, value.dtype, self._compute.device)
        return self._buffers[name][t, lane.part].copy_(value)

    def _count(
        self, lane: _Lane, rewards: np.ndarray[Any, Any], ended: np.ndarray[Any, Any]
    ) -> None:
        returns, lengths = self._returns[lane.part], self._lengths[lane.part]
        returns += rewards
        lengths += 1
        for env in np.flatnonzero(ended):
            index = lane.part.start + int(env)
            self.episodes.append(Episode(float(returns[env]), int(lengths[env]), index))
        returns[ended] = 0
        lengths[ended] = 0

    def _rollout(self, state: State, last_value: Tensor) -> Rollout:
        host, device, clip = self._host, self._compute.device, self._spec.reward_clip
        rewards = torch.from_numpy(host.rewards)
        return Rollout(
            inputs={name: self._buffers[name][: self._steps] for name in self._needed},
            actions=self._actions,
            rewards=(rewards if clip is None else rewards.clamp(-clip, clip)).to(device),
            terminated=torch.from_numpy(host.terminated).to(device),
            truncated=torch.from_numpy(host.truncated).to(device),
            starts=torch.from_numpy(host.starts[:-1]).to(device),
            log_probs=self._log_probs,
            values=self._values,
            final_values=self._final_values,
            last_value=last_value,
            state=state,
        )


def _complete(final: Any, observations: Any) -> Any:
    """Make a full batch of Gymnasium's final observations, which may be one object per episode."""
    if isinstance(final, dict) or final.dtype != object:
        return final
    ended = [env for env, one in enumerate(final) if one is not None]

    def fill(batch: np.ndarray[Any, Any], name: str | None) -> np.ndarray[Any, Any]:
        whole = np.array(batch)
        for env in ended:
            whole[env] = final[env] if name is None else final[env][name]
        return whole

    if isinstance(observations, dict):
        return {name: fill(batch, name) for name, batch in observations.items()}
    return fill(observations, None)


def _expand(mask: Tensor, like: Tensor) -> Tensor:
    return mask.view(-1, *[1] * (like.dim() - 1))


def _buffer(shape: Shape, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Make room for [places, N, ...]; images [places, N, C, H, W] in channels-last memory."""
    if dtype == torch.float64:
        dtype = torch.float32
    if len(shape) == 5:
        places, n, c, h, w = shape
        memory = torch.empty((places, n, h, w, c), dtype=dtype, device=device)
        return memory.permute(0, 1, 4, 2, 3)
    return torch.empty(shape, dtype=dtype, device=device)
