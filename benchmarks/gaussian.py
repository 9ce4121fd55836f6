"""PPO with continuous actions against Stable-Baselines3's: the same network, settings and steps.

Both learn Pendulum and MuJoCo's inverted pendulum with 4 environments, 256 steps a rollout, 10
epochs of minibatches of 64, one network of two layers of 64 tanh units under policy and value,
actions in units of their bounds, one thread, one after the other in turn. Stable-Baselines3's
widths do not hang on the state, which it cannot do; observations and rewards are as they come.
Figures:

- `ppo_vs_sb3`: training steps/s over Stable-Baselines3's, the median of all pairs of runs;
  `ppo_vs_sb3_processor` is the same by processor time, which other work on the machine spares.
- `pendulum_difference`, `inverted_pendulum_difference`: mean return of 20 episodes of the trained
  policy without noise, ours less theirs, over seeds; `_low` and `_high` are a 95 % interval, and
  `_ours` and `_theirs` the means of either.

`--out FILE` keeps each run as a line of JSON; the same command goes on where it was cut off.
`--quick` trains for a few steps and gives the speed alone.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from _alternate import report, rest_threads

rest_threads()

import gymnasium  # noqa: E402
import numpy as np  # noqa: E402
import stable_baselines3 as sb3  # noqa: E402
import torch  # noqa: E402
from gymnasium.wrappers import RescaleAction  # noqa: E402
from stable_baselines3.common.env_util import make_vec_env  # noqa: E402
from stable_baselines3.common.evaluation import evaluate_policy  # noqa: E402
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor  # noqa: E402

from colonnade.analysis.intervals import mean_interval  # noqa: E402
from colonnade.learners import PPO  # noqa: E402
from colonnade.methods import Scratch  # noqa: E402
from colonnade.networks import ColumnSpec, Dense  # noqa: E402
from colonnade.tasks import GymTask  # noqa: E402
from colonnade.training import TrainingOptions, evaluate, train_sequence  # noqa: E402

ENVS, ROLLOUT, EPISODES, SEEDS, QUICK = 4, 256, 20, 5, 3072
COLUMN = ColumnSpec((Dense(64), Dense(64)), activation="tanh")
TASKS: dict[str, tuple[str, int, dict[str, float]]] = {
    "pendulum": ("Pendulum-v1", 100_000, {"gamma": 0.9}),
    "inverted_pendulum": ("InvertedPendulum-v5", 60_000, {"gamma": 0.99}),
}


class Trunk(BaseFeaturesExtractor):  # type: ignore[misc]
    """Our column's two layers as what Stable-Baselines3's policy and value both see."""

    def __init__(self, space: Any) -> None:
        super().__init__(space, 64)
        layers = torch.nn.Linear(space.shape[0], 64), torch.nn.Linear(64, 64)
        self._layers = torch.nn.Sequential(layers[0], torch.nn.Tanh(), layers[1], torch.nn.Tanh())

    def forward(self, observations: torch.Tensor) -> torch.Tensor:
        """Compute the features [N, 64]."""
        features: torch.Tensor = self._layers(observations)
        return features


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Say how long a piece of work takes."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return {
        "wall": round(time.perf_counter() - wall, 3),
        "processor": round(time.process_time() - processor, 3),
    }


def ours(env_id: str, steps: int, seed: int, settings: dict[str, float]) -> dict[str, float]:
    """Train, and return the seconds and the return of the trained policy."""
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
    spec = task.spec  # looking at the environment is no training
    took = timed(lambda: train_sequence([task], method, learner, seed=seed, options=options))
    network = method.network_for(spec.id)
    returns = evaluate(task, network, episodes=EPISODES, seed=seed, greedy=True)
    return {**took, "return": float(returns.mean())}


def theirs(env_id: str, steps: int, seed: int, settings: dict[str, float]) -> dict[str, float]:
    """Do the same with Stable-Baselines3."""
    units = {"wrapper_class": RescaleAction, "wrapper_kwargs": {"min_action": -1, "max_action": 1}}
    model = sb3.PPO(
        "MlpPolicy",
        make_vec_env(env_id, ENVS, seed=seed, **units),
        learning_rate=1e-3,
        n_steps=ROLLOUT,
        batch_size=64,
        n_epochs=10,
        ent_coef=0.0,
        policy_kwargs={"net_arch": [], "features_extractor_class": Trunk},
        seed=seed,
        device="cpu",
        **settings,
    )
    took = timed(lambda: model.learn(steps))
    played, _ = evaluate_policy(
        model, make_vec_env(env_id, 1, seed=seed, **units), n_eval_episodes=EPISODES
    )
    return {**took, "return": float(np.mean(played))}


def measured(path: Path | None, quick: bool) -> dict[tuple[str, int, str], dict[str, float]]:
    """Make all runs that a file does not hold yet, and return them all."""
    found: dict[tuple[str, int, str], dict[str, float]] = {}
    lines = path.read_text().splitlines() if path is not None and path.exists() else []
    for row in map(json.loads, lines):
        found[row["task"], row["seed"], row["side"]] = row
    for seed in range(1 if quick else SEEDS):
        for name, (env_id, steps, settings) in TASKS.items():
            for side, train in (("ours", ours), ("theirs", theirs)):
                if (name, seed, side) in found:
                    continue
                steps = QUICK if quick else steps
                row = {"task": name, "seed": seed, "side": side, "steps": steps}
                row |= train(env_id, steps, seed, settings) | {"load": os.getloadavg()[0]}
                found[name, seed, side] = row
                print(json.dumps(row), flush=True)
                if path is not None:
                    with path.open("a") as file:
                        file.write(json.dumps(row) + "\n")
    return found


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="rough figures in under 50 seconds")
    parser.add_argument("--out", type=Path, help="a file that keeps the runs, one a line")
    given = parser.parse_args()
    torch.set_num_threads(1)
    gymnasium.logger.min_level = gymnasium.logger.ERROR
    for train in (ours, theirs):  # what is imported and made once is no training
        train("Pendulum-v1", ROLLOUT * ENVS, 0, {"gamma": 0.9})
    runs = measured(None if given.quick else given.out, given.quick)
    pairs = sorted({(name, seed) for name, seed, _ in runs})
    figures = {
        figure: statistics.median(
            runs[*pair, "theirs"][clock] / runs[*pair, "ours"][clock] for pair in pairs
        )
        for figure, clock in (("ppo_vs_sb3", "wall"), ("ppo_vs_sb3_processor", "processor"))
    }
    for name in () if given.quick else TASKS:
        own, other = (
            [runs[name, seed, side]["return"] for seed in range(SEEDS)]
            for side in ("ours", "theirs")
        )
        differences = [a - b for a, b in zip(own, other, strict=True)]
        interval = mean_interval(differences)
        figures |= {
            f"{name}_ours": statistics.mean(own),
            f"{name}_theirs": statistics.mean(other),
            f"{name}_difference": statistics.mean(differences),
            f"{name}_difference_low": interval.low,
            f"{name}_difference_high": interval.high,
        }
    report(figures)


if __name__ == "__main__":
    main()
