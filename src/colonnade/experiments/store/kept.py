"""What is kept of a trained network in one file, from which a run may start elsewhere."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from colonnade.errors import UsageError, unknown_name
from colonnade.experiments.plans.bundled import bundled_columns, bundled_folder
from colonnade.experiments.plans.spec import KEPT, RunSpec, TaskBudget
from colonnade.experiments.store.contents import POLICY, misfit
from colonnade.experiments.store.reading import check_kind, read_json
from colonnade.records import read, shown, write

if TYPE_CHECKING:
    from torch import Tensor

SCORED = ("episodes", "return_mean", "return_std")
"""What a `Score` says, beside its task."""


@dataclass(frozen=True)
class Score:
    """How well a trained network did.

    Attributes:
        task: At what; its id.
        episodes: Over how many episodes; of a data set, 1.
        return_mean: Mean undiscounted return; of a data set, the share that was right.
        return_std: Standard deviation of these episodes.
    """

    task: str
    episodes: int
    return_mean: float
    return_std: float

    @property
    def spread(self) -> float | None:
        """The sample's standard deviation, which estimates that of all episodes; None of one."""
        if self.episodes < 2:
            return None
        return self.return_std * math.sqrt(self.episodes / (self.episodes - 1))

    @property
    def words(self) -> str:
        """The mean, and ± the sample's standard deviation."""
        mean = f"{self.return_mean:.4g}"
        return mean if self.spread is None else f"{mean} ± {self.spread:.2g}"


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


def read_bundled(name: str) -> Kept:
    """Read a trained network that ships along.

    Raises:
        UsageError: There is none of that name.
    """
    from colonnade.training import read_tensors

    if name not in bundled_columns():
        raise unknown_name("bundled column", name, bundled_columns())
    with resources.as_file(bundled_folder() / f"{name}.json") as path:
        record = read_json(path)
    spec, score = RunSpec.from_json(record["spec"]), record["score"]
    said = {name: record[name] for name in ("steps", "licence", "note", "versions", "hardware")}
    about = About(**said, score=Score(spec.target, *(score[name] for name in SCORED)))
    with resources.as_file(bundled_folder() / f"{name}.safetensors") as path:
        tasks = {task.name: task for task in spec.tasks}
        return Kept(spec, tasks, *read_tensors(path), about=about)
