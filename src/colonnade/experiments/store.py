"""Where experiments are kept: what lies in an output folder, and reading it.

    OUT/suite.json                   the plan: all runs, and what the report compares
    OUT/report.html
    OUT/runs/<run id>/spec.json      the run's spec
                      metrics.jsonl  learning curve, one JSON object a line
                      checkpoint-*.safetensors   the newest two
                      frames.png     what the agent sees
                      weights.safetensors, network.json   what was learned
                      result.json    configuration, versions, hardware, timing, scores
                      status.json    how far it is, what went wrong
                      log.txt, events.out.tfevents.*
                      DONE           written last

Reports read nothing else, so a folder can be moved to another machine. `RunRecorder` (in
`recorder`) writes what is here read.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colonnade.errors import ColonnadeError, UsageError, unknown_name
from colonnade.experiments.files import disk_errors, read_json, write_json
from colonnade.experiments.metrics import read_metrics
from colonnade.experiments.plan import Plan
from colonnade.experiments.spec import BUNDLED, RunSpec

if TYPE_CHECKING:
    from torch import Tensor

    from colonnade.training import Row

logger = logging.getLogger(__name__)

FORMAT = 1
"""Version of the folder's layout, in suite.json."""


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
        """Whether the run is complete."""
        return (self.path / "DONE").exists()

    @property
    def spec(self) -> RunSpec:
        """The run's spec.

        Raises:
            ColonnadeError: It is missing or damaged, or is another run's.
        """
        path = self.path / "spec.json"
        if not path.exists():
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
            ColonnadeError: A line is damaged.
        """
        return read_metrics(self.metrics_path)

    def result(self) -> dict[str, Any]:
        """Read what the run came to.

        Raises:
            ColonnadeError: The run is not complete, or the file is damaged.
        """
        return self._read("result.json", "scores", "timing", "versions", "hardware", "notes")

    def network(self) -> dict[str, Any]:
        """Read the layout of the run's network, and which column plays which task.

        Raises:
            ColonnadeError: The run is not complete, or the file is damaged.
        """
        return self._read("network.json", "network", "tasks")

    def status(self) -> dict[str, Any]:
        """Read how far the run is; empty where it never began."""
        path = self.path / "status.json"
        return read_json(path) if path.exists() else {}

    def weights(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Read the final state of the run's method.

        Raises:
            ColonnadeError: The file is missing, truncated or not Colonnade's.
        """
        from colonnade.training import read_tensors

        try:
            return read_tensors(self.path / "weights.safetensors")
        except ColonnadeError as error:
            raise ColonnadeError(f"{error} Delete {self.path} to train the run again.") from error

    def _read(self, name: str, *keys: str) -> dict[str, Any]:
        value = read_json(self.path / name)
        for key in keys:
            if key not in value:
                raise ColonnadeError(
                    f"{self.path / name} lacks {key!r}; restore it, or delete {self.path} to "
                    "train the run again."
                )
        return value


@dataclass(frozen=True)
class SuiteFolder:
    """Reads and begins an output folder.

    Attributes:
        path: The folder.
        name: Name of the suite.
        options: What was asked of the suite, for the report.
        plan: All runs of the suite.
    """

    path: Path
    name: str
    options: dict[str, Any]
    plan: Plan

    def run(self, run_id: str) -> RunFolder:
        """Return the folder of one run."""
        return RunFolder(self.path / "runs" / run_id)

    @property
    def runs(self) -> tuple[RunFolder, ...]:
        """The folders of all planned runs, whether they exist or not."""
        return tuple(self.run(spec.id) for spec in self.plan.runs)

    def begin(self) -> None:
        """Make the folder, or go on in one that holds a part of the same suite.

        Raises:
            UsageError: The folder holds something else.
            ColonnadeError: Writing failed.
        """
        path = self.path / "suite.json"
        if path.exists():
            there = SuiteFolder.read(self.path)
            lost = {spec.id for spec in there.plan.runs} - {spec.id for spec in self.plan.runs}
            if lost or there.name != self.name:
                raise UsageError(
                    f"{self.path} belongs to suite {there.name!r} with options "
                    f"{_words(there.options)}, but suite {self.name!r} with options "
                    f"{_words(self.options)} was asked for; choose another --out, or repeat the "
                    "old options to resume."
                )
        elif self.path.exists() and (not self.path.is_dir() or any(self.path.iterdir())):
            raise UsageError(
                f"{self.path} exists but holds no suite.json, so it isn't Colonnade's; choose "
                "another --out."
            )
        with disk_errors(self.path):
            (self.path / "runs").mkdir(parents=True, exist_ok=True)
        content = {"format": FORMAT, "suite": self.name, "options": self.options}
        write_json(path, content | self.plan.to_json())

    @classmethod
    def read(cls, path: Path) -> SuiteFolder:
        """Read an output folder.

        Raises:
            UsageError: There is no suite in it, or one of another version of Colonnade.
        """
        file = path / "suite.json"
        if not file.exists():
            raise UsageError(
                f"{path} holds no suite.json; give a folder that `colonnade run --out` made."
            )
        content = read_json(file)
        if content.get("format") != FORMAT:
            raise UsageError(
                f"{file} has format {content.get('format')!r}, but this version of Colonnade reads "
                f"format {FORMAT}; use the version that wrote it."
            )
        plan = Plan.from_json(content, str(file))
        options = content.get("options")
        return cls(
            path, str(content.get("suite")), options if isinstance(options, dict) else {}, plan
        )


def read_parent(suite: Path, parent: str) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read the method's state that a run starts from.

    Args:
        suite: The output folder.
        parent: As in `RunSpec.parent`.

    Returns:
        Tensors and JSON data as `Method.state` gave them.

    Raises:
        ColonnadeError: The parent is not complete, or its weights are damaged.
    """
    from colonnade.training import read_tensors

    if parent.startswith(BUNDLED):
        name = parent.removeprefix(BUNDLED)
        if name not in bundled_columns():
            raise unknown_name("bundled column", name, bundled_columns())
        with resources.as_file(_data() / f"{name}.safetensors") as path:
            return read_tensors(path)
    folder = RunFolder(suite / "runs" / parent)
    if not folder.done:
        raise ColonnadeError(f"Run {parent}, which this one starts from, isn't complete.")
    return folder.weights()


def bundled_columns() -> tuple[str, ...]:
    """Names of the columns that ship with Colonnade."""
    if not _data().is_dir():
        return ()
    names = (entry.name for entry in _data().iterdir())
    return tuple(
        sorted(n.removesuffix(".safetensors") for n in names if n.endswith(".safetensors"))
    )


def _data() -> Any:
    return resources.files("colonnade") / "data"


def _words(options: dict[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in options.items()) or "none"
