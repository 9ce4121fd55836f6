"""Which runs wait, which train and which are over; parents before children."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from colonnade.experiments.execution.progress import RunView, State
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.store.files import write_json
from colonnade.experiments.store.folders import SuiteFolder

_LIVES = 3
"""How often a run is begun again that was lost by no fault of its own."""


@dataclass(frozen=True)
class Failure:
    """A run that did not complete.

    Attributes:
        run: Its id.
        reason: What went wrong, in one sentence.
        log: Where more is to be read; None for a run that never began.
    """

    run: str
    reason: str
    log: Path | None


class Schedule:
    """The runs of a plan, from waiting to over; those with the longest line behind them go first.

    Args:
        suite: The output folder.
        plan: The suite's plan or a part of it.
        retry: Whether runs that failed before are begun again.

    Attributes:
        running: The specs of the runs that train, by id.
        silent: For how many seconds runs have given no sign of life, by id; may be set.
        failures: The runs that failed, now or before.
    """

    def __init__(self, suite: SuiteFolder, plan: Plan, *, retry: bool) -> None:
        self.running: dict[str, RunSpec] = {}
        self.silent: Mapping[str, float] = {}
        self.failures: list[Failure] = []
        self._suite = suite
        self._plan = plan
        self._done = {spec.id for spec in plan.runs if suite.run(spec.id).done}
        self._stopped: set[str] = set()
        self._failed: set[str] = set()
        self._passing: set[str] = set()
        self._waiting: list[RunSpec] = []
        self._chosen: set[str | None] = set()
        self._lost: Counter[str] = Counter()
        self._ended: set[str] = set()  # since views were last asked for
        self._planned = {spec.id for spec in plan.runs}
        for spec in plan.runs:
            folder = suite.run(spec.id)
            if spec.id in self._done:
                continue
            if folder.stopped:
                self._stopped.add(spec.id)
            elif (reason := folder.failure) and not retry:
                self._fail(Failure(spec.id, reason, folder.log_path))
            else:
                self._waiting.append(spec)
        # Else the last run would often be a long one, with the other cores idle.
        self._waiting.sort(key=lambda spec: -plan.line(spec.id))

    @property
    def planned(self) -> int:
        """How many runs there are, complete ones too."""
        return len(self._planned)

    @property
    def over(self) -> bool:
        """Whether nothing is left to do."""
        return not (self.running or self._waiting)

    def startable(self, fits: Callable[[RunSpec], bool]) -> Iterator[RunSpec]:
        """Give up what can never start, and return what can start now, each run when asked for it.

        A run that is returned counts as running from then on. One that does not fit lets those
        after it go first.
        """
        for spec in list(self._waiting):
            if reason := self._hopeless(spec):
                self._waiting.remove(spec)
                if not self._passing.isdisjoint(self._plan.waits_for(spec)):
                    self._passing.add(spec.id)
                self._fail(Failure(spec.id, reason, None))
            elif fits(spec) and self._ready(spec):
                self._waiting.remove(spec)
                self.running[spec.id] = spec
                yield spec

    def competing(self, most: int) -> int:
        """Count the runs that train and those that could start now, up to `most`."""
        count = len(self.running)
        for spec in self._waiting:
            if count >= most:
                break
            count += self._hopeless(spec) is None and self._ready(spec)
        return count

    def complete(self, run: str) -> None:
        """Take note that a run is done."""
        self._end(run)
        self._done.add(run)

    def fail(self, run: str, reason: str, *, final: bool, passing: bool = False) -> None:
        """Take note that a run failed.

        Args:
            run: Its id.
            reason: What went wrong, in one sentence.
            final: Whether the same would happen again, so that it is only tried again on demand.
            passing: Whether it says nothing of the run, which may be the best of some once it is
                through: until then nobody starts from the best of them.
        """
        self._end(run)
        if passing:
            self._passing.add(run)
        folder = self._suite.run(run)
        if final:
            write_json(folder.path / "failed.json", {"reason": reason})
        self._fail(Failure(run, reason, folder.log_path))

    def stop(self, run: str, reason: str) -> None:
        """Take note that a run was stopped as hopeless, for good."""
        self._end(run)
        write_json(self._suite.run(run).path / "stopped.json", {"reason": reason})
        self._stopped.add(run)

    def again(self, run: str, reason: str) -> bool:
        """Let a run that was lost wait again, with a note; False if that happens all the time."""
        self._lost[run] += 1
        if self._lost[run] > _LIVES:
            return False
        said = f"{reason[:1].upper()}{reason[1:]}".rstrip(".")
        self._suite.run(run).add_note(f"{said}; the run went on from its last checkpoint.")
        self._waiting.insert(0, self.running.pop(run))
        return True

    def views(self) -> list[RunView]:
        """Show where each run stands."""
        states: dict[str, State] = dict.fromkeys(self._done, "done")
        states |= dict.fromkeys(self.running, "running")
        states |= dict.fromkeys(self._failed, "failed")
        states |= dict.fromkeys(self._stopped, "stopped")
        views = []
        for spec in self._plan.runs:
            state = states.get(spec.id, "waiting")
            # What a run noted last may have come since it was looked at.
            looked_at = state == "running" or spec.id in self._ended
            status = self._suite.run(spec.id).status() if looked_at else {}
            silent = self.silent.get(spec.id, 0.0) if state == "running" else 0.0
            notes = status.get("notes") or []
            progress = status.get("progress") if state == "running" else None
            views.append(RunView(spec, state, progress, notes, silent))
        self._ended.clear()
        return views

    def _end(self, run: str) -> None:
        del self.running[run]
        self._ended.add(run)

    def _fail(self, failure: Failure) -> None:
        self.failures.append(failure)
        self._failed.add(failure.run)

    def _hopeless(self, spec: RunSpec) -> str | None:
        """Say why a run can never start, if it can't."""
        origins = [(origin, "starts from") for origin in spec.origins]
        for name, does in (*origins, (spec.learner_from, "learns like")):
            selection = self._plan.selection(name)
            lost = self._failed | self._stopped
            if selection is None:
                continue
            best = f"it {does} the best of {len(selection.runs)} runs"
            if lost.issuperset(selection.runs):
                return f"{best}, and none succeeded"
            open_ones = self._passing.intersection(selection.runs)
            if open_ones and self._suite.chosen(selection.name) is None:
                return f"{best}, of which {min(open_ones)} may succeed when it is begun again"
        for origin in spec.origins:
            if origin in self._failed or origin in self._stopped:
                return f"it starts from run {origin}, which failed"
        return None

    def _ready(self, spec: RunSpec) -> bool:
        return all(map(self._begun, spec.origins)) and (
            spec.learner_from is None or self._chose(spec.learner_from)
        )

    def _begun(self, origin: str) -> bool:
        """Whether what a run starts from is there."""
        if self._plan.selection(origin) is None:
            return origin not in self._planned or origin in self._done
        return self._chose(origin)

    def _chose(self, name: str | None) -> bool:
        """Choose the best run of a selection; False while some of its runs may still win."""
        selection = self._plan.selection(name)
        assert selection is not None
        if selection.name not in self._chosen:
            if not (self._done | self._failed | self._stopped).issuperset(selection.runs):
                return False
            self._suite.choose(selection)
            self._chosen.add(selection.name)
        return True
