"""The library's own environments as Gymnasium ids, for other libraries to use.

    >>> import colonnade.tasks, gymnasium
    >>> gymnasium.make("colonnade/MiniPong-HFlip-v0").observation_space.shape
    (2, 16, 16)

`make_vec` on these ids gives vector environments that reset in the same step, which their metadata
say; Gymnasium's own reset in the next one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import gymnasium

from colonnade.tasks.arm import DOMAINS, JacoTask
from colonnade.tasks.mazes.doom.labyrinth import DoomLabyrinthVectorEnv
from colonnade.tasks.mazes.labyrinth import LabyrinthVectorEnv
from colonnade.tasks.mazes.levels import Level
from colonnade.tasks.mazes.maze_env import MAX_STEPS, MazeVectorEnv
from colonnade.tasks.mazes.maze_env import draw_view as draw_maze
from colonnade.tasks.mazes.paper_levels import LEVELS
from colonnade.tasks.mazes.t_maze import TMazeVectorEnv, draw_view
from colonnade.tasks.pong.mini import MiniPongTask
from colonnade.tasks.pong.soup import PongSoupTask
from colonnade.tasks.pong.variants import VARIANTS
from colonnade.tasks.vector import AnyVectorEnv, SingleEnv
from colonnade.types import EnvironmentTask

T_MAZE = "colonnade/TMaze-v0"

_MAZES: dict[str, Callable[..., MazeVectorEnv]] = {
    "Labyrinth": LabyrinthVectorEnv,
    "DoomLabyrinth": DoomLabyrinthVectorEnv,
}
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


def maze_id(family: str, level: str) -> str:
    """Return the Gymnasium id of a maze, as in "colonnade/Labyrinth-Track1-v0".

    Args:
        family: "Labyrinth" or "DoomLabyrinth".
        level: One of `LEVELS`.
    """
    return f"colonnade/{family}-{_joined(level)}-v0"


def jaco_id(domain: str) -> str:
    """Return the Gymnasium id of one of the arm's domains, as in "colonnade/JacoReach-v0".

    Args:
        domain: One of `colonnade.tasks.arm.DOMAINS`.
    """
    return f"colonnade/Jaco{_joined(domain)}-v0"


def _joined(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("-"))


def register_envs() -> None:
    """Register Pong Soup's and MiniPong's variants, mazes and the arm with Gymnasium, once.

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
    for family in _MAZES:
        for level in LEVELS:
            if (env_id := maze_id(family, level)) not in gymnasium.registry:
                gymnasium.register(
                    env_id,
                    entry_point=f"{__name__}:make_maze",
                    vector_entry_point=f"{__name__}:make_mazes",
                    kwargs={"family": family, "level": level},
                )
    for domain in DOMAINS:
        if jaco_id(domain) not in gymnasium.registry:
            gymnasium.register(
                jaco_id(domain),
                entry_point=f"{__name__}:make_jaco",
                vector_entry_point=f"{__name__}:make_jaco_vector",
                kwargs={"domain": domain},
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


def make_mazes(
    num_envs: int = 1, family: str = "Labyrinth", level: str | Level = "track-1", **options: Any
) -> MazeVectorEnv:
    """Make `num_envs` copies of a maze.

    Args:
        num_envs: The number of copies.
        family: "Labyrinth" or "DoomLabyrinth".
        level: The name of one, of a JSON file, or a level of your own.
        **options: `colour`, `stack` and `max_steps`, as `colonnade.tasks.LabyrinthTask` has them,
            and of DoomLabyrinth `threads`.
    """
    return _MAZES[family](level, num_envs, **options)


def make_maze(
    family: str = "Labyrinth",
    level: str | Level = "track-1",
    render_mode: str | None = None,
    colour: bool = True,
    stack: int = 1,
    max_steps: int = MAX_STEPS,
) -> SingleEnv:
    """Make one maze; it shows the same views as the vector one.

    Args:
        family: "Labyrinth" or "DoomLabyrinth".
        level: As in `make_mazes`.
        render_mode: "rgb_array" or None.
        colour: Whether views have three channels or a grey one.
        stack: How many views an observation holds.
        max_steps: Steps after which an episode is truncated.
    """
    mazes = make_mazes(1, family, level, colour=colour, stack=stack, max_steps=max_steps)
    return SingleEnv(mazes, render_mode, functools.partial(draw_maze, colour=colour))


def make_jaco_vector(
    num_envs: int = 1, domain: str = "reach", threads: int = 1, **options: Any
) -> AnyVectorEnv:
    """Make `num_envs` arms.

    Args:
        num_envs: The number of arms.
        domain: One of `colonnade.tasks.arm.DOMAINS`.
        threads: Threads that step and draw.
        **options: Fields of `JacoTask`, such as `view`.
    """
    options.pop("render_mode", None)  # they can always be drawn
    return JacoTask(domain, **options).make_vec(num_envs, threads)


def make_jaco(domain: str = "reach", render_mode: str | None = None, **options: Any) -> SingleEnv:
    """Make one arm.

    Args:
        domain: One of `colonnade.tasks.arm.DOMAINS`.
        render_mode: "rgb_array" or None; pictures have 320 x 320 pixels.
        **options: As in `make_jaco_vector`.
    """
    return SingleEnv(make_jaco_vector(1, domain, **options), render_mode, None)
