"""Where experiments are kept: what lies in an output folder, and reading it.

    OUT/suite.json                   the plan: all runs, what the report compares, and what its
                                     numbers are measured by
    OUT/choices.json                 of a sweep: which runs became source columns
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
from typing import TYPE_CHECKING, Any

from colonnade.atomic import remove_unfinished
from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.plans.plan import Plan, Selection
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.store.basis import Basis, suite_called
from colonnade.experiments.store.contents import (
    CHOICE,
    SESSION,
    fitting_status,
    misfit,
    misfit_of_network,
    misfit_of_result,
)
from colonnade.experiments.store.files import begin_folder, disk_errors, write_json
from colonnade.experiments.store.lock import LOCK_FILES, FolderLock
from colonnade.experiments.store.measures import MEASURES, version_of
from colonnade.experiments.store.metrics import read_lines, read_metrics
from colonnade.experiments.store.notes import NOTES, read_notes, write_notes
from colonnade.experiments.store.pictures import is_png
from colonnade.experiments.store.reading import (
    check_folder,
    check_kind,
    digest,
    digest_of,
    in_words,
    is_there,
    read_checked,
    read_content,
    read_json,
)
from colonnade.experiments.store.rows import misfits
from colonnade.records import read, shown, write

if TYPE_CHECKING:
    from torch import Tensor

    from colonnade.training import Row

logger = logging.getLogger(__name__)

_LISTED = ("metrics.jsonl", "network.json", "weights.safetensors", "frames.png")
"""Files whose checksums are in a complete run's result.json."""

FORMAT = 1
"""Version of the folder's layout, in suite.json."""

_FIRST_FILES = (*(re.escape(name) for name in LOCK_FILES), r"suite\.json")
"""What a command writes before the folder holds a plan."""


@dataclass(frozen=True)
class RunFolder:
    """Reads the folder of one run.

    Attributes:
        path: The folder; it need not exist yet.
    """

    path: Path

    @property
    def id(self) -> str:
        """Id of the run."""
        return self.path.name

    @property
    def done(self) -> bool:
        """Whether the run is complete.

        Raises:
            ColonnadeError: Something else than a file has the mark's place.
        """
        path = self.path / "DONE"
        if not is_there(path):
            return False
        check_kind(path)
        return True

    @property
    def spec(self) -> RunSpec:
        """The run's spec.

        Raises:
            ColonnadeError: It is missing or damaged, or is another run's.
        """
        path = self.path / "spec.json"
        if not is_there(path):
            raise ColonnadeError(
                f"{path} is missing, so it can't be known what {self.path} holds; restore it, or "
                "delete the folder to train the run again."
            )
        spec = RunSpec.from_json(read_json(path), str(path))
        if spec.id != self.id:
            raise ColonnadeError(
                f"{path} is the spec of run {spec.id}, which does not belong in this folder; "
                "restore it, or delete the folder to train the run again."
            )
        return spec

    @property
    def metrics_path(self) -> Path:
        """Where the metrics are."""
        return self.path / "metrics.jsonl"

    @property
    def frames_path(self) -> Path:
        """Where the picture of what the agent sees is."""
        return self.path / "frames.png"

    @property
    def log_path(self) -> Path:
        """Where the run's process writes its messages."""
        return self.path / "log.txt"

    def metrics(self) -> list[Row]:
        """Read all metrics rows.

        Raises:
            ColonnadeError: A line is damaged, or they are not those that the run was completed
                with.
        """
        if self.done:
            self._verify("metrics.jsonl", self.result())
        rows = read_metrics(self.metrics_path)
        if rows and (wrong := misfits(rows, len(self.spec.tasks))):
            raise ColonnadeError(f"{self.metrics_path} {wrong}; {self._advice}.")
        return rows

    def result(self) -> dict[str, Any]:
        """Read what the run came to.

        Raises:
            ColonnadeError: The run is not complete, or the file is damaged or another run's.
        """
        return self._result()[0]

    @property
    def verified(self) -> bool:
        """Whether checksums say that a complete run's files are as they were written.

        Those of a run from before there were checksums are read as they are.

        Raises:
            ColonnadeError: A file of the run is damaged.
        """
        return self._result()[1]

    def frames(self) -> bytes:
        """Read the picture of what the agent sees, a PNG file.

        Raises:
            ColonnadeError: It is damaged.
        """
        content = read_content(self.frames_path)
        if self.done:
            self._verify(self.frames_path.name, self.result(), content)
        if not is_png(content):
            raise ColonnadeError(
                f"{self.frames_path} is damaged: it is no whole PNG file; delete it, which costs "
                "nothing but a picture."
            )
        return content

    def checksums(self) -> dict[str, str]:
        """Return the checksums of the files that a complete run has beside its result."""
        found = {}
        for name in _LISTED:
            if is_there(self.path / name):
                found[name] = digest_of(self.path / name)
        return found

    @property
    def measures(self) -> int | None:
        """Version of the measures of its learning curve; None while there is none.

        Raises:
            ColonnadeError: A file of the run is damaged.
        """
        if self.done:
            return int(self.result().get("measures", 1))
        return version_of(self.metrics())

    @property
    def score(self) -> float:
        """Mean return of the final policy on the last task.

        Raises:
            ColonnadeError: The run is not complete, or its result is damaged.
        """
        for row in reversed(self.result()["scores"]):
            if row["policy"] == "trained":
                return float(row["return_mean"])
        raise ColonnadeError(f"{self.path / 'result.json'} holds no score of the trained policy.")

    def network(self) -> dict[str, Any]:
        """Read the layout of the run's network, and which column plays which task.

        Raises:
            ColonnadeError: The run is not complete, or the file is damaged.
        """
        path = self.path / "network.json"
        value, _ = read_checked(path)
        if self.done:
            self._verify(path.name, self.result())
        if wrong := misfit_of_network(value):
            raise ColonnadeError(f"{path} {wrong}; {self._advice}.")
        return value

    @property
    def last_task(self) -> str:
        """Id of the run's last task, as its network and its scores know it.

        Raises:
            ColonnadeError: The run is not complete, or a file is damaged.
        """
        return self.spec.tasks[-1].id_among(self.network()["tasks"])

    def add_note(self, note: str) -> None:
        """Leave a note for a run that nobody trains just now, which it takes up when it goes on.

        Raises:
            ColonnadeError: Writing failed.
        """
        path = self.path / NOTES
        if note not in (known := read_notes(path)):
            write_notes(path, [*known, note])

    def status(self) -> dict[str, Any]:
        """Read how far the run is; empty where it never began, or the file makes no sense."""
        try:
            return fitting_status(read_json(self.path / "status.json"))
        except ColonnadeError:
            return {}

    @property
    def failure(self) -> str | None:
        """Why the run failed, if it did and nobody has asked to try again."""
        return self._reason("failed.json")

    @property
    def stopped(self) -> str | None:
        """Why the run was stopped as hopeless, if it was."""
        return self._reason("stopped.json")

    def weights(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Read the final state of the run's method.

        Raises:
            ColonnadeError: The file is missing, truncated or not Colonnade's.
        """
        from colonnade.training import read_tensors

        path = self.path / "weights.safetensors"
        check_kind(path)
        try:
            tensors, meta = read_tensors(path)
        except ColonnadeError as error:
            raise ColonnadeError(f"{error} Delete {self.path} to train the run again.") from error
        if self.done:
            self._verify(path.name, self.result())
        return tensors, meta

    def _reason(self, name: str) -> str | None:
        path = self.path / name
        if not is_there(path):
            return None
        try:
            return str(read_json(path).get("reason", "unknown"))
        except ColonnadeError as error:  # that it was given up is what counts
            return f"unknown, since {in_words(error)}"

    @property
    def _advice(self) -> str:
        return f"restore it, or delete {self.path} to train the run again"

    def _result(self) -> tuple[dict[str, Any], bool]:
        """Read result.json, and say whether it is verified."""
        path = self.path / "result.json"
        value, checked = read_checked(path)
        if wrong := misfit_of_result(value):
            raise ColonnadeError(f"{path} {wrong}; {self._advice}.")
        spec = self.spec
        if "spec" in value and RunSpec.from_json(value["spec"], str(path)) != spec:
            raise ColonnadeError(
                f"{path} is the result of another run than {self.id}; {self._advice}."
            )
        return value, checked and "files" in value

    def _verify(self, name: str, result: dict[str, Any], content: bytes | None = None) -> None:
        """Refuse a file that is not the one that the run was completed with."""
        said = result.get("files", {}).get(name)
        path = self.path / name
        if said is not None and said != (digest(content) if content else digest_of(path)):
            raise ColonnadeError(
                f"{path} is not the file that the run was completed with: it does not fit its "
                f"checksum in result.json; {self._advice}."
            )


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
        """Choose the best run of a selection, once and for all; None if none is complete.

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
        best = max(scores, key=lambda run: scores[run])
        path = self.path / "choices.json"
        known = read_json(path) if is_there(path) else {}
        entry = {"run": best, "score": scores[best], "of": len(scores)}
        write_json(path, known | {selection.name: entry})
        return best

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
        lost = {spec.id for spec in there.plan.runs} - {spec.id for spec in self.plan.runs}
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
