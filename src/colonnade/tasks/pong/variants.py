"""Eight ways of showing the same game: the transforms behind Pong Soup.

Rusu et al. (2016, "Progressive Neural Networks", section 5.1) alter Pong's picture and leave its
rules alone: Noisy, Black, White, Zoom, V-flip, H-flip and VH-flip. The paper names the variants and
leaves their constants open; ours are the fields of `Look`, each with the reason for its default.

A transform maps a batch of uint8 images [..., H, W] to a batch of the same shape. It works on whole
batches, never writes to its argument, and returns a freshly allocated array (or, for the plain
variant, its argument), so that what it returned earlier stays as it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from colonnade.checks import AT_LEAST_0, check_fields
from colonnade.errors import UsageError, unknown_name
from colonnade.tasks.vector import Frames, Transform
from colonnade.types import Shape


@dataclass(frozen=True)
class Look:
    """The constants of the variants.

    Attributes:
        background: Grey level of the field. Pong's is 87 in ALE's greyscale; its paddles are 147,
            its walls and ball 236. Nothing in Pong's field is darker.
        ramp: How steeply Black and White leave the background. A pixel that is partly covered by
            an object keeps a soft edge; one at least `background / (ramp - 1)` levels above the
            background keeps its grey level. At 3 that is from level 130 on, so paddles, walls
            and ball all keep theirs.
        noise_sigma: Standard deviation of Noisy's image in grey levels. At 20 a paddle stands out
            from the field by 3 standard deviations and the ball by 7.
        noise_seed: Seed of Noisy's image, the same in every process and every episode.
        zoom: Size of the small picture, at least 1/2 and below 1. The paper's is 75 %.
        zoom_offset: Where the small picture lies: the share of the free rows above it, and of the
            free columns to its left. (2/3, 1/3) moves it off centre, down and to the left.

    Raises:
        UsageError: A number is out of range.
    """

    background: int = 87
    ramp: int = 3
    noise_sigma: float = 20.0
    noise_seed: int = 0
    zoom: Fraction = Fraction(3, 4)
    zoom_offset: tuple[Fraction, Fraction] = (Fraction(2, 3), Fraction(1, 3))

    def __post_init__(self) -> None:
        check_fields(
            self,
            {
                "background": (0, 255),
                "ramp": (2,),
                "noise_sigma": AT_LEAST_0,
                "noise_seed": AT_LEAST_0,
            },
        )
        if not Fraction(1, 2) <= self.zoom < 1:
            raise UsageError(f"zoom must be at least 1/2 and below 1, not {self.zoom}.")
        if not all(0 <= share <= 1 for share in self.zoom_offset):
            raise UsageError(f"zoom_offset holds two shares from 0 to 1, not {self.zoom_offset}.")


def frozen_noise(shape: Shape, look: Look) -> NDArray[np.int16]:
    """Return Noisy's one image [H, W]: rounded Gaussian grey levels within [-255, 255].

    The same for the same shape and look, in every process.
    """
    noise = np.random.default_rng(look.noise_seed).normal(0.0, look.noise_sigma, shape)
    return np.clip(np.rint(noise), -255, 255).astype(np.int16)


def _plain(shape: Shape, look: Look) -> Transform:
    return lambda frames: frames


def _noisy(shape: Shape, look: Look) -> Transform:
    noise = frozen_noise(shape, look)
    brighter = np.maximum(noise, 0).astype(np.uint8)
    darker = np.maximum(-noise, 0).astype(np.uint8)
    ceiling = 255 - brighter

    def transform(frames: Frames) -> Frames:
        # clip(frames + noise, 0, 255) without leaving uint8: several times faster.
        out: Frames = np.minimum(frames, ceiling)
        out += brighter
        np.maximum(out, darker, out=out)
        out -= darker
        return out

    return transform


def _black(shape: Shape, look: Look) -> Transform:
    # An image, since numpy's maximum of an array and a scalar is ten times slower.
    background = np.full(shape, look.background, np.uint8)

    def transform(frames: Frames) -> Frames:
        # min(frames, ramp * max(frames - background, 0)) without leaving uint8: what is taken
        # away is all of the background, less (ramp - 1) times the height above it.
        out = np.maximum(frames, background)
        above = out - background
        taken = np.full_like(above, look.background)
        for _ in range(look.ramp - 1):
            np.maximum(taken, above, out=taken)
            taken -= above
        out -= taken
        return out

    return transform


def _white(shape: Shape, look: Look) -> Transform:
    black = _black(shape, look)

    def transform(frames: Frames) -> Frames:
        out = black(frames)
        return np.invert(out, out=out)

    return transform


def _zoom(shape: Shape, look: Look) -> Transform:
    p, q = look.zoom.numerator, look.zoom.denominator
    height_in, width_in = shape
    height, width = height_in * p // q, width_in * p // q
    free = (height_in - height, width_in - width)
    top, left = (int(room * share) for room, share in zip(free, look.zoom_offset, strict=True))

    def transform(frames: Frames) -> Frames:
        # A small pixel shows the brightest of the 2 x 2 pixels it covers, so that the ball, one
        # pixel wide, never fades. The maxima run over the flat batch: where they cross a border,
        # nothing is read below.
        flat = frames.reshape(-1)
        across = np.empty_like(flat)
        np.maximum(flat[:-1], flat[1:], out=across[:-1])
        brightest = np.empty_like(flat)
        np.maximum(across[:-width_in], across[width_in:], out=brightest[:-width_in])
        covered = brightest.reshape(frames.shape)

        # Small pixel j begins at j * q // p, which has period p in j and q in the source.
        out = np.full(frames.shape, look.background, np.uint8)
        small = out[..., top : top + height, left : left + width]
        for j in range(p):
            for i in range(p):
                part = small[..., j::p, i::p]
                rows, columns = part.shape[-2:]
                source = covered[..., j * q // p :: q, i * q // p :: q]
                part[...] = source[..., :rows, :columns]
        return out

    return transform


def _h_flip(shape: Shape, look: Look) -> Transform:
    return lambda frames: np.ascontiguousarray(frames[..., ::-1])


def _v_flip(shape: Shape, look: Look) -> Transform:
    return lambda frames: np.ascontiguousarray(frames[..., ::-1, :])


def _vh_flip(shape: Shape, look: Look) -> Transform:
    return lambda frames: np.ascontiguousarray(frames[..., ::-1, ::-1])


_BUILDERS: dict[str, Callable[[Shape, Look], Transform]] = {
    "pong": _plain,
    "noisy": _noisy,
    "black": _black,
    "white": _white,
    "zoom": _zoom,
    "h-flip": _h_flip,
    "v-flip": _v_flip,
    "vh-flip": _vh_flip,
}

VARIANTS = tuple(_BUILDERS)
"""The names of the variants, plain Pong first."""

DEFAULT_LOOK = Look()


def check_variant(name: str) -> None:
    """Raise a `UsageError` with the nearest name unless `name` is one of `VARIANTS`."""
    if name not in _BUILDERS:
        raise unknown_name("Pong variant", name, VARIANTS)


def make_transform(name: str, shape: Shape, look: Look = DEFAULT_LOOK) -> Transform:
    """Make the transform of a variant.

    - ``pong``: the picture as it is.
    - ``noisy``: one frozen Gaussian image is added to every frame and the sum clipped.
    - ``black``: the field turns black, objects keep their grey level:
      ``min(v, ramp * max(v - background, 0))``.
    - ``white``: the negative of ``black``. The field turns white and bright objects dark; merely
      whitening the field would hide the bright ball and walls.
    - ``zoom``: the picture at 75 %, moved, on a field of background. A small pixel is the brightest
      of the 2 x 2 it covers.
    - ``h-flip``, ``v-flip``, ``vh-flip``: mirrored left-right, upside down, and both.

    Args:
        name: One of `VARIANTS`.
        shape: (..., H, W) of the images it will be given; only H and W count.
        look: The constants.

    Returns:
        A function from uint8 [..., H, W] to uint8 [..., H, W].

    Raises:
        UsageError: `name` is no variant.
    """
    check_variant(name)
    return _BUILDERS[name](tuple(shape[-2:]), look)
