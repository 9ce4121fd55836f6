"""What a run takes from others: weights, or the hyperparameters of the best of several."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.plans.spec import (
    BEST,
    BUNDLED,
    FILE,
    FOREIGN,
    KEPT,
    RunSpec,
    TaskBudget,
)
from colonnade.experiments.store.contents import CHOICE, misfit
from colonnade.experiments.store.folders import RunFolder, SuiteFolder, find_runs
from colonnade.experiments.store.kept import (
    SCORED,
    About,
    Kept,
    Score,
    kept_path,
    read_bundled,
    read_kept,
)
from colonnade.experiments.store.measures import MEASURES
from colonnade.experiments.store.reading import is_there, read_json
from colonnade.watching import beat

if TYPE_CHECKING:
    from torch import Tensor

    from colonnade.methods import ColumnMethod, PathMethod

_LOOK_SECONDS = 0.2


def read_trained(source: str | Path) -> Kept:
    """Read a trained network.

    Args:
        source: A run's folder; an output folder, for its last complete run; a file that
            `Kept.write` wrote; or "bundled:NAME".

    Raises:
        UsageError: It is none of these.
        ColonnadeError: No run is complete, or a file is damaged.
    """
    if str(source).startswith(BUNDLED):
        return read_bundled(str(source).removeprefix(BUNDLED))
    path = Path(source)
    if path.is_file():
        return read_kept(path)
    if path.suffix == ".safetensors" and not is_there(path):
        raise UsageError(f"There is no file {path}; give one that `TrainedPolicy.save` wrote.")
    suite, runs, _ = find_runs(path)
    complete = [folder for folder in runs if folder.done]
    if not complete:
        raise ColonnadeError(f"No run in {suite.path} is complete; `colonnade run` completes them.")
    folder = complete[-1]
    learned = {name: task_known(suite, folder.spec, name) for name in folder.played_as}
    contexts = {task: known for task, known in folder.played_as.items() if known != task}
    about = _about(folder)
    spec = as_learned(suite.path, folder.spec)
    return Kept(spec, learned, *folder.weights(), about=about, contexts=contexts)


def task_known(suite: SuiteFolder, spec: RunSpec, name: str) -> TaskBudget:
    """Return the task that the network of a run has learned by an id, with its options there.

    It is looked for in the run, in the folder's runs that it starts from, in the networks of other
    folders that these start from, and then in all runs; see `Plan.task`.

    Args:
        suite: The run's output folder.
        spec: Of the run.
        name: The task's id.

    Raises:
        ColonnadeError: A network that it starts from is missing or damaged.
    """
    line = suite.plan.line_of(spec)
    if not any(task.is_called(name) for run in line for task in run.tasks):
        origins = dict.fromkeys(origin for run in line for origin in run.origins)
        for origin in (each for each in origins if each.startswith(KEPT)):
            if name in (known := read_kept(kept_path(suite.path, origin)).tasks):
                return known[name]
    return suite.plan.task(spec, name)


def _about(folder: RunFolder) -> About:
    """What a complete run's result says of its network."""
    result = folder.result()
    trained = [row for row in result["scores"] if row["policy"] == "trained"]
    score = Score(trained[-1]["task"], *(trained[-1][name] for name in SCORED)) if trained else None
    machine = result["hardware"]
    return About(
        steps=trained[-1]["step"] if trained else None,
        score=score,
        versions=result["versions"],
        hardware=", ".join(filter(None, (machine["cpu"], machine["gpu"]))),
    )


@contextmanager
def foreign_states(where: Path) -> Iterator[None]:
    """Say in one sentence that what a file holds is no state of the method that it is given to.

    Args:
        where: The file.

    Raises:
        ColonnadeError: It is none.
    """
    try:
        yield
    except UsageError as error:
        raise type(error)(f"{where}: {error}") from error
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, RuntimeError) as error:
        raise ColonnadeError(
            f"{where} holds no state that fits the run's method ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:120]}); restore it, or train the run again."
        ) from error


def lineage(suite: Path, spec: RunSpec) -> list[RunSpec]:
    """List a run and those that it starts from, one from the other, as far as they are there."""
    found, waiting = [spec], list(spec.origins)
    while waiting:
        origin = waiting.pop(0)
        if origin.startswith(KEPT):
            kept = read_kept(kept_path(suite, origin))
            found += [] if kept.spec is None else [kept.spec]
            continue
        if origin.startswith(FOREIGN):
            continue
        if origin.startswith(BEST):
            chosen = read_json(suite / "choices.json").get(origin, {})
            if misfit(chosen, CHOICE):
                continue
            origin = str(chosen["run"])
        folder = RunFolder(suite / "runs" / origin)
        if is_there(folder.path / "spec.json"):
            found.append(folder.spec)
            waiting += folder.spec.origins
    return found


def take_over(
    method: ColumnMethod | PathMethod, states: Sequence[tuple[dict[str, Tensor], dict[str, Any]]]
) -> None:
    """Let a method begin with what one run learned, or several that stand side by side.

    Raises:
        UsageError: The states are no such method's, or several are given to one without columns.
    """
    from colonnade.training.normalizing import taken_apart

    states = [(taken_apart(tensors)[0], meta) for tensors, meta in states]
    if len(states) == 1:
        method.load_state(*states[0])
    elif not hasattr(method, "load_states"):
        raise UsageError(
            f"'parents' stand side by side as columns, but {type(method).__name__} has none; give "
            "one 'parent'."
        )
    else:
        method.load_states(states)


def read_parent(suite: Path, parent: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the method's state that a run starts from.

    Args:
        suite: The output folder.
        parent: As in `RunSpec.parent`.

    Returns:
        Tensors and JSON data as `Method.state` gave them.

    Raises:
        ColonnadeError: The parent is not complete, or its weights are damaged.
    """
    if parent.startswith(BUNDLED):
        kept = read_bundled(parent.removeprefix(BUNDLED))
        return kept.tensors, kept.meta
    if parent.startswith(KEPT):
        kept = read_kept(kept_path(suite, parent))
        return kept.tensors, kept.meta
    if parent.startswith(FILE):
        raise UsageError(
            f"{parent!r} is a parent outside of the folder, which is copied into it where "
            "`colonnade run` begins it; run the spec by that."
        )
    if parent.startswith(BEST):
        parent = _best(suite, parent)
    folder = RunFolder(suite / "runs" / parent)
    if not folder.done:
        raise ColonnadeError(f"Run {parent}, which this one starts from, isn't complete.")
    if folder.measures != MEASURES:
        raise ColonnadeError(
            f"Run {parent}, which this one starts from, is of an earlier version of Colonnade, "
            f"which measured learning in another way; move {folder.path} away to train it again."
        )
    return folder.weights()


def await_origins(suite: Path, spec: RunSpec, seconds: float) -> None:
    """Wait until this machine sees what a run starts from, if another one has just written it.

    Args:
        suite: The output folder.
        spec: The run.
        seconds: How long to wait; what is missing then is for others to say.
    """
    limit = time.monotonic() + seconds
    while not _sees_origins(suite, spec) and time.monotonic() < limit:
        beat()
        time.sleep(_LOOK_SECONDS)


def _sees_origins(suite: Path, spec: RunSpec) -> bool:
    for origin in (*spec.origins, *([spec.learner_from] if spec.learner_from else ())):
        if origin.startswith(FOREIGN):
            continue
        if origin.startswith(BEST):
            if not is_there(suite / "choices.json"):
                return False
            chosen = read_json(suite / "choices.json").get(origin, {})
            if misfit(chosen, CHOICE):
                return False
            origin = str(chosen["run"])
        if not RunFolder(suite / "runs" / origin).done:
            return False
    return True


def with_choice(suite: Path, spec: RunSpec) -> RunSpec:
    """Give a run what was chosen for it: the hyperparameters of the best of some runs.

    That one may have taken its own from the best of others.

    Args:
        suite: The output folder.
        spec: The run; it stays as it is where it names its own.

    Raises:
        ColonnadeError: It isn't known which run was best.
    """
    if spec.learner_from is None:
        return spec
    best = with_choice(suite, RunFolder(suite / "runs" / _best(suite, spec.learner_from)).spec)
    taken = replace(spec, learner=best.learner, learner_options=best.learner_options)
    if not spec.column_too:
        return taken
    options = best.method_options if best.method == spec.method else spec.method_options
    return replace(taken, column=best.column, method_options=options)


def as_learned(suite: Path, spec: RunSpec) -> RunSpec:
    """Do the same where it is known which run was best; else return the spec as it is."""
    try:
        return with_choice(suite, spec)
    except ColonnadeError:
        return spec


def _best(suite: Path, name: str) -> str:
    """Return the run that a selection came to."""
    path = suite / "choices.json"
    chosen = read_json(path).get(name, {})
    if misfit(chosen, CHOICE):
        raise ColonnadeError(f"{path} doesn't say which run {name!r} is; restore it.")
    return str(chosen["run"])
