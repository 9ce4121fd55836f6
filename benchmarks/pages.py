"""The report of a large sweep: seconds to write it, its size, seconds to open it, and `--watch`.

A folder of a sweep of pong-soup-mini is filled with made-up curves, all complete: 850 runs in full,
204 with --quick. Then its report is written, as `colonnade report` does, and opened in Chromium
where there is one, each time in a new browser. At last the live page's state is asked for as a
browser would, while a run's metrics grow, and the share of a core that it costs is measured.
"""

import json
import math
import statistics
import sys
import tempfile
import time
from pathlib import Path

from _alternate import arguments, report

LIMIT_SECONDS, LIMIT_MEGABYTES = 10.0, 6.0
"""Of one core, and of the page, for 850 runs."""

OPENS_SECONDS, WATCH_SHARE = 2.0, 0.02
"""Until a browser has opened the page; of a core."""


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
        seconds, size, page = [], 0.0, None
        for _ in range(1 if given.quick else 3):
            begin = time.process_time()
            page = write_report(suite)
            size = page.stat().st_size / 1e6
            seconds.append(time.process_time() - begin)
            print(f"{runs} runs: {seconds[-1]:.2f} s of a core, {size:.2f} MB", flush=True)
        opened = _opened(page, 3 if given.quick else 7)
        watched = _watched(suite, 15 if given.quick else 60)
    report(
        {
            "runs": runs,
            "opens_seconds": opened,
            "opens_share_of_limit": opened / OPENS_SECONDS,
            "watch_share": watched,
            "watch_share_of_limit": watched / WATCH_SHARE,
            "seconds": min(seconds),
            "seconds_share_of_limit": min(seconds) / LIMIT_SECONDS * 850 / runs,
            "megabytes": size,
            "megabytes_share_of_limit": size / LIMIT_MEGABYTES,
        }
    )


def _opened(page: Path, times: int) -> float:
    """Return the median of the seconds from asking for a page to the end of its load."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "support"))
    from browser import BROWSER, browser

    if BROWSER is None:
        return math.nan
    found = []
    for _ in range(times):
        with browser() as tab:
            tab.open(page)
            load = "performance.getEntriesByType('navigation')[0].loadEventEnd / 1000"
            found.append(float(tab.run(load)))
            print(f"opened in {found[-1]:.2f} s", flush=True)
    return statistics.median(found)


def _watched(suite, seconds: float) -> float:
    """Return the share of a core that the live page's states cost while a run goes on."""
    from colonnade.reports.live.state import LiveState

    folder = suite.runs[-1]
    (folder.path / "DONE").unlink()
    state = LiveState(suite.path)
    state.content()
    time.sleep(min(state.seconds, seconds))
    begin, cpu = time.monotonic(), time.process_time()
    while time.monotonic() - begin < seconds:
        lines = folder.metrics_path.read_text().splitlines(keepends=True)
        folder.metrics_path.write_text("".join([*lines, lines[-1]]))
        state.content()
        time.sleep(min(state.seconds, max(0.0, begin + seconds - time.monotonic())))
    # The pause that the last state has earned belongs to what it cost.
    return (time.process_time() - cpu) / max(seconds, state.seconds)


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
