"""What a run takes from others: weights, or the hyperparameters of the best of several.

And what is kept of a trained network in one file, from which a run may start elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from colonnade.errors import ColonnadeError, UsageError, unknown_name
from colonnade.experiments.plans.bundled import bundled_columns, bundled_folder
from colonnade.experiments.plans.spec import (
    BEST,
    BUNDLED,
    FILE,
    FOREIGN,
    KEPT,
    RunSpec,
    TaskBudget,
)
from colonnade.experiments.store.contents import CHOICE, POLICY, misfit
from colonnade.experiments.store.folders import RunFolder, SuiteFolder, find_runs
from colonnade.experiments.store.measures import MEASURES
from colonnade.experiments.store.reading import check_kind, is_there, read_json
from colonnade.records import read, shown, write
from colonnade.watching import beat

if TYPE_CHECKING:
    from torch import Tensor

    from colonnade.methods import ColumnMethod, PathMethod

_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Score:
    """How well a trained network did.

    Attributes:
        task: At what; its id.
        episodes: Over how many episodes; of a data set, 1.
        return_mean: Mean undiscounted return; of a data set, the share that was right.
        return_std: Standard deviation over the episodes.
    """

    task: str
    episodes: int
    return_mean: float
    return_std: float


@dataclass(frozen=True)
class About:
    """What a trained network says of itself to those who would start from it.

    Attributes:
        steps: Agent steps, or examples, that its last task was learned for; None if not known.
        score: How well it did in the end; None if not known.
        licence: An SPDX name, as "CC-BY-4.0"; empty where nobody said.
        note: Whatever else should be known.
        versions: Of the packages that it was made with.
        hardware: What it was made on, in words.
    """

    steps: int | None = None
    score: Score | None = None
    licence: str = ""
    note: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    hardware: str = ""


class Kept(NamedTuple):
    """What is kept of a trained network.

    Attributes:
        spec: Of its run; None where it had none.
        tasks: What it has learned, by id, and what it started from had; the last one last. Empty
            where there was no run.
        tensors: Of its method's state.
        meta: JSON data of its method's state.
        alone: Where there was no run: the task's spec and the learner, as JSON data.
        about: What it says of itself.
        contexts: By the id of a task, the one under which the network plays it, where contexts were
            recognised.
    """

    spec: RunSpec | None
    tasks: dict[str, TaskBudget]
    tensors: dict[str, Tensor]
    meta: dict[str, Any]
    alone: dict[str, Any] | None = None
    about: About = About()
    contexts: Mapping[str, str] = {}

    def write(self, path: Path) -> None:
        """Write it to a file that executes nothing, for `read_kept`."""
        from colonnade.training import write_tensors

        policy: dict[str, Any] = {}
        if self.spec is not None:
            tasks = {name: write(budget) for name, budget in self.tasks.items()}
            # Files keep no order of names, but which task was the last one counts.
            policy |= {"spec": self.spec.to_json(), "tasks": tasks, "order": list(tasks)}
        if self.alone is not None:
            policy["alone"] = self.alone
        if self.about != About():
            policy["about"] = write(self.about)
        if self.contexts:
            policy["contexts"] = dict(self.contexts)
        write_tensors(path, self.tensors, {"policy": policy, "method": self.meta})

    @property
    def name(self) -> str:
        """Of it as a run's parent; it follows from the weights, and from how they lie."""
        content = hashlib.sha256(json.dumps(self.meta, sort_keys=True).encode())
        for name in sorted(self.tensors):
            content.update(name.encode())
            content.update(self.tensors[name].detach().cpu().contiguous().numpy().tobytes())
        return KEPT + content.hexdigest()[:16]


def kept_path(suite: Path, name: str) -> Path:
    """Where a network is kept that runs of an output folder start from.

    Raises:
        UsageError: It is no name of such a one.
    """
    if re.fullmatch(r"[0-9a-f]+", name.removeprefix(KEPT)) is None:
        raise UsageError(
            f"{shown(name)} names no network that a folder keeps; name a network of elsewhere by "
            "its file, as in 'file:DIR/parents/NAME.safetensors'."
        )
    return suite / "parents" / f"{name.removeprefix(KEPT)}.safetensors"


def read_kept(path: Path) -> Kept:
    """Read what `Kept.write` wrote.

    Raises:
        UsageError: It holds something else.
        ColonnadeError: It is missing or damaged.
    """
    from colonnade.training import read_tensors

    check_kind(path)
    tensors, meta = read_tensors(path)
    if "policy" not in meta:
        raise UsageError(
            f"{path} holds weights, but no policy; give a file that TrainedPolicy.save wrote, or a "
            "run's folder."
        )
    policy, where = meta["policy"], f"The policy in {path}"
    tasks = {
        name: read(TaskBudget, value, f"{where}: task {name!r}")
        for name, value in policy.get("tasks", {}).items()
    }
    order = policy.get("order", list(tasks))
    if not isinstance(order, list) or sorted(map(str, order)) != sorted(tasks):
        raise UsageError(f"{where} names other tasks than it has learned; restore the file.")
    tasks = {name: tasks[name] for name in order}
    spec = RunSpec.from_json(policy["spec"], where) if "spec" in policy else None
    about = read(About, policy.get("about", {}), f"{where}: 'about'")
    if wrong := misfit(policy, POLICY):
        raise UsageError(f"{where} {wrong}; restore the file.")
    contexts = policy.get("contexts", {})
    return Kept(spec, tasks, tensors, meta["method"], policy.get("alone"), about, contexts)


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
        return _bundled(str(source).removeprefix(BUNDLED))
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
    return Kept(folder.spec, learned, *folder.weights(), about=about, contexts=contexts)


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


def _bundled(name: str) -> Kept:
    from colonnade.training import read_tensors

    if name not in bundled_columns():
        raise unknown_name("bundled column", name, bundled_columns())
    with resources.as_file(bundled_folder() / f"{name}.json") as path:
        record = read_json(path)
    spec, score = RunSpec.from_json(record["spec"]), record["score"]
    said = {name: record[name] for name in ("steps", "licence", "note", "versions", "hardware")}
    about = About(**said, score=Score(spec.target, *(score[name] for name in _SCORED)))
    with resources.as_file(bundled_folder() / f"{name}.safetensors") as path:
        tasks = {task.name: task for task in spec.tasks}
        return Kept(spec, tasks, *read_tensors(path), about=about)


_SCORED = ("episodes", "return_mean", "return_std")


def _about(folder: RunFolder) -> About:
    """What a complete run's result says of its network."""
    result = folder.result()
    trained = [row for row in result["scores"] if row["policy"] == "trained"]
    score = (
        Score(trained[-1]["task"], *(trained[-1][name] for name in _SCORED)) if trained else None
    )
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
        kept = _bundled(parent.removeprefix(BUNDLED))
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


def with_learner(suite: Path, spec: RunSpec) -> RunSpec:
    """Give a run the hyperparameters of the best of those that it is to learn like.

    Args:
        suite: The output folder.
        spec: The run; it stays as it is where it names its own.

    Raises:
        ColonnadeError: It isn't known which run was best.
    """
    if spec.learner_from is None:
        return spec
    best = RunFolder(suite / "runs" / _best(suite, spec.learner_from)).spec
    return replace(spec, learner=best.learner, learner_options=best.learner_options)


def _best(suite: Path, name: str) -> str:
    """Return the run that a selection came to."""
    path = suite / "choices.json"
    chosen = read_json(path).get(name, {})
    if misfit(chosen, CHOICE):
        raise ColonnadeError(f"{path} doesn't say which run {name!r} is; restore it.")
    return str(chosen["run"])
