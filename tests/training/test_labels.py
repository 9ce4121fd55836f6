"""Learning without being told which task it is: contexts are task ids, for every method."""

import json
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from interrupting import Interrupting, without_clock

from colonnade.errors import UsageError
from colonnade.learners import A2C, A3C, DQN, PPO
from colonnade.methods import EWC, Finetune, method_from_name
from colonnade.networks import ColumnSpec, Conv, Dense, ModularSpec
from colonnade.recognition import ForgetMeNot, TrueLabels
from colonnade.tasks import MiniPongTask, TMazeTask
from colonnade.training import (
    Interrupted,
    MemoryRecorder,
    TrainingOptions,
    Visit,
    train_sequence,
)

COLUMN = ColumnSpec((Conv(4, 4, 2), Dense(8)))
MODULES = ModularSpec((Conv(4, 4, 2), Dense(8)), modules=4, active=2)
OPTIONS = TrainingOptions(num_envs=4, segment_steps=160, curve_steps=80, device="cpu")
TASKS = [MiniPongTask("pong", steps=320), MiniPongTask("black", steps=320)]
PONG, BLACK = (task.spec.id for task in TASKS)
LEARNERS = {
    "a2c": A2C(rollout_steps=5),
    "dqn": DQN(warm_up=40, replay=400, batch_size=8, update_every=16, target_every=50),
}
THERE_AND_BACK = [Visit(PONG, 320), Visit(BLACK, 320), Visit(PONG, 320)]


def make(name):
    if name == "pathnet":
        return method_from_name(name, network=MODULES, population=4, episodes=1)
    options = {"samples": 40, "own": "released"} if name == "ewc" else {}
    return method_from_name(name, column=COLUMN, **options)


def learn(method, learner="a2c", labels=None, schedule=THERE_AND_BACK, recorder=None, **options):
    recorder = MemoryRecorder() if recorder is None else recorder
    config = LEARNERS.get(learner, learner) if isinstance(learner, str) else learner
    options = TrainingOptions(**(vars(OPTIONS) | options))
    player = train_sequence(
        TASKS, method, config, options=options, recorder=recorder, schedule=schedule, labels=labels
    )
    return recorder, player


@dataclass(frozen=True)
class Script:
    """Gives verdicts every fourth step, from the true task and how many verdicts there were."""

    say: object

    def build(self, specs):
        return Scripted(self.say)


@dataclass
class Scripted:
    say: object
    notes: list = field(default_factory=list)
    steps: int = 0
    current: str | None = None

    def observe(self, observation, true):
        self.steps += 1
        if self.steps % 4:
            return None
        self.current = self.say(true, self.steps // 4)
        return self.current

    def identify(self, observations, true):
        return self.say(true, 0)

    def state(self):
        return {}, {"steps": self.steps, "current": self.current}

    def load_state(self, tensors, meta):
        self.steps, self.current = meta["steps"], meta["current"]


RIGHT = Script(lambda true, number: "context-0" if true == PONG else "context-1")


def weights(method):
    return {k: v.detach().clone() for k, v in method.state()[0].items()}


def rows(recorder, kind):
    return [row for row in recorder.history if row["kind"] == kind]


def test_true_labels_are_what_happens_without_any():
    ends = []
    for labels in (None, TrueLabels()):
        method = make("finetune")
        recorder, player = learn(method, labels=labels)
        ends.append((weights(method), without_clock(recorder.history)))
        assert player(TASKS[1]) == BLACK
    (one, first), (other, second) = ends
    assert first == second
    assert not {"switch", "contexts"} & {row["kind"] for row in first}
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("learner", ["a2c", "dqn"])
@pytest.mark.parametrize("name", ["finetune", "ewc", "progressive", "pathnet"])
def test_every_method_learns_contexts_in_the_place_of_tasks(name, learner):
    method = make(name)
    recorder, player = learn(method, learner, RIGHT)
    found = [(r["before"], r["context"], r["visit"]) for r in rows(recorder, "switch")]
    assert found == [("context-0", "context-1", 1), ("context-1", "context-0", 2)]
    assert method.network_for("context-0") is not None
    with pytest.raises(UsageError):
        method.network_for(PONG)
    for task, context in zip(TASKS, ("context-0", "context-1"), strict=True):
        assert player(task) == context
    steps = [row["step"] for row in rows(recorder, "curve")]
    assert steps[:-1] == [80, 160, 240, 320, 80, 160, 240, 320, 80, 160, 240]


def test_a_progressive_network_plays_its_frozen_column_at_a_return():
    method, seen = make("progressive"), []

    class Watching(MemoryRecorder):
        def save_checkpoint(self, tensors, meta):
            seen.append((meta["visit"], meta["labels"]["learns"], weights(method)))

    recorder, _ = learn(method, labels=RIGHT, recorder=Watching())
    assert len(method.network.columns) == 2
    assert [learns for visit, learns, _ in seen if visit == 2][-1] is False
    last = rows(recorder, "switch")[-1]["step"]
    before = [w for visit, _, w in seen if visit == 1][-1]
    end = weights(method)
    first = {name for name in end if name.startswith("columns.0.")}
    assert all(torch.equal(before[name], end[name]) for name in first)
    assert last < 100  # and then it was played to the end of the visit
    assert rows(recorder, "curve")[-1]["step"] >= 320


@pytest.mark.parametrize("learner", ["a2c", "dqn"])
def test_what_a_context_is_held_by_was_seen_before_the_switch(learner):
    """The background of MiniPong is 87, and black has none: a frame says which task it is of."""
    shown = []

    class Watching(Finetune):
        def end_task(self, samples, likelihood):
            frames = [next(samples).inputs["observation"].flatten() for _ in range(4)]
            shown.append({int(v) for frame in frames for v in frame.unique()})

    method = Watching(COLUMN)
    learn(method, learner, RIGHT, schedule=THERE_AND_BACK[:2])
    assert 87 in shown[0]
    assert 0 not in shown[0]  # not even those that were taken until the switch was noticed
    assert 0 in shown[1]
    assert 87 not in shown[1]


def test_contexts_that_are_nothing_never_end_a_run():
    flicker = Script(lambda true, number: f"context-{number * 7919 % 5}")
    for learner in ("dqn", "a2c"):
        method = make("ewc")
        recorder, _ = learn(method, learner, flicker)
        assert len(rows(recorder, "switch")) > 10
        assert rows(recorder, "curve")[-1]["visit"] == 2


def test_a_context_met_at_the_very_end_is_learned_by_nobody_and_plays_nothing():
    def say(true, number):
        return "context-7" if number in (0, 25) and true == BLACK else "context-0"

    schedule = [Visit(PONG, 320), Visit(BLACK, 64)]
    method = Finetune(COLUMN)
    recorder, player = learn(method, labels=Script(say), schedule=schedule)
    assert set(method.columns) == {"context-0"}
    assert [player(task) for task in TASKS] == ["context-0", "context-0"]
    assert not [row for row in recorder.history if row["kind"] == "switch"]


def test_a_spurious_context_takes_no_module_of_pathnet():
    def say(true, number):
        if number == 3:
            return "context-9"
        return "context-0" if true == PONG else "context-1"

    method = make("pathnet")
    recorder, _ = learn(method, labels=Script(say))
    assert "context-9" in method.tasks
    assert set(method.histories) == {"context-0", "context-1"}
    assert method.network.frozen == method.tasks["context-0"].path
    assert any("can't choose a path" in note for note in recorder.notes)
    tensors, meta = method.state()
    again = make("pathnet")
    again.load_state(tensors, json.loads(json.dumps(meta)))
    assert json.dumps(again.state()[1]) == json.dumps(meta)


@pytest.mark.parametrize("learner", ["a2c", "dqn"])
def test_it_goes_on_exactly_where_it_was_stopped(learner):
    labels = ForgetMeNot(size=16)
    whole = make("ewc")
    recorder, _ = learn(whole, learner, labels, test_episodes=1, test_unseen=True)
    stopped = Interrupting(0)
    for _ in range(200):
        method = make("ewc")
        stopped.resume_for(3 if learner == "dqn" else 9)
        try:
            learn(method, learner, labels, recorder=stopped, test_episodes=1, test_unseen=True)
            break
        except Interrupted:
            pass
    assert without_clock(stopped.history) == without_clock(recorder.history)
    one, other = weights(whole), weights(method)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert len(rows(recorder, "switch")) >= 2


def test_forget_me_not_finds_two_looks_and_tests_go_by_pictures_alone():
    method = make("finetune")
    recorder, _ = learn(method, "dqn", ForgetMeNot(size=16), test_episodes=1, test_unseen=True)
    tests = rows(recorder, "test")
    first = [row["context"] for row in tests if row["visit"] == 0]
    assert set(first) == {"context-0"}  # nothing else is known yet, for the unseen one neither
    last = {row["tested"]: row["context"] for row in tests if row["visit"] == 2}
    assert last[PONG] == "context-0"
    assert last[BLACK] != "context-0"
    counts = rows(recorder, "contexts")
    assert sum(sum(row["counts"].values()) for row in counts) == 3 * 320 // 4 // 16
    of_pong = [row["counts"] for row in counts if row["visit"] == 2][-1]
    assert set(of_pong) == {"context-0"}


def test_unseen_tasks_are_scored_by_what_is_learned_where_labels_are_true():
    recorder, _ = learn(make("progressive"), test_episodes=1, test_unseen=True)
    shown = {(row["visit"], row["tested"]) for row in rows(recorder, "test")}
    assert shown == {(visit, name) for visit in range(3) for name in (PONG, BLACK)}


class Blind(A2C):
    """Shows nobody what its environments show."""

    def trainer(self, lesson):
        from dataclasses import replace

        return super().trainer(replace(lesson, watch=None))


class Once:
    """A method that does not say what it does at a return."""

    def begin_task(self, spec, outputs=None):
        raise AssertionError

    network_for = penalty = on_segment = end_task = state = load_state = begin_task


def test_what_cannot_be_recognised_is_explained():
    fmn = ForgetMeNot()
    with pytest.raises(UsageError, match=r"A3C's workers play in processes of their own"):
        learn(make("finetune"), A3C(workers=1), fmn)
    with pytest.raises(UsageError, match=r"A2C's workers play in processes of their own"):
        learn(make("finetune"), A2C(workers=2), fmn)
    with pytest.raises(UsageError, match="patience ends a task early"):
        learn(make("finetune"), labels=fmn, patience=1)
    with pytest.raises(UsageError, match="come back at any time, but Once"):
        learn(Once(), labels=fmn, schedule=THERE_AND_BACK[:2])
    with pytest.raises(UsageError, match="does not call its lesson's `watch`"):
        learn(make("finetune"), Blind(rollout_steps=5), fmn)
    mazes = [TMazeTask(3), MiniPongTask()]
    with pytest.raises(UsageError, match="need the same actions and observations"):
        train_sequence(mazes, make("finetune"), A2C(), labels=fmn)
    earlier = make("finetune")
    learn(earlier, labels=RIGHT)
    with pytest.raises(UsageError, match="holds 'context-0' already, a context that an earlier"):
        learn(earlier, labels=RIGHT)
    full = ForgetMeNot(size=16, max_contexts=1, when_full="stop")
    with pytest.raises(UsageError, match="more than the 1 contexts"):
        learn(make("finetune"), labels=full)
    kept = Interrupting(6)
    with pytest.raises(Interrupted):
        learn(make("finetune"), labels=RIGHT, recorder=kept, segment_steps=40)
    kept.resume_for(100)
    with pytest.raises(UsageError, match="recognised labels"):
        learn(make("finetune"), recorder=kept)


def test_its_notes_reach_the_user_and_the_nearest_context_goes_on():
    full = ForgetMeNot(size=16, max_contexts=1)
    recorder, _ = learn(make("finetune"), labels=full)
    assert any("more than the 1 contexts" in note for note in recorder.notes)
    assert not rows(recorder, "switch")


@pytest.mark.parametrize("learner", [PPO(rollout_steps=5, epochs=1, minibatches=1)])
def test_an_ewc_penalty_exists_for_each_context(learner):
    method = EWC(COLUMN, samples=40, own="replaced")
    learn(method, learner, RIGHT)
    assert method.state()[1]["penalties"] == ["context-0", "context-1"]
    assert set(method.state()[1]["taken"]) <= {"context-0", "context-1"}
    assert np.isfinite(float(method.penalty().detach()))
