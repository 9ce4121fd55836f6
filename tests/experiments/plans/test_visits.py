"""Visits and labels in a run's spec: JSON, what becomes of them, and a run from a file."""

import json

import pytest

from colonnade.cli.main import main
from colonnade.errors import UsageError
from colonnade.experiments.launch.rehearsal import Rehearsal
from colonnade.experiments.plans.build import build_labels, build_visits
from colonnade.experiments.plans.spec import RunSpec, TaskBudget, TaskVisit
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.trained.play import play
from colonnade.recognition import ForgetMeNot, TrueLabels
from colonnade.training import Visit

TASKS = (
    TaskBudget("mini-pong/pong", 480),
    TaskBudget("mini-pong/black", 480, {"swapped": True, "name": "mini-pong/black~"}),
)
VISITS = tuple(TaskVisit(name, 240) for name in ("mini-pong/pong", "mini-pong/black~") * 2)
DQN = {"warm_up": 40, "replay": 400, "batch_size": 8, "update_every": 16, "target_every": 50}


def spec(**changes):
    fields = {
        "label": "there and back",
        "method": "ewc",
        "tasks": TASKS,
        "learner": "dqn",
        "column": "tiny",
        "method_options": {"samples": 40, "own": "released", "start": 100},
        "learner_options": DQN,
        "training_options": {
            "num_envs": 4, "segment_steps": 120, "test_episodes": 1, "test_unseen": True,
        },
        "evaluation_episodes": 2,
        "visits": VISITS,
        "labels": {"kind": "forget-me-not", "size": 16},
    }  # fmt: skip
    return RunSpec(**(fields | changes))


def test_they_come_back_from_json_and_are_not_in_it_at_their_defaults():
    made = spec()
    assert RunSpec.from_json(json.loads(json.dumps(made.to_json()))) == made
    assert made.steps == 960
    assert not {"visits", "labels"} & set(spec(visits=(), labels={}).to_json())
    assert spec(visits=()).id != made.id != spec(labels={}).id


def test_what_they_are_made_into():
    found = build_visits(spec())
    assert found == [Visit(visit.task, 240) for visit in VISITS]
    by_name = (TaskVisit("mini-pong/pong", 5), TaskVisit("mini-pong/black", 7))
    assert build_visits(spec(visits=by_name))[1] == Visit("mini-pong/black~", 7)
    assert build_visits(spec(visits=())) is None
    # What one task is called goes before the name that another was made by, in any order.
    twice = (TaskBudget("mini-pong/pong", 480, {"name": "other", "swapped": True}), TASKS[0])
    visits = tuple(TaskVisit(name, 240) for name in ("other", "mini-pong/pong") * 2)
    for tasks, places in ((twice, (0, 1, 0, 1)), (twice[::-1], (1, 0, 1, 0))):
        both = spec(tasks=tasks, visits=visits)
        assert both.visited == places
        assert build_visits(both) == [Visit(visit.task, 240) for visit in visits]
    assert build_labels(spec()) == ForgetMeNot(size=16)
    assert build_labels(spec(labels={})) == TrueLabels()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"visits": (TaskVisit("mini-pong/white", 9),)}, "task in 'visits'.*mini-pong/white"),
        ({"visits": VISITS[:1]}, "never visits task 'mini-pong/black~'"),
        ({"labels": {"kind": "forget-me"}}, "kind of labels.*forget-me-not"),
        ({"labels": {"kind": "forget-me-not", "windows": 3}}, "windows"),
        (
            {"tasks": (TaskBudget("gym/CartPole-v1", 480),), "visits": (), "column": "default"},
            "recognises tasks by their pictures, but task 'gym/CartPole-v1' shows none",
        ),
        ({"learner_options": DQN | {"replay": 10**12}}, r"needs .* GB of memory, but .* are free"),
        ({"learner_options": DQN | {"warm_up": 480}}, "has only 480"),
        ({"learner_options": DQN | {"replay": 4, "batch_size": 8}}, "smaller than a batch of 8"),
        ({"learner": "a3c", "learner_options": {}}, "workers play in processes of their own"),
    ],
)
def test_mistakes_are_explained_before_anything_is_trained(changes, message):
    with pytest.raises(UsageError, match=message):
        Rehearsal().check(spec(**changes))


def test_a_run_from_a_file_follows_its_visits_and_is_scored_by_its_contexts(tmp_path, capsys):
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec().to_json()))
    assert main(["run", str(path), "--out", str(tmp_path / "out"), "--jobs", "1"]) in (None, 0)
    folder = RunFolder(tmp_path / "out" / "runs" / spec().id)
    assert folder.done
    rows = folder.metrics()
    assert {(row["visit"], row["task"]) for row in rows if row["kind"] == "curve"} == set(
        enumerate(visit.task for visit in VISITS)
    )
    tested = {(r["visit"], r["tested"]) for r in rows if r["kind"] == "test"}
    assert len(tested) == 8  # both tasks in each visit
    scores = [row for row in folder.result()["scores"] if row["policy"] == "trained"]
    assert [row["task"] for row in scores] == ["mini-pong/pong", "mini-pong/black~"]
    contexts = folder.result()["contexts"]
    assert set(contexts) == {"mini-pong/pong", "mini-pong/black~"}
    played = play(SuiteFolder.read(tmp_path / "out"), None, None, 1, None, 0)
    assert (played.task, len(played.returns)) == ("mini-pong/black~", 1)
    assert {row["step"] for row in scores} == {512}  # two visits of 240, in advances of 64
