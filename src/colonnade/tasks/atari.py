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
from numpy.typing import NDArray

from colonnade.checks import AT_LEAST_0, AT_LEAST_1, BELOW_1, check_fields
from colonnade.errors import unknown_name
from colonnade.tasks.episode_seeds import EpisodeSeeds, reset_mask
from colonnade.tasks.task_ids import task_id
from colonnade.tasks.vector import AnyVectorEnv, StepResult
from colonnade.types import TaskSpec

SCREEN = (4, 84, 84)
"""Shape of an observation: the last four greyscale frames, the newest last."""

SEED_LASTS = 20_000
"""Steps of an environment after which its next game is given a new seed."""

_NO_SEED = -1

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
        episodic_life: Whether learning sees an end, `terminated`, where a life is lost. The game
            goes on all the same, scores count whole games, and a game that waits for fire waits
            for the player to press it.
        full_action_space: All 18 actions, rather than those that the game uses.
        noop_max: An episode starts with up to this many frames of doing nothing.
        fire_reset: Whether an episode starts by pressing fire where the game has that action. Games
            such as Breakout wait for it, and an agent that has not found it learns nothing.
        max_frames: Frames after which an episode is truncated; 108,000 is half an hour of play.
        name: What the task is called in a sequence instead of "atari/" and the game,
            so that one may hold it twice with other options.

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
    name: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "game", game_name(self.game))
        task_id(self.name, self.game)
        check_fields(
            self,
            {
                "steps": AT_LEAST_1,
                "frame_skip": AT_LEAST_1,
                "repeat_action_probability": BELOW_1,
                "noop_max": AT_LEAST_0,
                "max_frames": AT_LEAST_1,
            },
        )

    @property
    def spec(self) -> TaskSpec:
        """What methods and learners need to know."""
        return TaskSpec(
            id=task_id(self.name, f"atari/{self.game}"),
            observation_space=gymnasium.spaces.Box(0, 255, SCREEN, np.uint8),
            action_space=_action_space(self.game, self.full_action_space),
            steps=self.steps,
            reward_clip=1.0,
        )

    def make_vec(self, num_envs: int, threads: int = 1) -> AnyVectorEnv:
        """Make `num_envs` copies on `threads` threads of the emulator.

        Environment i of `reset(seed=s)` is seeded with s + i. What it does follows from its seed,
        `episode_seeds[i]`, and from its actions since that was set, whatever `threads` says.
        """
        return _AtariVec(self, num_envs, threads)


class _AtariVec(AtariVectorEnv):
    """ALE's vector environment with float32 rewards, seeds that can be replayed, and a close.

    ALE itself never resets here; `step` does, in the same step, so that a seed can be given.
    Giving one makes ALE load the game anew, which takes as long as hundreds of steps. So a seed is
    given at the first game's end after `SEED_LASTS` steps; the games between go on with the random
    numbers of the last seed. Noops and sticky actions follow from it too.
    """

    def __init__(self, task: AtariTask, num_envs: int, threads: int) -> None:
        super().__init__(
            task.game,
            num_envs,
            num_threads=threads,
            max_num_frames_per_episode=task.max_frames,
            repeat_action_probability=task.repeat_action_probability,
            full_action_space=task.full_action_space,
            autoreset_mode=AutoresetMode.NEXT_STEP,
            frameskip=task.frame_skip,
            noop_max=task.noop_max,
            reward_clipping=False,
            use_fire_reset=task.fire_reset,
        )
        self.autoreset_mode = AutoresetMode.SAME_STEP
        self.metadata = {
            "autoreset_mode": AutoresetMode.SAME_STEP,
            "render_fps": 60 // task.frame_skip,
        }
        self._episodic_life = task.episodic_life
        self._lives = np.zeros(num_envs, np.int32)
        self._seeds = EpisodeSeeds(num_envs)
        self._since_seed = np.zeros(num_envs, np.int64)
        # Emulators that outlive the interpreter make ALE print leak warnings at exit.
        self._free = weakref.finalize(self, self.__dict__.pop, "ale", None)

    @property
    def episode_seeds(self) -> NDArray[np.int64]:
        """The seeds of what is under way, int64 [N]; see `EpisodeSeeds`."""
        return self._seeds.values

    @property
    def steps_since_seed(self) -> NDArray[np.int64]:
        """Steps that each environment took since its seed was set, int64 [N]."""
        return self._since_seed.copy()

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin games of explicit seeds.

        Args:
            seed: As in `EpisodeSeeds.begin`.
            options: "reset_mask", bool [N], leaves the other environments as they are.
        """
        chosen = reset_mask(options, self.num_envs)
        self._seeds.begin(seed, chosen)
        return self._begin(chosen, chosen)

    def step(self, actions: Any) -> StepResult:
        """Step as `AtariVectorEnv` does in SAME_STEP; rewards are float32 and unclipped.

        With `episodic_life`, `info["lives_on"]` [N] tells the terminations that are a lost life in
        a game that goes on.
        """
        observations, rewards, terminated, truncated, info = super().step(actions)
        self._since_seed += 1
        ended = terminated | truncated
        if self._episodic_life:
            lives_on = (info["lives"] < self._lives) & ~ended
            terminated = terminated | lives_on
        if ended.any():
            due = ended & (self._since_seed >= SEED_LASTS)
            self._seeds.follow(due)
            final = observations
            observations, info = self._begin(ended, due)
            info["final_obs"] = final
        if self._episodic_life:
            info["lives_on"] = lives_on
            self._lives = info["lives"]
        return observations, rewards.astype(np.float32), terminated, truncated, info

    def _begin(
        self, chosen: NDArray[np.bool_], seeded: NDArray[np.bool_]
    ) -> tuple[Any, dict[str, Any]]:
        """Reset the chosen environments, of which some are given their seeds."""
        self._since_seed[seeded] = 0
        seeds = np.where(seeded, self._seeds.values, _NO_SEED)
        observations, info = self.ale.reset(np.flatnonzero(chosen), seeds[chosen])
        self._lives = info["lives"]
        return observations, info

    def close_extras(self, **kwargs: Any) -> None:
        """Free the emulators."""
        self._free()
