"""Which run begins when, and with how many cores."""

from pathlib import Path

from colonnade.experiments.execution.resources import Machines, Resources
from colonnade.experiments.execution.schedule import Schedule
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.selection import Selection
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.files import write_json
from colonnade.experiments.store.folders import SuiteFolder


def spec(label: str, steps: int, **options: str | None) -> RunSpec:
    task = TaskBudget("mini-pong/pong", steps)
    return RunSpec(label, "scratch", (task,), "ppo", "tiny", **options)  # type: ignore[arg-type]


def schedule(path: Path, plan: Plan) -> Schedule:
    return Schedule(SuiteFolder(path, "test", {}, plan).begin(), plan, retry=False)


def test_the_run_with_the_longest_line_behind_it_goes_first(tmp_path: Path) -> None:
    tries = [spec("try", 60), spec("other try", 70)]
    best = Selection(tuple(run.id for run in tries))
    source = spec("source", 50)
    child = spec("child", 100, parent=source.id)
    grandchild = spec("grandchild", 300, parent=child.id)
    like = spec("like the best", 350, learner_from=best.name)
    short, long = spec("short", 100), spec("long", 410)
    runs = (short, *tries, source, child, grandchild, like, long)
    plan = Plan(runs, selections=(best,))
    lines = {run.label: plan.line(run.id) for run in runs}
    assert lines == {
        "source": 450,
        "other try": 420,
        "try": 410,
        "long": 410,
        "child": 400,
        "like the best": 350,
        "grandchild": 300,
        "short": 100,
    }
    begun = [run.label for run in schedule(tmp_path, plan).startable(lambda _: True)]
    assert begun == ["source", "other try", "try", "long", "short"]


def test_runs_that_nothing_competes_with_get_the_cores_that_would_idle(tmp_path: Path) -> None:
    source = spec("source", 50)
    plan = Plan((source, *(spec(f"child {i}", 10, parent=source.id) for i in range(3))))
    waiting = schedule(tmp_path, plan)
    assert waiting.competing(most=4) == 1
    machine = Machines([Resources(4)], runs=4)
    assert machine.share(Resources(1), waiting.competing(4)) == Resources(4)
    next(iter(waiting.startable(lambda _: True)))
    assert waiting.competing(most=4) == 1
    waiting.complete(source.id)
    assert waiting.competing(most=4) == 3
    assert waiting.competing(most=2) == 2
    assert machine.share(Resources(1), 3) == Resources(1)
    assert machine.share(Resources(1), 2) == Resources(2)
    assert machine.share(Resources(3), 3) == Resources(3)
    assert Machines([Resources(8)], runs=2).share(Resources(1), 9) == Resources(4)


def test_nobody_starts_from_the_best_of_runs_while_one_may_still_succeed(tmp_path: Path) -> None:
    tries = [spec("one", 50), spec("two", 60)]
    best = Selection(tuple(run.id for run in tries))
    child = spec("child", 10, parent=best.name)
    plan = Plan((*tries, child), selections=(best,))

    def after(number: int, **failure: bool) -> Schedule:
        waiting = schedule(tmp_path / f"{number}", plan)
        assert len(list(waiting.startable(lambda _: True))) == 2
        waiting.complete(tries[0].id)
        waiting.fail(tries[1].id, "it failed", final=False, **failure)
        list(waiting.startable(lambda _: False))
        return waiting

    assert not after(1).over, "it starts from the one that is left"
    full = after(2, passing=True)
    assert full.over
    assert [failure.reason for failure in full.failures] == [
        "it failed",
        f"it starts from the best of 2 runs, of which {tries[1].id} may succeed when it is begun "
        "again",
    ]


def test_who_comes_from_a_run_that_may_still_succeed_may_too(tmp_path: Path) -> None:
    source = spec("source", 50)
    tries = [spec("one", 50, parent=source.id), spec("two", 60)]
    best = Selection(tuple(run.id for run in tries))
    child = spec("child", 10, parent=best.name)
    waiting = schedule(tmp_path, Plan((source, *tries, child), selections=(best,)))
    list(waiting.startable(lambda _: True))
    waiting.fail(source.id, "its disk is full", final=False, passing=True)
    waiting.complete(tries[1].id)
    list(waiting.startable(lambda _: True))
    assert [failure.run for failure in waiting.failures] == [source.id, tries[0].id, child.id]


def test_what_a_run_noted_last_is_seen_once_after_its_end(tmp_path: Path) -> None:
    run = spec("short", 10)
    going = schedule(tmp_path, Plan((run,)))
    next(iter(going.startable(lambda _: True)))
    folder = going._suite.run(run.id).path
    folder.mkdir(parents=True)
    write_json(folder / "status.json", {"pid": 1, "progress": None, "notes": ["late"],
                                        "error": None, "kind": None})  # fmt: skip
    going.complete(run.id)
    assert [(view.state, view.notes) for view in going.views()] == [("done", ["late"])]
    assert [(view.state, view.notes) for view in going.views()] == [("done", [])]
