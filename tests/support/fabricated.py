"""Fabricated run folders: what the store would hold after training, without the training."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import imageio.v3 as imageio
import numpy as np
import pytest

from colonnade.experiments.plans.build import build_training_options
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.measures import MEASURES

COLUMN = {
    "spec": {
        "stages": [
            {"kind": "conv", "maps": 8, "kernel": 8, "stride": 4},
            {"kind": "dense", "units": 256},
        ],
        "laterals": "adapter",
    },
    "input_shapes": {"observation": [4, 84, 84]},
    "outputs": 7,
}


def fabricate_run(folder: Path, spec: RunSpec, curve: list[float | None], done: bool) -> None:
    """Write the files of a run whose bins have the given mean returns."""
    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps(spec.to_json()))
    width = build_training_options(spec).curve_steps
    rows = [
        {
            "kind": "curve", "task": spec.target, "task_index": 0,
            "step": width * (i + 1), "width": width,
            "episodes": 0 if value is None else 5, "return_mean": value, "return_std": 1.0,
            "length_mean": 100.0, "steps_per_second": 2000.0,
        }
        for i, value in enumerate(curve)
    ]  # fmt: skip
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    image = np.full((84, 4 * 84, 3), 87, np.uint8)
    image[:, ::84] = 255
    imageio.imwrite(folder / "frames.png", image)
    if not done:
        return
    scores = [
        {"kind": "evaluation", "task": spec.target, "policy": policy, "step": spec.steps - 8,
         "episodes": 25,
         "return_mean": mean, "return_std": 1.0}
        for policy, mean in (("random", -20.0), ("trained", curve[-1]))
    ]  # fmt: skip
    result: dict[str, Any] = {
        "measures": MEASURES,
        "scores": scores,
        "versions": {"python": "3.12", "torch": "2.13"},
        "hardware": {"cpu": "A processor", "cores": 2, "threads": 1, "gpu": None},
        "timing": {"training_seconds": 500.0, "started": 1000.0, "finished": 1600.0},
        "notes": [],
    }
    (folder / "result.json").write_text(json.dumps(result))
    columns = 1 + (spec.parent is not None) * (2 if "," in spec.label.partition(" to ")[0] else 1)
    network = {"network": {"columns": [COLUMN] * columns}, "tasks": {spec.target: columns - 1}}
    (folder / "network.json").write_text(json.dumps(network))
    (folder / "DONE").touch()


@pytest.fixture
def fabricate(tmp_path: Path) -> Callable[..., SuiteFolder]:
    """Make a folder of a suite in which the first `done` runs are complete and one is half-way."""

    def make(
        plan: Plan,
        name: str = "pong-soup-short",
        done: int | None = None,
        sweep: Sweep | None = None,
    ) -> SuiteFolder:
        suite = SuiteFolder(tmp_path / "out", name, {"budget": 1.0}, plan, sweep)
        suite.begin()
        random = np.random.default_rng(0)
        speeds = {"scratch": 0.5, "finetune": 0.9, "progressive": 1.3}
        for number, spec in enumerate(plan.runs[: done if done is None else done + 1]):
            width = build_training_options(spec).curve_steps
            bins = max(2, spec.steps // width)
            speed = speeds.get(spec.method, 0.6) * random.uniform(0.8, 1.2)
            ramp = -20 + 40 / (1 + np.exp(-12 * (np.linspace(0, 1, bins) * speed - 0.4)))
            curve: list[float | None] = [*(ramp + random.normal(0, 0.7, bins))]
            curve[0] = None
            complete = done is None or number < done
            folder = suite.run(spec.id).path
            fabricate_run(folder, spec, curve if complete else curve[: bins // 2], complete)
        return suite

    return make


@pytest.fixture
def options() -> SuiteOptions:
    """The options of a suite as they are where nothing is said."""
    return SuiteOptions()
