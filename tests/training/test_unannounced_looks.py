"""A progressive network that plays five looks of MiniPong in random order, told nothing of it."""

import numpy as np
import pytest

from colonnade.learners import PPO
from colonnade.methods import Progressive
from colonnade.networks import ColumnSpec, Conv, Dense
from colonnade.recognition import ForgetMeNot
from colonnade.tasks import MiniPongTask
from colonnade.training import MemoryRecorder, TrainingOptions, Visit, evaluate, train_sequence

LOOKS = ("pong", "noisy", "black", "white", "zoom")
COLUMN = ColumnSpec((Conv(8, 4, 2), Conv(16, 3, 2), Dense(64)), alpha=1.0)
LEARN, PLAY = 60_000, 6_000
"""Agent steps of the first visit to a look, and of a return."""


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", [0, 1])
def test_it_finds_the_right_column_by_itself(seed):
    """A player that just follows the ball scores 1.4, a random one -0.6."""
    tasks = {look: MiniPongTask(look) for look in LOOKS}
    order = np.random.default_rng(seed)
    visits = [Visit(tasks[look].spec.id, LEARN) for look in order.permutation(LOOKS)]
    returns = [*order.permutation(LOOKS), *order.permutation(LOOKS)]
    visits += [Visit(tasks[look].spec.id, PLAY) for look in returns]
    method, recorder = Progressive(COLUMN), MemoryRecorder()
    played_as = train_sequence(
        list(tasks.values()),
        method,
        PPO(learning_rate=3e-3, rollout_steps=32, clip=0.2, anneal=False),
        seed=seed,
        options=TrainingOptions(num_envs=32, segment_steps=PLAY, curve_steps=PLAY, device="cpu"),
        recorder=recorder,
        schedule=visits,
        labels=ForgetMeNot(size=16),
    )
    scores = {
        look: evaluate(task, method.network_for(played_as(task)), episodes=100)
        for look, task in tasks.items()
    }
    played = {
        (row["visit"], row["task"]): row["return_mean"]
        for row in recorder.history
        if row["kind"] == "curve" and row["visit"] >= len(LOOKS)
    }
    counts = {}
    for row in recorder.history:
        if row["kind"] == "contexts" and row["visit"] >= len(LOOKS):
            for context, count in row["counts"].items():
                of = counts.setdefault(row["task"], {})
                of[context] = of.get(context, 0) + count
    print({look: round(float(found.mean()), 2) for look, found in scores.items()})
    print(len(method.network.columns), "columns", counts)
    print({key: round(value, 2) for key, value in played.items() if value is not None})
    assert min(found.mean() for found in scores.values()) > 0.8
    main = {task: max(of, key=of.get) for task, of in counts.items()}
    assert len(set(main.values())) == len(LOOKS)  # five looks, five columns of their own
    right = sum(counts[task][context] for task, context in main.items())
    assert right >= 0.9 * sum(sum(of.values()) for of in counts.values())
    assert len(method.network.columns) <= len(LOOKS) + 2
