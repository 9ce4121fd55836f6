"""The folder of one run: what lies in it, checked as it is read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colonnade.errors import ColonnadeError
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.store.contents import (
    fitting_status,
    misfit_of_network,
    misfit_of_result,
)
from colonnade.experiments.store.measures import MEASURES, version_of
from colonnade.experiments.store.metrics import read_metrics
from colonnade.experiments.store.notes import NOTES, read_notes, write_notes
from colonnade.experiments.store.pictures import is_png
from colonnade.experiments.store.reading import (
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

if TYPE_CHECKING:
    from torch import Tensor

    from colonnade.training import Row

_LISTED = ("metrics.jsonl", "network.json", "weights.safetensors", "frames.png")
"""Files whose checksums are in a complete run's result.json."""


@lru_cache(maxsize=4096)
def _spec_of(content: str, where: str) -> RunSpec:
    """Read a spec; a page asks each run's folder several times for what has not changed."""
    return RunSpec.from_json(json.loads(content), where)


def learns_labels(spec: RunSpec, result: Mapping[str, Any]) -> bool:
    """Whether a run learns from labels, so that its steps are examples and its scores accuracies.

    Args:
        spec: The run's.
        result: Content of its result.json; where it is empty, or older than this, our own learner
            of labels is the one that does.
    """
    return bool(result.get("labelled", spec.learner == "supervised"))


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
                f"{path} is missing, so it can't be known what {self.path} holds; {self._advice}."
            )
        spec = _spec_of(json.dumps(self._checked(path)[0]), str(path))
        if spec.id != self.id:
            raise ColonnadeError(
                f"{path} is the spec of run {spec.id}, which does not belong in this folder; "
                f"{self._advice}."
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
    def labelled(self) -> bool:
        """Whether it learns from labels; see `learns_labels`."""
        return learns_labels(self.spec, self.result() if self.done else {})

    @property
    def score(self) -> float:
        """Mean return of the final policy on the last task, by which the best of some is chosen.

        On a data set it is that on the examples for validation, where some are kept for that: those
        of the test are for what is reported.

        Raises:
            ColonnadeError: The run is not complete, or its result is damaged.
        """
        rows = {(row["policy"], row["task"]): row for row in self.result()["scores"]}
        trained = [task for policy, task in rows if policy == "trained"]
        if not trained:
            where = self.path / "result.json"
            raise ColonnadeError(f"{where} holds no score of the trained policy.")
        last = trained[-1]
        row = rows.get(("validation", last), rows["trained", last])
        return float(row["return_mean"])

    def network(self) -> dict[str, Any]:
        """Read the layout of the run's network, and which column plays which task.

        Raises:
            ColonnadeError: The run is not complete, or the file is damaged.
        """
        path = self.path / "network.json"
        value, _ = self._checked(path)
        if self.done:
            self._verify(path.name, self.result())
        if wrong := misfit_of_network(value):
            raise ColonnadeError(f"{path} {wrong}; {self._advice}.")
        return value

    @property
    def last_task(self) -> str:
        """Id of the run's last task, as its scores know it.

        Raises:
            ColonnadeError: The run is not complete, or a file is damaged.
        """
        return self.spec.tasks[-1].id_among(self.played_as)

    @property
    def played_as(self) -> dict[str, str]:
        """By the id of each task that the run's network plays, under which id it knows the task.

        They differ where contexts were recognised. The last task comes last.

        Raises:
            ColonnadeError: The run is not complete, or a file is damaged.
        """
        known = self.network()["tasks"]
        told = self.result().get("contexts", {})
        contexts = {task: context for task, context in told.items() if context in known}
        in_order = sorted(known, key=lambda task: known[task])
        if not contexts:
            return {task: task for task in in_order}
        # Contexts in which no task was recognised are nobody's; tasks of earlier runs are.
        others = [task for task in in_order if task not in contexts.values()]
        return {**({task: task for task in others} if self.spec.origins else {}), **contexts}

    @property
    def trained(self) -> list[list[str] | None]:
        """By what tasks each column of the run's network was trained, by their ids and in order.

        Nothing of a random column; None where an older file does not say.

        Raises:
            ColonnadeError: The run is not complete, or a file is damaged.
        """
        from colonnade.methods.columns import trained_by

        meta, spec = self.network(), self.spec
        tasks_of = dict[str, list[str]]()
        for task, known in self.played_as.items():
            tasks_of.setdefault(known, []).append(task)
        # Where an older file does not say: all columns that nobody trained are this method's.
        random = spec.method == "random-column" and not spec.origins
        found = ([] if known is None and random else known for known in trained_by(meta))
        return [
            known and [task for each in known for task in tasks_of.get(each, [each])]
            for known in found
        ]

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
        if self.done and not is_there(path):
            raise ColonnadeError(
                f"The weights of {self.path} were not kept, so it can't be played or analysed; "
                "train the run again in another folder."
            )
        try:
            tensors, meta = read_tensors(path)
        except ColonnadeError as error:
            raise ColonnadeError(f"{error} Restore it, or {self._again}.") from error
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
        return f"restore it, or {self._again}"

    @property
    def _again(self) -> str:
        """How to train the run again: in its folder, if that is of today's measures."""
        plan = self.path.parent.parent / "suite.json"
        try:
            goes_on = not is_there(plan) or read_json(plan).get("measures", 1) == MEASURES
        except ColonnadeError:
            goes_on = False
        if goes_on:
            return f"delete {self.path} to train the run again"
        return "train the run again in another folder"

    def _checked(self, path: Path) -> tuple[dict[str, Any], bool]:
        """Read a JSON file of the run; see `read_checked`."""
        if self.done and not is_there(path):
            raise ColonnadeError(f"{path} is missing, but the run is complete; {self._advice}.")
        return read_checked(path, lambda: self._advice)

    def _result(self) -> tuple[dict[str, Any], bool]:
        """Read result.json, and say whether it is verified."""
        path = self.path / "result.json"
        value, checked = self._checked(path)
        if wrong := misfit_of_result(value):
            raise ColonnadeError(f"{path} {wrong}; {self._advice}.")
        spec = self.spec
        if "spec" in value and _spec_of(json.dumps(value["spec"]), str(path)) != spec:
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
