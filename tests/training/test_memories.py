"""What a learner keeps of a task: there at its return, in checkpoints, and only while needed."""

from dataclasses import replace

import pytest
import torch
from interrupting import Interrupting

from colonnade.learners import DQN, Compute, Lesson
from colonnade.methods import Finetune, OutputOnly
from colonnade.networks import ColumnSpec, Dense, ProgressiveNetwork
from colonnade.tasks import MiniPongTask
from colonnade.testing import ContractError, check_learner
from colonnade.training import TrainingOptions, Visit, train_sequence
from colonnade.training.memories import Memories

SMALL = DQN(warm_up=64, replay=600, batch_size=8, update_every=32, target_every=100)
OPTIONS = TrainingOptions(num_envs=4, segment_steps=128, curve_steps=64, device="cpu")
TASKS = [MiniPongTask("pong", steps=256), MiniPongTask("h-flip", steps=256)]
PONG, FLIP = (task.spec.id for task in TASKS)
COLUMN = ColumnSpec((Dense(4),))


def learn(schedule, method=None, config=SMALL):
    recorder = Interrupting(10**9)
    visits = [Visit(name, 256) for name in schedule]
    train_sequence(
        TASKS, method or Finetune(COLUMN), config, options=OPTIONS, recorder=recorder,
        schedule=visits,
    )  # fmt: skip
    return recorder


def explored(recorder):
    """The chance of a random action by visit and step."""
    rows = [row for row in recorder.history if row["kind"] == "curve"]
    return {(row["visit"], row["step"]): row.get("loss/exploration") for row in rows}


def test_a_tasks_clock_goes_on_at_its_return_and_another_has_its_own():
    config = replace(SMALL, explore_steps=1000)
    found = explored(learn([PONG, FLIP, PONG], config=config))
    for visit, before in ((0, 0), (1, 0), (2, 256)):
        for step in (128, 192):
            assert found[visit, step] == pytest.approx(config.exploration(before + step))
    assert found[2, 128] < found[0, 192]


def lesson(task, network):
    return Lesson(task, network, lambda: None, Compute(torch.device("cpu")), num_envs=1)


def network():
    made = ProgressiveNetwork()
    made.add_column(COLUMN, TASKS[0].spec.input_shapes, 3)
    return made.view()


def filled(memory, steps, value):
    frames = torch.full((1, 2, 16, 16), value, dtype=torch.uint8)
    no = torch.zeros(1, dtype=torch.bool)
    memory.begin({"observation": frames})
    for _ in range(steps):
        memory.add(
            torch.ones(1, 1, dtype=torch.int64), torch.ones(1), no, no, {"observation": frames}
        )


def test_ids_that_begin_alike_have_memories_of_their_own_and_come_back_from_a_state():
    kept = Memories(SMALL)
    for number, name in enumerate(("a", "a/b", "a/b/c")):
        filled(kept.of(name, lesson(TASKS[0], network())), 10 + number, number)
    again = Memories(SMALL)
    again.load_state(*kept.state())
    for number, name in enumerate(("a", "a/b", "a/b/c")):
        memory = again.of(name, lesson(TASKS[0], network()))
        assert (memory.seen, len(memory)) == (10 + number, 10 + number)
        seen = memory.sample(5, torch.Generator()).inputs["observation"]
        assert set(seen.unique().tolist()) == {number}


def test_one_memory_lies_open_and_the_others_are_packed():
    kept = Memories(replace(SMALL, replay=2000))
    for name in ("one", "two", "three"):
        filled(kept.of(name, lesson(TASKS[0], network())), 2000, 87)
    tensors, _ = kept.state()
    size = sum(value.numel() * value.element_size() for value in tensors.values())
    assert size < 0.2 * 3 * 2000 * 256  # its frames alone, as they are


def test_checkpoints_keep_what_may_come_back_and_no_more():
    assert not any("memory/" in name for name in learn([PONG, FLIP]).load_checkpoint()[0])
    checkpoints = []

    class Watching(Interrupting):
        def save_checkpoint(self, tensors, meta):
            super().save_checkpoint(tensors, meta)
            names = {name.split("/")[2] for name in tensors if name.startswith("memory/")}
            checkpoints.append((meta["visit"], meta["finished"], names))

    recorder = Watching(10**9)
    visits = [Visit(name, 256) for name in (PONG, FLIP, PONG)]
    train_sequence(
        TASKS, Finetune(COLUMN), SMALL, options=OPTIONS, recorder=recorder, schedule=visits
    )
    assert checkpoints == [
        (0, False, {"pong"}),
        (0, True, {"pong"}),
        (1, False, {"pong", "h-flip"}),
        (1, True, {"pong"}),
        (2, False, {"pong"}),
        (2, True, set()),
    ]


def test_where_other_parts_are_frozen_at_a_return_only_the_clock_goes_on():
    """What the output layer reads is remembered then, and the first visit kept frames."""
    config = replace(SMALL, explore_steps=1000)
    found = explored(learn([PONG, FLIP, PONG], OutputOnly(COLUMN), config))
    assert found[2, 192] == pytest.approx(config.exploration(448))


class Forgetful(DQN):
    """Its memories come back without their clock."""

    def memory(self, lesson):
        made = super().memory(lesson)
        state = made.state
        made.state = lambda: (state()[0], state()[1] | {"seen": 0})
        return made


def test_the_contract_of_learners_holds_with_memories_and_notices_what_is_lost():
    check_learner(SMALL, column=COLUMN)
    with pytest.raises(ContractError, match="go on exactly"):
        check_learner(Forgetful(**vars(SMALL)), column=COLUMN)
