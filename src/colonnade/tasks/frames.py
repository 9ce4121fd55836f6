"""Pictures of what an agent sees."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.seeding import derive
from colonnade.tasks.gym.real_time import in_real_time
from colonnade.types import OBSERVATION, DatasetTask, EnvironmentTask, Task

Image = NDArray[np.uint8]

_FRAMES = 4
_STEPS_BETWEEN = 12
_FIRST_STEP = 30
_EXAMPLES = 8


def frame_of(observation: object, *, colour: bool = False) -> Image | None:
    """Picture one environment's observation: of a stack of frames the newest, the last.

    Args:
        observation: (C, H, W) uint8, or a dict that holds one such.
        colour: Whether its frames have three channels each; see `in_colour`. Three channels in all
            are taken for colours even so.

    Returns:
        [H, W, 3] uint8; None where the agent sees no image.
    """
    if isinstance(observation, dict):
        pictures = [frame_of(observation[name], colour=colour) for name in sorted(observation)]
        return next((picture for picture in pictures if picture is not None), None)
    pixels = np.asarray(observation)
    if pixels.ndim != 3 or pixels.dtype != np.uint8:
        return None
    if pixels.shape[0] == 3 or (colour and pixels.shape[0] % 3 == 0):
        return np.ascontiguousarray(pixels[-3:].transpose(1, 2, 0))
    return np.repeat(pixels[-1][..., None], 3, axis=-1)


def in_colour(task: Task) -> bool:
    """Say whether a task's images are of colour frames, three channels each, or of grey ones.

    Of a task that does not say so itself (`colour`, as mazes do), three channels are taken for
    colours, as in `frame_of`.
    """
    shape = task.spec.input_shapes.get(OBSERVATION, ())
    if len(shape) != 3 or shape[0] % 3 != 0:
        return False
    said = getattr(task, "colour", None)
    return said if isinstance(said, bool) else shape[0] == 3


def to_png(image: Image) -> bytes:
    """Write an image [H, W, 3] as a PNG file."""
    from PIL import Image as Picture

    buffer = io.BytesIO()
    Picture.fromarray(image).save(buffer, format="PNG")
    return buffer.getvalue()


def film_strip(task: Task, seed: int) -> Image | None:
    """Let a random policy play a little and picture some moments, side by side.

    Of a data set, picture its first training examples.

    Args:
        task: What is played or learned.
        seed: Of the environment and the actions.

    Returns:
        [H, W, 3] uint8; None where the agent sees no image, or where it runs in real time.
    """
    if isinstance(task, DatasetTask):
        return _examples_strip(task)
    if not isinstance(task, EnvironmentTask) or in_real_time(task):
        return None
    envs = task.make_vec(1)
    try:
        observations, _ = envs.reset(seed=derive(seed, "film strip"))
        envs.action_space.seed(derive(seed, "film strip actions"))
        frames: list[Image] = []
        for step in range(_FIRST_STEP + _FRAMES * _STEPS_BETWEEN):
            frame = frame_of(first_of(observations), colour=in_colour(task))
            if frame is None:
                return None
            if step >= _FIRST_STEP and (step - _FIRST_STEP) % _STEPS_BETWEEN == 0:
                frames.append(frame)
            observations, *_ = envs.step(envs.action_space.sample())
    finally:
        envs.close()
    return _side_by_side(frames)


def _examples_strip(task: DatasetTask) -> Image | None:
    """Picture the first examples; a vector of bytes is taken for a square grey image."""
    inputs = task.examples("train").inputs
    pixels = next(iter(inputs.values()))[:_EXAMPLES].numpy()
    side = math.isqrt(pixels[0].size)
    if pixels.ndim == 2 and side**2 == pixels.shape[1]:
        pixels = pixels.reshape(-1, 1, side, side)
    frames = [frame_of(image) for image in pixels]
    return _side_by_side([frame for frame in frames if frame is not None])


def _side_by_side(frames: Sequence[Image]) -> Image | None:
    if not frames:
        return None
    height = frames[0].shape[0]
    gap = np.full((height, max(1, height // 28), 3), 255, dtype=np.uint8)
    parts = [part for frame in frames for part in (frame, gap)]
    return np.concatenate(parts[:-1], axis=1)


def first_of(observations: Any) -> Any:
    """Take the first environment's part of a batch of observations."""
    if isinstance(observations, dict):
        return {name: values[0] for name, values in observations.items()}
    return observations[0]
