"""The report of a large sweep: processor seconds to write it, and its size.

A folder of a sweep of pong-soup-mini is filled with made-up curves, all complete: 850 runs in full,
204 with --quick. Then its report is written, as `colonnade report` does.
"""

import json
import math
import tempfile
import time
from pathlib import Path

from _alternate import arguments, report

LIMIT_SECONDS, LIMIT_MEGABYTES = 10.0, 6.0
"""Of one core, and of the page, for 850 runs."""


def main() -> None:
    given = arguments(__doc__ or "")
    from colonnade.experiments.launch.sweep import begin_sweep
    from colonnade.experiments.plans.plan import SuiteOptions
    from colonnade.experiments.plans.sweep import Sweep
    from colonnade.experiments.suites import suite_from_name
    from colonnade.reports.suite import write_report

    with tempfile.TemporaryDirectory() as place:
        suite = begin_sweep(
            suite_from_name("pong-soup-mini"),
            Path(place) / "sweep",
            Sweep(jobs=6 if given.quick else 25),
            SuiteOptions(),
        )
        for number, spec in enumerate(suite.plan.runs):
            _fill(suite.run(spec.id).path, spec, number)
        runs = len(suite.plan.runs)
        seconds, size = [], 0.0
        for _ in range(1 if given.quick else 3):
            begin = time.process_time()
            size = write_report(suite).stat().st_size / 1e6
            seconds.append(time.process_time() - begin)
            print(f"{runs} runs: {seconds[-1]:.2f} s of a core, {size:.2f} MB", flush=True)
    report(
        {
            "runs": runs,
            "seconds": min(seconds),
            "seconds_share_of_limit": min(seconds) / LIMIT_SECONDS * 850 / runs,
            "megabytes": size,
            "megabytes_share_of_limit": size / LIMIT_MEGABYTES,
        }
    )


def _fill(folder: Path, spec, number: int) -> None:
    """Write what a complete run leaves, its curve rising at its own pace."""
    from colonnade.experiments.plans.build import build_training_options
    from colonnade.experiments.store.measures import MEASURES

    folder.mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps(spec.to_json()))
    width = build_training_options(spec).curve_steps
    bins = max(2, spec.steps // width)
    pace = 0.4 + (number * 0.618 % 1)
    curve = [-20 + 40 / (1 + math.exp(-12 * (b / bins * pace - 0.4))) for b in range(bins)]
    rows = [
        {
            "kind": "curve", "task": spec.target, "task_index": 0, "step": width * (b + 1),
            "width": width, "episodes": 5, "return_mean": value, "return_std": 1.0,
            "length_mean": 100.0, "steps_per_second": 2000.0,
        }
        for b, value in enumerate(curve)
    ]  # fmt: skip
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    score = {"kind": "evaluation", "task": spec.target, "step": spec.steps, "episodes": 25,
             "return_std": 1.0}  # fmt: skip
    result = {
        "measures": MEASURES,
        "scores": [
            {**score, "policy": "random", "return_mean": -20.0},
            {**score, "policy": "trained", "return_mean": curve[-1]},
        ],
        "versions": {"python": "3"},
        "hardware": {"cpu": "made up", "cores": 2, "threads": 1, "gpu": None},
        "timing": {"training_seconds": 50.0, "started": 0.0, "finished": 50.0},
        "notes": [],
    }
    (folder / "result.json").write_text(json.dumps(result))
    column = {
        "spec": {"stages": [{"kind": "dense", "units": 8}], "laterals": "adapter"},
        "input_shapes": {"observation": [2, 16, 16]},
        "outputs": 4,
    }
    columns = [column] * (1 + (spec.parent is not None))
    network = {"network": {"columns": columns}, "tasks": {spec.target: len(columns) - 1}}
    (folder / "network.json").write_text(json.dumps(network))
    (folder / "DONE").touch()


if __name__ == "__main__":
    main()
