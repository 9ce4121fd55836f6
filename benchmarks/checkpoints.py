"""What checkpoints cost: their share of a run's time at default settings, and the bytes they write.

Runs are trained with checkpoints more often than by default; the share is the time of one beside
the time of 250,000 steps, the default between two. Bytes are those of the newest checkpoint with
and without what has not changed since the one before, which lies in parts that are written once.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import _alternate

GIVEN = _alternate.arguments(__doc__)

import torch  # noqa: E402 - after the threads are told how to wait

from colonnade.experiments.plans.build import (  # noqa: E402
    build_learner,
    build_method,
    build_tasks,
    build_training_options,
)
from colonnade.experiments.plans.spec import RunSpec, TaskBudget  # noqa: E402
from colonnade.experiments.store.folders import RunFolder  # noqa: E402
from colonnade.experiments.store.recorder import RunRecorder  # noqa: E402
from colonnade.training import TrainingOptions, train_sequence  # noqa: E402
from colonnade.training.learning import Learning  # noqa: E402

SIZE = 1 if GIVEN.quick else 8
PONG = ("mini-pong/pong", "mini-pong/zoom", "mini-pong/noisy", "mini-pong/white")


def spec(label: str, method: str, learner: str, last: int, **changes: Any) -> RunSpec:
    """Four tasks, of which the last is measured; the others are learned for a moment."""
    tasks = tuple(TaskBudget(name, 2_000) for name in PONG[:3])
    tasks += (TaskBudget(PONG[3], last * SIZE),)
    return RunSpec(
        label=label,
        method=method,
        tasks=tasks,
        learner=learner,
        column=changes.pop("column", "tiny"),
        training_options={"segment_steps": 4_000 * SIZE},
        **changes,
    )


SPECS = (
    spec("progressive ppo", "progressive", "ppo", 20_000),
    spec("ewc a2c", "ewc", "a2c", 20_000),
    spec("progressive dqn", "progressive", "dqn", 12_000, learner_options={"warm_up": 1_000}),
)


def measure(spec: RunSpec, place: Path) -> dict[str, float]:
    """Train a run and time its checkpoints."""
    spent: list[float] = []
    begun: list[tuple[float, int]] = []
    save = Learning._save

    def timed(learning: Learning, trainer: Any) -> None:
        start = time.perf_counter()
        save(learning, trainer)
        spent.append(time.perf_counter() - start)
        begun.append((time.perf_counter(), learning._step))

    folder = RunFolder(place / spec.id)
    Learning._save = timed  # type: ignore[method-assign]
    try:
        torch.set_num_threads(1)
        with RunRecorder(folder, spec) as recorder:
            train_sequence(
                build_tasks(spec),
                build_method(spec),
                build_learner(spec),
                options=build_training_options(spec),
                recorder=recorder,
            )
        sizes = {p.name: p.stat().st_size for p in folder.path.glob("*.safetensors")}
    finally:
        Learning._save = save  # type: ignore[method-assign]
    (first, steps), (last, more) = begun[0], begun[-1]
    between = (last - first - sum(spent[1:])) / (more - steps) * TrainingOptions().segment_steps
    one = sorted(spent)[len(spent) // 2]
    newest = max(name for name in sizes if name.startswith("checkpoint"))
    parts = sum(size for name, size in sizes.items() if name.startswith("part"))
    return {"share": one / (between + one), "seconds": one, "bytes": sizes[newest], "kept": parts}


def main() -> None:
    """Measure each kind and print one line."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as place:
        for each in SPECS:
            found = measure(each, Path(place))
            print(
                f"{each.label}: a checkpoint takes {found['seconds'] * 1e3:.0f} ms, "
                f"{found['share']:.2%} of the time; {found['bytes']:,.0f} bytes written each time, "
                f"{found['kept']:,.0f} once",
                flush=True,
            )
            figures[f"{each.label} share"] = found["share"]
    figures["largest share"] = max(figures.values())
    _alternate.report(figures)


if __name__ == "__main__":
    main()
