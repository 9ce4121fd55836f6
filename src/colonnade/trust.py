"""Code that data name: whether it is imported, and from where.

A task called "gym/my_package:MyEnv-v0" and a `Custom` stage's factory "my_package.nets:make" name
code. Where they stand in what a user wrote just now they are followed; where they stand in a folder
that is only looked at, they are not, unless the user says so. docs/trust.md has the whole rule.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType

from colonnade.errors import UsageError

_withheld: ContextVar[str] = ContextVar("withheld", default="")


class UntrustedError(UsageError):
    """What would have been imported is named by somebody's folder, and nobody said to trust it."""


@contextmanager
def only_if_trusted(where: object, *, trust: bool) -> Iterator[None]:
    """Import within the block what data name only if they are trusted.

    Args:
        where: What names it, as messages call it.
        trust: Whether the user said to.
    """
    token = _withheld.set("" if trust else str(where))
    try:
        yield
    finally:
        _withheld.reset(token)


def check_trusted(what: str) -> None:
    """Refuse to run code that data name, unless it may be.

    Args:
        what: What would be run, as in "the module 'my_envs'".

    Raises:
        UntrustedError: It stands in what is only looked at.
    """
    if where := _withheld.get():
        raise UntrustedError(
            f"{where} names {what}, which would be run to go on; add --trust (in Python: "
            "trust=True) if you trust whoever made it."
        )


def import_named(module: str) -> ModuleType:
    """Import a module that a user named: from where Python looks, or else the current folder.

    The current folder comes last, and only once it is needed: nothing in it takes the place of an
    installed package.

    Raises:
        UntrustedError: It stands in what is only looked at.
        ImportError: There is none.
        Exception: Whatever the module raises.
    """
    check_trusted(f"the module {module!r}")
    here = str(Path.cwd())
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module.partition(".")[0] or here in sys.path:
            raise
    sys.path.append(here)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError:
        sys.path.remove(here)
        raise
