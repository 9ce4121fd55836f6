"""How well Forget-Me-Not tells ten Atari games apart, played at random or by trained networks.

With `--trained DIR`, what `colonnade run results/ten-games.json --out DIR` made, the trained
networks play, by the actions that they sample; without it actions are uniform. One environment a
game, which goes on where its last visit ended; the games take turns in random order, for 480 to
704 agent steps a visit. Nothing is learned but the recogniser's counts.

Figures:

- `contexts`: how many were made of the ten games.
- `purity`: the share of verdicts that fell to their context's own game.
- `seen_within_16_steps`, `seen_within_32_steps`: of the switches.
"""

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

import colonnade
from colonnade.analysis.recognition import confusion, purity, switch_delays
from colonnade.recognition import ForgetMeNot
from colonnade.tasks import AtariTask

GAMES = ("pong", "breakout", "riverraid", "seaquest", "space_invaders")
GAMES += ("ms_pacman", "boxing", "road_runner", "kangaroo", "qbert")

Player = Callable[[np.ndarray[Any, Any]], int]
"""From an observation to an action."""


def players(tasks: list[AtariTask], trained: Path | None, seed: int) -> list[Player]:
    """Who plays each game."""
    if trained is None:
        return [random_player(task, seed) for task in tasks]
    runs = {json.loads((run / "spec.json").read_text())["tasks"][0]["name"]: run
            for run in sorted((trained / "runs").iterdir())}  # fmt: skip
    return [colonnade.load(runs[f"atari/{game}"], seed=seed) for game in GAMES]


def random_player(task: AtariTask, seed: int) -> Player:
    """Uniform actions."""
    random = np.random.default_rng([seed, GAMES.index(task.game)])
    count = int(task.make_vec(1).single_action_space.n)
    return lambda observation: int(random.integers(count))


def main() -> None:
    """Play, ask after every step, and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two visits of each game, not three")
    parser.add_argument("--trained", type=Path, help="folder of the ten networks")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    tasks = [AtariTask(game) for game in GAMES]
    random = np.random.default_rng(given.seed)
    order = np.concatenate([random.permutation(len(GAMES)) for _ in range(2 + (not given.quick))])
    lengths = 16 * random.integers(30, 45, len(order))
    play = players(tasks, given.trained, given.seed)
    envs = [task.make_vec(1) for task in tasks]
    shown = [env.reset(seed=given.seed + n)[0] for n, env in enumerate(envs)]
    recogniser = ForgetMeNot().build([task.spec for task in tasks])
    step, times, contexts, truth, begins = 0, [], [], [], []
    for game, length in zip(order, lengths, strict=True):
        begins.append(step)
        for _ in range(length):
            step += 1
            action = play[game](shown[game][0])
            shown[game], *_ = envs[game].step(np.array([action]))
            found = recogniser.observe({"observation": shown[game][0]}, tasks[game].spec.id)
            if found is not None:
                times.append(step)
                contexts.append(int(found.removeprefix("context-")))
                truth.append(int(game))
        print(
            f"{step:6,d} steps, {len(recogniser.contexts):2d} contexts: {GAMES[game]}", flush=True
        )
    table = confusion(contexts, truth)[0]
    delays = switch_delays(times, contexts, truth, begins)
    split = {GAMES[g]: sorted({c for c, t in zip(contexts, truth, strict=True) if t == g})
             for g in range(len(GAMES))}  # fmt: skip
    print("contexts of each game:", split)
    print(
        json.dumps(
            {
                "contexts": len(recogniser.contexts),
                "purity": round(float(purity(table)), 4),
                "seen_within_16_steps": round(float(np.mean(delays <= 16)), 4),
                "seen_within_32_steps": round(float(np.mean(delays <= 32)), 4),
            }
        )
    )


if __name__ == "__main__":
    main()
