"""What was run, on what and how fast, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from colonnade.experiments.results.runs import RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.parents import as_learned
from colonnade.experiments.titles import learner_title
from colonnade.experiments.words import duration, run_count, short_number
from colonnade.parts.finding import is_own


def facts(results: Results) -> list[tuple[str, str]]:
    """State what was run, and on what, as pairs of a name and words for a report."""
    runs = list(results.runs.values())
    done = [run.result for run in runs if run.done]

    def each(values: list[str]) -> str:
        return ", ".join(dict.fromkeys(values))

    stated = [
        ("Runs", f"{len(done)} of {len(runs)} complete"),
        ("Seeds", _seeds({run.spec.seed for run in _reported(results)})),
        (
            _steps_word(runs).capitalize(),
            each([f"{short_number(run.spec.steps)}" for run in runs]) + " a run",
        ),
        ("Learner", each([learner_title(run.spec.learner, results.own) for run in runs])),
        ("Column", "; ".join(dict.fromkeys(_columns(results)))),
    ]
    if done:
        seconds = sum(result["timing"]["training_seconds"] for result in done)
        begun = min(result["timing"]["started"] for result in done)
        ended = max(result["timing"]["finished"] for result in done)
        steps = sum(run.steps for run in runs if run.done)
        stated += [
            ("Training time", f"{duration(seconds)}, all runs added up"),
            ("Wall time", f"{duration(ended - begun)} from the first start to the last end"),
            (
                "Speed",
                f"{steps / max(seconds, 1e-9):,.0f} {_steps_word(runs)}/s in a run, on average",
            ),
            ("Hardware", each([_machine(result["hardware"]) for result in done])),
            (
                "Software",
                each(
                    [
                        ", ".join(f"{name} {number}" for name, number in r["versions"].items())
                        for r in done
                    ]
                ),
            ),
        ]
        stated += [("Changed meanwhile", words) for words in _changed_meanwhile(done)]
        unverified = sum(not run.folder.verified for run in runs if run.done)
        if unverified:
            many = f"{unverified} of {len(done)} complete runs"
            stated.append(("Unverified", f"the files of {many}, which hold no checksums"))
    if sessions := results.suite.sessions():
        used = sum(session["cpu_seconds"] for session in sessions)
        there = sum(session["seconds"] * session["workers"] for session in sessions)
        workers = each([str(session["workers"]) for session in sessions])
        busy = f"{workers} at once, {used / max(there, 1e-9):.0%} of their time on a processor"
        stated.append(("Processes", busy))
    return stated


def _changed_meanwhile(done: list[dict[str, Any]]) -> Iterator[str]:
    """Name plugins and packages of the user's own of which runs had several states."""
    for origin in dict.fromkeys(name for result in done for name in result["versions"]):
        states = Counter(r["versions"][origin] for r in done if origin in r["versions"])
        if is_own(origin) and len(states) > 1:
            each = ", ".join(f"{state} in {run_count(count)}" for state, count in states.items())
            yield f"{origin}: {each}, which stand side by side here as if they were alike"


def _columns(results: Results) -> list[str]:
    """Name the columns of all runs but those that only try, as they learned."""
    specs = [run.spec for name, run in results.runs.items() if name not in results.suite.plan.tries]
    return [_column(as_learned(results.suite.path, spec).column) for spec in specs]


def _reported(results: Results) -> list[RunResult]:
    """List the runs whose numbers are compared, not what only tries or prepares; all if none is."""
    compared = {entry.run: results.runs[entry.run] for entry in results.comparisons}
    return list((compared or results.runs).values())


def _seeds(seeds: set[int]) -> str:
    """Say how many there are, and which: "1 (0)", "3 (0, 1, 2)", "25 (0 to 24)"."""
    found = sorted(seeds)
    gapless = len(found) > 4 and found == list(range(found[0], found[-1] + 1))
    named = f"{found[0]} to {found[-1]}" if gapless else ", ".join(map(str, found))
    return f"{len(found)} ({named})"


def _steps_word(runs: list[RunResult]) -> str:
    return "training examples" if all(run.labelled for run in runs) else "agent steps"


def _column(column: str | dict[str, Any]) -> str:
    if isinstance(column, str):
        return column
    changes = [f"{name} {value}" for name, value in column.items() if name != "preset"]
    return ", ".join([str(column["preset"]), *changes]) if "preset" in column else "the user's own"


def _machine(hardware: dict[str, Any]) -> str:
    gpu = f", {hardware['gpu']}" if hardware["gpu"] else ""
    return f"{hardware['cpu']}, {hardware['cores']} cores, {hardware['threads']} a run{gpu}"
