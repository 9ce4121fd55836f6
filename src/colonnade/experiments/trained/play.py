"""Letting a trained network play, and filming what it sees."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile

import numpy as np
from numpy.typing import NDArray

from colonnade.errors import ColonnadeError, UsageError, unknown_name
from colonnade.experiments.plans.build import build_learner
from colonnade.experiments.store.files import disk_errors
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.trained.films.camera import FilmedTask, drawn_task
from colonnade.experiments.trained.films.writing import check_kind, write_film
from colonnade.experiments.trained.load import load_method, task_as_learned, task_of, trusting
from colonnade.learners import LearnerConfig
from colonnade.training import evaluate
from colonnade.types import EnvironmentTask, Network, environments_of


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
    stage = FilmedTask(drawn_task(task_played) if film else task_played, episodes)
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
    name, known = task_of(folder, task)
    with trusting(suite.path, trust=trust):
        stage = environments_of(task_as_learned(suite, folder, name))
        method = load_method(folder)
    return stage, method.network_for(known), build_learner(folder.spec)


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
