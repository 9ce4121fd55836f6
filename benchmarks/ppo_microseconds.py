"""Where the microseconds of a step go when PPO learns Pong on one thread.

The network of 12 maps, 16 environments, rollouts of 128 steps, three epochs of four minibatches, as
in ppo_throughput.py. Figures are microseconds of processor time for each step of an environment,
medians over rollouts:

- `collecting`, of which `emulator` is the emulator's, and `update`;
- `acting/...` and `update/...`: operations of PyTorch by what they are for, as its profiler has
  them; `.../other` are all others, and what Python and the profiler take;
- `update_without_kept_memory`: where glibc gives large pieces of freed memory back at once, as it
  does unless `keep_memory` asks it not to.
"""

import ctypes
import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from _alternate import arguments, report

ARGS = arguments(__doc__)

import torch  # noqa: E402
from _atari import trainer  # noqa: E402
from torch.profiler import ProfilerActivity, profile  # noqa: E402

from colonnade.allocation import keep_memory  # noqa: E402
from colonnade.learners import PPO  # noqa: E402

PARTS = {
    "aten::mkldnn_convolution": "convolution",
    "aten::thnn_conv2d": "convolution",
    "aten::convolution_backward": "convolution_backward",
    "aten::mm": "dense",
    "aten::addmm": "dense",
    "aten::copy_": "copies",
    "aten::index_select": "gathering",
    "aten::clamp_min": "rectifiers",
    "aten::threshold_backward": "rectifiers",
    "aten::_fused_adam_": "adam",
}
"""Operations by what they are for; all others are small."""


def give_back() -> None:
    """Undo `keep_memory`: these are the most that glibc comes to of itself."""
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(-3, 32 * 2**20)
    mallopt(-1, 64 * 2**20)


class Watched:
    """A vector environment whose steps are timed."""

    def __init__(self, envs: Any) -> None:
        self._envs = envs
        self.seconds = 0.0

    def step(self, actions: Any) -> Any:
        """Step, and note how long it took."""
        begin = time.process_time()
        result = self._envs.step(actions)
        self.seconds += time.process_time() - begin
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._envs, name)


def parts(name: str, work: Callable[[], Any], steps: int, emulator: Watched) -> dict[str, float]:
    """Profile a piece of work: microseconds a step by what operations are for."""
    begin, before = time.process_time(), emulator.seconds
    with profile(activities=[ProfilerActivity.CPU]) as found:
        work()
    whole = time.process_time() - begin - (emulator.seconds - before)
    times: Counter[str] = Counter()
    for event in found.key_averages():
        if event.key in PARTS:
            times[PARTS[event.key]] += event.self_cpu_time_total / steps
    times["other"] = whole * 1e6 / steps - times.total()
    return {f"{name}/{part}": value for part, value in times.most_common()}


def main() -> None:
    """Measure and report."""
    torch.set_num_threads(1)
    learning = trainer(PPO(), 16, 1)
    collector, learner = learning._collector, learning._learner
    collector._envs = emulator = Watched(collector._envs)
    figures: dict[str, list[float]] = {}
    for number in range(3 if ARGS.quick else 15):
        emulator.seconds, begin = 0.0, time.process_time()
        rollout = collector.collect()
        collected = time.process_time()
        keep_memory()
        learner.update(rollout, lambda: None)
        updated = time.process_time()
        give_back()
        learner.update(rollout, lambda: None)
        again = time.process_time()
        keep_memory()
        found = {
            "collecting": collected - begin,
            "emulator": emulator.seconds,
            "update": updated - collected,
            "update_without_kept_memory": again - updated,
        }
        if number:  # after a warm-up
            for name, seconds in found.items():
                figures.setdefault(name, []).append(seconds * 1e6 / rollout.steps)
    medians = {name: statistics.median(values) for name, values in figures.items()}
    acting = parts("acting", collector.collect, rollout.steps, emulator)
    update = parts("update", lambda: learner.update(rollout, lambda: None), rollout.steps, emulator)
    for name, value in (medians | acting | update).items():
        print(f"{name:28} {value:8.1f} us a step")
    report(medians | acting | update)


if __name__ == "__main__":
    main()
