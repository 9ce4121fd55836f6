"""Pictures by casting rays at boxes: no graphics library, the same on every machine.

A picture is as MuJoCo's own renderer draws it without shadows, gloss and anti-aliasing: one ray
through each pixel's middle, and each face of a box in one colour,
`colour * (ambient + diffuse * max(0, -normal . light))`, since a directional light falls on all of
it alike. What stands still is cast once; of what moves, only pixels near it are looked at.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from colonnade.tasks.arm import extra
from colonnade.tasks.arm.look import Look
from colonnade.tasks.arm.scene import Floats, Scene, camera_frame

Frames = NDArray[np.uint8]


def add_noise(pictures: Frames, seeds: NDArray[np.uint64], deviation: float) -> None:
    """Add to pictures [N, 3, H, W], in place, the noise that `RayCaster.draw` adds for the seeds.

    Raises:
        UsageError: numba is not installed.
    """
    extra.numba()
    from colonnade.tasks.arm import ray_kernel

    for picture, seed in zip(pictures, seeds, strict=True):
        ray_kernel.add_noise(picture, seed, float(deviation))


class RayCaster:
    """Draws N scenes.

    Args:
        scene: What there is to see.
        look: Whose camera, light and noise.
        height: Of the pictures, pixels.
        width: Of the pictures, pixels.
        threads: Among which the pictures are divided.

    Raises:
        UsageError: numba is not installed.
    """

    def __init__(
        self, scene: Scene, look: Look, height: int = 64, width: int = 64, threads: int = 1
    ) -> None:
        extra.numba()
        from colonnade.tasks.arm.ray_kernel import cast

        self._kernel = cast
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None
        half = np.tan(np.radians(look.field_of_view) / 2)
        light = np.array(look.light) / np.linalg.norm(look.light)
        self._view = (
            np.array(look.camera),
            camera_frame(look),
            np.array((half * width / height, half)),
            np.array((*light, look.ambient, look.diffuse)),
        )
        self._noise = look.noise
        self._boxes = scene.centres, scene.halves, scene.colours
        background = np.rint(255 * np.array(look.background)).astype(np.uint8)
        self._behind = np.empty((3, height, width), np.uint8)
        self._behind[:] = background[:, None, None]
        self._depth = np.full((height, width), np.inf)
        self._depths = np.empty((0, height, width))
        self._cast_still(scene)

    def draw(
        self, positions: Floats, frames: Floats, noise: NDArray[np.uint64] | None = None
    ) -> Frames:
        """Draw the scenes.

        Args:
            positions: [N, G, 3] of the scene's `drawn` geoms.
            frames: [N, G, 9], their axes, as MuJoCo's `geom_xmat`.
            noise: [N] seeds of the camera's noise, different for each picture; None for none.

        Returns:
            A fresh array uint8 [N, 3, H, W].
        """
        count = len(positions)
        frames = frames.reshape(*positions.shape[:2], 3, 3)
        pictures = np.empty((count, *self._behind.shape), np.uint8)
        if len(self._depths) < count:
            self._depths = np.empty((count, *self._depth.shape))
        seeds = np.zeros(count, np.uint64) if noise is None else noise
        strength = 0.0 if noise is None else self._noise

        def part(begin: int, end: int) -> None:
            some = slice(begin, end)
            pictures[some], self._depths[some] = self._behind, self._depth
            self._kernel(
                positions[some],
                frames[some],
                *self._boxes,
                *self._view,
                pictures[some],
                self._depths[some],
                seeds[some],
                strength,
            )

        if self._pool is None or count < 2 * self._threads:
            part(0, count)
        else:
            bounds = np.linspace(0, count, self._threads + 1).astype(int)
            list(self._pool.map(part, bounds[:-1].tolist(), bounds[1:].tolist()))
        return pictures

    def close(self) -> None:
        """End the threads."""
        if self._pool is not None:
            self._pool.shutdown()

    def _cast_still(self, scene: Scene) -> None:
        """Draw what never moves, to begin all pictures with."""
        positions, frames, halves, colours = scene.still
        picture, depth = self._behind[None].copy(), self._depth[None].copy()
        self._kernel(
            positions[None],
            frames[None],
            np.zeros_like(positions),
            halves,
            colours,
            *self._view,
            picture,
            depth,
            np.zeros(1, np.uint64),
            0.0,
        )
        self._behind, self._depth = picture[0], depth[0]
