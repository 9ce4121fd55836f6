"""Small Gymnasium environments whose every observation can be told by hand."""

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict, Discrete, MultiDiscrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

VECTOR = Box(-1, 1, (2,), np.float32)


class Counter(gymnasium.Env[Any, Any]):
    """Shows how many steps the episode has lasted, and how many there were before, which follows
    from no seed; action 1 ends it, and so do `limit` steps."""

    def __init__(self, limit: int = 5, actions: Any = None, observations: str = "dict") -> None:
        self.limit = limit
        self.action_space = actions or Discrete(2)
        image = Box(0, 255, (6, 7, 3), np.uint8)
        self.observation_space = (
            Dict({"camera": image, "joints": Box(-1, 99, (2,), np.float32)})
            if observations == "dict"
            else {"image": image, "discrete": Discrete(9), "vector": VECTOR}[observations]
        )
        self._kind = observations
        self.episode = -1

    def _observe(self) -> Any:
        image = np.arange(6 * 7 * 3, dtype=np.uint8).reshape(6, 7, 3) + np.uint8(self.age)
        if self._kind == "vector":
            return np.zeros(2, np.float32)
        if self._kind != "dict":
            return image
        return {"camera": image, "joints": np.array([self.age, self.episode], np.float32)}

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.episode += 1
        self.age = 0
        return self._observe(), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.age += 1
        return self._observe(), 0.1, bool(np.all(action == 1)), self.age >= self.limit, {}


class OwnVector(VectorEnv[Any, Any, Any]):
    """A vector environment as a user may register it, with nothing but the least."""

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(self, num_envs: int = 1, observations: str = "vector") -> None:
        self.num_envs = num_envs
        self.single_observation_space = VECTOR
        self.single_action_space = Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return np.zeros((self.num_envs, 2), np.float32), {}

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        no = np.zeros(self.num_envs, bool)
        return self.reset()[0], np.zeros(self.num_envs, np.float32), no, no, {}


def register() -> None:
    """Register the toys with Gymnasium."""
    here = f"{__name__}:Counter"
    toys: dict[str, dict[str, Any]] = {
        "toy/Dict-v0": {},
        "toy/Image-v0": {"observations": "image"},
        "toy/MultiDiscrete-v0": {"actions": MultiDiscrete([2, 3])},
        "toy/StartsAtOne-v0": {"actions": Discrete(2, start=1)},
        "toy/Continuous-v0": {"actions": Box(-1, 1, (1,))},
        "toy/DiscreteObservation-v0": {"observations": "discrete"},
    }
    for env_id, kwargs in toys.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(env_id, here, kwargs=kwargs, disable_env_checker=True)
    if "toy/OwnVector-v0" not in gymnasium.registry:
        own = f"{__name__}:OwnVector"
        for env_id, kwargs in (
            ("toy/OwnVector-v0", {"observations": "vector"}),
            ("toy/OwnVectorOfOthers-v0", {"observations": "image"}),
        ):
            gymnasium.register(
                env_id, here, vector_entry_point=own, kwargs=kwargs, disable_env_checker=True
            )
