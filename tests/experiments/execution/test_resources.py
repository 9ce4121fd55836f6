"""Sharing out a machine among runs, against a slow and obvious packing."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from colonnade.cli.display import Display
from colonnade.experiments.execution import execute as executing
from colonnade.experiments.execution.needs import needs
from colonnade.experiments.execution.resources import Machines, Resources
from colonnade.experiments.execution.workers import Ended
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import SuiteFolder

NEEDS = st.lists(
    st.builds(Resources, st.integers(1, 20), memory=st.integers(0, 40)), min_size=1, max_size=7
)


def spec(label: str = "a", learner: str = "a2c", threads: int = 1, **options: object) -> RunSpec:
    task = TaskBudget("mini-pong/pong", 100)
    training = {"threads": threads, "device": "cpu"}
    return RunSpec(
        label,
        "scratch",
        (task,),
        learner,
        "tiny",
        learner_options=options,
        training_options=training,
    )


@given(NEEDS, st.integers(1, 16), st.integers(0, 30), st.integers(1, 8))
def test_runs_are_packed_as_the_slow_packing_does(
    needed: list[Resources], cores: int, memory: int, runs: int
) -> None:
    """Of all sets of runs that a machine has room for, the one that favours the first runs most."""
    machine = Machines([Resources(cores, memory=memory)], runs)
    for index, need in enumerate(needed):
        if (share := machine.share(need)) is not None:
            machine.shares[str(index)] = share

    def has_room(chosen: tuple[bool, ...]) -> bool:
        together = list(itertools.compress(needed, chosen))
        return (
            len(together) <= runs
            and sum(min(need.cores, cores) for need in together) <= cores
            and sum(min(need.memory, memory) for need in together) <= memory
        )

    # More cores than needed are given only where fewer runs than cores may train at once; then
    # those that come later find fewer left.
    if runs >= cores:
        best = max(filter(has_room, itertools.product([False, True], repeat=len(needed))))
        expected = {str(i) for i, chosen in enumerate(best) if chosen}
        assert set(machine.shares) == expected
    shares = machine.shares.values()
    assert len(shares) <= runs
    assert sum(share.cores for share in shares) <= cores
    assert sum(share.memory for share in shares) <= memory
    for index, share in machine.shares.items():
        assert share.cores >= min(needed[int(index)].cores, cores)
    assert "0" in machine.shares, "an empty machine has room for any run"


def test_a_run_needs_a_core_for_each_worker_or_thread() -> None:
    assert needs(spec()) == Resources(1)
    assert needs(spec(threads=3)).cores == 3
    assert needs(spec(workers=16)).cores == 16
    assert needs(spec(learner="a3c")).cores == 2
    assert needs(spec(learner="unknown")) == Resources(1)
    assert not needs(spec()).gpu


def test_a_run_of_many_workers_trains_alone_and_runs_get_the_cores_that_idle() -> None:
    machine = Machines([Resources(8)], runs=8)
    machine.shares["small"] = machine.share(Resources(1)) or pytest.fail("room for one")
    assert machine.share(Resources(16)) is None
    del machine.shares["small"]
    whole = machine.share(Resources(16))
    assert whole == Resources(8)
    machine.shares["big"] = whole
    assert machine.share(Resources(1)) is None
    assert Machines([Resources(8)], runs=2).share(Resources(1)) == Resources(4)


def test_machines_together_give_each_run_what_the_smallest_has_room_for() -> None:
    machines = Machines([Resources(4, memory=8), Resources(2, memory=30)])
    assert machines.runs == 6
    assert machines.share(Resources(1), 1) == Resources(2)
    assert machines.share(Resources(3), 1) == Resources(3)
    assert machines.share(Resources(16, memory=99)) == Resources(4, memory=30)
    machines.shares["a"] = Resources(4)
    assert machines.share(Resources(1)) == Resources(1)
    machines.wholes = [Resources(2)]  # the larger one is lost, and what ran there not yet noted
    assert machines.share(Resources(1)) is None
    machines.shares.clear()
    machines.wholes = []
    assert machines.share(Resources(1)) is None


def test_a_machine_is_never_oversubscribed_and_no_run_waits_for_ever(tmp_path: Path) -> None:
    widths = {"a": 1, "b": 16, "c": 3, "d": 1, "e": 2, "f": 2, "g": 4}
    specs = [spec(label, workers=width) for label, width in widths.items()]
    log: list[set[str]] = []

    class Noting:
        """Workers that train nothing: the run that began first ends when it is asked for."""

        def __init__(self, _: Path) -> None:
            self.shares: dict[str, int] = {}

        def machines(self, _: int) -> list[Resources]:
            return [Resources(4, memory=10)]

        def start(self, run: str, share: Resources) -> None:
            self.shares[run] = share.cores
            assert sum(self.shares.values()) <= 4

        def ended(self, _: float) -> list[Ended]:
            log.append({run.split("-")[0] for run in self.shares})
            first = next(iter(self.shares))
            del self.shares[first]
            return [Ended(first, "finished")]

        def stop(self, run: str) -> None:
            pytest.fail(f"{run} was stopped")

        kill = stop

        def silent(self) -> dict[str, float]:
            return {}

        def close(self) -> None:
            assert not self.shares

    suite = SuiteFolder(tmp_path, "test", {}, Plan(tuple(specs))).begin()
    display = Display(Console(quiet=True), "test")
    assert executing.execute(suite, suite.plan, display=display, make_workers=Noting) == []
    # First come, first served, but who fits goes ahead of who does not.
    assert log == [{"a", "c"}, {"c", "d"}, {"d", "e"}, {"e", "f"}, {"f"}, {"b"}, {"g"}]
