"""Frozen dataclasses from JSON data and back, by the annotations of their fields.

Whatever reads settings from a file or from options that a user wrote::

    config = read(A2C, {"gamma": 0.9})
    spec = read(RunSpec, json.loads(text), "spec.json")
    assert read(RunSpec, write(spec)) == spec

A field may be a bool, int, float or str, a `Literal`, a `tuple[X, ...]` or a `tuple[X, Y]` (a list
in JSON), a mapping
from texts, another dataclass, or one of several such kinds. Of several dataclasses the data's
"kind" says which: the class's name in small letters. A class with `to_data` and `from_data` has a
JSON form of its own. What does not fit is refused in one sentence:
where, which field, what belongs there, what came.
"""

from __future__ import annotations

import dataclasses
import numbers
import types
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from colonnade.errors import UsageError, unknown_name

_T = TypeVar("_T")

LATER = {"left out at its default": True}
"""Metadata of a field that records had not from the start: JSON, and ids made of it, are the same
as before where the field is not used."""

_WORDS: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple: "a list",
    list: "a list",
    dict: "an object",
    Mapping: "an object",
}

_NUMBERS: dict[Any, Any] = {int: numbers.Integral, float: numbers.Real}


def as_data(reading: Callable[[Any], Any], writing: Callable[[Any], Any]) -> dict[str, Any]:
    """Make the metadata of a field whose JSON form is its own.

    Args:
        reading: Makes the field's value of its data; it may raise `UsageError`.
        writing: Makes data of the value.
    """
    return {"reading": reading, "writing": writing}


def read(cls: type[_T], data: object, where: str = "") -> _T:
    """Make a record of JSON data.

    Args:
        cls: A dataclass.
        data: As `write` gives it.
        where: How messages name its origin, e.g. a file's name; the class's name if not given.

    Raises:
        UsageError: A field is unknown or missing, or its value is of another kind.
    """
    made: _T = _record(cls, data, "", where or cls.__name__)
    return made


def write(record: Any) -> dict[str, Any]:
    """Return a record as JSON data that `read` reads back."""
    data, kinds = {}, field_kinds(type(record))
    for field in dataclasses.fields(record):
        value = getattr(record, field.name)
        if LATER.keys() <= field.metadata.keys() and value == _default(field):
            continue
        writing = field.metadata.get("writing")
        data[field.name] = writing(value) if writing else _data(kinds[field.name], value)
    return data


def field_kinds(cls: Any) -> Mapping[str, Any]:
    """Return what the fields' annotations come to, by the fields' names."""
    if cls not in _kinds:
        _kinds[cls] = get_type_hints(cls)
    return _kinds[cls]


_kinds: dict[Any, Mapping[str, Any]] = {}


def fitting(kind: Any, value: Any, path: str, where: str) -> Any:
    """Return a value as an annotation says: lists as tuples, objects as records.

    Args:
        kind: The annotation; anything is let through where it is none of those above.
        value: JSON data, or what stands for it in Python.
        path: The field's name, e.g. "tasks[0].steps".
        where: In what.

    Raises:
        UsageError: It is of another kind.
    """
    if hasattr(kind, "from_data"):
        return value if isinstance(value, kind) else kind.from_data(value)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        return value if isinstance(value, kind) else _record(kind, value, path, where)
    origin, inner = get_origin(kind) or kind, get_args(kind)
    if origin in (Union, types.UnionType):
        return _one_of(inner, value, path, where)
    if origin is Literal:
        if value not in inner:
            raise unknown_name(f"value for {_named(path, where)}:", str(value), map(str, inner))
        return value
    if origin is tuple and inner[1:] == (...,):
        if isinstance(value, tuple | list):
            named = enumerate(value)
            return tuple(fitting(inner[0], v, f"{path}[{n}]", where) for n, v in named)
    elif origin is tuple and inner:
        if isinstance(value, tuple | list) and len(value) == len(inner):
            parts = enumerate(zip(inner, value, strict=True))
            return tuple(fitting(kind, v, f"{path}[{n}]", where) for n, (kind, v) in parts)
        raise UsageError(
            f"{_named(path, where)} must be a list of {len(inner)}; got {shown(value)}."
        )
    elif origin in (dict, Mapping):
        if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
            return {key: fitting(inner[1], v, f"{path}.{key}", where) for key, v in value.items()}
    elif origin in _NUMBERS:
        if isinstance(value, _NUMBERS[origin]) and not isinstance(value, bool):
            return value if type(value) in _NUMBERS else origin(value)  # NumPy's as Python's
    elif origin not in _WORDS or isinstance(value, origin):
        return value
    raise UsageError(f"{_named(path, where)} must be {_WORDS[origin]}; got {shown(value)}.")


def _one_of(kinds: tuple[Any, ...], value: Any, path: str, where: str) -> Any:
    """Return a value as one of several annotations says."""
    if value is None and types.NoneType in kinds:
        return None
    kinds = tuple(kind for kind in kinds if kind is not types.NoneType)
    if len(kinds) == 1:
        return fitting(kinds[0], value, path, where)
    if _told_apart(kinds):
        if isinstance(value, kinds):
            return value
        by_name = {kind.__name__.lower(): kind for kind in kinds}
        if not isinstance(value, Mapping) or not isinstance(value.get("kind"), str):
            raise UsageError(
                f'{_named(path, where)} must be an object with a "kind" ({", ".join(by_name)}); '
                f"got {shown(value)}."
            )
        rest = dict(value)
        if (name := rest.pop("kind")) not in by_name:
            raise unknown_name(f"kind of {_named(path, where)}:", name, by_name)
        return _record(by_name[name], rest, path, where)
    # A kind that the value is of already comes before those that it could be made into.
    for kind in sorted(kinds, key=lambda kind: not _is_of(value, kind)):
        try:
            return fitting(kind, value, path, where)
        except UsageError:
            continue
    words = dict.fromkeys(_WORDS.get(get_origin(kind) or kind, "an object") for kind in kinds)
    raise UsageError(f"{_named(path, where)} must be {' or '.join(words)}; got {shown(value)}.")


def _is_of(value: object, kind: Any) -> bool:
    origin = get_origin(kind) or kind
    return isinstance(origin, type) and isinstance(value, origin)


def _told_apart(kinds: tuple[Any, ...]) -> bool:
    """Whether JSON data say by a "kind" which of several classes they are of."""
    return len(kinds) > 1 and all(
        dataclasses.is_dataclass(kind) and not hasattr(kind, "from_data") for kind in kinds
    )


def _record(cls: Any, data: object, path: str, where: str) -> Any:
    name = _named(path, where)
    if not isinstance(data, Mapping):
        raise UsageError(f"{name} must be a JSON object; got {shown(data)}.")
    known = {field.name: field for field in dataclasses.fields(cls)}
    for key in data:
        if key not in known:
            raise unknown_name(f"field of {name}:", str(key), known)
    missing = [key for key in known if key not in data and _default(known[key]) is _NONE]
    if missing:
        raise UsageError(f"{name} lacks {', '.join(map(repr, missing))}; add it.")
    kinds, values = field_kinds(cls), {}
    for key, value in data.items():
        place = f"{path}.{key}" if path else str(key)
        if reading := known[key].metadata.get("reading"):
            values[key] = _within(_named(place, where), partial(reading, value))
        else:
            values[key] = fitting(kinds[key], value, place, where)
    # A class names itself in what it refuses.
    return cls(**values) if name == cls.__name__ else _within(name, partial(cls, **values))


def _within(name: str, make: Callable[[], Any]) -> Any:
    try:
        return make()
    except UsageError as error:
        raise type(error)(f"{name}: {error}") from error


def _data(kind: Any, value: Any) -> Any:
    inner = tuple(part for part in get_args(kind) if part is not types.NoneType)
    if hasattr(value, "to_data"):
        return value.to_data()
    if dataclasses.is_dataclass(value):
        several = get_origin(kind) in (Union, types.UnionType) and _told_apart(inner)
        return ({"kind": type(value).__name__.lower()} if several else {}) | write(value)
    if isinstance(value, tuple | list):
        return [_data(inner[0] if inner else None, each) for each in value]
    if isinstance(value, Mapping):
        return {key: _data(inner[-1] if inner else None, each) for key, each in value.items()}
    return value


_NONE = object()
"""Stands for no default."""


def _default(field: dataclasses.Field[Any]) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return _NONE if field.default is dataclasses.MISSING else field.default


def _named(path: str, where: str) -> str:
    return f"{path} of {where}" if path else where


def shown(value: object) -> str:
    """Show a value in a line of bearable length, whatever it is."""
    try:
        text = " ".join(repr(value).split())
    except Exception:  # a number of too many digits; an object that cannot show itself
        text = f"a {type(value).__name__} too long to show"
    return text if len(text) <= 80 else f"{text[:77]}..."
