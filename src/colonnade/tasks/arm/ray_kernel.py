"""The loops of `ray_caster`, compiled by numba; importing this needs it."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit

_compiled = njit(cache=True, nogil=True, error_model="numpy")

_NEAR = 0.02
"""Metres ahead of the camera within which a corner of a box spoils its outline in the picture."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_SHIFTS = np.uint64(30), np.uint64(27), np.uint64(31)
_SIXTEEN, _LOW = np.uint64(16), np.uint64(0xFFFF)
_DEVIATION = math.sqrt(4 / 12) * 65536
"""Of the sum of four numbers drawn evenly from 0 to 65535."""


def _add_noise(picture: Any, seed: Any, strength: float) -> None:
    flat = picture.reshape(-1)
    state = seed
    for place in range(flat.size):
        state += _GOLDEN  # SplitMix64, as in `random_streams`
        bits = (state ^ (state >> _SHIFTS[0])) * _FACTORS[0]
        bits = (bits ^ (bits >> _SHIFTS[1])) * _FACTORS[1]
        bits = bits ^ (bits >> _SHIFTS[2])
        total = 0.0
        for _ in range(4):
            total += float(bits & _LOW)
            bits = bits >> _SIXTEEN
        level = float(flat[place]) + strength * (total - 2 * 65535) / _DEVIATION
        flat[place] = np.uint8(min(255.0, max(0.0, math.floor(level + 0.5))))


def _face_levels(frame: Any, colour: Any, light: Any, levels: Any) -> None:
    """Fill [6, 3] with what each face's colour becomes: axis a's lower face 2 a, its upper next."""
    for axis in range(3):
        facing = frame[0, axis] * light[0] + frame[1, axis] * light[1] + frame[2, axis] * light[2]
        for upper in range(2):
            lit = light[3] + light[4] * max(0.0, -facing if upper else facing)
            for channel in range(3):
                level = min(1.0, colour[channel] * lit)
                levels[2 * axis + upper, channel] = np.uint8(math.floor(255 * level + 0.5))


def _cast_box(
    centre: Any,
    frame: Any,
    half: Any,
    levels: Any,
    eye: Any,
    camera: Any,
    scale: Any,
    picture: Any,
    depth: Any,
    enters: Any,
    leaves: Any,
) -> None:
    """Draw one box where it is nearer than what is there; depth is along the camera's axis."""
    height, width = depth.shape
    hx, hy, hz = half[0], half[1], half[2]
    # The camera in the box's frame: its place, and how a ray turns from pixel to pixel.
    ox = oy = oz = 0.0
    rx = ry = rz = ux = uy = uz = bx = by = bz = 0.0
    for k in range(3):
        fx, fy, fz, apart = frame[k, 0], frame[k, 1], frame[k, 2], eye[k] - centre[k]
        ox, oy, oz = ox + fx * apart, oy + fy * apart, oz + fz * apart
        right, up, back = camera[0, k] * scale[0], camera[1, k] * scale[1], camera[2, k]
        rx, ry, rz = rx + fx * right, ry + fy * right, rz + fz * right
        ux, uy, uz = ux + fx * up, uy + fy * up, uz + fz * up
        bx, by, bz = bx + fx * back, by + fy * back, bz + fz * back

    # Rows and columns that its corners span.
    top, bottom, left, last = 1e9, -1e9, 1e9, -1e9
    wide, tall = scale[0] * scale[0], scale[1] * scale[1]
    for corner in range(8):
        x = (hx if corner & 1 else -hx) - ox
        y = (hy if corner & 2 else -hy) - oy
        z = (hz if corner & 4 else -hz) - oz
        ahead = -(bx * x + by * y + bz * z)
        if ahead < _NEAR:
            top, bottom, left, last = 0.0, height - 1.0, 0.0, width - 1.0
            break
        column = (1 + (rx * x + ry * y + rz * z) / (ahead * wide)) * width / 2 - 0.5
        row = (1 - (ux * x + uy * y + uz * z) / (ahead * tall)) * height / 2 - 0.5
        top, bottom = min(top, row), max(bottom, row)
        left, last = min(left, column), max(last, column)
    first_column, end_column = int(max(0.0, math.ceil(left))), int(min(width - 1.0, last)) + 1
    if last < 0 or bottom < 0:
        return

    for row in range(int(max(0.0, math.ceil(top))), int(min(height - 1.0, bottom)) + 1):
        y = 1 - (row + 0.5) * 2 / height
        ax, ay, az = y * ux - bx, y * uy - by, y * uz - bz
        # Between which depths each ray is between each pair of faces (the slab method): a loop of
        # its own, without branches, which the compiler turns into vector instructions.
        for column in range(first_column, end_column):
            x = (column + 0.5) * 2 / width - 1
            ix, iy, iz = 1 / (ax + x * rx), 1 / (ay + x * ry), 1 / (az + x * rz)
            mx, my, mz = -ox * ix, -oy * iy, -oz * iz
            sx, sy, sz = hx * abs(ix), hy * abs(iy), hz * abs(iz)
            enters[0, column], enters[1, column], enters[2, column] = mx - sx, my - sy, mz - sz
            enters[3, column] = max(mx - sx, max(my - sy, mz - sz))
            leaves[column] = min(mx + sx, min(my + sy, mz + sz))
        for column in range(first_column, end_column):
            enter = enters[3, column]
            if enter < leaves[column] and 0 < enter < depth[row, column]:
                depth[row, column] = enter
                x = (column + 0.5) * 2 / width - 1
                if enter == enters[0, column]:
                    face = 0 if ax + x * rx > 0 else 1
                elif enter == enters[1, column]:
                    face = 2 if ay + x * ry > 0 else 3
                else:
                    face = 4 if az + x * rz > 0 else 5
                picture[0, row, column] = levels[face, 0]
                picture[1, row, column] = levels[face, 1]
                picture[2, row, column] = levels[face, 2]


add_noise = _compiled(_add_noise)
"""Add the sum of four even numbers to each of a picture's numbers, nearly normal noise.

Args:
    picture: [3, H, W] uint8, changed in place.
    seed: uint64, of the noise.
    strength: Its deviation in grey levels.
"""

_face_levels = _compiled(_face_levels)
_cast_box = _compiled(_cast_box)


def _cast(
    positions: Any,
    frames: Any,
    centres: Any,
    halves: Any,
    colours: Any,
    eye: Any,
    camera: Any,
    scale: Any,
    light: Any,
    pictures: Any,
    depths: Any,
    seeds: Any,
    noise: float,
) -> None:
    levels, centre = np.empty((6, 3), np.uint8), np.empty(3)
    width = depths.shape[2]
    enters, leaves = np.empty((4, width)), np.empty(width)
    for scene in range(len(positions)):
        for box in range(len(halves)):
            frame, half = frames[scene, box], halves[box]
            for axis in range(3):
                centre[axis] = positions[scene, box, axis] + (
                    frame[axis, 0] * centres[box, 0]
                    + frame[axis, 1] * centres[box, 1]
                    + frame[axis, 2] * centres[box, 2]
                )
            _face_levels(frame, colours[box], light, levels)
            _cast_box(
                centre,
                frame,
                half,
                levels,
                eye,
                camera,
                scale,
                pictures[scene],
                depths[scene],
                enters,
                leaves,
            )
        if noise > 0:
            add_noise(pictures[scene], seeds[scene], noise)


cast = _compiled(_cast)
"""Draw boxes over what is behind them, for every scene.

Args:
    positions: [N, G, 3] of the geoms.
    frames: [N, G, 3, 3], their axes in columns.
    centres: [G, 3] of the boxes around them, in their frames.
    halves: [G, 3] of the boxes.
    colours: [G, 3] from 0 to 1.
    eye: [3] the camera's place.
    camera: [3, 3] its right, up and back in rows.
    scale: [2] half the picture's width and height at depth 1.
    light: [5] its direction, of length 1; ambient; diffuse.
    pictures: [N, 3, H, W] uint8, drawn over.
    depths: [N, H, W] how far away what they show is.
    seeds: [N] uint64, of the noise.
    noise: Its deviation in grey levels; 0 for none.
"""
