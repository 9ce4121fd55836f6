"""What off-policy learners remember: a ring of the last steps of several environments.

A step costs one frame of memory, 7,056 bytes at 84 x 84, where four frames for a state and four for
the next would cost 56,448. Observations are entries of a ring of each environment; a finished
episode's final observation is an entry of its own, in which nothing was done::

    entry     0    1    2    3    4    5      an episode of 3 steps was truncated after entry 2;
    observed  s0   s1   s2   end  s0   s1     the next begins at entry 4
    acted     yes  yes  yes  no   yes  no     no: not (yet) a transition's first

A transition of n steps begins at an entry in which something was done and follows the entries until
the n-th after it or the episode's end, so it never crosses an episode or the newest entry.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colonnade.checks import AT_LEAST_1, SHARE, real, whole
from colonnade.errors import UsageError
from colonnade.learners.acting.frames import Stacks, Store
from colonnade.learners.acting.memory import check_memory
from colonnade.learners.acting.records import Records
from colonnade.learners.acting.replay_size import FEWER, is_stack, replay_bytes, ring_places
from colonnade.learners.acting.transitions import Transitions
from colonnade.learners.trainer import under
from colonnade.types import Inputs, Shape

_FEW = 1024
"""Of so few entries the transitions are listed; of more, draws of other entries are repeated."""

_ROUNDS = 100
"""So often; then hardly any entry begins a transition, and they are listed after all."""


class Replay:
    """The last `capacity` steps of N environments.

    Where episodes are so short that the frames that begin and end them fill more than the spare
    room (2 %; from some 100 steps an episode on they do not), it holds some steps fewer; where
    stacks do not move on by one frame, many fewer.

    Attributes:
        seen: Steps added since it was made, of all environments; a task's own clock.
        crowded: Whether steps have had to go for want of room, before `capacity` were held.
    """

    def __init__(
        self,
        capacity: int,
        num_envs: int,
        inputs: Mapping[str, tuple[Shape, torch.dtype]],
        *,
        actions: int = 1,
        name: str = "the task",
        advice: str = FEWER,
    ) -> None:
        """Make room, in memory that is taken as it fills.

        Args:
            capacity: Steps to keep, of all environments together.
            num_envs: N.
            inputs: Shape and type of each input of an observation, without the axis N. Stacks of
                grey frames share them (`is_stack`); anything else is kept whole, as what frozen
                columns computed (`Network.precompute`) if that is to be kept too.
            actions: Components of an action, A.
            name: Of the task, for messages.
            advice: What to do where memory will not do.

        Raises:
            UsageError: A number makes no sense, or memory will not do.
        """
        whole("capacity of a replay", capacity)
        whole("environments of a replay", num_envs)
        if capacity < num_envs:
            raise UsageError(
                f"A replay of {capacity} steps can't be shared by {num_envs} environments; give it "
                "at least a step for each."
            )
        self._inputs, self._envs, self._actions = dict(inputs), num_envs, actions
        self._share = -(-capacity // num_envs)
        self.crowded = False
        self._places = places = ring_places(self._share, inputs)
        check_memory(
            replay_bytes(capacity, num_envs, inputs, actions=actions),
            f"The replay of {name} with {capacity:,} steps",
            advice,
        )
        self._stores: dict[str, Store] = {
            key: Stacks(num_envs, places, shape, dtype)
            if is_stack(shape, dtype)
            else Records(num_envs, places, shape, dtype)
            for key, (shape, dtype) in inputs.items()
        }
        self._done = Records(num_envs, places, (actions,), torch.int32)
        self._nothing = torch.zeros(actions, dtype=torch.int32)
        self._rewards = np.zeros((num_envs, places), np.float32)
        self._acted = np.zeros((num_envs, places), np.bool_)
        self._terminated = np.zeros((num_envs, places), np.bool_)
        self._truncated = np.zeros((num_envs, places), np.bool_)
        self._oldest = np.zeros(num_envs, np.int64)  # entries are counted without end
        self._newest = np.full(num_envs, -1, np.int64)
        self._held = np.zeros(num_envs, np.int64)
        self.seen = 0

    def __len__(self) -> int:
        """Steps that it holds."""
        return int(self._held.sum())

    def begin(self, inputs: Inputs) -> None:
        """Take the first observations, each [N, ...], of episodes that begin in all environments.

        Episodes that were under way are left as they are: their last observation begins no step.
        """
        self._check(inputs)
        for env in range(self._envs):
            self._put(env, inputs, start=True)

    def add(
        self,
        actions: Tensor,
        rewards: Tensor,
        terminated: Tensor,
        truncated: Tensor,
        inputs: Inputs,
        *,
        ended: Tensor | None = None,
        final: Inputs | None = None,
    ) -> None:
        """Take a step of all environments.

        Args:
            actions: [N, A] that were done.
            rewards: [N], clipped if the learner clips them.
            terminated: [N] bool; nothing follows.
            truncated: [N] bool; cut off, so that its value goes on.
            inputs: The observations after the step, each [N, ...]; where an episode ended, the
                first of the next (environments reset in the same step).
            ended: [N] bool, where an episode ended; None where `terminated` or `truncated`. A lost
                life that only the learner takes for an end terminates without ending an episode.
            final: The last observations of the episodes that ended, each [N, ...]; other rows
                mean nothing.

        Raises:
            UsageError: It has not begun, or inputs are missing or of other shapes.
        """
        if (self._newest < 0).any():
            raise UsageError("A replay takes the first observations by begin() before any step.")
        over = (terminated | truncated) if ended is None else ended
        self._check(inputs)
        if bool(over.any()):
            if final is None:
                raise UsageError(
                    "An episode ended, but the replay was not given its final observation; hand "
                    "over info['final_obs'] as final=."
                )
            self._check(final)
        for env in range(self._envs):
            place = int(self._newest[env] % self._places)
            self._done.put(env, int(self._newest[env]), actions[env], start=False)
            self._rewards[env, place] = float(rewards[env])
            self._acted[env, place] = True
            self._terminated[env, place] = bool(terminated[env])
            self._truncated[env, place] = bool(truncated[env])
            self._held[env] += 1
            if bool(over[env]):
                self._put(env, final or {}, start=False)
                self._put(env, inputs, start=True)
            else:
                self._put(env, inputs, start=False)
            while self._held[env] > self._share:
                self._let_go(env, int(self._oldest[env]) + 1)
        self.seen += self._envs

    def drop_newest(self, steps: int) -> None:
        """Forget the last `steps` steps of each environment; no transition leads through them.

        For a switch of tasks that is noticed late: what was added since then is another task's.
        """
        for env in range(self._envs):
            entry, left = int(self._newest[env]), steps
            while left and entry >= self._oldest[env]:
                place = entry % self._places
                if self._acted[env, place]:
                    self._acted[env, place] = False
                    self._held[env] -= 1
                    left -= 1
                entry -= 1

    def places(self, n: int = 1) -> NDArray[np.int64]:
        """List the entries that begin a transition of n steps: [M, 2] of environment and entry."""
        rows = [
            np.stack([np.full(count, env), np.arange(first, first + count)], 1)
            for env in range(self._envs)
            for first, count in [(self._oldest[env], self._newest[env] - self._oldest[env] + 1)]
        ]
        every = np.concatenate(rows).astype(np.int64)
        return np.asarray(every[self._follow(every, n, 1.0)[0]])

    def sample(
        self, batch: int, generator: torch.Generator, *, n: int = 1, gamma: float = 0.99
    ) -> Transitions:
        """Draw transitions, each with equal probability and independently of the others.

        Args:
            batch: How many, B.
            generator: What to draw with, on the host.
            n: Steps of a transition.
            gamma: The discount of a step.

        Returns:
            Fresh tensors on the host.

        Raises:
            UsageError: It holds fewer steps than the batch has, or no transition.
        """
        if len(self) < batch:
            raise UsageError(
                f"A replay that holds {len(self)} steps can't give a batch of {batch}; let it fill "
                "up first, or ask for a smaller batch."
            )
        whole("steps n of a transition", n, AT_LEAST_1)
        real("gamma of a transition", gamma, SHARE)
        counts = self._newest - self._oldest + 1
        total = int(counts.sum())
        ends = np.cumsum(counts)
        chosen = np.empty((0, 2), np.int64)
        for _ in range(_ROUNDS if total > max(_FEW, 4 * n * self._envs) else 0):
            numbers = _draw(total, batch, generator)
            envs = np.searchsorted(ends, numbers, side="right")
            entries = numbers - (ends - counts)[envs] + self._oldest[envs]
            drawn = np.stack([envs, entries], 1)
            chosen = np.concatenate([chosen, drawn[self._follow(drawn, n, 1.0)[0]]])
            if len(chosen) >= batch:
                return self.at(chosen[:batch], n=n, gamma=gamma)
        listed = self.places(n)
        if not len(listed):
            raise UsageError(f"A replay of {len(self)} steps holds no transition of {n}.")
        return self.at(listed[_draw(len(listed), batch, generator)], n=n, gamma=gamma)

    def at(self, places: NDArray[np.int64], *, n: int = 1, gamma: float = 0.99) -> Transitions:
        """Return the transitions that begin at entries [B, 2], some of what `places` lists."""
        _, last, returns, discounts = self._follow(places, n, gamma)
        envs, entries = places[:, 0], places[:, 1]
        return Transitions(
            inputs={name: store.get(envs, entries) for name, store in self._stores.items()},
            actions=self._done.get(envs, entries).long(),
            returns=torch.from_numpy(returns),
            discounts=torch.from_numpy(discounts),
            next_inputs={name: store.get(envs, last) for name, store in self._stores.items()},
        )

    def _follow(self, places: NDArray[np.int64], n: int, gamma: float) -> tuple[Any, Any, Any, Any]:
        """Walk from entries [B, 2]: whole? [B], the last entries, returns, discounts."""
        envs, entries = places[:, 0], places[:, 1].copy()
        going = np.ones(len(places), np.bool_)
        right = np.ones(len(places), np.bool_)
        returns = np.zeros(len(places), np.float32)
        discounts = np.ones(len(places), np.float32)
        for _ in range(n):
            slots = entries % self._places
            right &= self._acted[envs, slots] | ~going
            returns += np.where(going, discounts * self._rewards[envs, slots], np.float32(0))
            discounts = np.where(going, discounts * np.float32(gamma), discounts)
            entries += going
            terminated = self._terminated[envs, slots]
            discounts[going & terminated] = 0
            going = going & ~(terminated | self._truncated[envs, slots])
        return right, entries, returns, discounts

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that it holds, packed: equal content, equal bytes."""
        spans = self._spans()
        tensors = {f"done/{k}": v for k, v in self._done.state(spans).items()}
        for name, store in self._stores.items():
            tensors |= {f"inputs/{name}/{k}": v for k, v in store.state(spans).items()}
        for name, value in self._columns().items():
            parts = [value[env, _slots(span, self._places)] for env, span in enumerate(spans)]
            tensors[name] = torch.from_numpy(np.concatenate(parts))
        meta = {
            "oldest": self._oldest.tolist(),
            "newest": self._newest.tolist(),
            "seen": self.seen,
            "share": self._share,
            "inputs": self._kinds(),
        }
        return tensors, meta

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` gave.

        Where it holds other inputs, since another part of the network is frozen now, only the
        clock is taken up. What differs in its precision alone, as on another machine, is converted.

        Raises:
            UsageError: It is that of a replay of another size.
        """
        if (len(meta["oldest"]), meta["share"]) != (self._envs, self._share):
            raise UsageError(
                f"A replay of {self._envs} environments with {self._share:,} steps each can't take "
                f"up one of {len(meta['oldest'])} with {meta['share']:,}; give it the same size."
            )
        self.seen = meta["seen"]
        if _shapes(meta["inputs"]) != _shapes(self._kinds()):
            return
        self._oldest = np.array(meta["oldest"], np.int64)
        self._newest = np.array(meta["newest"], np.int64)
        spans = self._spans()
        self._done.load_state(under("done/", tensors), spans)
        for name, store in self._stores.items():
            store.load_state(under(f"inputs/{name}/", tensors), spans)
        for name, value in self._columns().items():
            begin = 0
            for env, span in enumerate(spans):
                part = tensors[name][begin : begin + len(span)].numpy()
                value[env, _slots(span, self._places)] = part
                begin += len(span)
        for env, span in enumerate(spans):
            self._held[env] = self._acted[env, _slots(span, self._places)].sum()

    def _kinds(self) -> dict[str, Any]:
        """Return what the inputs are, as JSON data."""
        return {name: [list(shape), str(dtype)] for name, (shape, dtype) in self._inputs.items()}

    def _columns(self) -> dict[str, NDArray[Any]]:
        return {
            "rewards": self._rewards,
            "acted": self._acted,
            "terminated": self._terminated,
            "truncated": self._truncated,
        }

    def _spans(self) -> list[range]:
        return [
            range(int(first), int(last) + 1)
            for first, last in zip(self._oldest, self._newest, strict=True)
        ]

    def _put(self, env: int, inputs: Inputs, *, start: bool) -> None:
        """Make the next entry, where the oldest may have to go."""
        entry = int(self._newest[env]) + 1
        place = entry % self._places
        held = self._held[env]
        self._let_go(env, entry - self._places + 1)
        for name, store in self._stores.items():
            store.put(env, entry, inputs[name][env], start=start)
            self._let_go(env, store.oldest(env, int(self._oldest[env])))
        self.crowded |= bool(self._held[env] < min(held, self._share))
        self._done.put(env, entry, self._nothing, start=start)
        self._rewards[env, place] = 0
        self._acted[env, place] = False
        self._terminated[env, place] = self._truncated[env, place] = False
        self._newest[env] = entry

    def _let_go(self, env: int, first: int) -> None:
        """Forget the entries before `first`."""
        while self._oldest[env] < first:
            self._held[env] -= self._acted[env, self._oldest[env] % self._places]
            self._oldest[env] += 1

    def _check(self, inputs: Inputs) -> None:
        """Refuse inputs that are not what it was made for."""
        for name, (shape, dtype) in self._inputs.items():
            value = inputs.get(name)
            if (
                value is not None
                and tuple(value.shape) == (self._envs, *shape)
                and (value.dtype == dtype or not is_stack(shape, dtype))
            ):
                continue
            came = "nothing" if value is None else f"{list(value.shape)} of {value.dtype}"
            raise UsageError(
                f"The replay keeps {name!r} as {[self._envs, *shape]} of {dtype}, but got {came}."
            )


def _slots(span: range, places: int) -> NDArray[np.int64]:
    return np.arange(span.start, span.stop, dtype=np.int64) % places


def _shapes(kinds: Mapping[str, Any]) -> dict[str, Any]:
    """Return the shapes of inputs, and what each is but for a floating-point number's precision."""
    floating = {str(dtype) for dtype in (torch.float16, torch.bfloat16, torch.float32)}
    return {
        name: (list(shape), "floating" if dtype in floating else dtype)
        for name, (shape, dtype) in kinds.items()
    }


def _draw(total: int, count: int, generator: torch.Generator) -> NDArray[np.int64]:
    drawn: NDArray[np.int64] = torch.randint(total, (count,), generator=generator).numpy()
    return drawn
