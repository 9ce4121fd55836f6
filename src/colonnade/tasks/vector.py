"""Vector environments: what every task family's share, and the single environment made of one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from numpy.typing import NDArray

from colonnade.errors import UsageError
from colonnade.types import EnvironmentTask

AnyVectorEnv = VectorEnv[Any, Any, NDArray[Any]]
Frames = NDArray[np.uint8]
"""A batch of images of one channel each, [..., H, W]."""

Transform = Callable[[Frames], Frames]
GOING_ON = ("state", "load_state", "episode_seeds", "steps_since_seed")
"""What a vector environment may offer so that training goes on in the middle of its episodes; see
`colonnade.types.StatefulEnvironments` and `colonnade.types.SeededEpisodes`."""

READ_INFOS = ("lives_on",)
"""Of what environments say besides in each step, what is read here; see `episodes_ended`."""

RAW_REWARDS = "rewards_as_they_came"
"""Where a wrapper of all environments tells the rewards [N] that it has changed."""

StepResult = tuple[Any, NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]


def environments(task: EnvironmentTask, num_envs: int, threads: int = 1) -> AnyVectorEnv:
    """Make a task's environments, to be played.

    Raises:
        UsageError: They do not begin the next episode in the step that ends one, so that steps
            would be learned that nobody took.
    """
    envs = task.make_vec(num_envs, threads)
    mode = (envs.metadata or {}).get("autoreset_mode")
    if mode != AutoresetMode.SAME_STEP:
        envs.close()
        raise UsageError(
            f"Environments of task {task.spec.id!r} must begin the next episode in the step that "
            f"ends one, and say so in metadata['autoreset_mode'], but theirs is {mode}; make them "
            "with autoreset_mode=AutoresetMode.SAME_STEP."
        )
    return envs


class TransformedVectorEnv(VectorWrapper):
    """A vector environment whose images pass through a transform, whole batches at a time.

    Observations and `info["final_obs"]` are transformed. Each is a freshly allocated array (or,
    for a transform that changes nothing, the one from below), so a consumer may keep it: no later
    step writes to it. What the environment offers for going on elsewhere (`state` and
    `load_state`, or `episode_seeds`), this one offers too.

    Args:
        env: Its observations are uint8 images [N, C, H, W], of which `info["final_obs"]` is a
            full batch.
        transform: From images to images of the same shape.
    """

    def __init__(self, env: AnyVectorEnv, transform: Transform) -> None:
        super().__init__(env)
        self._transform = transform

    def __getattr__(self, name: str) -> Any:
        """Return what `GOING_ON` names of the environment, where it has it."""
        if name in GOING_ON:
            return getattr(self.env, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset all environments; see `gymnasium.vector.VectorEnv.reset`."""
        observations, info = self.env.reset(seed=seed, options=options)
        return self._transform(observations), info

    def step(self, actions: Any) -> StepResult:
        """Step all environments; see `gymnasium.vector.VectorEnv.step`."""
        observations, rewards, terminated, truncated, info = self.env.step(actions)
        if "final_obs" in info:
            info["final_obs"] = self._transform(info["final_obs"])
        return self._transform(observations), rewards, terminated, truncated, info


def episodes_ended(
    terminated: NDArray[Any], truncated: NDArray[Any], info: dict[str, Any]
) -> NDArray[np.bool_]:
    """Return in which environments, [N], a step ended an episode, not only a life of one.

    Args:
        terminated: [N], as `step` returned it; so are the others.
        truncated: [N].
        info: Whose "lives_on" [N], if it is there, tells where `terminated` means a life.
    """
    if "lives_on" in info:
        terminated = terminated & ~np.asarray(info["lives_on"])
    return np.asarray(terminated | truncated, np.bool_)


def rewards_as_they_came(rewards: NDArray[Any], info: dict[str, Any]) -> NDArray[Any]:
    """Return the rewards [N] of a step as the environments gave them.

    Args:
        rewards: [N], as `step` returned them: to learn from.
        info: Whose `RAW_REWARDS` [N], if they are there, are those to report.
    """
    raw: NDArray[Any] = info.get(RAW_REWARDS, rewards)
    return raw


def newest_frame(observation: NDArray[Any]) -> NDArray[np.uint8]:
    """Draw the last of the frames [C, H, W] as grey RGB [H, W, 3]."""
    return np.repeat(observation[-1][..., None], 3, axis=-1)


@runtime_checkable
class ShowsEnds(Protocol):
    """A vector environment that can draw how an episode ended before it begins the next.

    Attributes:
        shows_ends: Where true, `info["final_render"]` holds what `render` would have returned then.
    """

    shows_ends: bool


class SingleEnv(gymnasium.Env[Any, Any]):
    """One environment, played by a vector environment of one.

    It shows the same frames as that vector environment: a `reset()` without a seed after an
    episode's end goes on with the episode that the vector environment began in the same step, and
    one after a lost life that ends no game with that game.

    Args:
        vector: A vector environment of size 1 that resets in the same step.
        render_mode: None for no pictures, or "rgb_array".
        draw: Makes a picture [H, W, 3] of an observation; None where the vector environment
            renders itself, as it is. One that `ShowsEnds` is shown as the last step left it until
            `reset`; others as the next episode begins.
    """

    def __init__(
        self,
        vector: AnyVectorEnv,
        render_mode: str | None = None,
        draw: Callable[[NDArray[Any]], NDArray[np.uint8]] | None = newest_frame,
    ) -> None:
        if vector.num_envs != 1 or vector.metadata["autoreset_mode"] != AutoresetMode.SAME_STEP:
            raise ValueError("SingleEnv plays a vector environment of size 1 with SAME_STEP resets")
        fps = vector.metadata.get("render_fps", 15)
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": fps}
        self.render_mode = render_mode
        self.observation_space = vector.single_observation_space
        self.action_space = vector.single_action_space
        self._vector = vector
        self._draw = draw
        self._shown: Any = None
        self._end: NDArray[np.uint8] | None = None
        if draw is None and render_mode is not None and isinstance(vector, ShowsEnds):
            vector.shows_ends = True
        self._begun: tuple[Any, dict[str, Any]] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode; see `gymnasium.Env.reset`."""
        super().reset(seed=seed)
        if seed is None and self._begun is not None:
            observation, info = self._begun
        else:
            observations, infos = self._vector.reset(seed=seed)
            observation, info = first_of(observations), _first(infos)
        self._begun = self._end = None
        self._shown = observation
        return observation, info

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Take one action; see `gymnasium.Env.step`."""
        actions = np.array([action], self.action_space.dtype)
        observations, rewards, terminated, truncated, infos = self._vector.step(actions)
        observation = first_of(observations)
        ended = bool(episodes_ended(terminated, truncated, infos)[0])
        stops = bool(terminated[0]) or bool(truncated[0])
        self._begun = (observation, _first(infos)) if stops else None
        self._end = next(iter(infos.get("final_render") or ()), None)
        if ended:
            observation = first_of(infos["final_obs"])
        self._shown = observation
        return (
            observation,
            float(rewards[0]),
            bool(terminated[0]),
            bool(truncated[0]),
            {} if ended else _first(infos),
        )

    def render(self) -> Any:
        """Return a picture [H, W, 3] of what is seen, or None without a render mode."""
        if self.render_mode is None or self._shown is None:
            return None
        if self._draw is None and self._end is not None:
            return self._end.copy()
        if self._draw is None:
            return next(iter(self._vector.render() or ()), None)
        return self._draw(self._shown)

    def close(self) -> None:
        """Free the vector environment."""
        self._vector.close()


def first_of(observations: Any) -> Any:
    """Take the first environment's part of a batch of observations."""
    if isinstance(observations, dict):
        return {name: values[0] for name, values in observations.items()}
    return observations[0]


def _first(infos: dict[str, Any]) -> dict[str, Any]:
    """Take the only environment's entries out of a vector environment's infos."""
    return {
        key: value[0]
        for key, value in infos.items()
        if isinstance(value, np.ndarray) and not key.startswith(("_", "final_"))
    }
