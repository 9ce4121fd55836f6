"""Where experiments are kept: what lies in an output folder, and reading it.

    OUT/suite.json                   the plan: all runs, what the report compares, and what its
                                     numbers are measured by
    OUT/choices.json                 which of several runs others start from or learn like
    OUT/sessions.jsonl               when the suite was worked on, and how busy the processors were
    OUT/report.html
    OUT/runs/<run id>/spec.json      the run's spec
                      metrics.jsonl  learning curve, one JSON object a line
                      checkpoint-*.safetensors   the newest two
                      part-*.safetensors         what has not changed between them
                      frames.png     what the agent sees
                      weights.safetensors, network.json   what was learned
                      result.json    configuration, versions, hardware, timing, scores
                      status.json    how far it is, what went wrong
                      failed.json, stopped.json   why it was given up
                      notes.txt      what a user should know
                      log.txt, events.out.tfevents.*
                      DONE           written last

Reports read nothing else, so a folder can be moved to another machine. `RunRecorder` (in
`recorder`) writes what is here read.
"""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from colonnade.atomic import remove_unfinished
from colonnade.errors import ColonnadeError, UsageError, unknown_name
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.selection import Selection
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.store.basis import Basis, check_parts, suite_called
from colonnade.experiments.store.contents import (
    CHOICE,
    SESSION,
    misfit,
)
from colonnade.experiments.store.files import begin_folder, disk_errors, write_json
from colonnade.experiments.store.lock import LOCK_FILES, FolderLock
from colonnade.experiments.store.measures import MEASURES
from colonnade.experiments.store.metrics import read_lines
from colonnade.experiments.store.reading import (
    check_folder,
    is_there,
    read_json,
)
from colonnade.experiments.store.run_folder import RunFolder
from colonnade.records import read, shown, write

logger = logging.getLogger(__name__)

__all__ = ["FORMAT", "RunFolder", "SuiteFolder", "find_runs"]

FORMAT = 1
"""Version of the folder's layout, in suite.json."""

_FIRST_FILES = (*(re.escape(name) for name in LOCK_FILES), r"suite\.json")
"""What a command writes before the folder holds a plan."""


def _check_jobs(file: Path, plan: Plan, sweep: Sweep | None) -> None:
    """Refuse a sweep whose runs are of no job that it has.

    Raises:
        ColonnadeError: One is.
    """
    if sweep is None:
        return
    for spec in plan.runs:
        if not 0 <= sweep.number_of(spec.seed) < sweep.total:
            raise ColonnadeError(
                f"{file} holds run {spec.label!r} of seed {spec.seed}, which no job of its sweep "
                f"of {sweep.total} jobs has; restore it."
            )


def _check_runs(path: Path, plan: Plan) -> None:
    """Refuse a plan that is not this folder's: of the runs that are there it knows none.

    Raises:
        ColonnadeError: It is another's.
    """
    try:
        there = {each.parent.name for each in (path / "runs").glob("*/spec.json")}
    except OSError:
        return
    if there and there.isdisjoint(spec.id for spec in plan.runs):
        raise ColonnadeError(
            f"{path / 'suite.json'} is of another folder: it plans none of the {len(there)} runs "
            f"that are in {path / 'runs'}; restore it."
        )


@dataclass(frozen=True)
class SuiteFolder:
    """Reads and begins an output folder.

    Attributes:
        path: The folder.
        name: Name of the suite.
        options: What was asked of the suite, for the report.
        plan: All runs of the suite.
        sweep: Which jobs the runs belong to; None where they are no sweep's.
        basis: What its numbers are measured by; what holds now if not given.
    """

    path: Path
    name: str
    options: dict[str, Any]
    plan: Plan
    sweep: Sweep | None = None
    basis: Basis = field(default_factory=lambda: Basis(0))

    def __post_init__(self) -> None:
        """Take what holds now where nothing was given."""
        if not self.basis.measures:
            basis = Basis.now(suite_called(self.name), self.plan, self.sweep)
            object.__setattr__(self, "basis", basis)

    def run(self, run_id: str) -> RunFolder:
        """Return the folder of one run."""
        return RunFolder(self.path / "runs" / run_id)

    @property
    def runs(self) -> tuple[RunFolder, ...]:
        """The folders of all planned runs, whether they exist or not."""
        return tuple(self.run(spec.id) for spec in self.plan.runs)

    @property
    def described(self) -> str:
        """What the folder is for, in words."""
        given = self.options | (self.sweep.changes if self.sweep else {})
        words = ", ".join(f"{key}={value}" for key, value in given.items()) or "none"
        kind = "a sweep of suite" if self.sweep else "suite"
        return f"{kind} {self.name!r} with options {words}"

    def chosen(self, parent: str) -> str | None:
        """Return the run that a selection came to, if it has."""
        path = self.path / "choices.json"
        chosen = read_json(path).get(parent) if is_there(path) else None
        if chosen is None:
            return None
        among = self.plan.selection(parent)
        if misfit(chosen, CHOICE) or (among is not None and chosen["run"] not in among.runs):
            raise ColonnadeError(
                f"{path} says that {shown(chosen)} was chosen as {parent!r}, which is none of the "
                "runs to choose among; restore it."
            )
        return str(chosen["run"])

    def sessions(self) -> list[dict[str, Any]]:
        """Read when the suite was worked on, and how busy the processors were."""
        lines = read_lines(self.path / "sessions.jsonl")
        return [line for line in lines if not misfit(line, SESSION)]

    def choose(self, selection: Selection) -> str | None:
        """Choose the run of a selection's rank, once and for all; None if none is complete.

        The score is that of the final policy on the last task: "the configuration with the best
        final performance [...] is chosen as first column" (Rusu et al. 2017, section 4.1).

        Raises:
            ColonnadeError: A result is damaged, or writing failed.
        """
        if (chosen := self.chosen(selection.name)) is not None:
            return chosen
        scores = {run: self.run(run).score for run in selection.runs if self.run(run).done}
        if not scores:
            return None
        ranked = sorted(scores, key=lambda run: -scores[run])
        path = self.path / "choices.json"
        known = read_json(path) if is_there(path) else {}
        # All ranks at once: what is begun again after a stop may not change the order between them.
        alike = (each for each in self.plan.selections if each.runs == selection.runs)
        for each in {each.name: each for each in (selection, *alike)}.values():
            run = ranked[min(each.rank, len(ranked) - 1)]
            known[each.name] = {"run": run, "score": scores[run], "of": len(scores)}
        write_json(path, known)
        return str(known[selection.name]["run"])

    def check(self) -> SuiteFolder:
        """Refuse to go on in a folder that holds something else; write nothing.

        Returns:
            The folder as it is to be gone on with: one that is complete keeps its own measures.

        Raises:
            UsageError: The folder holds another suite, or runs that are measured otherwise.
            ColonnadeError: A file of a run is damaged.
        """
        if not is_there(self.path / "suite.json"):
            if is_there(self.path) and not self._just_begun():
                raise UsageError(
                    f"{self.path} exists but holds no suite.json, so it isn't Colonnade's; choose "
                    "another --out."
                )
            return self
        there = SuiteFolder.read(self.path)
        check_parts(there.basis.parts, self.path)
        lost = {spec.id: spec.label for spec in there.plan.runs}
        for spec in self.plan.runs:
            lost.pop(spec.id, None)
        if lost and there.described == self.described:
            raise UsageError(
                f"{self.path} was begun with the same options, but {self.name!r} or Colonnade has "
                f"changed since: run {next(iter(lost.values()))!r} is no longer planned; choose "
                "another --out, or restore what has changed."
            )
        if lost or there.name != self.name or bool(there.sweep) != bool(self.sweep):
            raise UsageError(
                f"{self.path} belongs to {there.described}, but {self.described} was asked "
                "for; choose another --out, or repeat the old options to resume."
            )
        runs = [self.run(spec.id) for spec in self.plan.runs]
        if there.basis.measures != MEASURES:
            left = sum(not run.done for run in runs)
            if left:
                raise UsageError(
                    f"{self.path} was begun by an earlier version of Colonnade, which measured "
                    f"learning curves in another way, and {left} of the {len(runs)} runs are not "
                    "complete: it can be read, but not gone on with; choose another --out to "
                    "train all of them."
                )
            return replace(self, basis=there.basis)
        for run in runs:
            if run.measures not in (None, MEASURES):
                raise UsageError(
                    f"{run.path} holds a run of an earlier version of Colonnade, which measured "
                    "learning curves in another way, so that it can't stand beside the others; "
                    "move it away to train it again."
                )
        kept = replace(
            self.basis,
            training=there.basis.training,
            title=there.basis.title,
            summary=there.basis.summary,
            figure=there.basis.figure,
            paper=there.basis.paper,
        )
        return replace(self, basis=kept)

    def begin(self) -> SuiteFolder:
        """Make the folder, or go on in one that holds a part of the same suite.

        Returns:
            The folder, with the measures that its numbers have.

        Raises:
            UsageError: The folder holds something else, or runs that are measured otherwise.
            ColonnadeError: Writing failed, or a file of a run is damaged.
        """
        self.check()
        check_folder(self.path)
        begin_folder(self.path)
        with FolderLock(self.path):
            # Once more: another command may have begun the folder meanwhile.
            begun = self.check()
            self._write_plan(begun.basis)
        return begun

    def _just_begun(self) -> bool:
        """Whether there is nothing but what a command leaves that is killed while it begins."""
        return self.path.is_dir() and all(
            entry.name in LOCK_FILES
            or re.fullmatch(rf"\.({'|'.join(_FIRST_FILES)})\.\d+\.tmp", entry.name)
            for entry in self.path.iterdir()
        )

    def _write_plan(self, basis: Basis) -> None:
        with disk_errors(self.path):
            for folder in (self.path, self.path / "figures"):
                remove_unfinished(folder)
        content: dict[str, Any] = {"format": FORMAT}
        if basis.measures != 1:
            content["measures"] = basis.measures
        content |= {"suite": self.name, "options": self.options}
        if basis.measures != 1:
            content["basis"] = basis.to_json()
        if self.sweep is not None:
            content["sweep"] = write(self.sweep)
        write_json(self.path / "suite.json", content | self.plan.to_json())
        begin_folder(self.path / "runs")

    @classmethod
    def read(cls, path: Path) -> SuiteFolder:
        """Read an output folder.

        Raises:
            UsageError: There is no suite in it, or one of another version of Colonnade.
        """
        file = path / "suite.json"
        if not is_there(file):
            raise UsageError(
                f"{path} holds no suite.json; give a folder that `colonnade run --out` made."
            )
        content = read_json(file)
        if content.get("format") != FORMAT:
            raise UsageError(
                f"{file} has format {content.get('format')!r}, but this version of Colonnade reads "
                f"format {FORMAT}; use the version that wrote it."
            )
        measures = content.get("measures", 1)
        if measures not in range(1, MEASURES + 1):
            raise UsageError(
                f"{file} has numbers of version {measures!r} of the measures, but this version of "
                f"Colonnade knows 1 to {MEASURES}; use the version that wrote it."
            )
        plan = Plan.from_json(content, str(file))
        _check_runs(path, plan)
        name, options = str(content.get("suite")), content.get("options")
        sweep = read(Sweep, content["sweep"], str(file)) if "sweep" in content else None
        _check_jobs(file, plan, sweep)
        if measures == 1:
            basis = Basis.first(name, plan, sweep)
        else:
            basis = Basis.from_json(measures, content.get("basis"), str(file))
        return cls(path, name, options if isinstance(options, dict) else {}, plan, sweep, basis)


def find_runs(path: Path) -> tuple[SuiteFolder, list[RunFolder], bool]:
    """Find what a path on the command line means.

    Args:
        path: An output folder of `colonnade run --out`, or the folder of one run inside it.

    Returns:
        The output folder; the runs; whether one was asked for.

    Raises:
        UsageError: It is neither.
    """
    if is_there(path / "suite.json"):
        suite = SuiteFolder.read(path)
        return suite, list(suite.runs), False
    outer = path.resolve().parent.parent
    if path.resolve().parent.name == "runs" and is_there(outer / "suite.json"):
        suite = SuiteFolder.read(outer)
        name = path.resolve().name
        names = [spec.id for spec in suite.plan.runs]
        if name not in names:
            raise unknown_name(f"run in {outer}:", name, names)
        return suite, [suite.run(name)], True
    raise UsageError(
        f"{path} is neither a folder that `colonnade run --out` made (with a suite.json) nor one "
        "run's folder inside it (DIR/runs/ID)."
    )
