"""A learner that is no actor-critic: evaluated, analysed and trained by the same code."""

from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import pytest
import torch
from signs import LENGTH, SignsTask

from colonnade.analysis.policies.noise import perturbation_curves
from colonnade.analysis.policies.sensitivity import activation_fisher
from colonnade.analysis.policies.states import policy_states
from colonnade.errors import UsageError
from colonnade.learners import (
    A2C,
    A3C,
    PPO,
    Advance,
    Collector,
    Compute,
    Decision,
    Supervised,
    usual_acting,
)
from colonnade.methods import Finetune, PathNet, Progressive
from colonnade.networks import ColumnSpec, Dense, Feature, ModularSpec, ProgressiveNetwork
from colonnade.ops import gaussian
from colonnade.tasks import DataTask
from colonnade.training import TrainingOptions, evaluate, train_sequence

TASK = SignsTask()
CPU = Compute(torch.device("cpu"))


@dataclass(frozen=True)
class OneStepQ:
    """Q-learning of the reward alone, epsilon-greedy: one value an action."""

    epsilon: float = 0.0

    def outputs(self, spec):
        return sum(spec.action_sizes)

    def policy(self, network, spec, compute, generator, greedy=False):
        @torch.no_grad()
        def decide(inputs, state):
            q, state = network(inputs, state)
            chance = torch.rand(len(q), generator=generator) < (0 if greedy else self.epsilon)
            drawn = torch.randint(q.shape[1], (len(q),), generator=generator)
            actions = torch.where(chance, drawn, q.argmax(1))
            nothing = torch.zeros(len(q))
            return Decision(actions[:, None], nothing, q.amax(1), state)

        return decide

    def likelihood(self, output, spec):
        return gaussian(output)

    def trainer(self, lesson):
        return QTrainer(self, lesson)


class QTrainer:
    """Fits the reward by the steps that it takes."""

    may_lose_workers = False

    def __init__(self, config, lesson):
        task, network, compute, num_envs = (
            lesson.task,
            lesson.network,
            lesson.compute,
            lesson.num_envs,
        )
        self._network = network
        self._generator = torch.Generator()
        policy = config.policy(network, task.spec, compute, self._generator)
        self._collector = Collector(task, network, policy, compute, steps=5, num_envs=num_envs)
        self._descent = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], 0.3)
        self.likelihood = partial(config.likelihood, spec=task.spec)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self._collector.__exit__(*exception)

    def begin(self, streams):
        self._generator.manual_seed(streams("actions"))
        self._collector.begin(streams("environments"))

    def advance(self):
        rollout = self._collector.collect()
        q = rollout.outputs(self._network).gather(-1, rollout.actions)[..., 0]
        loss = (q - rollout.rewards).square().mean()
        self._descent.zero_grad()
        loss.backward()
        self._descent.step()
        episodes, self._collector.episodes = self._collector.episodes, []
        return Advance(rollout.steps, {"loss": loss.detach()}, episodes)

    def samples(self):
        yield from ()

    def state(self):
        return {}, {}


def q_network(best=8.0):
    """Two columns of which the first knows the sign, and the second's values lean on it."""
    network = ProgressiveNetwork()
    spec = ColumnSpec((Dense(3),), activation="tanh", laterals="linear")
    for _ in range(2):
        network.add_column(spec, TASK.spec.input_shapes, OneStepQ().outputs(TASK.spec))
    with torch.no_grad():
        for p in network.parameters():
            p.zero_()
        network.column(0).stage(0).weight[0, 0] = 20.0  # the sign
        network.column(1).stage(0).weight[0, 1] = 20.0  # what does not matter
        (transfer,) = network.newest.output.lateral.transfers
        transfer.weight[0, 0], transfer.weight[1, 0] = -best, best
    return network


@pytest.mark.parametrize("learner", [A2C, A3C, PPO])
def test_a_loss_under_its_old_name_is_refused(learner: type) -> None:
    with pytest.raises(UsageError, match=r"^Mine has a method 'loss', .* override 'differentiate'"):
        type("Mine", (learner,), {"loss": lambda *_: 0})
    type("Mine", (learner,), {"differentiate": lambda *_: {}})


def test_it_plays_greedily_or_by_its_own_chance():
    assert evaluate(TASK, q_network(), learner=OneStepQ(), episodes=20).mean() > 0.97 * LENGTH
    worst = evaluate(TASK, q_network(-8.0), learner=OneStepQ(), episodes=20)
    assert worst.mean() < 0.03 * LENGTH
    half = evaluate(TASK, q_network(), learner=OneStepQ(0.5), episodes=100).mean()
    assert half == pytest.approx(0.75 * LENGTH, abs=0.04 * LENGTH)
    greedy = evaluate(TASK, q_network(), learner=OneStepQ(0.5), episodes=20, greedy=True)
    assert greedy.mean() > 0.97 * LENGTH


def test_a_network_of_another_width_is_not_taken_for_an_actor_critic():
    with pytest.raises(Exception, match="needs 2 logits; got 1"):
        evaluate(TASK, q_network(), episodes=2)


def test_its_states_and_what_it_leans_on():
    network, learner = q_network(), OneStepQ(0.5)
    (states,) = policy_states(TASK, network, 50, learner=learner, batch=50)
    again, other = (
        policy_states(TASK, network, 50, learner=learner, batch=50, seed=seed) for seed in (0, 1)
    )
    assert torch.equal(next(again).inputs["observation"], states.inputs["observation"])
    assert not torch.equal(next(other).inputs["observation"], states.inputs["observation"])
    meaning = partial(learner.likelihood, spec=TASK.spec)
    exact = activation_fisher(network, [states], meaning)
    assert exact.layer_afs() == {Feature(0, 0): pytest.approx(1), Feature(1, 0): 0}
    # Of Gaussians with deviation 1, the Fisher is the sum over actions of (dq / dh)^2.
    statistics = exact.sites[Feature(0, 0)]
    assert statistics.squared_gradients[:, 0] == pytest.approx([2 * 8**2, 0, 0])
    drawn = [states] * 400
    sampled = activation_fisher(
        network, drawn, meaning, actions="sampled", generator=torch.Generator().manual_seed(0)
    )
    found = sampled.sites[Feature(0, 0)].squared_gradients[0, 0]
    assert found == pytest.approx(2 * 8**2, rel=0.05)
    curves = perturbation_curves(
        TASK, network, exact, learner=OneStepQ(), noise=(0.5, 32), episodes=4
    )
    assert curves.clean.mean() > 0.95 * LENGTH
    assert curves.returns[Feature(0, 0)][-1].mean() < 0.8 * LENGTH


@pytest.mark.parametrize(
    "method",
    [
        Finetune(ColumnSpec((Dense(8),))),
        Progressive(ColumnSpec((Dense(8),))),
        PathNet(ModularSpec((Dense(8),), modules=4, active=2), population=4, episodes=1),
    ],
    ids=["finetune", "progressive", "pathnet"],
)
def test_methods_make_its_networks_as_wide_as_it_asks_and_it_learns(method, monkeypatch):
    monkeypatch.setattr(SignsTask, "spec", replace(TASK.spec, steps=4000))
    options = TrainingOptions(num_envs=4, device="cpu", test_episodes=2, segment_steps=2000)
    train_sequence([TASK], method, OneStepQ(0.3), seed=1, options=options)
    network = method.network_for("signs")
    output, _ = network({"observation": torch.zeros(1, 2)})
    assert output.shape == (1, 2)
    assert evaluate(TASK, network, learner=OneStepQ(), episodes=20).mean() > 0.8 * LENGTH


def test_the_usual_learners_are_the_defaults():
    x, y = torch.zeros(4, 2), torch.tensor([0, 1, 2, 0])
    labels = DataTask("labels", train=(x, y), test=(x, y)).spec
    for spec, learner in ((TASK.spec, A2C()), (labels, Supervised())):
        output = torch.randn(5, learner.outputs(spec), generator=torch.Generator().manual_seed(0))
        usual = usual_acting(spec).likelihood(output, spec)
        assert torch.equal(usual.log_probs, learner.likelihood(output, spec).log_probs)
    assert (A2C().outputs(TASK.spec), Supervised().outputs(labels)) == (3, 3)


def test_a_classifier_acts_by_its_labels():
    x, y = torch.zeros(4, 2), torch.tensor([0, 1, 2, 0])
    spec = DataTask("labels", train=(x, y), test=(x, y)).spec
    logits = torch.tensor([[0.0, 9.0, 0.0]] * 8)
    learner = Supervised()
    policy = learner.policy(lambda inputs, state: (logits, state), spec, CPU, torch.Generator())
    decision = policy({}, {})
    assert decision.actions.tolist() == [[1]] * 8
    assert np.all(decision.values.numpy() == 0)
