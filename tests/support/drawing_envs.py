"""Environments that draw random numbers from wherever environments do."""

import random
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Discrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

SOURCES = ("random", "numpy.random", "torch", "np_random")


class Draws(gymnasium.Env[Any, Any]):
    """Shows what it drew in its constructor, at the episode's start and in this step.

    Args:
        sources: Where it draws from.
        late: It draws in steps from this one of an episode on, and never elsewhere.
        polite: Whether `reset` hands its seed on.
    """

    def __init__(self, sources: Any = SOURCES, late: int = 0, polite: bool = True) -> None:
        self.sources, self.late, self.polite = sources, late, polite
        self.observation_space = Box(-10, 10, (3, len(sources)), np.float64)
        self.action_space = Discrete(2)
        self.made = np.zeros(len(sources)) if late else self.draw()

    def draw(self) -> Any:
        how = {
            "random": random.random,
            "numpy.random": np.random.rand,
            "torch": lambda: torch.rand(()).item(),
            "np_random": lambda: self.np_random.random(),
            "spaces": lambda: self.observation_space.sample()[0, 0],
            "normal": np.random.randn,
        }
        return np.array([how[name]() for name in self.sources])

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed if self.polite else None)
        self.age = 0
        self.begun = np.zeros(len(self.sources)) if self.late else self.draw()
        return np.stack([self.made, self.begun, np.zeros(len(self.sources))]), {}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        self.age += 1
        now = self.draw() if self.age >= self.late else np.zeros(len(self.sources))
        observation = np.stack([self.made, self.begun, now])
        return observation, float(now[0]), bool(action == 1 and now[0] > 0.8), self.age > 90, {}


class DrawsTogether(VectorEnv[Any, Any, Any]):
    """A vector environment of its own that shows what it draws from numpy's global generator."""

    metadata = {"autoreset_mode": AutoresetMode.SAME_STEP}  # noqa: RUF012

    def __init__(self, num_envs: int = 1) -> None:
        self.num_envs = num_envs
        self.single_observation_space = Box(-10, 10, (3, len(SOURCES)), np.float64)
        self.single_action_space = Discrete(2)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return np.random.rand(self.num_envs, 3, len(SOURCES)), {}  # noqa: NPY002

    def step(self, actions: Any) -> tuple[Any, Any, Any, Any, dict[str, Any]]:
        no = np.zeros(self.num_envs, bool)
        return self.reset()[0], np.zeros(self.num_envs, np.float32), no, no, {}


class HasState(DrawsTogether):
    """Has a `state`, as Gymnasium's CartPoleVectorEnv does, that nothing can load."""

    state = None


class Unseeded(Draws):
    """Draws from a generator that nobody seeds."""

    def __init__(self) -> None:
        super().__init__(["random"])
        self.rng = np.random.default_rng()

    def draw(self) -> Any:
        return np.array([self.rng.random() if hasattr(self, "rng") else 0])


class UnseededTogether(DrawsTogether):
    """Draws from a generator that nobody seeds."""

    def __init__(self, num_envs: int = 1) -> None:
        super().__init__(num_envs)
        self.rng = np.random.default_rng()

    def reset(self, *, seed: Any = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        return self.rng.random((self.num_envs, 3, len(SOURCES))), {}


for env_id, name in (("OwnState", "HasState"), ("UnseededVector", "UnseededTogether")):
    gymnasium.register(
        f"drawing/{env_id}-v0",
        f"{__name__}:Draws",
        vector_entry_point=f"{__name__}:{name}",
        disable_env_checker=True,
    )
gymnasium.register("drawing/Unseeded-v0", f"{__name__}:Unseeded", disable_env_checker=True)
gymnasium.register(
    "drawing/OwnVector-v0",
    f"{__name__}:Draws",
    vector_entry_point=f"{__name__}:DrawsTogether",
    disable_env_checker=True,
)
gymnasium.register("drawing/Draws-v0", f"{__name__}:Draws", disable_env_checker=True)
