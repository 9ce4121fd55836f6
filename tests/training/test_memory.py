"""Recurrent agents: what they remember while acting, learning and being evaluated."""

import os

import pytest
import torch

from colonnade.learners import A2C, A3C, PPO, Collector, Compute
from colonnade.methods import Progressive, Scratch
from colonnade.networks import LSTM, ColumnSpec, Conv, Dense
from colonnade.ops import MultiCategorical
from colonnade.tasks import MiniPongTask, TMazeTask
from colonnade.training import TrainingOptions, evaluate, train_sequence

CPU = Compute(torch.device("cpu"))
RECURRENT = ColumnSpec((Dense(32), LSTM(32)), activation="tanh")
FEED_FORWARD = ColumnSpec((Dense(32), Dense(32)), activation="tanh")


@pytest.mark.parametrize("config", [A2C(), PPO()])
@pytest.mark.parametrize("columns", [1, 2])
def test_outputs_in_rollout_and_in_update_agree(config, columns):
    column = ColumnSpec((Conv(4, 4, 2), Dense(8), LSTM(6)))
    method, tasks = Progressive(column), [MiniPongTask("pong"), MiniPongTask("zoom")]
    for task in tasks[:columns]:
        network = method.begin_task(task.spec)
    # Large weights, so that what is carried over shows in the output.
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3.0)
    policy = config.policy(network, task.spec, CPU, torch.Generator().manual_seed(1))
    with Collector(task, network, policy, CPU, steps=30, num_envs=5) as collector:
        collector.begin(3)
        for number in range(4):
            rollout = collector.collect()
            own = [
                v for name, v in rollout.state.items() if name.startswith(f"column{columns - 1}")
            ]
            assert torch.cat(own, 1).any(1).equal(~rollout.starts[0])  # stored, not begun anew
            assert rollout.starts[1:].any()  # episodes begin inside the rollout
            output = rollout.outputs(network)
            again = MultiCategorical(output[..., :-1], task.spec.action_sizes)
            torch.testing.assert_close(again.log_prob(rollout.actions), rollout.log_probs)
            torch.testing.assert_close(output[..., -1], rollout.values)
            # The same without what came before is another output: the test can tell.
            rollout.state = {name: torch.zeros_like(part) for name, part in rollout.state.items()}
            if number:
                assert not torch.allclose(rollout.outputs(network), output, atol=1e-4)


class Rememberer(torch.nn.Module):
    """Walks ahead and turns to the side of the cue, which only its state knows at the fork."""

    def initial_state(self, batch):
        return {"cue": torch.full((batch, 1), -1.0)}

    def precompute(self, inputs, state):
        return inputs, state

    def forward(self, inputs, state=None):
        views = inputs["observation"]
        seen = views[:, :2].any(1, keepdim=True)
        cue = torch.where(seen, views[:, 1:2], state["cue"])
        ahead = torch.where(views[:, 3:] > 0, 0.0, 200.0)
        output = torch.cat([ahead, 100 * (cue == 0), 100 * (cue == 1), ahead], 1)
        return output, {"cue": cue}


def test_evaluation_carries_state_and_begins_anew_with_each_episode():
    returns = evaluate(TMazeTask(4), Rememberer(), episodes=40, num_envs=5, device="cpu")
    assert (returns == 1.0).all()


LEARNERS = {
    "a2c": A2C(learning_rate=3e-3, rollout_steps=20),
    "a3c": A3C(learning_rate=3e-3, rollout_steps=20, workers=2),
    "ppo": PPO(learning_rate=3e-3, rollout_steps=64, epochs=4, clip=0.2),
}


STEPS = {"a2c": 250_000, "a3c": 250_000, "ppo": 150_000}


def processor_seconds():
    """Time of this process and its children, which other work on the machine leaves as it is."""
    return sum(os.times()[:4])


def score(column, learner, seed):
    task, method = TMazeTask(10, steps=STEPS[learner]), Scratch(column)
    options = TrainingOptions(num_envs=32, device="cpu")
    begin = processor_seconds()
    train_sequence([task], method, LEARNERS[learner], seed=seed, options=options)
    seconds = processor_seconds() - begin
    network = method.network_for(task.spec.id)
    return evaluate(task, network, episodes=200, device="cpu").mean(), seconds


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("learner", LEARNERS)
def test_an_lstm_solves_the_t_maze_in_two_minutes(learner, seed):
    solved, seconds = score(RECURRENT, learner, seed)
    assert solved > 0.9
    assert seconds < 120


@pytest.mark.slow
@pytest.mark.parametrize("learner", LEARNERS)
def test_a_feed_forward_network_cannot_solve_it(learner):
    assert score(FEED_FORWARD, learner, 0)[0] < 0.25  # 0 at best, on average; 200 episodes
