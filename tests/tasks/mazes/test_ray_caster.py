"""Views against a renderer that follows every pixel's ray by itself."""

import math

import numpy as np
import pytest

from colonnade.tasks.mazes import LEVELS
from colonnade.tasks.mazes.decor import TEXTURE, wall_texture
from colonnade.tasks.mazes.items import KINDS, SPRITE, sprite
from colonnade.tasks.mazes.levels import layout
from colonnade.tasks.mazes.ray_caster import RayCaster
from colonnade.tasks.mazes.view_tables import (
    EYE,
    FOCAL,
    ITEM_HEIGHT,
    ITEM_WIDTH,
    SIZE,
    TONES,
    level_depths,
    shade,
    wall_level,
)

HEIGHT = 2.0


def wall_ahead(level, eye, direction):
    """The nearest wall along a ray: distance in lengths of `direction`, wall, metres along it."""
    best = (math.inf, 0, 0.0)
    corners = level.outline
    for i, (ax, ay) in enumerate(corners):
        bx, by = corners[(i + 1) % len(corners)]
        sx, sy = bx - ax, by - ay
        det = sx * direction[1] - sy * direction[0]
        if abs(det) < 1e-12:
            continue
        px, py = eye[0] - ax, eye[1] - ay
        distance = (px * sy - py * sx) / det
        share = (px * direction[1] - py * direction[0]) / det
        if 0 <= share <= 1 and 1e-9 < distance < best[0]:
            best = (distance, i, share * math.hypot(sx, sy))
    return best


def slow_view(level, eye, heading, tilt, places, there):
    """A view, pixel by pixel, and the depth of the wall in each column."""
    texture = wall_texture(level.decor)
    angle = math.radians(heading)
    ahead, right = (math.cos(angle), math.sin(angle)), (math.sin(angle), -math.cos(angle))
    corners = np.array(level.outline)
    lengths = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
    view, depths = np.zeros((SIZE, SIZE, 3)), np.zeros(SIZE)
    for column in range(SIZE):
        slope = (column + 0.5 - SIZE / 2) / FOCAL
        ray = (ahead[0] + slope * right[0], ahead[1] + slope * right[1])
        depth, wall, metres = wall_ahead(level, eye, ray)
        depths[column] = depth
        dx, dy = np.subtract(level.outline[(wall + 1) % len(lengths)], level.outline[wall])
        tone = TONES[int(abs(dx) > abs(dy) + 1e-3)]
        u = int((-(metres + sum(lengths[:wall])) * TEXTURE / HEIGHT) % TEXTURE)
        depth = level_depths()[wall_level(np.array(1 / depth, np.float32))]  # as tables know it
        for row in range(SIZE):
            down = (row + 0.5 - SIZE / 2 - tilt) / FOCAL
            from_top = down * depth + HEIGHT - EYE
            if 0 <= from_top < HEIGHT:
                colour, far, bright = texture[int(from_top / HEIGHT * TEXTURE), u], depth, tone
            elif down > 0:
                colour, far, bright = level.decor.floor, EYE / down, 1.0
            else:
                colour, far, bright = level.decor.ceiling, (HEIGHT - EYE) / -down, 1.0
            view[row, column] = np.array(colour) * bright / (1 + 0.07 * far)
    seen = []
    for i, place in enumerate(places):
        apart = np.subtract(place, eye)
        depth = float(apart @ ahead)
        if there[i] and depth > 0.3:
            seen.append((depth, float(apart @ right), level.items[i].kind))
    for depth, aside, kind in sorted(seen, reverse=True):
        colours, shown = sprite(kind)
        size = ITEM_WIDTH * FOCAL / depth
        left = SIZE / 2 + FOCAL * aside / depth - size / 2
        top = SIZE / 2 + tilt + FOCAL * (EYE - ITEM_HEIGHT) / depth - size / 2
        box = range(max(0, int(left)), min(SIZE, int(left + size) + 1))
        for row in range(max(0, int(top)), min(SIZE, int(top + size) + 1)):
            for column in box:
                u = math.floor((column + 0.5 - left) / size * SPRITE)
                v = math.floor((row + 0.5 - top) / size * SPRITE)
                if 0 <= u < SPRITE and 0 <= v < SPRITE and shown[v, u] and depth < depths[column]:
                    view[row, column] = colours[v, u] * (0.2 + 0.8 * shade(np.array(depth)))
    return view, depths


def places_to_stand(level, count, seed):
    """Some places inside, with headings and tilts."""
    from colonnade.tasks.mazes.walking import Walkers

    walkers, random = Walkers(level, count), np.random.default_rng(seed)
    walkers.begin(np.ones(count, bool), random.uniform(0, 360, count))
    for _ in range(60):
        walkers.act(random.choice(8, count, p=[0.1, 0.1, 0.1, 0.1, 0.4, 0.1, 0.05, 0.05]))
    return walkers


def cast(level, walkers, places, there, colour=True):
    caster = RayCaster(level, [item.kind for item in level.items], colour)
    every = np.repeat(places[None], len(walkers.x), axis=0)
    held = np.repeat(there[None], len(walkers.x), axis=0)
    return caster.draw(walkers.x, walkers.y, walkers.heading, walkers.tilt, every, held)


@pytest.mark.parametrize("name", sorted(LEVELS))
def test_views_are_what_single_rays_see(name):
    level = LEVELS[name]
    places = layout(level, 3).places
    walkers = places_to_stand(level, 2, seed=len(name))
    for i, there in ((0, np.zeros(len(places), bool)), (1, np.arange(len(places)) % 5 != 4)):
        view = cast(level, walkers, places, there)[i]
        eye, tilt = (walkers.x[i], walkers.y[i]), int(walkers.tilt[i])
        exact, _ = slow_view(level, eye, walkers.heading[i], tilt, places, there)
        apart = np.abs(view.transpose(1, 2, 0) - exact).max(-1)
        # Numbers of the tables are rounded down; rays at an edge may fall on either side of it, and
        # items begin at whole pixels.
        assert np.median(apart) < 1
        assert (apart > 2).mean() < (0.06 if there.any() else 0.02)


def test_walls_are_as_far_as_single_rays_say():
    level = LEVELS["maze-y"]
    walkers = places_to_stand(level, 40, seed=2)
    caster = RayCaster(level, ["apple", "apple"])
    angle = np.deg2rad(walkers.heading)
    eye = np.stack((walkers.x, walkers.y), axis=1).astype(np.float32)
    ahead = np.stack((np.cos(angle), np.sin(angle)), axis=1).astype(np.float32)
    _, nearness = caster._draw_walls(eye, ahead, walkers.tilt)
    for i in range(40):
        for column in (0, 20, 41, 42, 60, 83):
            slope = (column + 0.5 - SIZE / 2) / FOCAL
            (c, s) = np.cos(angle[i]), np.sin(angle[i])
            distance, *_ = wall_ahead(
                level, (walkers.x[i], walkers.y[i]), (c + slope * s, s - slope * c)
            )
            assert 1 / nearness[i, column] == pytest.approx(distance, rel=1e-3)


def test_a_wall_hides_what_is_behind_it():
    level = LEVELS["track-3"]
    one = places_to_stand(level, 1, seed=0)
    one.x[:], one.y[:], one.heading[:], one.tilt[:] = 0.6, 0.0, 0.0, 0
    behind = np.tile(np.array([(9.0, 0.0)]), (5, 1))  # in the right leg, two walls away
    held, gone = np.ones(5, bool), np.zeros(5, bool)
    np.testing.assert_array_equal(cast(level, one, behind, held), cast(level, one, behind, gone))
    ahead = np.tile(np.array([(3.0, 0.0)]), (5, 1))
    assert (cast(level, one, ahead, held) != cast(level, one, ahead, gone)).any()


def test_the_nearer_item_covers_the_farther_one():
    level = LEVELS["avoid-1"]
    one = places_to_stand(level, 1, seed=0)
    one.x[:], one.y[:], one.heading[:], one.tilt[:] = 2.0, 5.0, 0.0, 0
    for near, far in (("apple", "lemon"), ("lemon", "apple")):
        caster = RayCaster(level, [near, far])
        places = np.array([[[3.5, 5.0], [3.6, 5.0]]])
        args = (one.x, one.y, one.heading, one.tilt)
        both = caster.draw(*args, places, np.array([[True, True]]))
        front = caster.draw(*args, places, np.array([[True, False]]))
        none = caster.draw(*args, places, np.array([[False, False]]))
        mask = (front != none).any(1)
        assert mask.sum() > 100
        assert (both == front).all(1)[mask].all()


def test_an_item_on_the_right_is_drawn_on_the_right_and_below_the_horizon():
    level = LEVELS["avoid-1"]
    one = places_to_stand(level, 1, seed=0)
    one.x[:], one.y[:], one.heading[:] = 5.0, 5.0, 90.0
    caster = RayCaster(level, ["apple"])
    for tilt in (-16, 0, 16):
        args = (one.x, one.y, one.heading, np.array([tilt]), np.array([[[6.0, 7.0]]]))
        shown = caster.draw(*args, np.array([[True]])) != caster.draw(*args, np.array([[False]]))
        rows, columns = np.nonzero(shown.any(1)[0])
        # Its middle is 1 m to the right and 0.3 m down, at a depth of 2 m.
        assert columns.mean() == pytest.approx(41.5 + 28, abs=1)
        assert (rows.min() + rows.max()) / 2 == pytest.approx(41.5 + 8.4 + tilt, abs=1.5)
        assert np.ptp(columns) + 1 == pytest.approx(14 * 0.86, abs=1.5)


def test_grey_views_are_the_coloured_ones_without_colour():
    level = LEVELS["avoid-2"]
    places, there = layout(level, 1).places, np.ones(24, bool)
    walkers = places_to_stand(level, 3, seed=1)
    grey = cast(level, walkers, places, there, colour=False)
    colour = cast(level, walkers, places, there)
    assert grey.shape == (3, 1, SIZE, SIZE)
    luma = np.tensordot(colour.astype(float), (0.299, 0.587, 0.114), axes=(1, 0))
    assert np.abs(grey[:, 0] - luma).max() <= 1


def test_a_view_does_not_depend_on_those_beside_it():
    level = LEVELS["track-2"]
    places, there = layout(level, 0).places, np.ones(23, bool)
    walkers = places_to_stand(level, 70, seed=4)
    views = cast(level, walkers, places, there)
    caster = RayCaster(level, ["strawberry"] * 23)
    for i in (0, 31, 32, 69):
        at = [getattr(walkers, name)[i : i + 1] for name in ("x", "y", "heading", "tilt")]
        np.testing.assert_array_equal(caster.draw(*at, places[None], there[None])[0], views[i])


def test_levels_of_depth_are_fine_and_in_order():
    depths = level_depths()
    assert (np.diff(depths) < 0).all()
    assert (depths[:-1] / depths[1:]).max() < 1.033
    inverse = (1 / depths).astype(np.float32)
    np.testing.assert_array_equal(wall_level(inverse), np.arange(len(depths)))
    ends = wall_level(np.array([1e-9, 1e9], np.float32))
    assert ends.tolist() == [0, len(depths) - 1]


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_column_of_an_item_is_one_run(kind):
    _, shown = sprite(kind)
    assert (np.abs(np.diff(shown.astype(int), axis=0, prepend=0, append=0)).sum(0) <= 2).all()
    assert 0.3 < shown.mean() < 0.8
