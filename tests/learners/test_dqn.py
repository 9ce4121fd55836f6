"""DQN against the equations worked by hand, and a slow obvious version of its update."""

from dataclasses import dataclass, replace
from functools import partial

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from signs import LENGTH, SignsTask

from colonnade.errors import UsageError
from colonnade.experiments.plans.build import build_learner
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.learners import A2C, DQN, Compute, Lesson, learner_from_name
from colonnade.learners.acting import memory
from colonnade.learners.acting.remembering import CARRIED
from colonnade.learners.acting.replay import Replay
from colonnade.learners.acting.transitions import Transitions
from colonnade.methods import EWC, Finetune
from colonnade.networks import LSTM, ColumnSpec, Conv, Dense, ProgressiveNetwork
from colonnade.ops import parameter_fisher
from colonnade.tasks import DataTask, MiniPongTask
from colonnade.testing import check_learner
from colonnade.training import TrainingOptions, evaluate, train_sequence
from colonnade.types import TaskSpec

TASK = SignsTask()
BUDGETS = (TaskBudget("t-maze/2", 100),)
CPU = Compute(torch.device("cpu"))
SMALL = DQN(
    warm_up=40,
    replay=200,
    batch_size=16,
    target_every=50,
    explore_steps=100,
    learning_rate=1e-3,
)


def network(outputs=3, units=4, shapes=None, stages=None):
    made = ProgressiveNetwork()
    spec = ColumnSpec(stages or (Dense(units),), activation="tanh")
    made.add_column(spec, shapes or {"observation": (2,)}, outputs)
    return made


def transitions(batch=6, seed=0, actions=3):
    draw = torch.Generator().manual_seed(seed)
    return Transitions(
        inputs={"observation": torch.randn(batch, 2, generator=draw)},
        actions=torch.randint(actions, (batch, 1), generator=draw),
        returns=torch.randn(batch, generator=draw),
        discounts=torch.tensor([0.9, 0.0, 0.81, 0.9, 0.9, 0.0])[:batch],
        next_inputs={"observation": torch.randn(batch, 2, generator=draw)},
    )


def lookup(values, target, config=SMALL):
    """A learner whose network gives `values` [S, A] of a state, and its target network others."""
    made = network(values.shape[1], len(values), {"observation": (len(values),)})
    learner = config.build(made, TASK.spec, CPU)
    with torch.no_grad():
        for name, p in made.named_parameters():
            own, other = torch.zeros_like(p), torch.zeros_like(p)
            if name.endswith("stages.0.weight"):  # tanh(20) is 1
                own = other = 20 * torch.eye(len(values))
            elif name.endswith("weight"):
                own, other = values.T, target.T
            p.copy_(own)
            learner.target[name].copy_(other)
    return learner


def of_states(*rows, states=3):
    """Transitions (state, action, return, discount, next state)."""
    one = torch.eye(states)
    first, action, total, discount, then = zip(*rows, strict=True)
    return Transitions(
        {"observation": one[list(first)]},
        torch.tensor(action)[:, None],
        torch.tensor(total),
        torch.tensor(discount),
        {"observation": one[list(then)]},
    )


ONLINE = torch.tensor([[1.0, 2.0], [5.0, 4.0], [0.0, 0.5]])
TARGET = torch.tensor([[9.0, 9.0], [10.0, 30.0], [7.0, 3.0]])


@pytest.mark.parametrize(
    ("double", "first", "second"),
    # Double: the network prefers 0 in state 1 and 1 in state 2, and the target says 10 and 3.
    [(True, 1 + 0.9 * 10, 2 + 0.81 * 3), (False, 1 + 0.9 * 30, 2 + 0.81 * 7)],
)
def test_the_target_by_hand(double, first, second):
    learner = lookup(ONLINE, TARGET, replace(SMALL, double=double))
    batch = of_states((0, 0, 1.0, 0.9, 1), (0, 1, 2.0, 0.81, 2), (0, 1, -1.0, 0.0, 1))
    assert learner.targets(batch).tolist() == pytest.approx([first, second, -1.0])


def test_what_is_seen_after_the_end_does_not_matter_even_if_it_is_no_number():
    learner = lookup(ONLINE, TARGET)
    batch = of_states((0, 0, 1.0, 0.0, 1))
    batch.next_inputs["observation"][:] = torch.nan
    assert learner.targets(batch).tolist() == [1.0]


@pytest.mark.parametrize("truncated", [False, True])
def test_three_steps_to_the_end_of_an_episode(truncated):
    """Of rewards 1, 2, 4: a truncated episode's value goes on, a terminated one's does not."""
    replay = Replay(10, 1, {"observation": ((3,), torch.float32)})
    one = torch.eye(3)
    replay.begin({"observation": one[:1]})
    yes, no = torch.tensor([True]), torch.tensor([False])
    for number, reward in enumerate((1.0, 2.0, 4.0)):
        over = number == 2
        replay.add(
            torch.tensor([[1]]),
            torch.tensor([reward]),
            yes if over and not truncated else no,
            yes if over and truncated else no,
            {"observation": one[:1]},
            final={"observation": one[1:2]},
        )
    batch = replay.at(np.array([[0, 0], [0, 1]]), n=3, gamma=0.5)
    found = lookup(ONLINE, TARGET).targets(batch).tolist()
    goes_on = 10 if truncated else 0
    assert found == pytest.approx([1 + 1 + 1 + goes_on / 8, 2 + 2 + goes_on / 4])


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("clip_norm", [50.0, 0.01])
def test_an_update_is_that_of_a_slow_obvious_version(reduction, clip_norm):
    config = DQN(learning_rate=0.01, reduction=reduction, clip_norm=clip_norm)
    made = network()
    learner = config.build(made, TASK.spec, CPU)
    parameters = dict(made.named_parameters())
    with torch.no_grad():
        for p in parameters.values():
            p.add_(torch.randn_like(p))  # so that the target network differs
    squares = {name: torch.zeros_like(p) for name, p in parameters.items()}

    def pull():
        return 0.1 * sum(p.sum() for p in parameters.values())

    for seed in range(3):
        batch = transitions(seed=seed)
        totals = {name: torch.zeros_like(p) for name, p in parameters.items()}
        for row in range(batch.steps):
            now = {"observation": batch.inputs["observation"][row : row + 1]}
            then = {"observation": batch.next_inputs["observation"][row : row + 1]}
            best = int(made(then)[0][0].argmax())
            kept = {name: p.detach().clone() for name, p in parameters.items()}
            with torch.no_grad():
                for name, p in parameters.items():
                    p.copy_(learner.target[name])
                later = float(made(then)[0][0][best])
                for name, p in parameters.items():
                    p.copy_(kept[name])
            value = made(now)[0][0][int(batch.actions[row])]
            target = float(batch.returns[row]) + float(batch.discounts[row]) * later
            error = max(-1.0, min(1.0, target - float(value.detach())))
            gradients = torch.autograd.grad(value, list(parameters.values()))
            extra = torch.autograd.grad(pull(), list(parameters.values()))
            for name, g, e in zip(parameters, gradients, extra, strict=True):
                totals[name] += (-error * g + e) / (1 if reduction == "sum" else batch.steps)
        norm = float(torch.stack([t.square().sum() for t in totals.values()]).sum().sqrt())
        expected = {}
        for name, p in parameters.items():
            clipped = totals[name] * min(1.0, clip_norm / norm)
            squares[name] = 0.95 * squares[name] + 0.05 * clipped**2
            expected[name] = (p - 0.01 * clipped / (squares[name] + 0.01).sqrt()).detach()
        metrics = learner.update(batch, pull)
        assert float(metrics["gradient_norm"]) == pytest.approx(norm, rel=1e-4)
        for name, p in parameters.items():
            assert torch.allclose(p, expected[name], atol=1e-5), name


def test_the_chance_of_a_random_action_falls_as_the_supplement_has_it():
    config = DQN()
    assert config.exploration(0) == config.exploration(50_000) == 1
    assert config.exploration(550_000) == pytest.approx((1 + 0.01) / 2)
    assert config.exploration(1_050_000) == pytest.approx(0.01)
    assert config.exploration(9_999_999) == pytest.approx(0.01)


@pytest.mark.parametrize("epsilon", [0.0, 0.5])
def test_actions_and_their_probabilities(epsilon):
    learner = lookup(ONLINE, TARGET)
    config = DQN(test_epsilon=epsilon)
    policy = config.policy(learner._network, TASK.spec, CPU, torch.Generator().manual_seed(0))
    decision = policy({"observation": torch.eye(3)[torch.zeros(4000, dtype=torch.long)]}, {})
    share = decision.actions.float().mean()
    assert float(share) == pytest.approx(1 - epsilon / 2, abs=0.03)
    chances = {1: 1 - epsilon / 2, 0: epsilon / 2}
    for action, log_prob in zip(
        decision.actions[:50, 0].tolist(), decision.log_probs[:50].tolist(), strict=True
    ):
        assert np.exp(log_prob) == pytest.approx(chances[action])
    greedy = config.policy(learner._network, TASK.spec, CPU, torch.Generator(), greedy=True)
    assert greedy({"observation": torch.eye(3)}, {}).actions[:, 0].tolist() == [1, 0, 1]


def trainer(config, task=TASK, num_envs=2, steps=10_000, stages=None):
    made = network(config.outputs(task.spec), shapes=task.spec.input_shapes, stages=stages)
    lesson = Lesson(task, made, lambda: None, CPU, num_envs=num_envs, steps=steps)
    return config.trainer(lesson)


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


def test_the_target_network_stays_until_it_is_copied():
    made = network()
    learner = SMALL.build(made, TASK.spec, CPU)
    before = {name: value.clone() for name, value in learner.target.items()}
    learner.update(transitions(), lambda: None)
    for name, p in made.named_parameters():
        assert torch.equal(learner.target[name], before[name])
        assert not torch.equal(learner.target[name], p)
    learner.refresh()
    for name, p in made.named_parameters():
        assert torch.equal(learner.target[name], p)


def test_frozen_columns_are_computed_once_and_kept():
    made = network(2, shapes=TASK.spec.input_shapes)
    made.columns[0].freeze()
    made.add_column(ColumnSpec((Dense(4),)), TASK.spec.input_shapes, 2)
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


@pytest.mark.parametrize(
    ("config", "column"),
    [
        (SMALL, ColumnSpec((Conv(4, 4, 2), Dense(8)))),
        (replace(SMALL, n=3, double=False), ColumnSpec((Conv(4, 4, 2), Dense(8), LSTM(6)))),
    ],
    ids=["double", "plain-recurrent"],
)
def test_it_keeps_the_contract_of_learners(config, column):
    check_learner(config, column=column)


class Ticking(gymnasium.Env):
    """Shows the number of the step, and is cut off after three; each step is worth 3."""

    observation_space = gymnasium.spaces.Box(0, 9, (1,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self._t = 0
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self._t += 1
        return np.full(1, self._t, np.float32), 3.0, False, self._t == 3, {}


@dataclass(frozen=True)
class TickingTask:
    spec = TaskSpec("ticking", Ticking.observation_space, Ticking.action_space, 900, 1.0)

    def make_vec(self, num_envs, threads=1):
        return SyncVectorEnv([Ticking] * num_envs, autoreset_mode=AutoresetMode.SAME_STEP)


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


def test_its_fisher_is_that_of_all_values_and_comes_from_the_replay():
    with trainer(SMALL) as one:
        one.begin(lambda name: len(name))
        one.advance()
        batches = one.samples()
        batch = next(batches)
        made = one._lesson.network
        assert batch.steps == min(256, len(one.replay))
        found = parameter_fisher(made, [batch], one.likelihood)
        taken = parameter_fisher(made, [batch], one.likelihood, kind="empirical")
        batches.close()
    # Of the output layer's bias the gradient of each value is one.
    assert found["columns.0.output.bias"].tolist() == pytest.approx([1, 1])
    share = batch.actions.float().mean().item()
    assert taken["columns.0.output.bias"].tolist() == pytest.approx([1 - share, share], abs=1e-5)


@pytest.mark.parametrize(
    "method",
    [Finetune(ColumnSpec((Dense(16),))), EWC(ColumnSpec((Dense(16),)), lam=1.0, samples=100)],
    ids=["finetune", "ewc"],
)
def test_it_learns_to_tell_signs(method, monkeypatch):
    monkeypatch.setattr(SignsTask, "spec", replace(TASK.spec, steps=3000))
    config = replace(SMALL, replay=2000, explore_steps=1000, learning_rate=3e-3, gamma=0.5)
    options = TrainingOptions(num_envs=4, device="cpu", test_episodes=2, segment_steps=1500)
    train_sequence([TASK], method, config, seed=1, options=options)
    played = method.network_for("signs")
    assert evaluate(TASK, played, learner=DQN(), episodes=20).mean() > 0.9 * LENGTH


def refused(config=SMALL, task=TASK, **how):
    with pytest.raises(UsageError) as caught:
        trainer(config, task, **how)
    return str(caught.value)


def test_bad_input_is_refused_in_one_sentence(monkeypatch):
    with pytest.raises(UsageError, match="smaller than a batch of 32"):
        DQN(replay=20)
    with pytest.raises(UsageError, match="gamma"):
        DQN(gamma=1.5)
    with pytest.raises(UsageError, match="reduction"):
        learner_from_name("dqn", reduction="median")
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
    assert "GB of memory" in refused(task=MiniPongTask("pong"), stages=(Conv(4, 4, 2),))


def test_a_spec_names_it_and_says_what_it_keeps():
    spec = RunSpec("one", "finetune", BUDGETS, "dqn", "mlp", learner_options={"n": 2})
    assert build_learner(spec) == DQN(n=2)
    assert build_learner(replace(spec, learner="a2c", learner_options={})) == A2C()
    assert DQN().memory_bytes / DQN().replay < 7300
