"""The episodes under way in a vector environment: how a checkpoint keeps them, and comes back.

Three ways, the first that an environment allows (`colonnade.types.EnvironmentTask`):

- its state is saved (`StatefulEnvironments`);
- the seeds of the episodes and their actions are saved, and the actions played again
  (`SeededEpisodes`);
- the seed of the last reset of all environments and every action since are saved and played again.

What a task has seen of its observations and rewards, where it normalises them, is no part of this:
it does not move while actions are played again, and a checkpoint keeps it by itself.
"""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colonnade.types import Actions
from colonnade.watching import beat


class UnderWay:
    """Remembers what it takes to bring environments back to where they are.

    Args:
        envs: The vector environment of N environments.
        form: What its actions are.
    """

    def __init__(self, envs: Any, form: Actions) -> None:
        self._envs = envs
        self._form = form
        self._kind: type = np.uint8 if max(form.sizes, default=0) <= 256 else np.int64
        if form.continuous:
            self._kind = np.float32
        # Asked of the object: a wrapper may offer it only where what it wraps does.
        self._stateful = hasattr(envs, "state") and hasattr(envs, "load_state")
        self._seeded = not self._stateful and hasattr(envs, "episode_seeds")
        self._normalized = hasattr(envs, "learns") and hasattr(envs, "discounted_returns")
        self._seed = 0
        self._log: deque[NDArray[Any]] = deque()

    def count(self, learns: bool) -> None:
        """Say whether what is seen from now on counts, where it is normalised."""
        if self._normalized:
            self._envs.learns = learns

    def begin(self, seed: int) -> Any:
        """Reset all environments and return their observations."""
        self._seed = seed
        self._log.clear()
        return self._envs.reset(seed=seed)[0]

    def note(self, actions: NDArray[Any]) -> None:
        """Take note of the actions [N, A] of a step."""
        if not self._stateful:
            self._log.append(actions.astype(self._kind))

    def forget(self, lengths: NDArray[np.int64]) -> None:
        """Drop actions that belong to no episode under way, whose lengths [N] are given."""
        if self._seeded:
            for _ in range(len(self._log) - int(self._since_seeds(lengths).max())):
                self._log.popleft()

    def state(self, lengths: NDArray[np.int64]) -> dict[str, Tensor]:
        """Return what `restore` needs.

        Args:
            lengths: [N] steps taken in each episode under way.
        """
        tensors: dict[str, Tensor] = {}
        if self._normalized:
            returns = np.array(self._envs.discounted_returns, np.float32)
            tensors["discounted returns"] = torch.from_numpy(returns)
        if self._stateful:
            saved = self._envs.state()
            entries = {f"state/{k}": torch.from_numpy(np.array(v)) for k, v in saved.items()}
            return tensors | entries
        self.forget(lengths)
        tensors["seed"] = torch.tensor(self._seed)
        if self._log:
            tensors["actions"] = torch.from_numpy(np.stack(self._log))
        if self._seeded:
            tensors["seeds"] = torch.from_numpy(np.array(self._envs.episode_seeds, np.int64))
            tensors["lengths"] = torch.from_numpy(self._since_seeds(lengths))
            if hasattr(self._envs, "seeded_sources"):
                tensors["sources"] = torch.from_numpy(np.array(self._envs.seeded_sources, np.int64))
        return tensors

    def restore(self, tensors: dict[str, Tensor]) -> Any:
        """Bring the environments back to where `state` found them.

        Returns:
            Their observations, to be compared with what was seen; None where the environments'
            own state was loaded.
        """
        self.count(False)
        observations = self._restored(tensors)
        if "discounted returns" in tensors and self._normalized:
            self._envs.discounted_returns = tensors["discounted returns"].numpy().copy()
        return observations

    def _restored(self, tensors: dict[str, Tensor]) -> Any:
        saved = {
            name.removeprefix("state/"): value.numpy()
            for name, value in tensors.items()
            if name.startswith("state/")
        }
        if self._stateful:
            self._envs.load_state(saved)
            return None
        self._seed = int(tensors["seed"])
        log = tensors.get("actions", torch.empty((0,))).numpy()
        self._log = deque(log)
        if "sources" in tensors and hasattr(self._envs, "seeded_sources"):
            self._envs.seeded_sources = tensors["sources"].numpy()
        if self._seeded:
            return self._replay_episodes(log, tensors["seeds"].numpy(), tensors["lengths"].numpy())
        observations = self._envs.reset(seed=self._seed)[0]
        for actions in log:
            observations = self._step(actions)
        return observations

    def _since_seeds(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Steps [N] since each seed was set: those of its episode, unless seeds last longer."""
        return np.array(getattr(self._envs, "steps_since_seed", lengths), np.int64)

    def _replay_episodes(
        self, log: NDArray[Any], seeds: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> Any:
        """Begin each environment's episode so late that all arrive together."""
        begin = len(log) - lengths
        observations = self._envs.reset(seed=seeds)[0]
        for t in range(len(log) + 1):
            if t:
                observations = self._step(log[t - 1])
            late = (begin == t) & (t > 0)
            if late.any():
                options = {"reset_mask": late}
                observations = self._envs.reset(seed=seeds, options=options)[0]
        return observations

    def _step(self, actions: NDArray[Any]) -> Any:
        beat()
        given = actions if self._form.continuous else actions.astype(np.int64)
        return self._envs.step(self._form.sent(given))[0]
