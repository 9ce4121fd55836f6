"""Letting a trained network play, and filming what it sees."""

from __future__ import annotations

import errno
import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv, VectorWrapper
from numpy.typing import NDArray

from colonnade.errors import ColonnadeError, UsageError, unknown_name
from colonnade.experiments.plans.build import build_learner, build_task
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.store.files import disk_errors
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.trained.film import check_kind, write_film
from colonnade.experiments.trained.load import load_method, trusting
from colonnade.learners import LearnerConfig
from colonnade.tasks import GymTask
from colonnade.tasks.frames import Image, first_of, frame_of
from colonnade.tasks.vector import episodes_ended
from colonnade.training import evaluate
from colonnade.types import EnvironmentTask, Network, TaskSpec, environments_of


@dataclass(frozen=True)
class Played:
    """What was played.

    Attributes:
        run: Id of the run whose network played.
        task: Name of the task.
        returns: [episodes] undiscounted returns.
    """

    run: str
    task: str
    returns: NDArray[np.float64]


def play(
    suite: SuiteFolder,
    run: str | None,
    task: str | None,
    episodes: int,
    film: Path | None,
    seed: int,
    *,
    trust: bool = False,
) -> Played:
    """Play some episodes with the network of a complete run.

    Args:
        suite: The output folder.
        run: Id of a run, or a beginning that no other has; None takes the last complete one.
        task: Name of a task that the run has learned; None takes its last.
        episodes: How many to play.
        film: Where to write a film; None makes none.
        seed: Of the environment and of the actions.
        trust: Whether code that the folder names, such as an environment's module, is imported.

    Raises:
        UsageError: The run, the task or the kind of film is unknown.
        ColonnadeError: The run's weights are damaged, or the film can't be written.
    """
    if episodes < 1:
        raise UsageError(f"--episodes is at least 1, but {episodes} came.")
    if film is not None:
        check_kind(film)
        _check_place(film)
    folder = _find(suite, run)
    spec = folder.spec
    task_played, network, learner = trained_player(suite, folder, task, trust=trust)
    if film is not None and isinstance(task_played, GymTask):
        task_played = task_played.drawn()
    stage = _FilmedTask(task_played, episodes)
    returns = evaluate(
        stage,
        network,
        learner=learner,
        episodes=episodes,
        seed=seed,
        num_envs=1,
        limit=spec.evaluation_limit,
    )
    if film is not None:
        write_film(film, stage.frames)
    return Played(spec.id, stage.spec.id, returns)


def trained_player(
    suite: SuiteFolder, folder: RunFolder, task: str | None, *, trust: bool = False
) -> tuple[EnvironmentTask, Network, LearnerConfig]:
    """Return what a complete run's network plays, the network, and how it acts.

    Args:
        suite: The output folder.
        folder: The run's.
        task: Name of a task that the run has learned; None takes its last.
        trust: Whether code that the folder names, such as an environment's module, is imported.

    Raises:
        UsageError: The task is unknown.
        ColonnadeError: The run's weights are damaged.
    """
    spec = folder.spec
    # Where contexts were recognised, networks go by those.
    contexts: dict[str, str] = folder.result().get("contexts", {})
    known = {**folder.network()["tasks"], **contexts}
    name = task or (list(contexts)[-1] if contexts else folder.last_task)
    if name not in known:
        raise unknown_name(f"task of run {spec.id}:", name, known)
    with trusting(suite.path, trust=trust):
        stage = environments_of(build_task(suite.plan.task(spec, name)))
        method = load_method(folder)
    network = method.network_for(contexts.get(stage.spec.id, stage.spec.id))
    return stage, network, build_learner(spec)


def film_frames(
    task: EnvironmentTask, network: Network | None, learner: LearnerConfig, spec: RunSpec, most: int
) -> list[Image]:
    """Film the beginning of an episode: [H, W, 3] frames, none of a task that shows no images.

    Args:
        task: What is played.
        network: What plays; None plays at random.
        learner: How it acts.
        spec: Of the run.
        most: After how many frames the film ends.
    """
    stage = _FilmedTask(task, 1, most)
    with suppress(_FilmOver):
        evaluate(
            stage, network, learner=learner, episodes=1, num_envs=1, limit=spec.evaluation_limit
        )
    return stage.frames


def _find(suite: SuiteFolder, run: str | None) -> RunFolder:
    complete = {folder.id: folder for folder in suite.runs if folder.done}
    if not complete:
        raise ColonnadeError(f"No run in {suite.path} is complete; `colonnade run` completes them.")
    if run is None:
        return list(complete.values())[-1]
    matching = [name for name in complete if name == run] or [
        name for name in complete if name.startswith(run)
    ]
    if not matching:
        raise unknown_name("complete run", run, complete)
    if len(matching) > 1:
        raise UsageError(
            f"{len(matching)} complete runs begin with {run!r}; give more of the id of one: "
            f"{', '.join(matching)}."
        )
    return complete[matching[0]]


class _FilmedTask:
    """A task whose environments note what the first of them shows, for some episodes."""

    def __init__(self, task: EnvironmentTask, episodes: int, most: float = math.inf) -> None:
        self._task = task
        self._episodes = episodes
        self._most = most
        self.frames: list[Image] = []

    @property
    def spec(self) -> TaskSpec:
        return self._task.spec

    def make_vec(self, num_envs: int, threads: int = 1) -> VectorEnv[Any, Any, Any]:
        envs = self._task.make_vec(num_envs, threads)
        return _Camera(envs, self.frames, self._episodes, self._most)


class _FilmOver(Exception):
    """As many frames as were asked for are there."""


class _Camera(VectorWrapper):
    def __init__(
        self, env: VectorEnv[Any, Any, Any], frames: list[Image], episodes: int, most: float
    ) -> None:
        super().__init__(env)
        self._frames = frames
        self._most = most
        self._looks = 0
        self._left = episodes
        # Some draw larger than they show, or what they do not show at all.
        self._renders = env.render_mode == "rgb_array"

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        observations, info = self.env.reset(**options)
        self._shoot(first_of(observations))
        return observations, info

    def step(self, actions: Any) -> Any:
        observations, rewards, terminated, truncated, info = self.env.step(actions)
        over = bool(episodes_ended(terminated, truncated, info)[0])
        if self._renders:  # what ended is gone, and can't be rendered any more
            self._left -= over
        self._shoot(first_of(info["final_obs"] if over else observations))
        self._left -= over and not self._renders
        return observations, rewards, terminated, truncated, info

    def _shoot(self, observation: Any) -> None:
        if self._left <= 0:
            return
        rendered: Any = self.env.render() if self._renders else None
        frame = frame_of(observation) if rendered is None else rendered[0]
        if frame is not None:
            self._frames.append(frame)
        self._looks += 1
        if self._looks >= self._most:
            raise _FilmOver


def _check_place(film: Path) -> None:
    """Refuse, before anything is played, a place where no file can be written.

    Raises:
        ColonnadeError: There can't.
    """
    with disk_errors(film):
        if film.parent.exists() and not film.parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        film.parent.mkdir(parents=True, exist_ok=True)
        if film.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        with TemporaryFile(dir=film.parent):
            pass
