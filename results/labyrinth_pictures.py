"""Draw the pictures of docs/labyrinth.md: each level from above and from within, in both bodies.

    python results/labyrinth_pictures.py            # needs the extra colonnade[vizdoom]

Also plays the same blind actions in both bodies and prints how far apart they end.
"""

from __future__ import annotations

from pathlib import Path

import imageio.v3 as imageio
import numpy as np
from numpy.typing import NDArray

from colonnade.tasks.mazes import (
    LEVELS,
    DoomLabyrinthVectorEnv,
    LabyrinthVectorEnv,
    draw_plan,
)
from colonnade.tasks.mazes.labyrinth import first_layout

IMAGES = Path(__file__).parents[1] / "docs" / "images"
SCALE = 2
TALL, WIDE, GAP = 168, 320, 12
SEED = 5
COPIES, STEPS = 4, 200
SHOWN = {"track-1": 4, "track-2": 13, "track-3": 8, "track-4": 8}  # steps ahead before the picture

Picture = NDArray[np.uint8]


def on_paper(picture: Picture, tall: int, wide: int) -> Picture:
    """Put a picture in the middle of white paper."""
    height, width = picture.shape[:2]
    top, left = (tall - height) // 2, (wide - width) // 2
    paper = np.full((tall, wide, 3), 255, np.uint8)
    paper[top : top + height, left : left + width] = picture
    return paper


def enlarged(views: Picture) -> Picture:
    """Make a picture of the first of views [N, 3, H, W]."""
    return views[0].transpose(1, 2, 0).repeat(SCALE, axis=0).repeat(SCALE, axis=1)


def row_of(name: str) -> Picture:
    """Draw a level from above, in the ray caster and in ViZDoom."""
    level = LEVELS[name]
    corners = np.array(level.outline)
    wide, tall = np.ptp(corners, axis=0) + 1.0
    scale = int(min(WIDE / wide, TALL / tall, 24))
    plan = draw_plan(level, scale, first_layout(level, SEED))
    views = []
    for body in (LabyrinthVectorEnv, DoomLabyrinthVectorEnv):
        env = body(level, 1)
        seen, _ = env.reset(seed=SEED)
        for _ in range(SHOWN.get(name, 0)):
            seen, *_ = env.step(np.array([4]))
        views.append(enlarged(seen))
        env.close()
    gap = np.full((TALL, GAP, 3), 255, np.uint8)
    return np.hstack((on_paper(plan, TALL, WIDE), gap, views[0], gap, views[1]))


def drift(name: str) -> NDArray[np.float64]:
    """Return how far apart both bodies are after each of the same blind actions, in metres.

    Returns:
        [STEPS, COPIES], up to the first end of an episode; NaN from there on.
    """
    bodies = [body(name, COPIES) for body in (LabyrinthVectorEnv, DoomLabyrinthVectorEnv)]
    for env in bodies:
        env.reset(seed=SEED)
    random = np.random.default_rng(0)
    apart, going = np.full((STEPS, COPIES), np.nan), np.ones(COPIES, np.bool_)
    for step in range(STEPS):
        actions = random.integers(0, 8, COPIES)
        for env in bodies:
            _, _, terminated, truncated, _ = env.step(actions)
            going &= ~(terminated | truncated)
        gap = np.hypot(*(bodies[0].poses - bodies[1].poses)[:, :2].T)
        apart[step, going] = gap[going]
    bodies[1].close()
    return apart


def main() -> None:
    """Draw, measure and print."""
    names = list(LEVELS)
    line = np.full((GAP, WIDE + 2 * GAP + 2 * TALL, 3), 255, np.uint8)
    rows = [part for name in names for part in (row_of(name), line)]
    imageio.imwrite(IMAGES / "labyrinth-levels.png", np.vstack(rows[:-1]))
    print("level: metres apart after 50, 100 and 200 blind actions, mean and most")
    for name in names:
        apart = drift(name)
        parts = (
            f"{np.nanmean(apart[n - 1]):.3f} {np.nanmax(apart[n - 1]):.3f}" for n in (50, 100, 200)
        )
        print(f"{name}: {', '.join(parts)}", flush=True)


if __name__ == "__main__":
    main()
