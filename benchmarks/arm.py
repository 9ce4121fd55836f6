"""The arm: environment steps with pixels on one core, and pictures against dm_control's Jaco scene.

Figures:

- `arm_pixels_per_second`: steps/s of 64 arms with 64 x 64 pixels, random actions, one thread; a
  second is one of processor time, so that other work on the machine counts for little.
- `arm_state_per_second`: the same without pixels.
- `arm_frames_per_second`: pictures alone, by the ray caster.
- `arm_vs_dm_control`: whole environment steps with pixels over nothing but pictures of dm_control's
  Jaco reaching scene at its cheapest setting (64 x 64; no lights but the camera's, no shadows, no
  reflections, no multisampling), in turns.

dm_control needs another MuJoCo than the arm and a graphics library. With `--peer DIR` an
environment of its own is made there once, by pip, and used; without, or where that fails, its
figure is left out and a note says why.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
import venv
from collections.abc import Callable
from pathlib import Path

from _alternate import report, rest_threads

rest_threads()
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np  # noqa: E402

from colonnade.tasks.arm import JacoTask  # noqa: E402

ARMS = 64
PEER = ("dm_control==1.0.50", "mujoco==3.17.0")

PEER_PROGRAM = """
import json, os, sys, time
os.environ.setdefault("MUJOCO_GL", "egl")
os.environ.setdefault("LP_NUM_THREADS", "0")
from dm_control import manipulation
from dm_control.mujoco import engine
env = manipulation.load("reach_site_features", seed=0)
env.reset()
physics = env.physics
model, quality = physics.model, physics.model.vis.quality
quality.offsamples = quality.shadowsize = 0
quality.numslices = quality.numstacks = 4
quality.numquads = 1
model.light_castshadow[:] = model.light_active[:] = 0
model.mat_reflectance[:] = 0
camera = engine.Camera(physics, height=64, width=64, camera_id=0)
camera.scene.flags[:] = 0
camera.render()
for line in sys.stdin:
    seconds = float(line)
    begun, frames = time.process_time(), 0
    while time.process_time() - begun < seconds:
        camera.render()
        frames += 1
    print(json.dumps(frames / (time.process_time() - begun)), flush=True)
"""


def rate(work: Callable[[], int], seconds: float) -> float:
    """Return pieces of work in a second of processor time."""
    begun, done = time.process_time(), 0
    while time.process_time() - begun < seconds:
        done += work()
    return done / (time.process_time() - begun)


def playing(view: str) -> Callable[[], int]:
    """Random play of all arms."""
    env = JacoTask(view=view).make_vec(ARMS)  # type: ignore[arg-type]
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(0, 3, (50, ARMS, 9))

    def work() -> int:
        for row in actions:
            env.step(row)
        return len(actions) * ARMS

    return work


def drawing() -> Callable[[], int]:
    """Pictures of arms in the middle of random play."""
    env = JacoTask().make_vec(ARMS)
    env.reset(seed=0)
    for row in np.random.default_rng(0).integers(0, 3, (20, ARMS, 9)):
        env.step(row)
    everyone = np.ones(ARMS, np.bool_)

    def work() -> int:
        for _ in range(20):
            env._pixels(everyone)
        return 20 * ARMS

    return work


class Peer:
    """dm_control in a process and an environment of its own."""

    def __init__(self, folder: Path) -> None:
        python = folder / "bin" / "python"
        if not python.exists():
            print(f"making an environment with {', '.join(PEER)} in {folder}", flush=True)
            venv.create(folder, with_pip=True)
            install = [python, "-m", "pip", "install", "--quiet", *PEER]
            subprocess.run(install, check=True)
        clean = {key: v for key, v in os.environ.items() if key != "PYTHONPATH"}
        self._process = subprocess.Popen(
            [python, "-c", PEER_PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=clean,
        )

    def rate(self, seconds: float) -> float:
        """Return pictures in a second of processor time."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{seconds}\n")
        self._process.stdin.flush()
        return float(json.loads(self._process.stdout.readline()))

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a rough figure in under 50 seconds")
    parser.add_argument("--peer", type=Path, help="folder of dm_control's own environment")
    options = parser.parse_args()
    rounds, seconds = (3, 1.0) if options.quick else (9, 4.0)
    sides = {
        "pixels": playing("pixels"),
        "state": playing("state"),
        "frames": drawing(),
    }
    peer = None
    if options.peer is None:
        print("arm_vs_dm_control is left out: it needs --peer DIR, see --help")
    else:
        try:
            peer = Peer(options.peer)
            peer.rate(0.1)
        except (OSError, ValueError, subprocess.CalledProcessError) as error:
            print(f"arm_vs_dm_control is left out: {error}")
            peer = None
    for work in sides.values():
        work()
    rates: dict[str, list[float]] = {name: [] for name in sides}
    ratios, peers = [], []
    for number in range(rounds):
        for name, work in sides.items():
            rates[name].append(rate(work, seconds))
        if peer is not None:
            peers.append(peer.rate(seconds))
            ratios.append(rates["pixels"][-1] / peers[-1])
        latest = ", ".join(f"{name} {values[-1]:,.0f}" for name, values in rates.items())
        also = f", dm_control {peers[-1]:,.0f}" if peers else ""
        print(f"round {number + 1} of {rounds}, a processor second: {latest}{also}", flush=True)
    if peer is not None:
        peer.close()
    figures = {f"arm_{name}_per_second": statistics.median(v) for name, v in rates.items()}
    if ratios:
        figures |= {
            "arm_vs_dm_control": statistics.median(ratios),
            "dm_control_frames_per_second": statistics.median(peers),
        }
    report(figures)


if __name__ == "__main__":
    sys.exit(main())
