"""What a name in a spec or on the command line stands for."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import is_dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points, version
from typing import Any, TypeVar

from colonnade.errors import UsageError, unknown_name
from colonnade.parts.part import WORDS, Kind, Part, Said, two_of
from colonnade.parts.plugins import plugin_parts, plugin_state
from colonnade.records import read, shown

_T = TypeVar("_T")

_PACKAGE = "package "


def find(kind: Kind, name: str, ours: Mapping[str, _T], words: str = "") -> _T:
    """Return the part of a name: ours, or else a user's own.

    Args:
        kind: Of parts.
        name: As in specs and on the command line.
        ours: Those that come with Colonnade.
        words: What messages call such a part.

    Raises:
        UsageError: There is none, there are two, or a package's cannot be imported.
    """
    own = own_part(kind, name)
    if own is None:
        if name not in ours:
            raise unknown_name(words or WORDS[kind], name, [*ours, *own_names(kind)])
        return ours[name]
    if name in ours:
        raise two_of(own, "Colonnade")
    found: _T = own.make
    return found


def find_config(
    kind: Kind,
    name: str,
    ours: Mapping[str, type[Any]],
    options: Mapping[str, Any],
    members: Iterable[str],
) -> Any:
    """Make the configuration of a name, a dataclass, with some of its fields changed.

    Args:
        kind: Of parts.
        name: As in specs.
        ours: Those that come with Colonnade.
        options: The fields, as JSON data.
        members: What it must have.

    Raises:
        UsageError: There is none, an option does not fit, or it is no such configuration.
    """
    cls = find(kind, name, ours)
    if not (isinstance(cls, type) and is_dataclass(cls)):
        raise UsageError(
            f"{WORDS[kind].capitalize()} {name!r} must be a dataclass, whose fields are its "
            f"options, but is {shown(cls)}."
        )
    made = read(cls, dict(options))
    for member in members:
        if not callable(getattr(made, member, None)):
            raise UsageError(
                f"{WORDS[kind].capitalize()} {name!r} ({cls.__name__}) has no method {member!r}; "
                "docs/plugins.md says what it must have."
            )
    return made


def parameters(words: str, make: object) -> Mapping[str, inspect.Parameter]:
    """Return what a part's class or function takes, by name.

    Args:
        words: The part in messages.
        make: The class or function.

    Raises:
        UsageError: It is neither, or one of Python's own, which does not say what it takes.
    """
    try:
        return inspect.signature(make).parameters  # type: ignore[arg-type]
    except (TypeError, ValueError):
        raise UsageError(f"{words} must be a class or a function, but is {shown(make)}.") from None


def find_preset(name: str, ours: Mapping[str, Callable[[], _T]], cls: type[_T], words: str) -> _T:
    """Return what networks of a name look like.

    Args:
        name: Of a preset, or of a part of the kind "columns": a spec, or a function that makes one.
        ours: Those that come with Colonnade.
        cls: What it must be.
        words: What messages call it.

    Raises:
        UsageError: There is none, or it is something else.
    """
    make: Any = find("columns", name, ours, words)
    made = make() if callable(make) else make
    if not isinstance(made, cls):
        raise UsageError(
            f"{words.capitalize()} {name!r} must be a {cls.__name__}, but is {shown(made)}."
        )
    if name not in ours:
        _presets[name] = made
    return made


_presets: dict[str, Any] = {}
"""What networks of users' own names look like, as far as this process was asked for them."""


def own_presets() -> list[Any]:
    """Return what networks look like by plugins that are loaded, and by packages' names in use."""
    for part in plugin_parts():
        if part.kind == "columns" and part.name not in _presets:
            with suppress(Exception):  # what cannot be made is refused where it is asked for
                _presets[part.name] = part.make() if callable(part.make) else part.make
    return list(_presets.values())


def own_names(kind: Kind) -> list[str]:
    """Names of all parts of a kind that are not ours; imports nothing."""
    loaded = [part.name for part in plugin_parts() if part.kind == kind]
    return list(dict.fromkeys([*loaded, *(point.name for point in _points(kind))]))


def own_part(kind: Kind, name: str) -> Part | None:
    """Find a part of a plugin that is loaded, or of a package that is installed.

    Raises:
        UsageError: There are two, or the package's cannot be imported.
    """
    found = [part for part in plugin_parts() if (part.kind, part.name) == (kind, name)]
    points = [point for point in _points(kind) if point.name == name]
    if len(found) + len(points) > 1:
        origins = [part.origin for part in found] + [_origin(point) for point in points]
        raise UsageError(
            f"{' and '.join(origins)} both have a {WORDS[kind]} {name!r}; rename one, or leave "
            "one of them out."
        )
    return found[0] if found else _imported(kind, points[0]) if points else None


def said_of(names: Iterable[tuple[Kind, str]]) -> tuple[Said, ...]:
    """Say what pages need of those among some names that are no parts of ours."""
    found = (own_part(kind, name) for kind, name in dict.fromkeys(names))
    return tuple(part.said for part in found if part is not None)


def is_own(origin: str) -> bool:
    """Whether a name among a result's versions is that of a user's own parts."""
    return origin.startswith((_PACKAGE, "plugin "))


def states_of(names: Iterable[tuple[Kind, str]]) -> dict[str, str]:
    """Say in which state those among some names are that are no parts of ours, by their origin.

    Of a package it is the version, of a plugin how its file's digest begins.
    """
    states = dict[str, str]()
    for said in said_of(names):
        state = plugin_state(said.origin)
        if state is None and said.origin.startswith(_PACKAGE):
            state = version(said.origin.removeprefix(_PACKAGE))
        if state is not None:
            states[said.origin] = state
    return states


@cache
def _points(kind: Kind) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=f"colonnade.{kind}"))


@cache
def _imported(kind: Kind, point: EntryPoint) -> Part:
    try:
        made = point.load()
    except Exception as error:
        said = " ".join(str(error).split())
        raise UsageError(
            f"{WORDS[kind].capitalize()} {point.name!r} of {_origin(point)} cannot be imported "
            f"from {point.value!r} ({type(error).__name__}: {said})."
        ) from error
    if not isinstance(made, Part):
        return Part(kind, point.name, made, origin=_origin(point))
    if (made.kind, made.name) != (kind, point.name):
        raise UsageError(
            f"Entry point {point.name!r} of {_origin(point)} leads to {made.words}; name both "
            "alike."
        )
    return replace(made, origin=_origin(point))


def _origin(point: EntryPoint) -> str:
    return f"{_PACKAGE}{point.dist.name}" if point.dist else "an installed package"
