"""One run, from its spec to DONE, in this process."""

from __future__ import annotations

import platform
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray

from colonnade.errors import ColonnadeError
from colonnade.experiments.execution.analyses import analyse
from colonnade.experiments.execution.recorders import recorders_of
from colonnade.experiments.execution.resources import available_cores
from colonnade.experiments.execution.zero_shot import Scoring
from colonnade.experiments.plans.build import (
    build_labels,
    build_learner,
    build_method,
    build_tasks,
    build_training_options,
    build_visits,
)
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.store.basis import parts_in
from colonnade.experiments.store.files import (
    disk_errors,
    memory_errors,
    write_bytes,
    write_json,
    write_text,
)
from colonnade.experiments.store.folders import RunFolder
from colonnade.experiments.store.measures import MEASURES
from colonnade.experiments.store.parents import (
    as_learned,
    foreign_states,
    lineage,
    read_parent,
    take_over,
    with_choice,
)
from colonnade.experiments.store.reading import is_there
from colonnade.experiments.store.recorder import RunRecorder
from colonnade.learners import Acting
from colonnade.learners.compute import device_for
from colonnade.networks import custom_factories, factories_named
from colonnade.parts.finding import states_of
from colonnade.seeding import derive
from colonnade.tasks.frames import film_strip, to_png
from colonnade.training import (
    Interrupted,
    Row,
    TrainingOptions,
    evaluate,
    train_sequence,
    write_tensors,
)
from colonnade.training.normalizing import normalizations, taken_apart
from colonnade.types import DatasetTask, Network, Task, has_split

_Policy = Literal["random", "trained", "validation"]

_SLOWEST = 0.05
"""Steps per second that a row writes as 0.1; slower ones it writes as 0."""


def train_run(
    suite: Path,
    spec: RunSpec,
    *,
    env_threads: int = 1,
    stop: Callable[[], bool] = lambda: False,
    patience: float = 0.0,
) -> None:
    """Train and score a run, or complete one that was interrupted.

    Args:
        suite: The output folder.
        spec: What to run; its parent, if any, must be complete.
        env_threads: For the emulators; no number depends on it.
        stop: Asked between updates whether to stop.
        patience: How many seconds to wait for another process that trains the run.

    Raises:
        ColonnadeError: Something in the spec, the folder or the training is wrong.
        Interrupted: `stop` said so; the last checkpoint is kept.
    """
    folder = RunFolder(suite / "runs" / spec.id)
    # What the specs name; not what weights and checkpoints do, which others may have written.
    named = factories_named([each.column for each in lineage(suite, as_learned(suite, spec))])
    told: list[str] = []
    trackers = recorders_of(suite, folder.path, spec, told.append)
    with (
        RunRecorder(folder, spec, stop, patience, trackers) as recorder,
        memory_errors(),
        custom_factories("import", only=named),
    ):
        if folder.done:
            recorder.clear_checkpoints()
            return
        for each in told:
            recorder.note(each)
        # As it learns, which what others came to decides; the folder keeps the spec as it was made.
        learning = with_choice(suite, spec)
        tasks, method = build_tasks(spec), build_method(learning)
        learner = build_learner(learning)
        options = build_training_options(spec)
        torch.set_num_threads(options.threads)
        recorder.write_status()
        _save_frames(tasks[-1], folder.frames_path, spec.seed)
        seen: dict[str, torch.Tensor] = {}  # of earlier tasks, by which their networks read
        if spec.origins:
            with foreign_states(suite / "runs" / spec.origins[0]):
                states = [read_parent(suite, origin) for origin in spec.origins]
                take_over(method, states)
            for tensors, _ in reversed(states):  # of one task the first's, as `load_states` has it
                seen |= taken_apart(tensors)[1]
        returns = partial(
            _returns, learner=learner, spec=spec, options=options, env_threads=env_threads
        )
        # First, so that an environment without an end costs no training.
        by_chance = []
        for task in tasks:
            if recorder.should_stop():
                raise Interrupted("Stopped before training, which the same command begins.")
            by_chance.append(returns(task, None, "random"))
        played_as = train_sequence(
            tasks,
            method,
            learner,
            seed=spec.seed,
            options=options,
            recorder=recorder,
            env_threads=env_threads,
            evaluation_limit=spec.evaluation_limit,
            schedule=build_visits(spec),
            labels=build_labels(spec),
        )
        scores: list[Row] = []
        learned = _steps_learned(folder.metrics())
        for index, task in enumerate(tasks):
            if recorder.should_stop():
                raise Interrupted("Stopped before scoring, which the same command goes on with.")
            step = learned.get(index, task.spec.steps)
            network = method.network_for(played_as(task))
            scores += _scores(task, network, by_chance[index], returns, step)
        tensors, meta = method.state()
        with disk_errors(folder.path):
            beside = seen | normalizations(tasks)
            write_tensors(folder.path / "weights.safetensors", tensors | beside, meta)
        write_json(folder.path / "network.json", meta)
        # After the weights: whatever an analysis comes to, what was learned is kept.
        scoring = Scoring(spec.seed, options.device, options.precision, spec.evaluation_limit)
        for name in spec.analyses:
            scores += analyse(name, tasks, method, learner, scoring)
        for score in scores:
            recorder.append(score)
        recorder.sync()
        result = {
            "spec": spec.to_json(),
            "measures": MEASURES,
            "learner": asdict(cast("Any", learner)),
            "training": asdict(options),
            "labelled": all(task.spec.labelled for task in tasks),
            "scores": scores,
            "versions": _versions() | states_of(parts_in(spec)),
            "hardware": _hardware(options.threads),
            "timing": _timing(folder.metrics(), recorder.started),
            "notes": recorder.notes,
            "files": folder.checksums(),
        }
        if spec.labels:
            result["contexts"] = {task.spec.id: played_as(task) for task in tasks}
        write_json(folder.path / "result.json", result)
        write_text(folder.path / "DONE", "")
        # In this order: a run that dies between the two is complete, not without checkpoints.
        recorder.clear_checkpoints()


def _steps_learned(rows: list[Row]) -> dict[int, int]:
    """Say how many steps each task was learned for, by index: fewer than its budget at a goal."""
    ends = {
        (row["task_index"], row.get("visit")): row["step"] for row in rows if row["kind"] == "curve"
    }
    steps: Counter[int] = Counter()
    for (task, _), step in ends.items():
        steps[task] += step
    return dict(steps)


def _scores(
    task: Task,
    network: Network,
    by_chance: NDArray[np.float64],
    returns_of: Callable[[Task, Network, _Policy], NDArray[np.float64]],
    step: int,
) -> list[Row]:
    """Give the rows of the random policy, whose returns are known, and of the trained one.

    Of data sets the validation examples, if there are any, are scored too, to choose by.
    """
    policies = {"random": by_chance, "trained": returns_of(task, network, "trained")}
    if isinstance(task, DatasetTask) and has_split(task, "validation"):
        policies["validation"] = returns_of(task, network, "validation")
    return [
        {
            "kind": "evaluation",
            "task": task.spec.id,
            "policy": policy,
            "step": step,
            "episodes": len(returns),
            "return_mean": float(np.mean(returns)),
            "return_std": float(np.std(returns)),
        }
        for policy, returns in policies.items()
    ]


def _returns(
    task: Task,
    network: Network | None,
    policy: _Policy,
    *,
    learner: Acting,
    spec: RunSpec,
    options: TrainingOptions,
    env_threads: int,
) -> NDArray[np.float64]:
    """Score a policy; the random one alike in all runs of a task. Of data sets all examples count.

    Returns:
        [episodes or examples] returns.

    Raises:
        ColonnadeError: One is not finite.
    """
    seeds = {
        "random": derive(0, "random policy", task.spec.id),
        "trained": derive(spec.seed, "trained policy", task.spec.id),
        "validation": 0,
    }
    returns = evaluate(
        task,
        network,
        learner=learner,
        episodes=None if isinstance(task, DatasetTask) else spec.evaluation_episodes,
        seed=seeds[policy],
        device=device_for(learner, options.device),
        split="validation" if policy == "validation" else "test",
        limit=spec.evaluation_limit,
        env_threads=env_threads,
        error=spec.evaluation_error,
        precision=options.precision,
    )
    if not np.isfinite(returns).all():
        odd = returns[~np.isfinite(returns)][0]
        raise ColonnadeError(
            f"Scores on task {task.spec.id!r} should be finite numbers, but one of the {policy} "
            f"policy's is {odd}; look at the rewards that the task gives."
        )
    return returns


def _versions() -> dict[str, str]:
    packages = {name: version(name) for name in ("colonnade", "torch", "numpy", "gymnasium")}
    # Which build of torch it is may stand in the module alone.
    return {"python": platform.python_version(), **packages, "torch": str(torch.__version__)}


def _hardware(threads: int) -> dict[str, Any]:
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    cores = available_cores()
    return {"cpu": _processor(), "cores": cores, "threads": threads, "gpu": gpu}


def _processor() -> str:
    """Name the processor, as far as the system tells."""
    listing = Path("/proc/cpuinfo")
    for line in listing.read_text().splitlines() if listing.exists() else ():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _timing(rows: list[Row], started: float) -> dict[str, float]:
    """Sum up the bins' own times, which count each step once however often a run was resumed."""
    seconds, last = 0.0, ((0, None), 0)
    for row in rows:
        if row["kind"] != "curve":
            continue
        visit, step = (row["task_index"], row.get("visit")), row["step"]
        steps = step - (last[1] if visit == last[0] else 0)
        seconds += steps / max(row["steps_per_second"], _SLOWEST)  # rounded, it may be 0
        last = (visit, step)
    return {"training_seconds": round(seconds, 1), "started": started, "finished": time.time()}


def _save_frames(task: Task, path: Path, seed: int) -> None:
    """Write a PNG that shows a task, unless it is there already or there is nothing to see."""
    strip = None if is_there(path) else film_strip(task, seed)
    if strip is not None:
        write_bytes(path, to_png(strip))
