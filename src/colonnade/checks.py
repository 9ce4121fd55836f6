"""Numbers that a user gives: whole, finite and in range, or refused in one sentence.

For an argument::

    self._samples = whole("samples of EWC", samples)           # an int of 1 or more
    self._lam = real("lam of EWC", lam, AT_LEAST_0)            # a finite float of 0 or more

and for the fields of a dataclass, at the head of its `__post_init__`::

    check_fields(self, {"steps": AT_LEAST_1, "gamma": SHARE, "clip_norm": ABOVE_0})

`True` is no number, 2.5 and 2.0 are not whole, and NaN and infinity are in no range.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from types import NoneType
from typing import Any, NamedTuple, get_args

from colonnade.errors import UsageError
from colonnade.records import field_kinds, fitting, shown


class Range(NamedTuple):
    """The finite numbers from `low` to `high`.

    Attributes:
        low: The smallest.
        high: The largest.
        above: Whether `low` itself is left out.
        below: Whether `high` itself is left out.
    """

    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    below: bool = False

    def holds(self, value: float) -> bool:
        """Whether a number is in the range."""
        inside = self.low < value if self.above else self.low <= value
        return inside and (value < self.high if self.below else value <= self.high)

    @property
    def words(self) -> str:
        """The range in words, as in "from 0 to below 1"; empty where every number is in it."""
        if self.low == -math.inf and self.high == math.inf:
            return ""
        if self.high == math.inf:
            return f"{'above' if self.above else 'at least'} {self.low}"
        if self.low == -math.inf:
            return f"{'below' if self.below else 'at most'} {self.high}"
        return f"from {'above ' * self.above}{self.low} to {'below ' * self.below}{self.high}"


ANY = Range()
AT_LEAST_0 = Range(0)
AT_LEAST_1 = Range(1)
ABOVE_0 = Range(0, above=True)
SHARE = Range(0, 1)
BELOW_1 = Range(0, 1, below=True)


def whole(name: str, value: Any, within: Range = AT_LEAST_1) -> int:
    """Return a whole number as an `int`.

    Args:
        name: What it is, as the sentence begins: "samples of EWC".
        value: What came: an `int`, or one of NumPy's.
        within: Where it must lie.

    Raises:
        UsageError: It is no whole number, or out of range.
    """
    if _is_number(value, numbers.Integral) and within.holds(value):
        return int(value)
    raise _refusal(name, "a whole number", value, within)


def real(name: str, value: Any, within: Range = ANY) -> float:
    """Return a finite number as it came; one of NumPy's as Python's.

    Args:
        name: What it is, as the sentence begins: "lam of EWC".
        value: What came: an `int`, a `float`, or one of NumPy's.
        within: Where it must lie.

    Raises:
        UsageError: It is no number, NaN, infinite or out of range.
    """
    if _is_number(value, numbers.Real) and _is_finite(value) and within.holds(value):
        return value if type(value) in (int, float) else float(value)
    raise _refusal(name, "a number", value, within)


def text(name: str, value: object) -> str:
    """Return a text.

    Raises:
        UsageError: It is none.
    """
    if isinstance(value, str):
        return value
    raise UsageError(f"{name} must be a text; got {shown(value)}.")


def having(name: str, value: Any, kind: str, *needed: str) -> Any:
    """Return what has all that is asked of its kind, such as a task of one's own.

    Args:
        name: What it is, as the sentence begins: "learner of train_sequence".
        value: What came; a class in place of its instance is told.
        kind: What belongs there, in words.
        needed: Names of what it must have; looked for in its class, which runs none of its code.

    Raises:
        UsageError: It lacks something.
    """
    if isinstance(value, type):
        raise UsageError(
            f"{name} must be {kind}, but the class {value.__name__} itself came; make one with "
            f"{value.__name__}()."
        )
    own = getattr(value, "__dict__", {})
    for each in needed:
        if not hasattr(type(value), each) and each not in own:
            raise UsageError(f"{name} must be {kind}; got {shown(value)}, which has no {each!r}.")
    return value


def flag(name: str, value: object) -> bool:
    """Return a truth value.

    Raises:
        UsageError: It is neither True nor False.
    """
    if isinstance(value, bool):
        return value
    raise UsageError(f"{name} must be True or False; got {shown(value)}.")


def check_fields(owner: Any, ranges: Mapping[str, tuple[Any, ...]]) -> None:
    """Refuse a dataclass whose fields make no sense; NumPy's numbers become Python's.

    Every field is of the kind that its annotation says; see `records`. Numbers that have a range
    are whole where the annotation says `int`, and may be None where it says so.

    Args:
        owner: The dataclass, which may be frozen.
        ranges: By the field's name a `Range`, or what makes one, as in (0, 1).

    Raises:
        UsageError: A field is of another kind, or out of its range.
    """
    where = type(owner).__name__
    for field, kind in field_kinds(type(owner)).items():
        parts = get_args(kind) or (kind,)
        value, name = getattr(owner, field), f"{field} of {where}"
        if value is None and NoneType in parts:
            continue
        if kind is bool:
            right: object = flag(name, value)
        elif field not in ranges:
            right = fitting(kind, value, field, where)
        elif int in parts and float not in parts:
            right = whole(name, value, Range(*ranges[field]))
        else:
            right = real(name, value, Range(*ranges[field]))
        if right is not value:
            object.__setattr__(owner, field, right)


def _is_number(value: Any, kind: type) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond the floating-point ones
        return False


def _refusal(name: str, kind: str, value: object, within: Range) -> UsageError:
    span = f" {within.words}" if within.words else ""
    return UsageError(f"{name} must be {kind}{span}; got {shown(value)}.")
