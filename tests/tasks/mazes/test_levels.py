"""Levels: what they hold, what is refused, and outlines against shapes worked by hand."""

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.errors import UsageError
from colonnade.tasks.mazes import LEVELS, Decor, Item, Level, draw_plan, level_from_json
from colonnade.tasks.mazes.levels import layout
from colonnade.tasks.mazes.paper_levels import level_from_name
from colonnade.tasks.mazes.polygons import band, crossing, inside, signed_area, star, wall_distance

SQUARE = ((0.0, 0.0), (4.0, 0.0), (4.0, 4.0), (0.0, 4.0))


def level(**changed):
    parts = {
        "name": "mine",
        "outline": SQUARE,
        "start": (1.0, 1.0, 0.0),
        "items": (Item("apple", 3.0, 3.0),),
    }
    return Level(**(parts | changed))


def test_the_papers_levels_and_what_lies_in_them():
    kinds = {name: [item.kind for item in one.items] for name, one in LEVELS.items()}
    assert {name: set(held) for name, held in kinds.items()} == {
        "track-1": {"apple"},
        "track-2": {"strawberry"},
        "track-3": {"apple"},
        "track-4": {"apple"},
        "avoid-1": {"apple", "lemon"},
        "avoid-2": {"apple", "mushroom"},
        "maze-m": {"apple"},
        "maze-y": {"apple"},
    }
    assert [one.best for one in LEVELS.values()] == [14, 23, 5, 5, 12, 12, 2, 2]
    for name in ("avoid-1", "avoid-2"):
        assert LEVELS[name].scattered
        assert LEVELS[name].any_heading
        assert sorted(LEVELS[name].values) == [-1.0] * 12 + [1.0] * 12


def test_turns_of_the_tracks():
    def turns(name):
        corners = np.array(LEVELS[name].outline)
        sides = np.roll(corners, -1, axis=0) - corners
        angles = np.degrees(np.arctan2(*sides.T[::-1]))
        return {abs(round(float(d + 180) % 360 - 180)) for d in np.diff(angles, append=angles[0])}

    assert turns("track-2") == {90}
    assert turns("track-3") == {90}
    assert turns("track-4") == {45, 90}


def test_a_corridor_is_as_wide_as_asked_and_its_corners_are_mitred():
    assert band(((0.0, 0.0), (5.0, 0.0)), 2.0) == ((0, -1), (5, -1), (5, 1), (0, 1))
    assert band(((0.0, 0.0), (4.0, 0.0), (4.0, 3.0)), 2.0) == (
        (0, -1),
        (5, -1),
        (5, 3),
        (3, 3),
        (3, 1),
        (0, 1),
    )


def test_corridors_from_one_place_by_their_area():
    # Three arms of 4 by 2 m at 120 degrees overlap in a triangle around the centre.
    ends = [(4 * math.cos(a), 4 * math.sin(a)) for a in (0.0, 2 * math.pi / 3, 4 * math.pi / 3)]
    outline = star((0.0, 0.0), ends, 2.0)
    assert len(outline) == 9
    assert crossing(outline) is None
    overlap = 3 * (1 / math.sqrt(3))  # each arm shares a triangle of this third with each other
    assert signed_area(outline) == pytest.approx(3 * 4 * 2 - overlap)


def winding(corners, point):
    """How often the outline goes around a point, by summed angles: slow and obvious."""
    total = 0.0
    for a, b in zip(corners, [*corners[1:], corners[0]], strict=True):
        one = math.atan2(a[1] - point[1], a[0] - point[0])
        other = math.atan2(b[1] - point[1], b[0] - point[0])
        total += (other - one + math.pi) % (2 * math.pi) - math.pi
    return round(total / (2 * math.pi))


@settings(max_examples=25)
@given(
    name=st.sampled_from(sorted(LEVELS)),
    share=st.tuples(st.floats(0.001, 0.999), st.floats(0.001, 0.999)),
)
def test_inside_and_the_nearest_wall_are_as_summed_angles_and_sampled_walls_say(name, share):
    corners = np.array(LEVELS[name].outline)
    low, high = corners.min(0) - 1, corners.max(0) + 1
    point = low + np.array(share) * (high - low)
    along = np.linspace(0, 1, 400)[:, None]
    walls = np.concatenate(
        [a + along * (b - a) for a, b in zip(corners, np.roll(corners, -1, axis=0), strict=True)]
    )
    nearest = np.hypot(*(walls - point).T).min()
    assert wall_distance(LEVELS[name].outline, point) == pytest.approx(nearest, abs=0.02)
    if nearest > 0.02:
        assert inside(LEVELS[name].outline, point) == (winding(LEVELS[name].outline, point) == 1)


@pytest.mark.parametrize("name", ["avoid-1", "avoid-2"])
def test_scattered_items_lie_apart_inside_and_elsewhere_each_time(name):
    begins = [layout(LEVELS[name], seed) for seed in range(20)]
    for begin in begins:
        x, y = begin.places.T
        assert min(x.min(), y.min(), 10 - x.max(), 10 - y.max()) >= 0.5
        gaps = np.hypot(x[:, None] - x, y[:, None] - y) + 9 * np.eye(len(x))
        assert gaps.min() >= 0.8
        assert np.hypot(x - 5, y - 5).min() >= 1.2
        assert begin.heading == int(begin.heading)
    assert len({begin.heading for begin in begins}) > 10
    assert len({begin.places.tobytes() for begin in begins}) == 20
    np.testing.assert_array_equal(layout(LEVELS[name], 4).places, begins[4].places)
    # All of the room is used.
    everywhere = np.concatenate([begin.places for begin in begins])
    assert np.histogram2d(*everywhere.T, bins=4, range=[[0, 10], [0, 10]])[0].min() > 5


def test_other_levels_begin_alike():
    one, other = layout(LEVELS["maze-m"], 1), layout(LEVELS["maze-m"], 2)
    assert one.heading == other.heading == 90.0
    np.testing.assert_array_equal(one.places, other.places)


def test_either_direction_around_is_understood():
    assert level(outline=SQUARE[::-1]).outline == SQUARE


@pytest.mark.parametrize("name", sorted(LEVELS))
def test_levels_survive_json(name, tmp_path):
    text = json.dumps(LEVELS[name].to_json())
    assert level_from_json(json.loads(text)) == LEVELS[name]
    (tmp_path / "mine.json").write_text(text)
    assert level_from_name(str(tmp_path / "mine.json")) == LEVELS[name]


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"outline": ((0, 0), (4, 4), (4, 0), (0, 4))}, r"crosses itself: the walls from .* meet"),
        ({"outline": (*SQUARE[:3], (4.0, 2.0), (0.0, 4.0))}, "crosses itself"),
        ({"outline": SQUARE[:2]}, "three corners"),
        ({"outline": "round"}, "three corners"),
        ({"outline": (*SQUARE, (0.0, math.inf))}, "three corners"),
        ({"outline": (*SQUARE, SQUARE[0])}, "twice in a row"),
        ({"outline": ((0, 0), (90, 0), (90, 4), (0, 4))}, "up to 64 m apart"),
        ({"start": (5.0, 1.0, 0.0)}, "starts at .* outside its walls"),
        ({"start": (0.2, 1.0, 0.0)}, "nearer than 0.35 m"),
        ({"start": (1.0, 1.0)}, "x and y in metres and a heading"),
        ({"start": (1.0, 1.0, math.nan)}, "start of level 'mine' must be a number"),
        ({"items": (Item("apple", 3.0, 4.5),)}, r"apple .* at \(3.0, 4.5\) lies outside"),
        ({"items": (Item("apple", 3.0, 3.9),)}, "nearer than 0.25 m"),
        ({"items": (Item("lemon", 3.0, 3.0),)}, "no item of positive value"),
        ({"items": ()}, "no item of positive value"),
        ({"items": (Item("apple", 3, 3),) * 40, "scattered": True}, "no room to scatter 40 items"),
        ({"name": " "}, "line of text"),
        ({"scattered": 1}, "True or False"),
    ],
)
def test_levels_that_make_no_sense_are_refused(changed, sentence):
    with pytest.raises(UsageError, match=sentence):
        level(**changed)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Item("aple", 0, 0), "kind of item 'aple'; did you mean 'apple'"),
        (lambda: Item("apple", math.nan, 0), "x of a apple must be a number"),
        (lambda: Item("apple", 0, 0, math.inf), "value of a apple must be a number"),
        (lambda: Decor("brick"), "pattern of walls 'brick'; did you mean 'bricks'"),
        (lambda: Decor(wall=(1, 2)), "colour of three numbers"),
        (lambda: Decor(wall=(1, 2, 256)), "wall of Decor must be a whole number from 0 to 255"),
        (lambda: level_from_name("track-7"), "level of Labyrinth 'track-7'; did you mean 'track-"),
        (lambda: level_from_name("none.json"), "'none.json' cannot be read: No such file"),
        (lambda: level_from_json([]), "must be an object"),
        (lambda: level_from_json({"name": "a"}), "'outline' is missing"),
        (lambda: level_from_json({"nam": "a"}), "part of a level 'nam'; did you mean 'name'"),
        (
            lambda: level_from_json(level().to_json() | {"items": [{"kind": "apple", "z": 1}]}),
            "items or the decor of level 'mine'",
        ),
    ],
)
def test_parts_that_make_no_sense_are_refused(make, sentence):
    with pytest.raises(UsageError, match=sentence):
        make()


def test_a_file_that_is_no_json(tmp_path):
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UsageError, match=r"bad\.json' is no JSON"):
        level_from_name(str(tmp_path / "bad.json"))


def test_a_plan_shows_floor_walls_items_and_the_player():
    plan = draw_plan(level(decor=Decor(wall=(200, 0, 0))), 20)
    assert plan.shape == (100, 100, 3)

    def at(x, y):
        return plan[round((4.5 - y) * 20), round((x + 0.5) * 20)].tolist()

    assert at(-0.3, 2) == [255, 255, 255]
    assert at(0, 2) == [200, 0, 0]
    assert at(2, 0) == [200, 0, 0]
    assert at(2, 2) == [round(0.4 * c + 0.6 * 255) for c in (96, 90, 80)]
    assert at(1.05, 1) == [30, 60, 200]
    red, green, _ = at(3, 2.9)
    assert red > 150 > 80 > green
    with pytest.raises(UsageError, match="pixels_per_metre"):
        draw_plan(level(), 0)
