"""The process that holds ViZDoom's engines, `python worker.py FD FOLDER` of `engines`.

It imports nothing of Colonnade, so that it starts in a moment. It ends its engines and empties its
folder when its parent ends, however that comes about: the connection closes, or the parent's id
changes. An engine in turn ends with this process, since it asks the kernel for that before it
begins. The names of the memory that both share are taken away as soon as both have opened it.
"""

import ctypes
import math
import os
import pickle
import shutil
import signal
import stat
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

SHARED = Path("/dev/shm")
AT_ONCE = 4
"""Engines of a process that start at the same time; a start is mostly waiting."""

_DIE_WITH_PARENT = _TELL_OF_DEATH = 1  # PR_SET_PDEATHSIG
_LOOK_SECONDS, _LAST_SECONDS = 0.5, 3.0
_IDLE_TICS = 10  # the engine ignores movement for the first seven of an episode
_LEFT, _SIDE = 20, 120  # the square that is cut out of the middle of 160 x 120


def become_engine(parent: str, engine: str, *arguments: str) -> None:
    """Turn this process into an engine that ends with its parent.

    By what its shared memory is named is noted beside its map.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    if os.getppid() != int(parent):
        return
    instance = arguments[arguments.index("+viz_instance_id") + 1]
    wad = Path(arguments[arguments.index("-file") + 1])
    wad.with_suffix(".instance").write_text(instance)
    os.execv(engine, [engine, *arguments])


def forget_names(folder: Path, game: str = "*") -> None:
    """Take away the names of the shared memory of a folder's engines, or of one game's."""
    for noted in folder.glob(f"{game}.instance"):
        for kind in ("SM", "MQCtr", "MQDoom"):
            (SHARED / f"ViZDoom{kind}{noted.read_text()}").unlink(missing_ok=True)


def end(folder: Path) -> NoReturn:
    """End this process, and leave nothing behind; the kernel ends its engines with it.

    They are not asked to end: one that hangs does not answer, and ViZDoom, which would wait for it
    for ever, lets no other thread of Python's run meanwhile.
    """
    forget_names(folder)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


class Games:
    """Engines in one process, stepped one after the other."""

    def __init__(self, folder: Path, setup: dict[str, Any]) -> None:
        import numpy as np
        import vizdoom

        self._np = np
        self._tics = setup["tics"]
        self._offset = setup["offset"]
        self._size = setup["size"]
        self._files = [folder / f"{i}.wad" for i in range(setup["games"])]
        self._nothing = [0.0] * 4
        self._push = setup["push"]
        self._speed = (vizdoom.GameVariable.VELOCITY_X, vizdoom.GameVariable.VELOCITY_Y)
        self._angle = vizdoom.GameVariable.ANGLE
        engine = Path(vizdoom.__file__).parent / "vizdoom"
        shim = folder / "engine"
        call = ("exec", sys.executable, "-IS", __file__, "engine", os.getpid(), engine)
        words = " ".join(["exec", *(_quoted(str(part)) for part in call[1:])])
        shim.write_text(f'#!/bin/sh\n{words} "$@"\n')
        shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
        # An engine that finds no such folder makes it, and gives up if another was quicker.
        (folder / "_vizdoom").mkdir(exist_ok=True)
        for file in self._files:
            file.write_bytes(setup["wad"])
        self.games = [
            self._configure(vizdoom, shim, file, setup["colour"], setup["counters"])
            for file in self._files
        ]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._start, self.games, self._files))
        # Rows and columns of the screen on either side of each row and column of a view.
        place = (np.arange(self._size) + 0.5) * _SIDE / self._size - 0.5
        self._first = np.floor(place).astype(np.int64)
        self._next = np.minimum(self._first + 1, _SIDE - 1)
        self._share = np.rint((place - self._first) * 256).astype(np.uint16)

    @staticmethod
    def _start(game: Any, wad: Path) -> None:
        game.init()
        forget_names(wad.parent, wad.stem)  # both sides have it open

    def _configure(self, vizdoom: Any, shim: Path, wad: Path, colour: bool, counters: int) -> Any:
        game = vizdoom.DoomGame()
        game.set_vizdoom_path(str(shim))
        game.set_doom_game_path(str(Path(vizdoom.__file__).parent / "freedoom2.wad"))
        game.set_doom_scenario_path(str(wad))
        game.set_doom_config_path(str(wad.with_suffix(".ini")))
        game.set_doom_map("MAP01")
        game.set_screen_resolution(vizdoom.ScreenResolution.RES_160X120)
        shown = vizdoom.ScreenFormat.RGB24 if colour else vizdoom.ScreenFormat.GRAY8
        game.set_screen_format(shown)
        for part in (
            "hud",
            "weapon",
            "crosshair",
            "decals",
            "particles",
            "effects_sprites",
            "messages",
            "corpses",
            "screen_flashes",
        ):
            getattr(game, f"set_render_{part}")(False)
        game.set_window_visible(False)
        game.set_sound_enabled(False)
        game.set_mode(vizdoom.Mode.PLAYER)
        button, variable = vizdoom.Button, vizdoom.GameVariable
        game.set_available_buttons(
            [
                button.LOOK_UP_DOWN_DELTA,
                button.TURN_LEFT_RIGHT_DELTA,
                button.MOVE_FORWARD_BACKWARD_DELTA,
                button.MOVE_LEFT_RIGHT_DELTA,
            ]
        )
        game.set_available_game_variables(
            [
                variable.POSITION_X,
                variable.POSITION_Y,
                variable.ANGLE,
                variable.PITCH,
                *(getattr(variable, f"AMMO{n}") for n in range(1, counters + 1)),
            ]
        )
        game.add_game_args("+freelook 1 +movebob 0")
        game.set_episode_timeout(0)
        game.set_seed(0)
        return game

    def begin(self, chosen: list[int], texts: list[bytes]) -> tuple[Any, Any]:
        """Begin an episode in the chosen games, each with a map of its own."""
        for i, text in zip(chosen, texts, strict=True):
            with self._files[i].open("r+b") as file:
                file.seek(self._offset)
                file.write(text)
            self.games[i].new_episode()
            self.games[i].make_action(self._nothing, _IDLE_TICS)
        return self._seen(chosen)

    def step(self, pushes: Any) -> tuple[Any, Any]:
        """Do an action in every game.

        Args:
            pushes: [games, 4], degrees a tic of looking up and of turning right, units a tic that
                are added to the speed forward and to the right.
        """
        for game, (nod, turn, forward, right) in zip(self.games, pushes.tolist(), strict=True):
            if not forward and not right:
                game.make_action([nod, turn, 0.0, 0.0], self._tics)
                continue
            pushed = [nod, turn, round(forward / self._push), round(right / self._push)]
            game.set_action(pushed)
            game.advance_action(self._tics - 1, True)
            # The last tic takes away what speed there is, so that the player stands.
            x, y = (game.get_game_variable(variable) for variable in self._speed)
            angle = math.radians(game.get_game_variable(self._angle))
            ahead = x * math.cos(angle) + y * math.sin(angle)
            aside = x * math.sin(angle) - y * math.cos(angle)
            pushed[2:] = round(-ahead / self._push), round(-aside / self._push)
            game.set_action(pushed)
            game.advance_action(1, True)
        return self._seen(list(range(len(self.games))))

    def _seen(self, chosen: list[int]) -> tuple[Any, Any]:
        """Return variables [chosen, variables] and views [chosen, size, size, channels]."""
        states = [self.games[i].get_state() for i in chosen]
        variables = self._np.stack([state.game_variables for state in states])
        return variables, self._np.stack([self._view(state.screen_buffer) for state in states])

    def _view(self, screen: Any) -> Any:
        """Scale the middle of a screen to a view, between the nearest rows and columns."""
        square = screen.reshape(_SIDE, -1, screen.shape[2] if screen.ndim == 3 else 1)
        square = square[:, _LEFT : _LEFT + _SIDE].astype(self._np.uint16)
        share = self._share[:, None, None]
        rows = (square[self._first] * (256 - share) + square[self._next] * share) >> 8
        share = self._share[:, None]
        both = rows[:, self._first] * (256 - share) + rows[:, self._next] * share
        return (both >> 8).astype(self._np.uint8)

    def close(self) -> None:
        """End the engines."""
        for game in self.games:
            game.close()


def serve(connection: Any, folder: Path) -> None:
    """Answer the parent's requests until it closes the connection or is gone."""
    parent = os.getppid()
    _follow(parent, folder)
    games = None
    try:
        while True:
            while not connection.poll(1.0):
                if os.getppid() != parent:
                    return
            name, *arguments = pickle.loads(connection.recv_bytes())
            try:
                if name == "open":
                    games = Games(folder, *arguments)
                    answer: Any = ("done",)
                else:
                    answer = ("done", *getattr(games, name)(*arguments))
            except Exception as error:
                answer = ("failed", f"{type(error).__name__}: {error}")
            connection.send_bytes(pickle.dumps(answer, protocol=5))
    except (EOFError, OSError):
        return
    finally:
        if games is not None and sys.platform != "linux":
            games.close()
        end(folder)


def _follow(parent: int, folder: Path) -> None:
    """See to it that this process ends with its parent, though it is stopped or its engine hangs.

    The kernel lets it go on then if it was stopped; it has some seconds to end by itself.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_TELL_OF_DEATH, signal.SIGCONT)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_LOOK_SECONDS)
        time.sleep(_LAST_SECONDS)
        end(folder)

    threading.Thread(target=watch, daemon=True).start()


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\"'\"'") + "'"


if __name__ == "__main__":
    if sys.argv[1] == "engine":
        become_engine(*sys.argv[2:])
    else:
        from multiprocessing.connection import Connection

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what Ctrl-C means
        serve(Connection(int(sys.argv[1])), Path(sys.argv[2]))
