"""Many views of a maze at once, each by one ray a column, without a loop over views."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from colonnade.tasks.mazes.decor import TEXTURE
from colonnade.tasks.mazes.items import KINDS
from colonnade.tasks.mazes.levels import CORRIDOR, Level
from colonnade.tasks.mazes.view_tables import (
    EYE,
    FOCAL,
    ITEM_HEIGHT,
    ITEM_WIDTH,
    LARGEST,
    LEVELS,
    ROWS,
    SIZE,
    TILT,
    item_columns,
    wall_columns,
    wall_level,
)

_AT_ONCE = 32  # views that fit into a processor's cache on the way
_NEAR = 0.3  # metres of depth below which items are not drawn
_SLOPES = ((np.arange(SIZE) + 0.5 - SIZE / 2) / FOCAL).astype(np.float32)
_ASIDE = float(_SLOPES[-1]) + 0.01

Floats = NDArray[np.float64]
Views = NDArray[np.uint8]


class RayCaster:
    """Draws what N players see of one level.

    A column of a view looks at one place of one wall. What it shows follows from that place, from
    the wall's depth and from the tilt, so it is cut out of a table that was drawn beforehand
    (`colonnade.tasks.mazes.view_tables`). Items are drawn over it, the far ones first, where they
    are nearer than the wall.

    Args:
        level: What is seen.
        kinds: The kind of each item.
        colour: Whether views have three channels or a grey one.
    """

    def __init__(self, level: Level, kinds: Sequence[str], colour: bool = True) -> None:
        self.channels = 3 if colour else 1
        corners = np.array(level.outline, np.float64)
        self._corners = np.vstack((corners, corners[:1])).astype(np.float32)
        sides = np.diff(self._corners, axis=0)
        self._lengths = np.hypot(*sides.T).astype(np.float32)
        darker = (np.abs(sides[:, 0]) > np.abs(sides[:, 1]) + 1e-3).astype(np.int64)
        self._tones = darker * LEVELS
        self._along = np.concatenate(([0], np.cumsum(self._lengths)[:-1])).astype(np.float32)
        columns = wall_columns(level.decor, colour)
        # Row i of this view of the table is what begins at pixel i.
        self._windows = as_strided(
            columns, (len(columns) - SIZE + 1, SIZE), columns.strides * 2, writeable=False
        )
        self._items = item_columns(colour)
        self._kinds = np.array([list(KINDS).index(kind) for kind in kinds], np.int64)

    def draw(
        self,
        x: Floats,
        y: Floats,
        heading: Floats,
        tilt: NDArray[np.int64],
        places: Floats,
        there: NDArray[np.bool_],
    ) -> Views:
        """Draw all views.

        Args:
            x: [N], where the eyes are, in metres.
            y: [N].
            heading: [N] in degrees, 0 along x and 90 along y.
            tilt: [N], rows by which the horizon lies below the middle, at most `TILT` either way.
            places: [N, I, 2], the middle of each item, in metres.
            there: [N, I], whether it is still there.

        Returns:
            [N, channels, SIZE, SIZE] uint8, freshly allocated.
        """
        angle = np.deg2rad(heading)
        ahead = np.stack((np.cos(angle), np.sin(angle)), axis=1).astype(np.float32)
        eye = np.stack((x, y), axis=1).astype(np.float32)
        views = np.empty((len(x), self.channels, SIZE, SIZE), np.uint8)
        for first in range(0, len(x), _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            canvas, nearness = self._draw_walls(eye[some], ahead[some], tilt[some])
            if there[some].any():
                at = (eye[some], ahead[some], tilt[some], places[some], there[some])
                self._draw_items(canvas, nearness, *at)
            parts = canvas.view(np.uint8).reshape(len(canvas), SIZE, SIZE, -1)
            for channel in range(self.channels):
                views[some, channel] = parts[..., channel].transpose(0, 2, 1)
        return views

    def _draw_walls(
        self, eye: NDArray[np.float32], ahead: NDArray[np.float32], tilt: NDArray[np.int64]
    ) -> tuple[NDArray[np.generic], NDArray[np.float32]]:
        """Draw walls, floor and ceiling.

        Returns:
            Pixels [N, SIZE columns, SIZE rows], and the walls' inverse depth [N, SIZE columns].
        """
        apart = self._corners - eye[:, None]
        cosine, sine = ahead[:, :1], ahead[:, 1:]
        depth = apart[..., 0] * cosine + apart[..., 1] * sine  # [N, corners + 1]
        right = apart[..., 0] * sine - apart[..., 1] * cosine
        # A ray of slope s passes right of what has s * depth >= right. The near side of a wall has
        # its first corner on the right, and 1 / depth is linear in s along it.
        passes = depth[..., None] * _SLOPES >= right[..., None]
        facing = right[:, 1:] * depth[:, :-1] - right[:, :-1] * depth[:, 1:]
        facing = np.where(facing == 0, np.float32(np.inf), facing)
        slope, offset = -np.diff(depth) / facing, np.diff(right) / facing
        inverse = slope[..., None] * _SLOPES
        inverse += offset[..., None]
        inverse *= passes[:, 1:] & ~passes[:, :-1]
        wall = inverse.argmax(axis=1)  # [N, columns]
        games = np.arange(len(eye))[:, None]
        nearness = np.maximum(inverse.max(axis=1), np.float32(1e-3))
        # How far along the wall: the ray's share of the way between both corners.
        scale = self._lengths / facing
        share = (depth[:, :-1] * scale)[games, wall] * _SLOPES - (right[:, :-1] * scale)[
            games, wall
        ]
        metres = share / nearness + self._along[wall]
        # From left to right, as ViZDoom has it, whereas the outline runs from right to left.
        texel = TEXTURE - 1 - (metres * (TEXTURE / CORRIDOR)).astype(np.int64) % TEXTURE
        column = ((self._tones[wall] + wall_level(nearness)) * TEXTURE + texel) * ROWS
        column += TILT - tilt[:, None]
        return self._windows[column], nearness

    def _draw_items(
        self,
        canvas: NDArray[np.generic],
        nearness: NDArray[np.float32],
        eye: NDArray[np.float32],
        ahead: NDArray[np.float32],
        tilt: NDArray[np.int64],
        places: Floats,
        there: NDArray[np.bool_],
    ) -> None:
        """Draw items over the canvas [N, columns, rows]."""
        table = self._items
        apart = places.astype(np.float32) - eye[:, None]
        depth = apart[..., 0] * ahead[:, :1] + apart[..., 1] * ahead[:, 1:]
        right = apart[..., 0] * ahead[:, 1:] - apart[..., 1] * ahead[:, :1]
        shown = there & (depth > _NEAR) & (np.abs(right) < depth * _ASIDE + ITEM_WIDTH / 2)
        games, items = np.nonzero(shown)
        depth, right = depth[games, items], right[games, items]
        order = np.argsort(-depth, kind="stable")
        games, items, right = games[order], items[order], right[order]
        inverse = 1.0 / depth[order]
        size = np.clip(np.rint(ITEM_WIDTH * FOCAL * inverse), 1, LARGEST).astype(np.int64)
        left = np.rint(SIZE / 2 + FOCAL * right * inverse - size / 2).astype(np.int64)
        top = np.rint(SIZE / 2 + FOCAL * (EYE - ITEM_HEIGHT) * inverse - size / 2).astype(np.int64)
        top += tilt[games]

        # Columns of all items, one after the other.
        skipped = np.maximum(-left, 0)
        columns = np.maximum(np.minimum(size, SIZE - left) - skipped, 0)
        each = np.repeat(np.arange(len(games)), columns)
        place = np.arange(len(each)) + np.repeat(skipped - np.cumsum(columns) + columns, columns)
        run = table.first[self._kinds[items], size][each] + place
        view_column = games[each] * SIZE + left[each] + place
        begin = top[each] + table.top[run]
        cut = np.maximum(-begin, 0)
        length = np.minimum(table.length[run], SIZE - begin) - cut
        length[inverse[each] <= nearness.reshape(-1)[view_column]] = 0
        seen = np.flatnonzero(length > 0)
        cut, length = cut[seen], length[seen]

        # Pixels of all columns. Where two items meet, the later and nearer one stays.
        before = np.cumsum(length) - length
        source = np.repeat(table.source[run[seen]] + cut - before, length)
        target = np.repeat(view_column[seen] * SIZE + begin[seen] + cut - before, length)
        counted = np.arange(len(source))
        canvas.reshape(-1)[target + counted] = table.pixels[source + counted]
