"""Draws docs/sim-to-real.md's pictures: the arm, its domains, and both renderers side by side."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from colonnade.errors import UsageError
from colonnade.reports.style import drawing
from colonnade.tasks.arm import DOMAINS, JacoTask

IMAGES = Path(__file__).parents[1] / "docs" / "images"
MOMENTS = 5


def moments(domain: str, count: int = MOMENTS, **options: Any) -> list[Any]:
    """Return what is seen as different episodes begin, [3, 64, 64] each."""
    env = JacoTask(domain, rules={"conveyor_speed": 0.0}, **options).make_vec(count)
    observations, _ = env.reset(seed=5)
    env.close()
    return list(observations)


def panel(axes: Any, picture: Any, title: str = "") -> None:
    """Show one picture."""
    axes.imshow(picture.transpose(1, 2, 0), interpolation="nearest")
    axes.set_title(title, fontsize=8)
    axes.set_axis_off()


def save(figure: Figure, name: str) -> None:
    """Write a PNG."""
    figure.savefig(IMAGES / name, dpi=100, bbox_inches="tight", pad_inches=0.05)
    print(name, (IMAGES / name).stat().st_size // 1024, "KiB")


def draw_domains() -> None:
    """A row for each domain that looks different."""
    names = [name for name in DOMAINS if "conveyor" not in name]
    figure = Figure(figsize=(7.0, 1.25 * len(names)))
    grid = figure.subplots(len(names), MOMENTS)
    for row, name in zip(grid, names, strict=True):
        for place, (axes, picture) in enumerate(zip(row, moments(name), strict=True)):
            panel(axes, picture, f"jaco/{name}" if place == 0 else "")
    figure.subplots_adjust(wspace=0.04, hspace=0.2)
    save(figure, "arm-domains.png")


def draw_large() -> None:
    """What a film shows, and what the agent sees of it."""
    env = JacoTask().make_vec(2)
    observations, _ = env.reset(seed=5)
    figure = Figure(figsize=(7.0, 3.4))
    axes = figure.subplots(1, 2)
    panel(axes[0], env.pictures(320)[1], "as filmed, 320 x 320")
    panel(axes[1], observations[1], "as seen, 64 x 64")
    figure.subplots_adjust(wspace=0.04)
    save(figure, "arm-large.png")
    env.close()


def draw_renderers() -> None:
    """The ray caster, MuJoCo's renderer, and how far they are apart."""
    figure = Figure(figsize=(7.0, 4.3))
    grid = figure.subplots(3, MOMENTS)
    rays, mujoco = moments("reach"), moments("reach", renderer="mujoco")
    apart = [np.abs(one.astype(int) - other) for one, other in zip(rays, mujoco, strict=True)]
    shown = [np.minimum(255, 64 * one).astype(np.uint8) for one in apart]
    titles = "cast rays", "MuJoCo's renderer", "64 times the difference"
    for row, pictures, title in zip(grid, (rays, mujoco, shown), titles, strict=True):
        for axes, picture, words in zip(row, pictures, [title, *[""] * (MOMENTS - 1)], strict=True):
            panel(axes, picture, words)
    figure.subplots_adjust(wspace=0.04, hspace=0.2)
    save(figure, "arm-renderers.png")
    print("mean difference", np.mean(apart), "grey levels; largest", np.max(apart))


if __name__ == "__main__":
    with drawing():
        try:
            draw_renderers()
        except UsageError as error:
            print(f"arm-renderers.png is left as it is: {error}")
        draw_domains()
        draw_large()
