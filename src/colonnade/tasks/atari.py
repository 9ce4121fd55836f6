"""Every Atari game of the Arcade Learning Environment, through its own vector environment."""

from __future__ import annotations

import functools
import weakref
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from ale_py import roms
from ale_py.vector_env import AtariVectorEnv
from gymnasium.vector import AutoresetMode

from colonnade.errors import UsageError, unknown_name
from colonnade.tasks.vector import AnyVectorEnv, StepResult
from colonnade.types import TaskSpec

SCREEN = (4, 84, 84)
"""Shape of an observation: the last four greyscale frames, the newest last."""

_SEEDS = 2**31

# ALE has no rules for one player of these, and ends the process when asked to load one.
_FOR_TWO_PLAYERS = {"combat", "joust", "maze_craze", "warlords"}


@functools.cache
def games() -> tuple[str, ...]:
    """Name every game for one player whose ROM ships with ale-py, as in "ms_pacman"."""
    return tuple(sorted(set(roms.get_all_rom_ids()) - _FOR_TWO_PLAYERS))


def game_name(name: str) -> str:
    """Return the ROM name of a game spelt "ms_pacman", "ms-pacman", "MsPacman" or "mspacman".

    Raises:
        UsageError: There is no such game; the nearest name is suggested.
    """
    spellings = {game.replace("_", ""): game for game in games()}
    plain = name.replace("_", "").replace("-", "").lower()
    if plain not in spellings:
        raise unknown_name("Atari game", name.lower().replace("-", "_"), games())
    return spellings[plain]


@functools.cache
def _action_space(game: str, full: bool) -> gymnasium.spaces.Discrete:
    probe = AtariVectorEnv(game, 1, num_threads=1, full_action_space=full)
    space = probe.single_action_space
    probe.close()
    assert isinstance(space, gymnasium.spaces.Discrete)
    return space


@dataclass(frozen=True)
class AtariTask:
    """An Atari game, preprocessed as in Mnih et al. (2015, "Human-level control ...", Methods).

    Observations are uint8 [4, 84, 84]: greyscale, the maximum of the last two frames of an action.
    Rewards are the game's own; the spec asks learners to clip them to [-1, 1].

    Attributes:
        game: As in "ms_pacman"; "MsPacman" and "ms-pacman" are understood and made the same.
        steps: Budget in agent steps, each `frame_skip` frames.
        frame_skip: Frames for which an action is repeated.
        repeat_action_probability: Chance, each frame, that the previous action is repeated instead
            ("sticky actions", Machado et al. 2018 use 0.25).
        episodic_life: Whether losing a life terminates the episode.
        full_action_space: All 18 actions, rather than those that the game uses.
        noop_max: An episode starts with up to this many frames of doing nothing.
        fire_reset: Whether an episode starts by pressing fire where the game has that action. Games
            such as Breakout wait for it, and an agent that has not found it learns nothing.
        max_frames: Frames after which an episode is truncated; 108,000 is half an hour of play.

    Raises:
        UsageError: The game is unknown, or a number is out of range.
    """

    game: str
    steps: int = 10_000_000
    frame_skip: int = 4
    repeat_action_probability: float = 0.0
    episodic_life: bool = False
    full_action_space: bool = False
    noop_max: int = 30
    fire_reset: bool = True
    max_frames: int = 108_000

    def __post_init__(self) -> None:
        object.__setattr__(self, "game", game_name(self.game))
        if not 0 <= self.repeat_action_probability < 1:
            raise UsageError(
                "repeat_action_probability must be at least 0 and below 1, not "
                f"{self.repeat_action_probability}."
            )
        for field, least in (("steps", 1), ("frame_skip", 1), ("noop_max", 0), ("max_frames", 1)):
            if getattr(self, field) < least:
                raise UsageError(f"{field} must be at least {least}, not {getattr(self, field)}.")

    @property
    def spec(self) -> TaskSpec:
        """What methods and learners need to know."""
        return TaskSpec(
            id=f"atari/{self.game}",
            observation_space=gymnasium.spaces.Box(0, 255, SCREEN, np.uint8),
            action_space=_action_space(self.game, self.full_action_space),
            steps=self.steps,
            reward_clip=1.0,
        )

    def make_vec(self, num_envs: int, threads: int = 1) -> AnyVectorEnv:
        """Make `num_envs` copies on `threads` threads of the emulator.

        Environment i of `reset(seed=s)` is seeded with s + i.
        """
        return _AtariVec(self, num_envs, threads)


class _AtariVec(AtariVectorEnv):
    """ALE's vector environment with float32 rewards, any whole seed, and a close that frees it."""

    def __init__(self, task: AtariTask, num_envs: int, threads: int) -> None:
        super().__init__(
            task.game,
            num_envs,
            num_threads=threads,
            max_num_frames_per_episode=task.max_frames,
            repeat_action_probability=task.repeat_action_probability,
            full_action_space=task.full_action_space,
            autoreset_mode=AutoresetMode.SAME_STEP,
            frameskip=task.frame_skip,
            noop_max=task.noop_max,
            episodic_life=task.episodic_life,
            reward_clipping=False,
            use_fire_reset=task.fire_reset,
        )
        self.metadata = {
            "autoreset_mode": AutoresetMode.SAME_STEP,
            "render_fps": 60 // task.frame_skip,
        }
        # Emulators that outlive the interpreter make ALE print leak warnings at exit.
        self._free = weakref.finalize(self, self.__dict__.pop, "ale", None)

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Reset as `AtariVectorEnv` does; whole seeds may be of any size and integer type."""
        if seed is not None:
            first = np.asarray(seed)
            seeds = first + np.arange(self.num_envs) if first.ndim == 0 else first
            seed = seeds % _SEEDS
        observations, info = super().reset(seed=seed, options=options)
        return observations, info

    def step(self, actions: Any) -> StepResult:
        """Step as `AtariVectorEnv` does; rewards are float32 and unclipped."""
        observations, rewards, terminated, truncated, info = super().step(actions)
        return observations, rewards.astype(np.float32), terminated, truncated, info

    def close_extras(self, **kwargs: Any) -> None:
        """Free the emulators."""
        self._free()
