"""Steps of Labyrinth's levels, pixels and all, against the same levels in ViZDoom.

32 copies of each level are stepped with random actions on one thread; views are 84 x 84 RGB. The
other side is one engine of ViZDoom in its own process loop: the same map at 160 x 120 RGB, four
tics an action, nothing scaled and nothing sent on. Sides take turns. Figures:

- `labyrinth_steps_per_second`: of the slowest level, on one core.
- `labyrinth_mean_steps_per_second`: the mean of all eight.
- `labyrinth_vs_vizdoom`: that mean over ViZDoom's.
- `labyrinth_vs_doom_labyrinth`: that mean over `doom-labyrinth/...` with 4 copies held by one
  process, which scales its pictures down and brakes its player.

An action in ViZDoom takes turns of two processes, of which one waits; so seconds are wall-clock on
both sides, and a busy machine slows both.
"""

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from _alternate import alternate, arguments, report

ARGS = arguments(__doc__)

import numpy as np  # noqa: E402
import torch  # noqa: E402

from colonnade.tasks.mazes import (  # noqa: E402
    LEVELS,
    DoomLabyrinthVectorEnv,
    LabyrinthVectorEnv,
)
from colonnade.tasks.mazes.doom_maps import TICS, level_wad  # noqa: E402
from colonnade.tasks.mazes.levels import Level, layout  # noqa: E402
from colonnade.tasks.mazes.maze_env import MazeVectorEnv  # noqa: E402

COPIES, DOOM_COPIES = 32, 4
SOME = 8  # steps of all copies at a time


def playing(env: MazeVectorEnv) -> Callable[[], int]:
    """Random play of all copies of a level."""
    random = np.random.default_rng(0)
    env.reset(seed=0)

    def work() -> int:
        for actions in random.integers(0, 8, (SOME, env.num_envs)):
            env.step(actions)
        return SOME * env.num_envs

    return work


def plain_engine(level: Level, folder: Path) -> Callable[[], int]:
    """Random play in one engine as ViZDoom's documentation has it."""
    import vizdoom

    wad = folder / f"{level.name}.wad"
    wad.write_bytes(level_wad(level, layout(level, 0))[0])
    game = vizdoom.DoomGame()
    game.set_doom_game_path(str(Path(vizdoom.__file__).parent / "freedoom2.wad"))
    game.set_doom_scenario_path(str(wad))
    game.set_doom_config_path(str(folder / "vizdoom.ini"))
    game.set_doom_map("MAP01")
    game.set_screen_resolution(vizdoom.ScreenResolution.RES_160X120)
    game.set_screen_format(vizdoom.ScreenFormat.RGB24)
    for part in ("hud", "weapon", "crosshair", "decals", "particles", "messages"):
        getattr(game, f"set_render_{part}")(False)
    game.set_window_visible(False)
    game.set_sound_enabled(False)
    button = vizdoom.Button
    game.set_available_buttons(
        [
            button.LOOK_UP_DOWN_DELTA,
            button.TURN_LEFT_RIGHT_DELTA,
            button.MOVE_FORWARD_BACKWARD_DELTA,
            button.MOVE_LEFT_RIGHT_DELTA,
        ]
    )
    with contextlib.chdir(folder):  # where the engine leaves a folder of its own
        game.init()
    presses = [
        [4.0 * way if i == part else 0.0 for i in range(4)] for part in range(4) for way in (1, -1)
    ]
    random = np.random.default_rng(0)

    def work() -> int:
        for action in random.integers(0, 8, SOME * 4):
            game.make_action(presses[action], TICS)
            game.get_state()
        return SOME * 4

    return work


def main() -> None:
    """Measure and report."""
    torch.set_num_threads(1)
    levels = list(LEVELS.values())
    rounds, seconds = (3, 0.35) if ARGS.quick else (9, 1.5)
    with tempfile.TemporaryDirectory() as folder:
        sides = {level.name: playing(LabyrinthVectorEnv(level, COPIES)) for level in levels}
        sides |= {f"vizdoom {level.name}": plain_engine(level, Path(folder)) for level in levels}
        doom = [DoomLabyrinthVectorEnv(level, DOOM_COPIES) for level in levels]
        sides |= {f"doom {env.level.name}": playing(env) for env in doom}
        rate = alternate(sides, rounds=rounds, seconds=seconds)
        for env in doom:
            env.close()
    own = [rate[level.name] for level in levels]
    engine = float(np.mean([rate[f"vizdoom {level.name}"] for level in levels]))
    wrapped = float(np.mean([rate[f"doom {level.name}"] for level in levels]))
    mean = float(np.mean(own))
    report(
        {
            "labyrinth_steps_per_second": min(own),
            "labyrinth_mean_steps_per_second": mean,
            "labyrinth_vs_vizdoom": mean / engine,
            "labyrinth_vs_doom_labyrinth": mean / wrapped,
            "vizdoom_mean_steps_per_second": engine,
            "doom_labyrinth_mean_steps_per_second": wrapped,
            **{f"{level.name}_steps_per_second": rate[level.name] for level in levels},
        }
    )


if __name__ == "__main__":
    main()
