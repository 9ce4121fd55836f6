"""Records from data and back, and one clear sentence for whatever does not fit."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import pytest

from colonnade.errors import UsageError
from colonnade.records import LATER, as_data, read, write


@dataclass(frozen=True)
class Box:
    side: int


@dataclass(frozen=True)
class Ball:
    radius: float

    def __post_init__(self) -> None:
        if self.radius <= 0:
            raise UsageError("A ball has a radius above 0.")


@dataclass(frozen=True)
class Shelf:
    name: str
    things: tuple[Box | Ball, ...]
    colour: Literal["red", "blue"] = "red"
    width: float | None = None
    open: bool = False
    sizes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    label: str | int = ""
    best: Box | None = None
    note: str = field(default="", metadata=LATER)
    backwards: str = field(default="ab", metadata=as_data(lambda t: t[::-1], lambda t: t[::-1]))


FULL = Shelf(
    "a", (Box(3), Ball(0.5)), "blue", 2, True, {"x": (1, 2)}, 7, Box(1), "tall", "abc"
)  # fmt: skip
DATA: dict[str, Any] = {
    "name": "a", "things": [{"kind": "box", "side": 3}, {"kind": "ball", "radius": 0.5}],
    "colour": "blue", "width": 2, "open": True, "sizes": {"x": [1, 2]}, "label": 7,
    "best": {"side": 1}, "note": "tall", "backwards": "cba",
}  # fmt: skip


def test_a_record_is_written_and_read_back() -> None:
    assert write(FULL) == DATA
    assert read(Shelf, json.loads(json.dumps(DATA))) == FULL
    least = Shelf("b", ())
    assert read(Shelf, {"name": "b", "things": []}) == least
    assert "note" not in write(least), "what came later is left out at its default"
    assert read(Shelf, write(least)) == least


def test_numpys_numbers_become_pythons() -> None:
    made = read(Shelf, DATA | {"width": np.float32(0.5), "sizes": {"x": (np.int64(3),)}})
    assert (type(made.width), type(made.sizes["x"][0])) == (float, int)


MISTAKES: dict[str, tuple[object, str]] = {
    "no object": ([], "here must be a JSON object; got []."),
    "unknown": (DATA | {"nam": 1}, "Unknown field of here: 'nam'; did you mean 'name'?"),
    "missing": ({}, "here lacks 'name', 'things'; add it."),
    "text": (DATA | {"name": 3}, "name of here must be a text; got 3."),
    "list": (DATA | {"things": "box"}, "things of here must be a list; got 'box'."),
    "number": (DATA | {"width": "2"}, "width of here must be a number; got '2'."),
    "no number": (DATA | {"width": True}, "width of here must be a number; got True."),
    "flag": (DATA | {"open": 1}, "open of here must be true or false; got 1."),
    "choice": (DATA | {"colour": "blu"}, "value for colour of here: 'blu'; did you mean 'blue'?"),
    "either": (DATA | {"label": None}, "label of here must be a text or a whole number; got None."),
    "inner list": (DATA | {"sizes": {"x": [1.5]}}, "sizes.x[0] of here must be a whole number;"),
    "mapping": (DATA | {"sizes": [1]}, "sizes of here must be an object; got [1]."),
    "no kind": (DATA | {"things": [{"side": 1}]}, 'things[0] of here must be an object with a "ki'),
    "a kind": (
        DATA | {"things": [{"kind": "bal"}]},
        "Unknown kind of things[0] of here: 'bal'; did you mean 'ball'?",
    ),
    "inner field": (
        DATA | {"things": [{"kind": "box", "sid": 1}]},
        "Unknown field of things[0] of here: 'sid'; did you mean 'side'?",
    ),
    "inner sense": (
        DATA | {"things": [{"kind": "ball", "radius": -1}]},
        "things[0] of here: A ball has a radius above 0.",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_what_does_not_fit_gets_one_sentence(mistake: str) -> None:
    data, sentence = MISTAKES[mistake]
    with pytest.raises(UsageError) as raised:
        read(Shelf, data, "here")
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)


def test_without_a_name_messages_take_the_classs() -> None:
    with pytest.raises(UsageError, match=r"^radius of Ball must be a number; got 'x'\.$"):
        read(Ball, {"radius": "x"})
    with pytest.raises(UsageError, match=r"^A ball has"):
        read(Ball, {"radius": 0})


@dataclass(frozen=True)
class Inner:
    depth: int = 1
    width: int = 2


@dataclass(frozen=True)
class Placed:
    at: tuple[float, float] = (0.0, 0.0)
    plain: Inner | dict[str, Any] | None = None


def test_tuples_of_a_fixed_length_are_lists_of_that_length():
    assert read(Placed, {"at": [1, 2.5]}) == Placed((1, 2.5))
    with pytest.raises(UsageError, match=r"at of Placed must be a list of 2; got \[1\]"):
        read(Placed, {"at": [1]})
    with pytest.raises(UsageError, match=r"at\[1\] of Placed must be a number; got 'x'"):
        read(Placed, {"at": [1, "x"]})


def test_a_dict_stays_one_where_a_dict_belongs_too():
    assert read(Placed, {"plain": {"depth": 3}}).plain == {"depth": 3}
    assert Placed(plain=Inner(3)).plain == Inner(3)
