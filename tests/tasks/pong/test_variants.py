"""The variants against the slow, obvious per-pixel version."""

import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from colonnade.errors import UsageError
from colonnade.tasks.pong.variants import VARIANTS, Look, frozen_noise, make_transform

PADDLE, BALL = 147, 236

batches = st.tuples(
    st.integers(1, 3), st.integers(1, 3), st.integers(2, 13), st.integers(2, 13)
).flatmap(lambda shape: arrays(np.uint8, shape))
looks = st.builds(
    Look,
    background=st.integers(0, 255),
    ramp=st.integers(2, 6),
    noise_sigma=st.floats(0, 90),
    noise_seed=st.integers(0, 9),
    zoom=st.sampled_from([Fraction(1, 2), Fraction(2, 3), Fraction(3, 4), Fraction(7, 8)]),
    zoom_offset=st.tuples(*2 * [st.fractions(0, 1, max_denominator=5)]),
)


def slow_pixel(name, image, row, column, look):
    """What one pixel of one image [H, W] of whole numbers should be."""
    height, width = image.shape
    value = int(image[row, column])
    if name == "pong":
        return value
    if name == "noisy":
        return min(max(value + int(frozen_noise(image.shape, look)[row, column]), 0), 255)
    if name in ("black", "white"):
        black = min(value, look.ramp * max(value - look.background, 0))
        return black if name == "black" else 255 - black
    if name in ("h-flip", "v-flip", "vh-flip"):
        source_row = height - 1 - row if "v" in name else row
        source_column = width - 1 - column if "h-" in name else column
        return int(image[source_row, source_column])
    small_height, small_width = int(height * look.zoom), int(width * look.zoom)
    top = int((height - small_height) * look.zoom_offset[0])
    left = int((width - small_width) * look.zoom_offset[1])
    if not (top <= row < top + small_height and left <= column < left + small_width):
        return look.background
    first_row = int((row - top) / look.zoom)
    first_column = int((column - left) / look.zoom)
    return max(int(image[first_row + i, first_column + j]) for i in (0, 1) for j in (0, 1))


@pytest.mark.parametrize("name", VARIANTS)
@settings(max_examples=40, deadline=None)
@given(frames=batches, look=looks)
def test_every_pixel_is_what_the_definition_says(name, frames, look):
    before = frames.copy()
    shown = make_transform(name, frames.shape, look)(frames)
    assert shown.dtype == np.uint8
    assert shown.shape == frames.shape
    for index in np.ndindex(frames.shape):
        n, c, row, column = index
        assert shown[index] == slow_pixel(name, frames[n, c], row, column, look), index
    np.testing.assert_array_equal(frames, before, err_msg="the argument was written to")


@pytest.mark.parametrize("name", ["h-flip", "v-flip", "vh-flip"])
@settings(max_examples=25, deadline=None)
@given(frames=batches)
def test_a_flip_twice_is_no_flip(name, frames):
    flip = make_transform(name, frames.shape)
    np.testing.assert_array_equal(flip(flip(frames)), frames)


@settings(max_examples=25, deadline=None)
@given(frames=batches)
def test_vh_flip_is_one_flip_after_the_other(frames):
    h, v, vh = (make_transform(n, frames.shape) for n in ("h-flip", "v-flip", "vh-flip"))
    np.testing.assert_array_equal(vh(frames), v(h(frames)))


@pytest.mark.parametrize("name", [name for name in VARIANTS if name != "pong"])
def test_a_returned_array_is_not_written_to_by_the_next_call(name):
    rng = np.random.default_rng(0)
    transform = make_transform(name, (8, 8))
    first = transform(rng.integers(0, 256, (2, 1, 8, 8), np.uint8))
    kept = first.copy()
    transform(rng.integers(0, 256, (2, 1, 8, 8), np.uint8))
    np.testing.assert_array_equal(first, kept)


def test_noise_is_one_gaussian_image_and_the_same_in_another_process():
    look = Look()
    noise = frozen_noise((84, 84), look)
    assert noise.std() == pytest.approx(look.noise_sigma, rel=0.05)
    assert abs(noise.mean()) < 1.0
    program = (
        "from colonnade.tasks.pong.variants import *;"
        "print(frozen_noise((84, 84), Look()).tobytes().hex())"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.stdout.strip() == noise.tobytes().hex()


def test_noise_is_the_same_for_every_frame_and_environment():
    flat = np.full((3, 4, 20, 20), 128, np.uint8)
    shown = make_transform("noisy", flat.shape)(flat)
    np.testing.assert_array_equal(shown, np.broadcast_to(shown[0, 0], shown.shape))
    assert shown[0, 0].std() > 10


def test_objects_stay_visible_when_the_field_is_recoloured():
    field, paddle, ball = 87, PADDLE, BALL
    frame = np.array([[[[field, paddle], [ball, field]]]], np.uint8)
    black = make_transform("black", frame.shape)(frame)[0, 0]
    white = make_transform("white", frame.shape)(frame)[0, 0]
    np.testing.assert_array_equal(black, [[0, paddle], [ball, 0]])
    np.testing.assert_array_equal(white, [[255, 255 - paddle], [255 - ball, 255]])


@pytest.mark.parametrize("column", range(12))
@pytest.mark.parametrize("row", range(12))
def test_a_ball_of_one_pixel_survives_the_zoom(row, column):
    frame = np.full((1, 1, 12, 12), 87, np.uint8)
    frame[0, 0, row, column] = BALL
    assert (make_transform("zoom", frame.shape)(frame) == BALL).any()


def test_zoom_keeps_three_quarters_and_moves_them():
    shown = make_transform("zoom", (84, 84))(np.full((1, 1, 84, 84), 200, np.uint8))[0, 0]
    rows, columns = np.nonzero(shown == 200)
    assert (rows.min(), rows.max()) == (14, 76)
    assert (columns.min(), columns.max()) == (7, 69)
    assert (shown[:14] == 87).all()


def test_unknown_variant_suggests_the_nearest():
    with pytest.raises(UsageError, match=r"'hflip'.*'h-flip'"):
        make_transform("hflip", (8, 8))


@pytest.mark.parametrize(
    "constants",
    [
        {"background": 256},
        {"ramp": 1},
        {"noise_sigma": -1.0},
        {"zoom": Fraction(1, 3)},
        {"zoom": Fraction(1)},
        {"zoom_offset": (Fraction(2), Fraction(0))},
    ],
)
def test_constants_out_of_range_are_refused(constants):
    with pytest.raises(UsageError, match=next(iter(constants))):
        Look(**constants)
