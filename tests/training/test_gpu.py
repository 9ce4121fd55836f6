"""Training, stopping, resuming and playing on a GPU; skipped where there is none."""

import pytest
import torch
from interrupting import Interrupting
from short_sequences import COLUMN, LEARNER, TASKS

from colonnade.learners import A2C, DQN
from colonnade.methods import OutputOnly, Progressive
from colonnade.training import Interrupted, TrainingOptions, evaluate, train_sequence

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU"),
]
OPTIONS = TrainingOptions(num_envs=4, segment_steps=240, curve_steps=100, device="cuda")


@pytest.mark.parametrize(
    "learner", [LEARNER, A2C(rollout_steps=15), DQN(replay=200, warm_up=50, target_every=50)]
)
@pytest.mark.parametrize("make", [Progressive, OutputOnly])
def test_training_is_interrupted_and_goes_on(make, learner):
    recorder = Interrupting(6)
    with pytest.raises(Interrupted):
        train_sequence(TASKS, make(COLUMN), learner, options=OPTIONS, recorder=recorder)
    recorder.resume_for(10**6)
    method = make(COLUMN)
    train_sequence(TASKS, method, learner, options=OPTIONS, recorder=recorder)
    assert {p.device.type for p in method.network.parameters()} == {"cuda"}
    assert recorder.history[-1]["step"] >= TASKS[-1].spec.steps
    network = method.network_for(TASKS[-1].spec.id)
    assert evaluate(TASKS[-1], network, episodes=4, device="cuda").shape == (4,)


def test_a_network_loaded_on_the_host_is_scored_on_the_gpu():
    method = Progressive(COLUMN)
    network = method.begin_task(TASKS[0].spec)
    assert evaluate(TASKS[0], network, episodes=2, device="cuda").shape == (2,)
    assert {p.device.type for p in method.network.parameters()} == {"cuda"}
