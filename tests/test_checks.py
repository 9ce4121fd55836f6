"""Numbers that make no sense are refused at construction, each in one sentence."""

import dataclasses
import math
from fractions import Fraction

import numpy as np
import pytest

from colonnade.checks import (
    ABOVE_0,
    ANY,
    AT_LEAST_0,
    BELOW_1,
    SHARE,
    Range,
    check_fields,
    real,
    whole,
)
from colonnade.errors import UsageError


@dataclasses.dataclass(frozen=True)
class Config:
    count: int = 1
    share: float = 0.5
    width: int | None = None
    on: bool = True

    def __post_init__(self):
        check_fields(self, {"count": (1, 8), "share": (0, 1), "width": (1, math.inf)})


@pytest.mark.parametrize("value", [1, 3, np.int64(3), np.uint8(255), 10**30])
def test_whole_numbers_pass_as_they_are(value):
    assert whole("n", value) == value
    assert type(whole("n", value)) is int


@pytest.mark.parametrize(
    "value", [True, 2.0, 2.5, 0, -1, "3", None, math.nan, math.inf, np.float32(1), [1], 1j]
)
def test_what_is_no_count_is_refused(value):
    with pytest.raises(UsageError, match=r"^n must be a whole number at least 1; got .*\.$"):
        whole("n", value)


@pytest.mark.parametrize("value", [0, 1, 0.25, np.float32(0.25), np.float64(0.25), Fraction(1, 4)])
def test_numbers_pass_and_keep_their_kind(value):
    assert real("p", value, SHARE) == value
    expected = type(value) if type(value) in (int, float) else float
    assert type(real("p", value, SHARE)) is expected


@pytest.mark.parametrize(
    ("value", "within", "words"),
    [
        (math.nan, ANY, "a number; got nan"),
        (-math.inf, ANY, "a number; got -inf"),
        (10**400, ANY, "a number; got 1000"),
        (True, ANY, "a number; got True"),
        ("1e-3", ANY, "a number; got '1e-3'"),
        (None, AT_LEAST_0, "a number at least 0; got None"),
        (-1e-9, AT_LEAST_0, "a number at least 0; got -1e-09"),
        (0.0, ABOVE_0, "a number above 0; got 0.0"),
        (1, BELOW_1, "a number from 0 to below 1; got 1"),
        (1.5, SHARE, "a number from 0 to 1; got 1.5"),
        (5, Range(high=4), "a number at most 4; got 5"),
        (4, Range(high=4, below=True), "a number below 4; got 4"),
        (2, Range(2, 3, above=True), "a number from above 2 to 3; got 2"),
    ],
)
def test_each_mistake_has_its_sentence(value, within, words):
    with pytest.raises(UsageError) as raised:
        real("p", value, within)
    assert str(raised.value).startswith(f"p must be {words}")


@pytest.mark.parametrize(
    "value",
    ["x" * 10**6, "a\nb", 10**5000, np.zeros(10**4)],
    ids=["text", "lines", "digits", "array"],
)
def test_the_sentence_is_short_whatever_came(value):
    with pytest.raises(UsageError) as raised:
        real("p", value, SHARE)
    assert len(str(raised.value)) < 150
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"count": 0}, "count of Config must be a whole number from 1 to 8; got 0."),
        ({"count": 2.5}, "count of Config must be a whole number from 1 to 8; got 2.5."),
        ({"count": None}, "count of Config must be a whole number from 1 to 8; got None."),
        ({"share": 2}, "share of Config must be a number from 0 to 1; got 2."),
        ({"width": True}, "width of Config must be a whole number at least 1; got True."),
        ({"on": 1}, "on of Config must be True or False; got 1."),
    ],
)
def test_fields_are_held_to_their_kind_and_range(change, sentence):
    with pytest.raises(UsageError) as raised:
        Config(**change)
    assert str(raised.value) == sentence


def test_fields_that_make_sense_become_python_numbers():
    config = Config(count=np.int32(2), share=np.float32(0.25), width=None)
    assert [type(value) for value in vars(config).values()] == [int, float, type(None), bool]
    assert config == Config(2, 0.25)
