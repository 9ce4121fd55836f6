"""The library's own environments as Gymnasium ids, for other libraries to use.

    >>> import colonnade.tasks, gymnasium
    >>> gymnasium.make("colonnade/MiniPong-HFlip-v0").observation_space.shape
    (2, 16, 16)

`make_vec` on these ids gives vector environments that reset in the same step, which their metadata
say; Gymnasium's own reset in the next one.
"""

from __future__ import annotations

from typing import Any

import gymnasium

from colonnade.tasks.mazes.t_maze import TMazeVectorEnv, draw_view
from colonnade.tasks.pong.mini import MiniPongTask
from colonnade.tasks.pong.soup import PongSoupTask
from colonnade.tasks.pong.variants import VARIANTS
from colonnade.tasks.vector import AnyVectorEnv, SingleEnv
from colonnade.types import EnvironmentTask

T_MAZE = "colonnade/TMaze-v0"

_FAMILIES = {"PongSoup": PongSoupTask, "MiniPong": MiniPongTask}


def gymnasium_id(family: str, variant: str) -> str:
    """Return the Gymnasium id of a variant, as in "colonnade/PongSoup-VHFlip-v0".

    Args:
        family: "PongSoup" or "MiniPong".
        variant: One of `VARIANTS`.
    """
    *flips, last = variant.split("-")
    name = "".join(flips).upper() + last.capitalize()
    return f"colonnade/{family}-{name}-v0"


def register_envs() -> None:
    """Register every variant of Pong Soup and MiniPong, and the T-maze, with Gymnasium, once.

    Importing `colonnade.tasks` calls it. Gymnasium (from 1.0 on) looks for no plugins by itself;
    `gymnasium.make("colonnade.tasks:colonnade/PongSoup-HFlip-v0")` does the import on the way.
    """
    for family in _FAMILIES:
        for variant in VARIANTS:
            env_id = gymnasium_id(family, variant)
            if env_id not in gymnasium.registry:
                gymnasium.register(
                    env_id,
                    entry_point=f"{__name__}:make_single",
                    vector_entry_point=f"{__name__}:make_vector",
                    kwargs={"family": family, "variant": variant},
                )
    if T_MAZE not in gymnasium.registry:
        gymnasium.register(
            T_MAZE,
            entry_point=f"{__name__}:make_t_maze",
            vector_entry_point="colonnade.tasks.mazes.t_maze:TMazeVectorEnv",
        )


def make_vector(
    num_envs: int, family: str, variant: str, threads: int = 1, **options: Any
) -> AnyVectorEnv:
    """Make `num_envs` copies of a variant.

    Args:
        num_envs: The number of copies.
        family: "PongSoup" or "MiniPong".
        variant: One of `VARIANTS`.
        threads: Threads for the emulator.
        **options: Fields of `PongSoupTask` or `MiniPongTask`, such as `look`.
    """
    task: EnvironmentTask = _FAMILIES[family](variant, **options)
    return task.make_vec(num_envs, threads)


def make_single(
    family: str, variant: str, render_mode: str | None = None, **options: Any
) -> SingleEnv:
    """Make one environment of a variant; it shows the same frames as the vector one.

    Args:
        family: "PongSoup" or "MiniPong".
        variant: One of `VARIANTS`.
        render_mode: "rgb_array" or None.
        **options: As in `make_vector`.
    """
    return SingleEnv(make_vector(1, family, variant, **options), render_mode)


def make_t_maze(length: int = 10, render_mode: str | None = None) -> SingleEnv:
    """Make one T-maze.

    Args:
        length: Steps from the cue to the fork.
        render_mode: "rgb_array" or None; see `colonnade.tasks.mazes.t_maze.draw_view`.
    """
    return SingleEnv(TMazeVectorEnv(1, length), render_mode, draw_view)
