"""Learning from a replay: when what is due, what is remembered, and going on exactly."""

from dataclasses import replace
from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from q_learning import CPU, SMALL, TASK, TickingTask, network, trainer
from signs import LENGTH

from colonnade.errors import UsageError
from colonnade.experiments.execution.needs import needs
from colonnade.experiments.launch.rehearsal import Rehearsal
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.learners import DQN, Lesson, learner_from_name
from colonnade.learners.acting import memory
from colonnade.learners.acting.remembering import CARRIED
from colonnade.networks import LSTM, ColumnSpec, Conv, Dense
from colonnade.tasks import DataTask, MiniPongTask
from colonnade.types import TaskSpec


@pytest.mark.parametrize("num_envs", [1, 2, 8])
def test_updates_and_targets_come_when_they_are_due(num_envs):
    config = replace(SMALL, update_every=4, warm_up=101, target_every=150)
    with trainer(config, num_envs=num_envs) as one:
        done = []
        update, refresh = one._learner.update, one._learner.refresh
        one._learner.update = lambda *a: (done.append(("update", one.replay.seen)), update(*a))[1]
        one._learner.refresh = lambda: (done.append(("target", one.replay.seen)), refresh())[1]
        one.begin(lambda name: len(name))
        while one.replay.seen < 640:
            one.advance()
    taken = one.replay.seen

    def when(multiples):  # a step of N environments reaches several multiples at once
        return [-(-m // max(num_envs, 4)) * max(num_envs, 4) for m in multiples]

    assert [at for what, at in done if what == "update"] == when(range(104, taken + 1, 4))
    assert [at for what, at in done if what == "target"] == when(range(150, taken + 1, 150))


def two_columns(stages):
    torch.manual_seed(1)
    made = network(2, shapes=TASK.spec.input_shapes, stages=stages)
    made.columns[0].freeze()
    made.add_column(ColumnSpec((Dense(4),)), TASK.spec.input_shapes, 2)
    return made


def test_frozen_columns_are_computed_once_and_kept():
    made = two_columns(None)
    with SMALL.trainer(Lesson(TASK, made, lambda: None, CPU, num_envs=2, steps=900)) as one:
        one.begin(lambda name: len(name))
        one.advance()
        batch = one.replay.sample(20, torch.Generator())
        (kept,) = set(batch.inputs) - {"observation"}
        seen = {"observation": batch.inputs["observation"]}
        true, _ = made.precompute(seen, {})
        assert torch.allclose(batch.inputs[kept], true[kept], atol=1e-6)
        assert set(one._learner.target) == {
            name for name, _ in made.named_parameters() if name.startswith("columns.1.")
        }


@pytest.mark.parametrize("stages", [None, (Dense(4), LSTM(3))], ids=["dense", "lstm"])
def test_frozen_columns_may_be_computed_anew_and_the_same_is_learned(stages):
    learned, kept = {}, {}
    for keep in (True, False):
        made = two_columns(stages)
        config = replace(SMALL, keep_features=keep, learning_rate=1e-4)
        with config.trainer(Lesson(TASK, made, lambda: None, CPU, num_envs=2, steps=900)) as one:
            one.begin(lambda name: len(name))
            begun = [p.detach().clone() for p in made.columns[1].parameters()]
            one.advance()
            one.advance()
            batch = one.replay.sample(20, torch.Generator())
            kept[keep] = {name for name in batch.inputs if not name.startswith(CARRIED)}
            learned[keep] = [p.detach() for p in made.columns[1].parameters()]
    assert kept[False] == {"observation"} < kept[True]
    for with_them, without in zip(learned[True], learned[False], strict=True):
        assert torch.allclose(with_them, without, atol=1e-6)
    pairs = zip(learned[True], begun, strict=True)
    assert max(float((now - before).abs().max()) for now, before in pairs) > 1e-4


def test_a_recurrent_network_learns_from_what_it_remembered_then():
    with trainer(replace(SMALL, warm_up=200), stages=(Dense(4), LSTM(3))) as one:
        one.begin(lambda name: len(name))
        one.advance()
        places = one.replay.places()
        batch = one.replay.at(places[places[:, 0] == 0])
        held = [name for name in batch.inputs if name.startswith(CARRIED)]
        assert len(held) == 2
        state = one._lesson.network.initial_state(1)
        for row in range(LENGTH + 3):
            if row == LENGTH:
                state = one._lesson.network.initial_state(1)
            for name in held:
                assert torch.allclose(
                    batch.inputs[name][row], state[name.removeprefix(CARRIED)][0], atol=1e-6
                )
            now = {"observation": batch.inputs["observation"][row : row + 1]}
            with torch.no_grad():
                state = one._lesson.network(now, state)[1]


def test_what_is_remembered_of_episodes_that_are_cut_off():
    with trainer(SMALL, TickingTask()) as one:
        one.begin(lambda name: len(name))
        one.advance()
        batch = one.replay.at(one.replay.places())
    seen, then = (part["observation"][:, 0] for part in (batch.inputs, batch.next_inputs))
    assert set(seen.tolist()) == {0, 1, 2}
    assert torch.equal(then, seen + 1)  # the last of an episode leads to its end, not to a start
    assert set(batch.returns.tolist()) == {1.0}  # clipped
    assert set(batch.discounts.tolist()) == {float(np.float32(0.99))}


@pytest.mark.parametrize("stages", [(Dense(8),), (Dense(4), LSTM(3))], ids=["dense", "lstm"])
def test_it_goes_on_exactly_from_the_middle_of_a_task(stages):
    """Before that, the replay has wrapped round and the target network is not the network."""
    config = replace(SMALL, n=2, explore_steps=5000, target_every=1000)
    task = MiniPongTask("pong")

    def learned(one, advances):
        for _ in range(advances):
            one.advance()
        return {name: p.detach().clone() for name, p in one._lesson.network.named_parameters()}

    with trainer(config, task, 4, stages=stages) as whole:
        whole.begin(lambda name: len(name))
        middle = learned(whole, 7)
        assert len(whole.replay) <= config.replay < whole.replay.seen < 1000
        tensors, meta = whole.state()
        remembered, clock = whole.replay.state()
        tensors = {name: value.clone() for name, value in tensors.items()}
        end, (after, _) = learned(whole, 6), whole.state()
    assert any(not torch.equal(middle[name], end[name]) for name in end)
    with trainer(config, task, 4, stages=stages) as again:
        again.begin(lambda name: len(name))
        with torch.no_grad():
            for name, p in again._lesson.network.named_parameters():
                p.copy_(middle[name])
        again.replay.load_state(remembered, clock)
        again.load_state(tensors, meta)
        found, (again_after, _) = learned(again, 6), again.state()
    for name, value in end.items():
        assert torch.equal(found[name], value), name
    assert after.keys() == again_after.keys()
    for name, value in after.items():
        assert torch.equal(again_after[name], value), name


@pytest.mark.parametrize(
    ("explore_steps", "all_steps", "told"),
    [(10_000, None, True), (300, None, False), (10_000, 9000, False)],
)
def test_exploring_that_hardly_ends_is_told_of(explore_steps, all_steps, told):
    config = replace(SMALL, explore_steps=explore_steps)
    with trainer(config, steps=400, all_steps=all_steps) as one:
        one.begin(lambda name: len(name))
        notes = [*one.advance().notes, *one.advance().notes]
    assert len(notes) == told
    # 360 steps of 10,000 after the warm-up of 40.
    assert all("'signs' is still explored at random with a chance of 0.96" in n for n in notes)


def test_a_target_network_that_stays_what_it_was_is_told_of():
    for every, told in ((400, 0), (401, 1)):
        with trainer(replace(SMALL, target_every=every), steps=400) as one:
            one.begin(lambda name: len(name))
            notes = one.advance().notes
        said = "At the end of its 400 steps task 'signs' still has the target network that it"
        assert sum(said in note for note in notes) == told, notes


def refused(config=SMALL, task=TASK, **how):
    with pytest.raises(UsageError) as caught:
        trainer(config, task, **how)
    return str(caught.value)


def test_visits_of_too_few_steps_leave_nothing_to_learn_from_and_say_so():
    with trainer(replace(SMALL, n=5, warm_up=40), num_envs=4) as one:
        updates, notes = [], []
        update = one._learner.update
        one._learner.update = lambda *a: (updates.append(one.replay.seen), update(*a))[1]
        one.begin(lambda name: len(name))
        places = one.replay.places
        one.replay.places = lambda n: places(n)[:0]  # as after visits of four steps
        for _ in range(3):
            notes += one.advance().notes
        assert not updates
        assert [note for note in notes if "no environment 5 steps in a row" in note] == notes
        assert len(notes) == 1
        one.replay.places = places
        one.advance()
        assert updates


def test_bad_input_is_refused_in_one_sentence(monkeypatch):
    with pytest.raises(UsageError, match="smaller than a batch of 32"):
        DQN(replay=20)
    with pytest.raises(UsageError, match="gamma"):
        DQN(gamma=1.5)
    with pytest.raises(UsageError, match="reduction"):
        learner_from_name("dqn", reduction="median")
    late = "starts after 50,000 steps (warm_up), but task 'signs' has only 1,000; give it more"
    assert late in refused(DQN(), steps=1000)
    advice = "as with warm_up=50, target_every=50 and explore_steps=250."
    assert advice in refused(DQN(), steps=1000)
    assert "has only 40" in refused(steps=40)
    assert "holds no transition of 50" in refused(replace(SMALL, n=50), num_envs=4)
    space = gymnasium.spaces.MultiDiscrete([2, 3])
    several = TaskSpec("joints", TASK.spec.observation_space, space, 100)
    with pytest.raises(UsageError, match="DQN needs Discrete actions"):
        DQN().outputs(several)
    box = replace(several, action_space=gymnasium.spaces.Box(-1, 1, (2,)))
    with pytest.raises(UsageError, match="DQN needs Discrete actions"):
        DQN().outputs(box)
    x, y = torch.zeros(4, 2), torch.tensor([0, 1, 2, 0])
    with pytest.raises(UsageError, match="'supervised'"):
        DQN().outputs(DataTask("labels", train=(x, y), test=(x, y)).spec)
    wide = partial(DQN().policy, network(3), TASK.spec, CPU, torch.Generator())
    with pytest.raises(UsageError, match="needs 2 outputs"):
        wide()({"observation": torch.zeros(1, 2)}, {})
    monkeypatch.setattr(memory, "free_memory", lambda: 1000)
    pong = refused(task=MiniPongTask("pong"), stages=(Conv(4, 4, 2),))
    assert pong.endswith("GB are free; give it fewer steps (replay).")
    lesson = Lesson(TASK, two_columns(None), lambda: None, CPU, num_envs=2, steps=900)
    with pytest.raises(UsageError, match=r"or compute frozen columns' features anew.*False\)\.$"):
        SMALL.trainer(lesson)


def run(steps=100, task="mini-pong/pong", **options):
    learner = {"warm_up": 40, "replay": 1000} | options
    return RunSpec("one", "finetune", (TaskBudget(task, steps),), "dqn", "tiny", 0, {}, learner)


def test_what_will_not_do_is_refused_before_anything_is_trained(monkeypatch):
    def said(spec):
        with pytest.raises(UsageError) as caught:
            Rehearsal().check(spec)
        return str(caught.value)

    Rehearsal().check(run())
    assert "has only 100; give it more" in said(run(warm_up=100))
    assert "holds no transition of 70" in said(run(n=70))
    assert "DQN needs Discrete actions" in said(replace(run(task="Pendulum-v1"), column="mlp"))
    monkeypatch.setattr(memory, "free_memory", lambda: 10**7)
    message = said(run(replay=50_000))
    assert message.startswith("The replay of task 'mini-pong/pong' with 50,000 steps needs 0.01 GB")
    assert message.endswith("but 0.01 GB are free; give it fewer steps (replay).")


def test_a_run_says_what_memory_it_needs():
    # A frame of 16 x 16, the numbers of a stack, and what was done and came of it; 2 % are spare.
    assert needs(run(replay=100_000)).memory == pytest.approx(102_000 * (256 + 4 + 11), rel=0.05)
    assert needs(replace(run(), learner="ppo", learner_options={})).memory == 0
