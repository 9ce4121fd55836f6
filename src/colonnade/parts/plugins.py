"""Plugins: modules and files with parts, imported when somebody names them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from colonnade.errors import UsageError
from colonnade.parts.part import Part, two_of
from colonnade.records import shown
from colonnade.trust import import_named

_loaded: dict[str, tuple[Part, ...]] = {}
"""The parts of the plugins of this process, by what `load_plugin` was given."""

_states: dict[str, str] = {}
"""How the digests of the plugins' files begin, by the origin of their parts."""

_DIGITS = 12


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
        for other in (*parts, *plugin_parts()):
            if (other.kind, other.name) == (part.kind, part.name):
                raise two_of(part, other.origin)
        parts.append(part)
    _loaded[named] = tuple(parts)
    with suppress(OSError):  # inside an archive there is no file
        content = Path(module.__file__ or "").read_bytes()
        _states[_short(named)] = sha256(content).hexdigest()[:_DIGITS]
    return _loaded[named]


def plugin_parts() -> Iterator[Part]:
    """List the parts of the plugins of this process."""
    for parts in _loaded.values():
        yield from parts


def loaded_plugins() -> tuple[str, ...]:
    """Name the plugins of this process, as another one can load them."""
    return tuple(_loaded)


def is_plugins(module: str) -> bool:
    """Whether a module is that of a plugin of this process, so that somebody has named it."""
    return module in {Path(n).stem if n.endswith(".py") else n for n in _loaded}


def is_loaded(origin: str) -> bool:
    """Whether parts of an origin, as `Said.origin` has it, come from a plugin of this process."""
    return origin in map(_short, _loaded)


def plugin_state(origin: str) -> str | None:
    """Say how the digest of a plugin's file began when it was imported, by its parts' origin."""
    return _states.get(origin)


def _short(named: str) -> str:
    return f"plugin {Path(named).name if named.endswith('.py') else named}"


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
    if (folder := str(path.resolve().parent)) not in sys.path:
        sys.path.append(folder)  # its neighbours, as of a file that Python runs
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
