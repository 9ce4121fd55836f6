"""PPO with continuous actions against Stable-Baselines3's, the same settings and steps.

Both learn Pendulum and MuJoCo's inverted pendulum with 4 environments, 256 steps a rollout, 10
epochs of minibatches of 64, two layers of 64 tanh units, one thread, one after the other in turn.
Stable-Baselines3 has a network each for policy and value, and widths that do not hang on the state;
its observations and rewards are as they come, as ours are. Figures:

- `ppo_vs_sb3`: training steps/s over Stable-Baselines3's, the median of all pairs of runs.
- `pendulum_difference`, `inverted_pendulum_difference`: mean return of 20 episodes of the trained
  policy without noise, ours less theirs, over seeds; `_low` and `_high` are a 95 % interval.

`--quick` trains one seed for a few steps and gives the speed alone.
"""

import statistics
import time
from typing import Any

from _alternate import arguments, report

ARGS = arguments(__doc__)

import gymnasium  # noqa: E402
import numpy as np  # noqa: E402
import stable_baselines3 as sb3  # noqa: E402
import torch  # noqa: E402
from stable_baselines3.common.env_util import make_vec_env  # noqa: E402
from stable_baselines3.common.evaluation import evaluate_policy  # noqa: E402

from colonnade.analysis.intervals import mean_interval  # noqa: E402
from colonnade.learners import PPO  # noqa: E402
from colonnade.methods import Scratch  # noqa: E402
from colonnade.networks import ColumnSpec, Dense  # noqa: E402
from colonnade.tasks import GymTask  # noqa: E402
from colonnade.training import TrainingOptions, evaluate, train_sequence  # noqa: E402

ENVS, ROLLOUT, EPISODES = 4, 256, 20
COLUMN = ColumnSpec((Dense(64), Dense(64)), activation="tanh")
TASKS: dict[str, tuple[str, int, dict[str, float]]] = {
    "pendulum": ("Pendulum-v1", 100_000, {"gamma": 0.9}),
    "inverted_pendulum": ("InvertedPendulum-v5", 60_000, {"gamma": 0.99}),
}


def ours(env_id: str, steps: int, seed: int, settings: dict[str, float]) -> tuple[float, float]:
    """Return steps/s of training and the return of the trained policy."""
    task = GymTask(env_id, steps=steps)
    learner = PPO(
        learning_rate=1e-3,
        rollout_steps=ROLLOUT,
        minibatches=ROLLOUT * ENVS // 64,
        epochs=10,
        clip=0.2,
        entropy_cost=0.0,
        anneal=False,
        **settings,
    )
    method = Scratch(COLUMN)
    options = TrainingOptions(num_envs=ENVS, device="cpu")
    _ = task.spec  # looking at the environment is no training
    begin = time.perf_counter()
    train_sequence([task], method, learner, seed=seed, options=options)
    rate = steps / (time.perf_counter() - begin)
    network = method.network_for(task.spec.id)
    return rate, float(evaluate(task, network, episodes=EPISODES, seed=seed, greedy=True).mean())


def theirs(env_id: str, steps: int, seed: int, settings: dict[str, float]) -> tuple[float, float]:
    """Return the same of Stable-Baselines3."""
    envs = make_vec_env(env_id, ENVS, seed=seed)
    policy: dict[str, Any] = {"net_arch": [64, 64]}
    model = sb3.PPO(
        "MlpPolicy",
        envs,
        learning_rate=1e-3,
        n_steps=ROLLOUT,
        batch_size=64,
        n_epochs=10,
        ent_coef=0.0,
        policy_kwargs=policy,
        seed=seed,
        device="cpu",
        **settings,
    )
    begin = time.perf_counter()
    model.learn(steps)
    rate = steps / (time.perf_counter() - begin)
    played, _ = evaluate_policy(model, make_vec_env(env_id, 1, seed=seed), n_eval_episodes=EPISODES)
    return rate, float(np.mean(played))


def main() -> None:
    """Measure and report."""
    torch.set_num_threads(1)
    gymnasium.logger.min_level = gymnasium.logger.ERROR
    seeds, share = (1, 0.08) if ARGS.quick else (5, 1.0)
    ratios: list[float] = []
    figures: dict[str, float] = {}
    for name, (env_id, steps, settings) in TASKS.items():
        differences: list[float] = []
        for seed in range(seeds):
            rate, score = ours(env_id, int(share * steps), seed, settings)
            other_rate, other_score = theirs(env_id, int(share * steps), seed, settings)
            ratios.append(rate / other_rate)
            differences.append(score - other_score)
            print(
                f"{env_id}, seed {seed}: {rate:,.0f} and {other_rate:,.0f} steps/s, returns "
                f"{score:.1f} and {other_score:.1f}",
                flush=True,
            )
        if not ARGS.quick:
            interval = mean_interval(differences)
            figures[f"{name}_difference"] = statistics.mean(differences)
            figures[f"{name}_difference_low"] = interval.low
            figures[f"{name}_difference_high"] = interval.high
    report({"ppo_vs_sb3": statistics.median(ratios), **figures})


if __name__ == "__main__":
    main()
