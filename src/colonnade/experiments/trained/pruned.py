"""Writing a pruned network as a run of its own, with what was removed and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.analysis.intervals import REDRAWN, Interval, bootstrap, percentile_interval
from colonnade.errors import UsageError
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.results.cautions import caution_of
from colonnade.experiments.store.files import (
    begin_folder,
    disk_errors,
    write_bytes,
    write_json,
    write_plain_json,
    write_text,
)
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.store.measures import MEASURES
from colonnade.experiments.store.metrics import MetricsFile
from colonnade.experiments.store.parents import task_known, with_choice
from colonnade.experiments.store.reading import is_there
from colonnade.experiments.trained.prune_options import PruneOptions
from colonnade.methods.columns import trained_by
from colonnade.networks import ProgressiveNetwork
from colonnade.training import write_tensors
from colonnade.training.normalizing import taken_apart

SUITE = "pruned"
"""Name of the suite that pruned runs belong to."""

Returns = NDArray[np.float64]


@dataclass(frozen=True)
class Cost:
    """What pruning cost on one task.

    Attributes:
        task: Its name.
        column: Which column plays it.
        random: Mean return of the random policy.
        before: Returns of the original network.
        after: Returns of the pruned one.
    """

    task: str
    column: int
    random: float
    before: Returns
    after: Returns

    @property
    def loss(self) -> float:
        """Share of the score above random that is lost; negative where there is more of it."""
        return float((self.before.mean() - self.after.mean()) / (self.before.mean() - self.random))

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the loss over redrawn episodes; None where they are too few."""
        found = self._interval
        return (found.low, found.high) if found.known else None

    @property
    def caution(self) -> str:
        """What must be said of the interval; often nothing."""
        return caution_of(REDRAWN, [min(self.before.size, self.after.size)], "episodes")

    @property
    def _interval(self) -> Interval:
        samples = bootstrap(
            [self.before, self.after],
            lambda before, after: (before.mean(1) - after.mean(1)) / (before.mean(1) - self.random),
        )
        return percentile_interval(samples, min(self.before.size, self.after.size))


def write_pruned(
    within: SuiteFolder,
    original: RunFolder,
    out: Path,
    network: ProgressiveNetwork,
    columns: Mapping[str, int],
    report: Mapping[str, Any],
    costs: Sequence[Cost],
) -> RunFolder:
    """Write the run's folder: spec, weights, layout, scores, and what pruning came to.

    Args:
        within: The output folder of the run that was pruned.
        original: That run.
        out: Output folder; begun if need be.
        network: What is left.
        columns: Which column plays which task.
        report: What was removed and what it cost, as JSON data.
        costs: Returns before and after.

    Returns:
        The new run.

    Raises:
        UsageError: The output folder belongs to another suite.
        ColonnadeError: Writing failed.
    """
    source = original.spec
    # The label tells originals and choices apart, and with it the id; nothing is trained from this.
    words = f"{source.label} ({source.id[-8:]}), pruned to {report['keep']:.4g}"
    usual = asdict(PruneOptions())
    for name in ("seed", "states", "bound"):
        if (value := report["options"][name]) != usual[name]:
            words += f", {name} {value:g}"
    if report["options"]["tasks"] or report["options"]["columns"]:
        words += f" for {' '.join(columns)}, columns {report['options']['columns'] or 'all'}"
    spec = replace(
        with_choice(within.path, source),
        label=words,
        tasks=_tasks(within, source, columns),
        visits=(),
        parent=None,
        parents=(),
        learner_from=None,
        column_too=False,
    )
    suite = _begin(out, spec)
    folder = suite.run(spec.id)
    begin_folder(folder.path)
    with disk_errors(folder.path):
        (folder.path / "DONE").unlink(missing_ok=True)
        folder.metrics_path.unlink(missing_ok=True)
    write_plain_json(folder.path / "spec.json", spec.to_json())
    result = original.result()
    trained = (row for row in result.get("scores", ()) if row.get("policy") == "trained")
    learned = {row["task"]: row["step"] for row in trained}
    scores = [
        {
            "kind": "evaluation",
            "task": cost.task,
            "policy": policy,
            "step": learned.get(cost.task, 0),
            "episodes": len(returns),
            "return_mean": float(np.mean(returns)),
            "return_std": float(np.std(returns)),
        }
        for cost in costs
        for policy, returns in (("original", cost.before), ("trained", cost.after))
    ]
    metrics = MetricsFile(folder.metrics_path)
    for row in scores:
        metrics.append(row)
    metrics.close()
    known = {task: original.played_as[task] for task in columns}
    meta = {
        "network": network.spec_dict(),
        "tasks": {known[task]: column for task, column in columns.items()},
        "trained": trained_by(original.network()),
        "frozen": [],
    }
    with disk_errors(folder.path):
        beside = taken_apart(original.weights()[0])[1]
        tensors = dict(network.state_dict()) | beside
        write_tensors(folder.path / "weights.safetensors", tensors, meta)
    write_json(folder.path / "network.json", meta)
    told = notes(report)
    if (version := original.measures) != MEASURES:
        told.append(
            f"The run that was pruned is of version {version} of the measures, and what stands "
            f"here of version {MEASURES}."
        )
    if is_there(original.frames_path):
        write_bytes(folder.frames_path, original.frames())
    changed = {
        "spec": spec.to_json(),
        "measures": MEASURES,
        "scores": scores,
        "notes": told,
        "files": folder.checksums(),
        "pruning": dict(report),
    }
    if "contexts" in result:
        changed["contexts"] = {task: known[task] for task in columns if task in result["contexts"]}
    write_json(folder.path / "result.json", {**result, **changed})
    write_text(folder.path / "DONE", "")
    return folder


def _tasks(
    within: SuiteFolder, source: RunSpec, columns: Mapping[str, int]
) -> tuple[TaskBudget, ...]:
    """List the tasks that are still played: what the run started from, then its own."""
    own = [task for task in source.tasks if any(map(task.is_called, columns))]
    earlier = [
        task_known(within, source, name)
        for name in columns
        if not any(task.is_called(name) for task in source.tasks)
    ]
    return (*earlier, *own)


def check_out(out: Path) -> None:
    """Refuse, before anything is played, an output folder that is none or holds something else.

    Raises:
        UsageError: It is.
    """
    if is_there(out / "suite.json"):
        there = SuiteFolder.read(out)
        if there.name != SUITE:
            raise UsageError(
                f"{out} belongs to suite {there.name!r}; choose another --out for pruned runs."
            )
    else:
        SuiteFolder(out, SUITE, {}, Plan(())).check()


def _begin(out: Path, spec: RunSpec) -> SuiteFolder:
    """Begin the output folder, or add the run to those in it."""
    check_out(out)
    runs: tuple[RunSpec, ...] = ()
    if is_there(out / "suite.json"):
        runs = tuple(run for run in SuiteFolder.read(out).plan.runs if run.id != spec.id)
    suite = SuiteFolder(out, SUITE, {}, Plan((*runs, spec)))
    return suite.begin()


def notes(report: Mapping[str, Any]) -> list[str]:
    """Say in sentences what was removed and what it cost."""
    size, speed = report["parameters"], report["decisions_per_second"]
    lines = [
        f"Pruned from run {report['of']}, keeping {report['keep']:.4g} of the sensitivity: "
        f"{size['before']:,} parameters became {size['after']:,} "
        f"({1 - size['after'] / size['before']:.0%} less); decisions are "
        f"{speed['after'] / speed['before']:.2f} times as fast."
    ]
    for cost in report["costs"]:
        sure = ""
        if cost["interval"] is not None:
            low, high = cost["interval"]
            caution = f"; {cost['caution']}" if cost.get("caution") else ""
            sure = f" (95 % interval {low:.1%} to {high:.1%}{caution})"
        lines.append(
            f"{cost['task']}: {cost['before']:.2f} before, {cost['after']:.2f} after, "
            f"{cost['loss']:.1%} of the score above random lost{sure}."
        )
    return lines
