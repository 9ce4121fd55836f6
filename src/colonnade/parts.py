"""Parts by name that are not ours: tasks, methods, learners, columns, recorders, suites and others.

What a name in a spec or on the command line stands for is looked for among ours, then among these,
from two places. A package that is installed names parts as entry points::

    [project.entry-points."colonnade.methods"]
    nudge = "my_package.methods:Nudge"

and a module, or a file at hand, that `--plugin` names lists them as `PARTS`::

    PARTS = [Part("methods", "nudge", Nudge, title="Nudged columns", colour="#117733")]

An entry point may lead to a `Part` too, where its title or colour is to be said. Only what is asked
for is imported: entry points when their name is, plugins when `load_plugin` is called. A folder
holds in words what its pages say of a part (`Part.said`), so that to read one takes no import.
docs/plugins.md shows what each kind of part is.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, is_dataclass, replace
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, TypeVar, get_args

from colonnade.errors import UsageError, unknown_name
from colonnade.records import read, shown
from colonnade.trust import import_named

_T = TypeVar("_T")

Kind = Literal["tasks", "methods", "learners", "columns", "recognisers", "suites", "recorders"]

WORDS: dict[Kind, str] = {
    "tasks": "task",
    "methods": "method",
    "learners": "learner",
    "columns": "column preset",
    "recognisers": "kind of labels",
    "suites": "suite",
    "recorders": "recorder",
}
"""What messages call a part of each kind."""

_NAME = re.compile(r"[A-Za-z0-9][\w.+-]*")
_COLOUR = re.compile(r"#[0-9a-fA-F]{6}")


@dataclass(frozen=True)
class Said:
    """What a page says of a part.

    Attributes:
        kind: As in `Part`.
        name: As in `Part`.
        title: What people call it; empty where that is its name.
        colour: In pictures, as "#117733"; empty where any will do.
        after: Which it stands behind in tables; empty where that is all of ours.
        origin: The plugin or package that it comes from.
    """

    kind: Kind
    name: str
    title: str = ""
    colour: str = ""
    after: str = ""
    origin: str = ""

    def __post_init__(self) -> None:
        if self.colour and not _COLOUR.fullmatch(self.colour):
            raise UsageError(
                f"The colour of {self.words} must be as '#117733', but {shown(self.colour)} came."
            )

    @property
    def words(self) -> str:
        """The part in messages, as in "method 'nudge'"."""
        return f"{WORDS[self.kind]} {self.name!r}"


@dataclass(frozen=True)
class Part:
    """A part under a name.

    Attributes:
        kind: "tasks", "methods", "learners", "columns", "recognisers", "suites" or "recorders".
        name: Of a task its family, which begins its names: "grid" of "grid/small".
        make: The part itself: a class, a function, a `Suite`; docs/plugins.md says what of each
            kind.
        title: What people call it; its name if not given.
        colour: Of a method in pictures, as "#117733".
        after: Of a method the name of the one that it stands behind in tables.
        origin: Where it comes from, as messages say it; filled in when it is loaded.

    Raises:
        UsageError: The kind is unknown, a text is none, or name or colour are not of their form.
    """

    kind: Kind
    name: str
    make: Any = field(repr=False)
    title: str = ""
    colour: str = ""
    after: str = ""
    origin: str = ""

    def __post_init__(self) -> None:
        if self.kind not in WORDS:
            raise unknown_name("kind of part", str(self.kind), get_args(Kind))
        for name in ("title", "colour", "after"):
            if not isinstance(getattr(self, name), str):
                raise UsageError(
                    f"{name} of part {shown(self.name)} must be a text; got "
                    f"{shown(getattr(self, name))}."
                )
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise UsageError(
                "The name of a part must be letters, digits and any of '-_.+', as in 'nudge', but "
                f"{shown(self.name)} came."
            )
        _ = self.said  # which checks the colour

    @property
    def words(self) -> str:
        """The part in messages, as in "method 'nudge'"."""
        return self.said.words

    @property
    def said(self) -> Said:
        """What a page says of it."""
        return Said(self.kind, self.name, self.title, self.colour, self.after, self.origin)


_loaded: dict[str, tuple[Part, ...]] = {}
"""The parts of the plugins of this process, by what `load_plugin` was given."""


def load_plugin(named: str) -> tuple[Part, ...]:
    """Import a plugin, once, and return its parts; from now on their names are known.

    Args:
        named: A module, as "my_package.parts", looked for where Python does and then in the current
            folder; or a file, as "my_suite.py".

    Raises:
        UsageError: It cannot be imported, lists no `PARTS`, or a name is taken.
    """
    if named.endswith(".py"):
        named = str(Path(named).resolve())
    if named in _loaded:
        return _loaded[named]
    what = f"Plugin {named!r}"
    try:
        module = _file(Path(named)) if named.endswith(".py") else import_named(named)
    except UsageError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        raise UsageError(f"{what} cannot be imported ({type(error).__name__}: {said}).") from error
    listed = getattr(module, "PARTS", None)
    if not isinstance(listed, list | tuple):
        raise UsageError(
            f"{what} has no PARTS; list its parts there, as in PARTS = "
            '[Part("methods", "nudge", Nudge)].'
        )
    parts = list[Part]()
    for part in listed:
        if not isinstance(part, Part):
            raise UsageError(f"PARTS of {what[0].lower()}{what[1:]} holds {shown(part)}, no Part.")
        part = replace(part, origin=_short(named))
        for other in (*parts, *(other for known in _loaded.values() for other in known)):
            if (other.kind, other.name) == (part.kind, part.name):
                raise _two(part, other.origin)
        parts.append(part)
    _loaded[named] = tuple(parts)
    return _loaded[named]


def loaded_plugins() -> tuple[str, ...]:
    """Name the plugins of this process, as another one can load them."""
    return tuple(_loaded)


def is_plugins(module: str) -> bool:
    """Whether a module is that of a plugin of this process, so that somebody has named it."""
    return module in {Path(n).stem if n.endswith(".py") else n for n in _loaded}


def is_loaded(origin: str) -> bool:
    """Whether parts of an origin, as `Said.origin` has it, come from a plugin of this process."""
    return origin in map(_short, _loaded)


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
        raise _two(own, "Colonnade")
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
    for part in (part for parts in _loaded.values() for part in parts):
        if part.kind == "columns" and part.name not in _presets:
            with suppress(Exception):  # what cannot be made is refused where it is asked for
                _presets[part.name] = part.make() if callable(part.make) else part.make
    return list(_presets.values())


def own_names(kind: Kind) -> list[str]:
    """Names of all parts of a kind that are not ours; imports nothing."""
    loaded = [part.name for parts in _loaded.values() for part in parts if part.kind == kind]
    return list(dict.fromkeys([*loaded, *(point.name for point in _points(kind))]))


def own_part(kind: Kind, name: str) -> Part | None:
    """Find a part of a plugin that is loaded, or of a package that is installed.

    Raises:
        UsageError: There are two, or the package's cannot be imported.
    """
    found = [part for parts in _loaded.values() for part in parts]
    found = [part for part in found if (part.kind, part.name) == (kind, name)]
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
    return f"package {point.dist.name}" if point.dist else "an installed package"


def _short(named: str) -> str:
    return f"plugin {Path(named).name if named.endswith('.py') else named}"


def _two(part: Part, other: str) -> UsageError:
    return UsageError(f"{part.origin} has a {part.words}, but so has {other}; rename it.")


def _is(path: Path, file: str | None) -> bool:
    return file is not None and Path(file).resolve() == path


def _file(path: Path) -> ModuleType:
    """Import a file under its own name, which nothing else may have."""
    if not path.is_file():
        raise UsageError(f"There is no file {path} to take parts from.")
    name = path.stem
    known = sys.modules.get(name)
    if known is None and name.isidentifier():
        spec = importlib.util.find_spec(name)
        taken = spec is not None and not _is(path, spec.origin)
    else:
        taken = known is not None and not _is(path, getattr(known, "__file__", None))
    if taken:
        raise UsageError(
            f"{path} cannot be imported, since another module is called {name!r}; rename the file."
        )
    if known is not None:
        return known
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
