"""How long `policy(observation)` of `colonnade.load` takes for one observation, on one core.

The Atari column that ships, alone; the same beside three frozen ones, as the fourth game of a
sequence would have it; and the wide column of the arm. Beside each stands the bare network in
inference mode, which is the limit. The target is 2 ms for the Atari column.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import _alternate

GIVEN = _alternate.arguments(__doc__)

import numpy as np  # noqa: E402 - after the threads are told how to wait
import torch  # noqa: E402

import colonnade  # noqa: E402
from colonnade.networks import ProgressiveNetwork, column_preset  # noqa: E402

TARGET = 2.0
"""Milliseconds."""

ROUNDS = 3 if GIVEN.quick else 15
CALLS = 100


def fourth() -> colonnade.TrainedPolicy:
    """The Atari column that ships beside three more of its kind, untrained."""
    shipped = colonnade.load("bundled:pong-source")
    network = ProgressiveNetwork()
    for _ in range(4):
        network.add_column(column_preset("atari"), shipped.spec.input_shapes, shipped.spec.outputs)
    from colonnade.learners import PPO

    return colonnade.TrainedPolicy(network.view(3), shipped.spec, PPO())


def sides(name: str, policy: colonnade.TrainedPolicy) -> dict[str, Callable[[], float]]:
    """What takes turns: the policy, and its network alone; each gives a call's milliseconds."""
    (shape,) = policy.spec.input_shapes.values()
    seen = np.random.default_rng(0).integers(0, 256, (CALLS, *shape), dtype=np.uint8)
    (key,) = policy.spec.input_shapes
    batches = [{key: torch.from_numpy(one[None])} for one in seen]
    network = policy.network.eval()
    state = network.initial_state(1)

    def called() -> float:
        begin = time.perf_counter()
        for one in seen:
            policy(one)
        return (time.perf_counter() - begin) / CALLS * 1000

    @torch.inference_mode()
    def bare() -> float:
        begin = time.perf_counter()
        for one in batches:
            network(one, state)
        return (time.perf_counter() - begin) / CALLS * 1000

    return {name: called, f"{name}, network alone": bare}


def main() -> None:
    """Measure in turns, and print medians."""
    torch.set_num_threads(1)
    turns: dict[str, Callable[[], float]] = {}
    turns |= sides("atari", colonnade.load("bundled:pong-source"))
    turns |= sides("atari, fourth column", fourth())
    turns |= sides("arm", colonnade.load("bundled:reach-source"))
    for turn in turns.values():
        turn()  # warm-up
    taken: dict[str, list[float]] = {name: [] for name in turns}
    for _ in range(ROUNDS):
        for name, turn in turns.items():
            taken[name].append(turn())
    for name, times in taken.items():
        print(f"{name:32} {statistics.median(times):6.3f} ms, best {min(times):6.3f}")
    figures = {f"{name} ms": statistics.median(times) for name, times in taken.items()}
    _alternate.report({**figures, "target ms": TARGET})


if __name__ == "__main__":
    main()
