"""Tasks that normalise what they show: learned, frozen, gone on with, and refused where not."""

from typing import Any

import numpy as np
import pytest
import torch
from interrupting import Interrupting, without_clock

from colonnade.errors import UsageError
from colonnade.learners import A2C, A3C, DQN, PPO
from colonnade.methods import EWC, Finetune
from colonnade.networks import mlp_column
from colonnade.tasks import GymTask
from colonnade.training import (
    Interrupted,
    MemoryRecorder,
    TrainingOptions,
    Visit,
    evaluate,
    train_sequence,
)
from colonnade.training.normalizing import (
    check_normalized,
    normalizations,
    restore_normalization,
    taken_apart,
)

OPTIONS = TrainingOptions(num_envs=2, segment_steps=40, curve_steps=40, device="cpu")
LEARNERS = {
    "a2c": A2C(rollout_steps=5),
    "ppo": PPO(rollout_steps=10, minibatches=2, epochs=2),
    "dqn": DQN(warm_up=20, replay=200, batch_size=8, update_every=4),
}


def tasks(steps: int = 120) -> list[GymTask]:
    options: dict[str, Any] = {"normalize_observations": True, "normalize_rewards": 0.9}
    return [
        GymTask("CartPole-v1", steps, name="first", **options),
        GymTask("CartPole-v1", steps, name="second", **options),
    ]


def learned(
    learner: str, recorder: Any = None, **options: Any
) -> tuple[list[GymTask], Finetune, Any]:
    sequence, method = tasks(), Finetune(mlp_column((8,)))
    recorder = recorder or MemoryRecorder()
    given = {"options": OPTIONS, "recorder": recorder, **options}
    train_sequence(sequence, method, LEARNERS[learner], seed=3, **given)
    return sequence, method, recorder


def weights(method: Finetune) -> dict[str, torch.Tensor]:
    return method.state()[0]


@pytest.mark.parametrize("learner", LEARNERS)
def test_training_that_was_cut_off_goes_on_with_the_same_numbers(learner: str) -> None:
    whole, method, recorder = learned(learner)
    stopped = Interrupting(3)
    for _ in range(60):
        try:
            again, resumed, _ = learned(learner, stopped)  # new tasks, as another process has
            break
        except Interrupted:
            stopped.resume_for(9 if learner != "dqn" else 3)
    assert without_clock(stopped.history) == without_clock(recorder.history)
    for name, value in weights(method).items():
        assert value.equal(weights(resumed)[name]), name
    seen, seen_again = normalizations(whole), normalizations(again)
    assert len(seen) == 2 * 7
    for name, value in seen.items():
        assert value.equal(seen_again[name]), name


def test_statistics_stand_still_from_the_end_of_a_tasks_training_on() -> None:
    sequence, method, recorder = learned("a2c")
    first, second = (task.normalization for task in sequence)
    assert first is not None
    assert second is not None
    assert first.frozen
    assert second.frozen
    # 120 steps, two first observations, and the first of each episode but the last ones.
    assert first.observations["observation"].count >= 122
    before = {name: value.clone() for name, value in normalizations(sequence).items()}
    network = method.network_for("second")
    scores = evaluate(sequence[0], network, episodes=3, seed=1, device="cpu")
    assert (
        scores.tolist() == evaluate(sequence[0], network, episodes=3, seed=1, device="cpu").tolist()
    )
    assert (scores == scores.round()).all()  # a pole earns 1 a step, whatever was learned from
    assert all(value.equal(before[name]) for name, value in normalizations(sequence).items())
    returns = [row["return_mean"] * row["episodes"] for row in recorder.history]
    np.testing.assert_allclose(returns, np.round(returns), atol=1e-2)


def test_a_task_that_comes_back_is_seen_as_before() -> None:
    schedule = [Visit("first", 60), Visit("second", 60), Visit("first", 60)]
    sequence, method = tasks(), EWC(mlp_column((8,)), samples=20)
    counts = []

    class Noting(MemoryRecorder):
        def save_checkpoint(self, tensors: Any, meta: Any) -> None:
            seen = sequence[0].normalization
            assert seen is not None
            counts.append((meta["visit"], seen.observations["observation"].count))

    train_sequence(
        sequence, method, LEARNERS["a2c"], options=OPTIONS, recorder=Noting(), schedule=schedule
    )
    by_visit = {visit: [count for at, count in counts if at == visit] for visit in range(3)}
    assert by_visit[0][0] < by_visit[0][-1] == by_visit[1][0] == by_visit[2][-1]


def test_another_training_begins_anew() -> None:
    sequence, _, _ = learned("a2c")
    kept = normalizations(sequence)
    train_sequence(
        sequence[:1], Finetune(mlp_column((8,))), LEARNERS["a2c"], seed=3, options=OPTIONS
    )
    own = normalizations(sequence[:1])
    assert all(value.equal(kept[name]) for name, value in own.items())


def test_what_was_seen_goes_beside_a_methods_tensors() -> None:
    sequence, method, _ = learned("a2c")
    own, beside = taken_apart(weights(method) | normalizations(sequence))
    assert own.keys() == weights(method).keys()
    fresh = tasks()
    for task in fresh:
        restore_normalization(task, beside)
    assert all(v.equal(beside[name]) for name, v in normalizations(fresh).items())
    other = GymTask("CartPole-v1", name="third", normalize_observations=True)
    with pytest.raises(
        UsageError, match=r"'third' normalises .* holds no statistics of it that fit"
    ):
        restore_normalization(other, beside)
    network = method.network_for("second")
    with pytest.raises(UsageError, match="this object of it has seen none; evaluate the task that"):
        evaluate(tasks()[1], network, episodes=1, device="cpu")
    assert len(evaluate(tasks()[1], None, episodes=1, device="cpu")) == 1


@pytest.mark.parametrize(
    ("learner", "more", "sentence"),
    [
        (A3C(workers=2), {}, "workers see a part of it each; use 'a2c', 'dqn' or 'ppo' with one"),
        (PPO(workers=2), {}, "workers see a part of it each"),
        (A2C(), {"options": TrainingOptions(patience=1)}, "patience goes back to an earlier net"),
    ],
)
def test_what_does_not_go_with_it_is_told(learner: Any, more: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=f"'first' is normalised by .*{sentence}"):
        train_sequence(tasks(), Finetune(mlp_column((8,))), learner, **more)


def test_it_takes_a_learner_that_is_told_the_task() -> None:
    with pytest.raises(UsageError, match=r"nobody says which task is seen, .*; use true labels"):
        check_normalized(tasks(), A2C(), OPTIONS, told=False)
