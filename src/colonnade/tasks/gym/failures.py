"""A user's environment that fails: which one, in which step, and what came."""

from __future__ import annotations

import traceback
from copy import deepcopy
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Space

from colonnade.errors import UsageError
from colonnade.records import shown

AnyEnv = gymnasium.Env[Any, Any]


class EnvironmentFailure(UsageError):
    """An environment raised an error, died, or gave something else than its spaces say."""


class NamedEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """Says which environment failed, in which step, and how.

    Args:
        env: The environment.
        name: What it is called, such as its id.
        place: Which of several it is.
    """

    def __init__(self, env: AnyEnv, name: str, place: int) -> None:
        super().__init__(env)
        self._name, self._place = name, place
        self._space = env.observation_space
        self._taken = 0
        self._known: set[Any] = set()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; see `gymnasium.Env.reset`."""
        self._taken = 0
        try:
            result = self.env.reset(seed=seed, options=options)
        except UsageError:
            raise
        except Exception as error:
            raise self._failed(error) from error
        if not isinstance(result, tuple) or len(result) != 2:
            raise self._gave(f"{shown(result)} where `reset` gives (observation, info)")
        self._check(self._space, result[0])
        self._check_info(result[1])
        return result

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Take a step; see `gymnasium.Env.step`."""
        self._taken += 1
        try:
            result = self.env.step(action)
        except UsageError:
            raise
        except Exception as error:
            raise self._failed(error) from error
        if not isinstance(result, tuple) or len(result) != 5:
            raise self._gave(
                f"{shown(result)} where `step` gives (observation, reward, terminated, truncated, "
                "info)"
            )
        self._check(self._space, result[0])
        if not isinstance(result[1], float | int | np.number) and not _is_scalar(result[1]):
            raise self._gave(f"{shown(result[1])} as a reward, where a number belongs")
        for name, flag in zip(("terminated", "truncated"), result[2:4], strict=True):
            if not isinstance(flag, bool | np.bool_ | int | np.integer) and not _is_scalar(flag):
                raise self._gave(f"{shown(flag)} as {name}, where True or False belongs")
        self._check_info(result[4])
        if result[2] or result[3]:
            # The next episode begins before this is read, and may be written into the same array.
            return deepcopy(result[0]), *result[1:]
        return result

    def _check(self, space: Space[Any], value: Any, key: str = "") -> None:
        """Compare an observation with its space: shape and kind of number."""
        what = f"observation {key!r}" if key else "observation"
        if isinstance(space, Dict):
            for name, inner in space.spaces.items():
                if not isinstance(value, dict) or name not in value:
                    raise self._gave(f"an observation without {name!r}, which its space has")
                self._check(inner, value[name], name)
        elif isinstance(space, Box):
            form = getattr(value, "dtype", type(value)), np.shape(value), key
            if form in self._known:
                return
            if form[1] != space.shape:
                raise self._gave(f"an {what} of shape {form[1]}, where its space has {space.shape}")
            came = np.asarray(value).dtype
            if not np.can_cast(came, space.dtype, "same_kind"):
                raise self._gave(f"an {what} of {came}, where its space has {space.dtype}")
            self._known.add(form)

    def _check_info(self, info: Any) -> None:
        if not isinstance(info, dict):
            raise self._gave(f"{shown(info)} as info, where a dict belongs")

    def _gave(self, what: str) -> EnvironmentFailure:
        return EnvironmentFailure(f"{self._where} gave {what}; mend the environment.")

    def _failed(self, error: Exception) -> EnvironmentFailure:
        words = " ".join(str(error).split())[:200]
        return EnvironmentFailure(
            f"{self._where} failed: {type(error).__name__}: {words} {where_raised(error)}; mend "
            "the environment and give the same command again, which goes on from the last "
            "checkpoint."
        )

    @property
    def _where(self) -> str:
        when = f"in step {self._taken:,} of its episode" if self._taken else "when it was reset"
        return f"Environment {self._place} of {self._name!r}, {when},"


def _is_scalar(value: Any) -> bool:
    """Whether it is an array of a single number without an axis."""
    return isinstance(value, np.ndarray) and value.ndim == 0


def where_raised(error: Exception) -> str:
    """Name the file and the line that an error came from, in brackets."""
    frames = traceback.extract_tb(error.__traceback__)
    return (
        f"({frames[-1].filename}, line {frames[-1].lineno})" if frames else "(no one knows where)"
    )
