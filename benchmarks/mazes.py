"""Steps of Labyrinth's levels, pixels and all, against the same levels in ViZDoom.

32 copies of each level are stepped with random actions on one thread; views are 84 x 84 RGB. The
other side is ViZDoom in a plain loop: the same map at 160 x 120 RGB, four tics an action, nothing
scaled and nothing sent on. Sides take turns. Seconds are a core's: those that a side's processes,
its engines among them, spent computing; so other work on the machine counts for little. Figures:

- `labyrinth_steps_per_second`: of the slowest level.
- `labyrinth_mean_steps_per_second`: the mean of all eight.
- `labyrinth_vs_vizdoom`: that mean over ViZDoom's.
- `labyrinth_vs_doom_labyrinth`: that mean over `doom-labyrinth/...` with 4 copies held by one
  process, which scales its pictures down and brakes its player.

The rounds' own lines show wall-clock rates.
"""

import contextlib
import functools
import os
import tempfile
import time
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
from colonnade.tasks.mazes.doom.maps import TICS, level_wad  # noqa: E402
from colonnade.tasks.mazes.levels import Level, layout  # noqa: E402
from colonnade.tasks.mazes.maze_env import MazeVectorEnv  # noqa: E402

COPIES, DOOM_COPIES = 32, 4
SOME = 8  # steps of all copies at a time


class Side:
    """Something that plays, and what it costs.

    Attributes:
        engines: Ids of processes that work for it alone.
    """

    def __init__(self, play: Callable[[], int], engines: list[int]) -> None:
        self.engines = engines
        self._play = play
        self._steps = 0
        self._own = 0.0
        self._before = 0.0

    def begin(self) -> None:
        """Count from here on."""
        self._steps, self._own, self._before = 0, 0.0, self._spent()

    def work(self) -> int:
        """Play a little; return how many steps."""
        begin = time.process_time()
        steps = self._play()
        self._own += time.process_time() - begin
        self._steps += steps
        return steps

    @property
    def rate(self) -> float:
        """Steps a second of a core."""
        return self._steps / (self._own + self._spent() - self._before)

    def _spent(self) -> float:
        ticks = 0
        for engine in self.engines:
            fields = Path(f"/proc/{engine}/stat").read_text().rsplit(")", 1)[1].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")


def descendants() -> list[int]:
    """List the processes that this one, and those that it started, have started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rsplit(")", 1)[1].split()[1])
    found = {os.getpid()}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return sorted(found - {os.getpid()})


def playing(make: Callable[[], MazeVectorEnv], closing: contextlib.ExitStack) -> Side:
    """Random play of all copies of a level."""
    before = set(descendants())
    env = make()
    closing.callback(env.close)
    random = np.random.default_rng(0)
    env.reset(seed=0)

    def play() -> int:
        for actions in random.integers(0, 8, (SOME, env.num_envs)):
            env.step(actions)
        return SOME * env.num_envs

    return Side(play, sorted(set(descendants()) - before))


def plain_engine(level: Level, folder: Path, closing: contextlib.ExitStack) -> Side:
    """Random play in one engine as ViZDoom's documentation has it."""
    import vizdoom

    before = set(descendants())
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
    closing.callback(game.close)
    presses = [[4.0 * way * (i == part) for i in range(4)] for part in range(4) for way in (1, -1)]
    random = np.random.default_rng(0)

    def play() -> int:
        for action in random.integers(0, 8, SOME * 4):
            game.make_action(presses[action], TICS)
            game.get_state()
        return SOME * 4

    return Side(play, sorted(set(descendants()) - before))


def main() -> None:
    """Measure and report."""
    torch.set_num_threads(1)
    levels = list(LEVELS.values())
    rounds, seconds = (3, 0.35) if ARGS.quick else (9, 1.5)
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as closing:
        sides = {}
        for level in levels:
            own = functools.partial(LabyrinthVectorEnv, level, COPIES)
            doom = functools.partial(DoomLabyrinthVectorEnv, level, DOOM_COPIES)
            sides[level.name] = playing(own, closing)
            sides[f"vizdoom {level.name}"] = plain_engine(level, Path(folder), closing)
            sides[f"doom {level.name}"] = playing(doom, closing)
        for side in sides.values():
            side.work()
            side.begin()
        works = {name: side.work for name, side in sides.items()}
        alternate(works, rounds=rounds, seconds=seconds)
        rate = {name: side.rate for name, side in sides.items()}
    rates = {level.name: rate[level.name] for level in levels}
    mean = float(np.mean(list(rates.values())))
    engine = float(np.mean([rate[f"vizdoom {name}"] for name in rates]))
    wrapped = float(np.mean([rate[f"doom {name}"] for name in rates]))
    report(
        {
            "labyrinth_steps_per_second": min(rates.values()),
            "labyrinth_mean_steps_per_second": mean,
            "labyrinth_vs_vizdoom": mean / engine,
            "labyrinth_vs_doom_labyrinth": mean / wrapped,
            "vizdoom_mean_steps_per_second": engine,
            "doom_labyrinth_mean_steps_per_second": wrapped,
            **{f"{name}_steps_per_second": value for name, value in rates.items()},
        }
    )


if __name__ == "__main__":
    main()
