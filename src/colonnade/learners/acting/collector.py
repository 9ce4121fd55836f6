"""Collecting experience: one way for every on-policy learner, network and task."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from colonnade.errors import UsageError
from colonnade.learners.acting.observed import buffer, by_name, completed, first_bad_number, made_of
from colonnade.learners.acting.policies import AtOnce
from colonnade.learners.acting.under_way import UnderWay
from colonnade.learners.compute import Compute
from colonnade.learners.trainer import Deferring, Policy, Watch, under
from colonnade.ops import evaluation
from colonnade.seeding import derive
from colonnade.tasks.places import places_from
from colonnade.tasks.vector import environments, episodes_ended, rewards_as_they_came
from colonnade.types import EnvironmentTask, Episode, Inputs, Network, Rollout, State
from colonnade.watching import beat

_FEW_PLANES = 4
"""Up to so many are woven into channels-last memory one by one, in half the time of one copy."""


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


class Share(NamedTuple):
    """Which of all environments of a task a collector steps.

    Attributes:
        first: The place of its first one among all.
        total: How many there are in all; the network's initial state is asked for so many.
    """

    first: int
    total: int


class Collector:
    """Steps N environments with a policy and hands over rollouts of T steps; a context.

    The environments reset in the same step as an episode ends, so every step is experience.
    The network acts in evaluation mode. Its frozen parts are computed once per observation, here;
    learners find their results in `Rollout.inputs`. Buffers are reused: a rollout is valid until
    the next `collect`.

    Attributes:
        episodes: Episodes finished since this list was last cleared; their `step` counts all
            environments' steps since `begin`.
        taken: Steps of each environment since `begin`.
        notes: What a user should know of what happened here.
    """

    def __init__(
        self,
        task: EnvironmentTask,
        network: Network,
        policy: Policy,
        compute: Compute,
        *,
        steps: int,
        num_envs: int,
        threads: int = 1,
        share: Share | None = None,
        resumable: bool = False,
        watch: Watch | None = None,
    ) -> None:
        """Make the environments; call `begin` before use.

        Args:
            task: What to play.
            network: Whose frozen parts to compute and whose state to carry.
            policy: What decides.
            compute: Where and in which precision.
            steps: T.
            num_envs: N.
            threads: Threads that step the environments, where they can use several.
            share: Which of more environments these are, where others step the rest.
            resumable: Whether this is training: `state` will be asked for, and what is seen
                counts where a task normalises it.
            watch: Called with what the first environment shows after each step.
        """
        self.episodes: list[Episode] = []
        self.notes: list[str] = []
        self._spec = task.spec
        self._share = share or Share(0, num_envs)
        with places_from(self._share.first):
            self._envs = environments(task, num_envs, threads)
        self._network = network
        self._policy = policy if isinstance(policy, Deferring) else AtOnce(policy)
        self._compute = compute
        self._steps = steps
        self._buffers: Inputs = {}  # T + 2 places: one after the rollout, one for final values
        self._places: dict[str, tuple[Tensor, ...]] = {}  # the same, place by place
        self._arrays: dict[str, np.ndarray[Any, Any]] = {}  # the same, on the host
        self._host = _Arrays.empty(steps, num_envs)
        self._form = form = self._spec.actions
        self._acted: list[tuple[Tensor, Tensor]] = []  # actions and output at each step
        self._returns = np.zeros(num_envs)
        self._lengths = np.zeros(num_envs, np.int64)
        self.taken = 0
        self._under_way = UnderWay(self._envs, form)
        self._resumable = resumable
        self._watch = watch
        self._to_begin: int | None = None
        self._seed = 0

    def __enter__(self) -> Collector:
        """Return the collector."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the environments."""
        self._envs.close()

    def begin(self, seed: int) -> None:
        """Begin new episodes in all environments with the next rollout; count steps from 0."""
        self.taken = 0
        # Not at once: `load_state` may follow, and then environments are reset but once, so that
        # even those that count their resets come back to where they were.
        self._to_begin = self._seed = seed

    def _begin(self, seed: int) -> None:
        self._to_begin = None
        self._under_way.count(self._resumable)
        observations = self._under_way.begin(seed)
        self._returns[:] = 0
        self._lengths[:] = 0
        self._host.starts[self._steps] = True
        self._check(observations, np.zeros(len(self._returns), np.float32))
        with evaluation(self._network):
            self._state = self._initial_state()
            self._observe(observations, self._steps)

    @torch.no_grad()
    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the experience under way: environments, what is seen, what is remembered."""
        if self._to_begin is not None:  # nothing was collected yet, as by a worker without orders
            self._begin(self._to_begin)
        steps = self._steps
        seen = dict.fromkeys(self._needed, "inputs") | dict.fromkeys(self._unread, "unread")
        tensors = {f"{k}/{name}": self._buffers[name][steps].clone() for name, k in seen.items()}
        tensors |= {f"carried/{name}": part.clone() for name, part in self._state.items()}
        under_way = self._under_way.state(self._lengths)
        tensors |= {f"environments/{name}": value for name, value in under_way.items()}
        tensors |= {
            "starts": torch.from_numpy(self._host.starts[steps].copy()),
            "returns": torch.from_numpy(self._returns.copy()),
            "lengths": torch.from_numpy(self._lengths.copy()),
        }
        return tensors, {"taken": self.taken}

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Go on where `state` was called.

        Environments that do not come to what was seen then, since they do not follow from their
        seeds and actions, begin new episodes, and a note says so.
        """
        self.taken, self._to_begin = meta["taken"], None
        self._host.starts[self._steps] = tensors["starts"].numpy()
        self._returns[:], self._lengths[:] = tensors["returns"].numpy(), tensors["lengths"].numpy()
        device = self._compute.device
        inputs, unread = under("inputs/", tensors), under("unread/", tensors)
        self._state = {k: v.to(device) for k, v in under("carried/", tensors).items()}
        observations = self._under_way.restore(under("environments/", tensors))
        if observations is not None and not made_of(by_name(observations), inputs | unread):
            self.notes.append(
                f"Environments of task {self._spec.id!r} did not come back to where they were "
                "when their actions were played again, so their episodes began anew; for runs that "
                "resume exactly they must follow from their seeds."
            )
            self._begin(derive(self._seed, "begun anew", self.taken))
            return
        self._under_way.count(self._resumable)
        self._needed, self._unread = tuple(inputs), tuple(unread)
        for name, value in (inputs | unread).items():
            self._place(name, value, self._steps).copy_(value)

    @torch.no_grad()
    def collect(self) -> Rollout:
        """Take T steps in every environment."""
        if self._to_begin is not None:
            self._begin(self._to_begin)
        with evaluation(self._network):
            first_state = self._state
            final_values = self._play(self._steps)
            last = self._policy(self._inputs(self._steps), self._state)
        return self._rollout(first_state, final_values, last.values)

    @torch.no_grad()
    def skip(self, steps: int) -> None:
        """Take fewer than T steps that no rollout holds, and forget the episodes that they end."""
        if self._to_begin is not None:
            self._begin(self._to_begin)
        with evaluation(self._network):
            self._play(steps)
        for values in self._buffers.values():
            values[self._steps].copy_(values[steps])
        self._host.starts[self._steps] = self._host.starts[steps]
        self.episodes.clear()

    def _play(self, count: int) -> Tensor:
        """Take so many steps; return the values [T, N] of final observations."""
        steps, host = self._steps, self._host
        host.starts[0] = host.starts[steps]
        for values in self._buffers.values():
            values[0].copy_(values[steps])
        final_values = torch.zeros((steps, len(self._returns)), device=self._compute.device)
        self._acted.clear()
        for t in range(count):
            beat()
            chosen, output, self._state = self._policy.act(self._inputs(t), self._state)
            self._acted.append((chosen, output))
            actions = chosen.cpu().numpy()
            observations, rewards, terminated, truncated, info = self._envs.step(
                self._form.sent(actions)
            )
            self._check(observations, rewards)
            if self._resumable:
                self._under_way.note(actions)
            ended = episodes_ended(terminated, truncated, info)
            host.rewards[t], host.terminated[t], host.truncated[t] = rewards, terminated, truncated
            host.starts[t + 1] = ended
            if np.count_nonzero(truncated):
                final = completed(info, observations)
                self._check(final, host.rewards[t], truncated)
                final_values[t] = self._values_of(final)
            self.taken += 1
            self._show(observations)
            self._count(rewards_as_they_came(host.rewards[t], info), ended)
            self._observe(observations, t + 1)
        self._under_way.forget(self._lengths)
        return final_values

    def _show(self, observations: Any) -> None:
        """Let who watches see what the first environment shows."""
        if self._watch is None:
            return
        if isinstance(observations, dict):
            self._watch({name: value[0] for name, value in observations.items()})
        else:
            self._watch(observations[0])

    def _check(
        self,
        observations: Any,
        rewards: np.ndarray[Any, Any],
        rows: np.ndarray[Any, Any] | None = None,
    ) -> None:
        """Refuse what is no number in float32, of the environments `rows`, before it is used."""
        if (found := first_bad_number(observations, rewards, rows)) is not None:
            env, what = found
            raise UsageError(
                f"Environment {self._share.first + env} of task {self._spec.id!r} gave NaN or "
                f"infinity as {what}, in step {self.taken + 1}; mend the environment, or clip "
                "what it gives."
            )

    def _inputs(self, t: int) -> Inputs:
        return {name: self._places[name][t] for name in self._needed}

    def _observe(self, observations: Any, t: int) -> None:
        """Bring what the network needs of an observation to place `t`, and its state up to it."""
        starts = self._host.starts[t]
        if self._state and starts.any():
            mask = torch.from_numpy(starts).to(self._compute.device)
            initial = self._initial_state()
            self._state = {
                name: torch.where(_expand(mask, part), initial[name], part)
                for name, part in self._state.items()
            }
        self._state = self._perceive(observations, t)

    def _initial_state(self) -> State:
        """Ask anew each time: what an episode begins with may change, as PathNet's routes do."""
        first, count = self._share.first, len(self._returns)
        initial = self._network.initial_state(self._share.total)
        device = self._compute.device
        return {name: part[first : first + count].to(device) for name, part in initial.items()}

    def _perceive(self, observations: Any, t: int) -> State:
        """Write an observation, and what frozen parts compute from it, to place `t`."""
        raw = {
            name: self._write_array(name, value, t) for name, value in by_name(observations).items()
        }
        inputs, state = self._precompute(raw)
        for name, value in inputs.items():
            if name not in raw:
                self._write(name, value, t)
        self._needed = tuple(inputs)
        self._unread = tuple(name for name in raw if name not in inputs)
        return state

    def _precompute(self, raw: Inputs) -> tuple[Inputs, State]:
        with self._compute.autocast():
            return self._network.precompute(raw, self._state)

    def _write_array(self, name: str, value: Any, t: int) -> Tensor:
        known = self._arrays.get(name)
        if known is None or value.ndim == 4:
            return self._write(name, torch.as_tensor(np.ascontiguousarray(value)), t)
        known[t] = value  # in a fraction of the time that a tensor takes to be made and copied
        return self._places[name][t]

    def _write(self, name: str, value: Tensor, t: int) -> Tensor:
        place = self._place(name, value, t)
        if value.dim() == 4 and value.shape[1] <= _FEW_PLANES and place.device.type == "cpu":
            for plane in range(value.shape[1]):
                place[:, plane].copy_(value[:, plane])
            return place
        return place.copy_(value)

    def _place(self, name: str, like: Tensor, t: int) -> Tensor:
        """Return place `t` of an input; room is made where there is none yet."""
        if name not in self._places:
            self._buffers[name] = buffer(self._steps + 2, like, self._compute.device)
            self._places[name] = self._buffers[name].unbind()
            if self._compute.device.type == "cpu" and like.dtype != torch.bfloat16:
                self._arrays[name] = self._buffers[name].numpy()
        return self._places[name][t]

    def _values_of(self, final_observations: Any) -> Tensor:
        """Value [N] of final observations; rows of episodes that go on mean nothing."""
        spare = self._steps + 1
        state = self._perceive(final_observations, spare)
        return self._policy(self._inputs(spare), state).values

    def _count(self, rewards: np.ndarray[Any, Any], ended: np.ndarray[Any, Any]) -> None:
        self._returns += rewards
        self._lengths += 1
        if not np.count_nonzero(ended):
            return
        for env in np.flatnonzero(ended):
            total, length = float(self._returns[env]), int(self._lengths[env])
            place, step = self._share.first + int(env), self.taken * self._share.total
            self.episodes.append(Episode(total, length, place, step))
        self._returns[ended] = 0
        self._lengths[ended] = 0

    def _rollout(self, state: State, final_values: Tensor, last_value: Tensor) -> Rollout:
        actions, outputs = map(torch.stack, zip(*self._acted, strict=True))
        log_probs, values = self._policy.judge(outputs, actions)
        host, device, clip = self._host, self._compute.device, self._spec.reward_clip
        rewards = torch.from_numpy(host.rewards)
        return Rollout(
            inputs={name: self._buffers[name][: self._steps] for name in self._needed},
            actions=actions.to(self._form.dtype),
            rewards=(rewards if clip is None else rewards.clamp(-clip, clip)).to(device),
            terminated=torch.from_numpy(host.terminated).to(device),
            truncated=torch.from_numpy(host.truncated).to(device),
            starts=torch.from_numpy(host.starts[:-1]).to(device),
            log_probs=log_probs,
            values=values,
            final_values=final_values,
            last_value=last_value,
            state=state,
        )


def _expand(mask: Tensor, like: Tensor) -> Tensor:
    return mask.view(-1, *[1] * (like.dim() - 1))
