"""Environments in this process, one after the other, without what nobody here asks for."""

from __future__ import annotations

from typing import Any

from gymnasium.spaces import Box
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from gymnasium.vector.utils import concatenate

from colonnade.tasks.vector import READ_INFOS, StepResult


class InTurn(SyncVectorEnv):
    """Gymnasium's environments in turn, which reset in the same step.

    What they say besides is gathered as far as it is read (`READ_INFOS`) and no further, which
    would take longer than many a step. Observations and rewards are valid until the next one.
    """

    def __init__(self, makers: Any) -> None:
        super().__init__(makers, copy=False, autoreset_mode=AutoresetMode.SAME_STEP)

    def step(self, actions: Any) -> StepResult:
        """Take a step in each; see `SyncVectorEnv`."""
        info: dict[str, Any] = {}
        seen = self._env_obs
        for place, env in enumerate(self.envs):
            seen[place], reward, terminated, truncated, own = env.step(actions[place])
            self._rewards[place] = reward
            self._terminations[place], self._truncations[place] = terminated, truncated
            if terminated or truncated:
                info = self._add_info(info, {"final_obs": seen[place]}, place)
                seen[place], own = env.reset()
            for name in READ_INFOS:
                if name in own:
                    info = self._add_info(info, {name: own[name]}, place)
        if isinstance(self.single_observation_space, Box):
            for place, one in enumerate(seen):
                self._observations[place] = one
        else:
            space = self.single_observation_space
            self._observations = concatenate(space, seen, self._observations)
        return (
            self._observations,
            self._rewards,
            self._terminations.copy(),
            self._truncations.copy(),
            info,
        )
