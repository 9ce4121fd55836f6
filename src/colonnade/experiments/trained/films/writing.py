"""Writing films: animated pictures by Pillow, which is there anyway; .mp4 by an extra."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image as Picture

from colonnade.errors import UsageError
from colonnade.experiments.store.files import write_bytes
from colonnade.tasks.frames import Image

FILM_KINDS = (".webp", ".gif", ".mp4")

FRAMES_PER_SECOND = 15
"""Real time for Atari: 60 frames a second, of which an agent sees every fourth."""

_FILM_SIDE = 320
"""Films are enlarged by a whole factor up to about this many pixels a side."""

_SMALL = 96 * 96
"""Pixels up to which an animated picture is kept exactly; larger ones are compressed."""


def check_kind(path: Path) -> None:
    """Refuse a film that can't be written here.

    Raises:
        UsageError: Its kind is unknown, or needs what is not installed.
    """
    if path.suffix not in FILM_KINDS:
        kinds = f"{', '.join(FILM_KINDS[:-1])} or {FILM_KINDS[-1]}"
        raise UsageError(f"A film's name ends in {kinds}, but {str(path)!r} came.")
    if path.suffix == ".mp4":
        try:
            import imageio_ffmpeg  # noqa: F401
        except ImportError:
            raise UsageError(
                "Films in .mp4 need ffmpeg: install colonnade[film], or let the film's name end in "
                ".webp."
            ) from None


def write_film(path: Path, frames: Sequence[Image]) -> None:
    """Write frames [H, W, 3] as a film, enlarged, of the kind that its name ends in.

    Raises:
        UsageError: There are no frames.
        ColonnadeError: Writing failed.
    """
    if not frames:
        raise UsageError(
            "This task shows no images, so it can't be filmed; leave --film away, or give its "
            'environment `render` and "rgb_array" among the `render_modes` of its metadata.'
        )
    factor = max(1, _FILM_SIDE // max(frames[0].shape[:2]))
    large = [frame.repeat(factor, axis=0).repeat(factor, axis=1) for frame in frames]
    write_bytes(path, _mp4(large) if path.suffix == ".mp4" else animated(large, path.suffix))


def animated(frames: Sequence[Image], kind: str = ".webp", most: float = math.inf) -> bytes:
    """Make an animated picture of frames [H, W, 3], which repeats for ever.

    Args:
        frames: What it shows; small ones are kept exactly.
        kind: ".webp" or ".gif".
        most: How many bytes an exact .webp may have; one of more is compressed.
    """
    first, *others = [Picture.fromarray(frame) for frame in frames]
    options: dict[str, Any] = {}
    if kind == ".webp":
        exact = first.width * first.height <= _SMALL
        options = {"lossless": exact, "quality": 75 if exact else 55, "method": 3}
    content = _written(first, others, kind, options)
    if options.get("lossless") and len(content) > most:
        content = _written(first, others, kind, {**options, "lossless": False})
    return content


def _written(
    first: Picture.Image, others: Sequence[Picture.Image], kind: str, options: Mapping[str, Any]
) -> bytes:
    buffer = io.BytesIO()
    first.save(
        buffer,
        format=kind.removeprefix(".").upper(),
        save_all=True,
        append_images=others,
        duration=1000 // FRAMES_PER_SECOND,
        loop=0,
        **options,
    )
    return buffer.getvalue()


def shrunk(frames: Sequence[Image], side: int = 240) -> list[Image]:
    """Make frames [H, W, 3] no larger than a page shows them, by means over what merges."""
    scale = side / max(frames[0].shape[:2])
    if scale >= 1:
        return list(frames)
    height, width = (max(1, round(scale * size)) for size in frames[0].shape[:2])
    return [
        np.asarray(Picture.fromarray(frame).resize((width, height), Picture.Resampling.BOX))
        for frame in frames
    ]


def first_frame(film: bytes) -> bytes:
    """Return the first frame of an animated picture as PNG.

    Raises:
        OSError: It is no picture.
    """
    buffer = io.BytesIO()
    with Picture.open(io.BytesIO(film)) as picture:
        picture.convert("RGB").save(buffer, format="PNG")
    return buffer.getvalue()


def _mp4(frames: Sequence[Image]) -> bytes:
    from imageio.v2 import get_writer

    with TemporaryDirectory() as place:
        # Writers of films leave half a file and many words where they can't write.
        draft = Path(place) / "film.mp4"
        options: Any = {"fps": FRAMES_PER_SECOND, "codec": "libx264", "macro_block_size": 2}
        writer: Any = get_writer(draft, **options)
        with writer:
            for frame in frames:
                writer.append_data(frame)
        return draft.read_bytes()
