"""The command line read, and mistakes in it told in one sentence instead of tyro's boxes."""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from types import MappingProxyType
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import tyro
from tyro.conf import Positional

from colonnade.errors import UsageError, unknown_name

_INVALID = re.compile(r"invalid choice (.+?) for argument '(\S+)'. Expected one of \((.+?)\)")

_KINDS = {
    "INT": "a whole number",
    "FLOAT": "a number",
    "PATH": "a path",
    "STR": "a text",
    "True|False": "True or False",
}


_, _POSITIONAL = get_args(Positional[str])


def without_plugins(given: Sequence[str]) -> tuple[list[str], list[str]]:
    """Take what `--plugin` names out of the words of a command line.

    Raises:
        UsageError: It names nothing.
    """
    words, plugins = list[str](), list[str]()
    left = iter(given)
    for word in left:
        option, equals, value = word.partition("=")
        if option != "--plugin":
            words.append(word)
            continue
        named = value if equals else next(left, "")
        if not named or named.startswith("-"):
            raise UsageError("--plugin needs a module or a file behind it, as in my_suite.py.")
        plugins.append(named)
    return words, plugins


def parsed(command: Any, names: Sequence[str], description: str, given: Sequence[str]) -> Any:
    """Read a command line.

    Args:
        command: The type that tyro reads: one of the commands.
        names: Of the commands.
        description: Of the program, for its help.
        given: The words after the program's name.

    Returns:
        The command, with its options.

    Raises:
        UsageError: Something in it is unknown, missing or of the wrong kind.
        SystemExit: Help was asked for and has been printed.
    """
    if not given:
        raise UsageError(f"A command is missing; give one of: {', '.join(names)}, or --help.")
    if not given[0].startswith("-") and given[0] not in names:
        raise unknown_name("command", given[0], names)
    told, asks_help = io.StringIO(), bool({"-h", "--help"}.intersection(given))
    options = {
        name: dict(_options(kind)) for name, kind in zip(names, get_args(command), strict=True)
    }
    words, empty = _gathered(given, options.get(given[0], {}))
    if empty and not asks_help:
        raise UsageError(
            f"{empty} needs a value behind it, but none came; see `colonnade {given[0]} --help`."
        )
    try:
        with contextlib.nullcontext() if asks_help else _quiet(told):
            return tyro.cli(command, prog="colonnade", description=description, args=words)
    except SystemExit as stop:
        if not stop.code or asks_help:
            raise
        raise UsageError(sentence_of(told.getvalue(), given, options)) from None


def _options(kind: Any) -> Iterator[tuple[str, Any]]:
    """Yield the options of a command, each with its annotation."""
    plain, *_ = get_args(kind) or (kind,)
    for name, hint in get_type_hints(plain, include_extras=True).items():
        kind_of, *marks = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        if is_dataclass(kind_of):
            yield from _options(hint)
        elif _POSITIONAL not in marks:
            yield f"--{name.replace('_', '-')}", hint


def _gathered(given: Sequence[str], options: Mapping[str, Any]) -> tuple[list[str], str]:
    """Put all that is given for an option of several values behind its name, at the end.

    Of an option that is given again tyro, like argparse, keeps the last values alone.

    Returns:
        The words, and the first such option that has nothing behind it, if there is one.
    """
    several = {name for name, hint in options.items() if get_origin(hint) is tuple}
    rest, lists = list[str](), dict[str, list[str]]()
    place, empty = rest, ""
    for word, following in zip(given, [*given[1:], "--"], strict=True):
        name, equals, value = word.partition("=")
        if word.startswith("--"):
            place = rest
        if name not in several:
            place.append(word)
        elif equals:
            lists.setdefault(name, [name]).append(value)
        else:
            place = lists.setdefault(name, [name])
            if following.startswith("--"):
                empty = empty or name
    return rest + [word for words in lists.values() for word in words], empty


@contextlib.contextmanager
def _quiet(told: io.StringIO) -> Iterator[None]:
    """Collect what is told, in lines of any length."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "10000"
    try:
        with contextlib.redirect_stderr(told):
            yield
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before


_ALSO = "Unrecognized options:"

_LACKING = re.compile(r"argument '(?:\(')?([^\s',]+)")
"""In older versions of tyro an option stands there as a tuple of its names."""


def sentence_of(
    box: str, given: Sequence[str], options: Mapping[str, Iterable[str]] = MappingProxyType({})
) -> str:
    """Say in one sentence what tyro says in a box.

    Args:
        box: What it printed.
        given: The words of the command line.
        options: Of each command.
    """
    lines = [re.sub(r"^[│╭╰]|\s*[│╮╯]?\s*$", "", line) for line in box.splitlines()]
    lines = [line for line in lines if line.strip(" ─-")]
    title, body = (lines[0].strip("─ "), lines[1:]) if lines else ("", [])
    body = textwrap.dedent("\n".join(body)).splitlines()
    command = given[0] if given and not given[0].startswith("-") else ""
    see = f"see `colonnade {command} --help`".replace("  ", " ")
    text = " ".join(line.strip() for line in body)
    if title == "Unrecognized options":
        return _unrecognized(body, command, options, see)
    if title == "Required options":
        also = next((at for at, line in enumerate(body) if line == _ALSO), None)
        if also is not None:  # what is not known may stand for what is missing
            return _unrecognized(body[also:], command, options, see)
        return f"`colonnade {command}` needs: {_required(body)}; {see}."
    if title == "Value error" and (found := re.search(r"Error parsing (\S+?):", text)):
        return f"{_wrong_value(found[1], text, given)}; {see}."
    if title == "Invalid choice" and (found := _INVALID.search(text)):
        return f"{found[2]} is one of {found[3].rstrip(',')}, but {found[1]} came; {see}."
    if title == "Missing argument" and (found := _LACKING.search(text)):
        return f"{found[1]} needs a value behind it, but none came; {see}."
    # Whatever else it may say: its first words.
    first = next((line.strip() for line in body if line.strip(" ─")), title or "it is not known")
    return f"The command line can't be read: {first.rstrip('.')}; {see}."


def _unrecognized(
    body: Sequence[str], command: str, options: Mapping[str, Iterable[str]], see: str
) -> str:
    beside = body[0].partition(":")[2].split(",")[0] if body else ""
    word = (beside or "".join(body[1:2])).partition(" (applied to")[0].strip()
    if not word.startswith("-"):
        return f"There is nothing that {word!r} could stand for; {see}."
    option = word.partition("=")[0]
    owners = [f"`colonnade {name}`" for name, has in options.items() if option in has]
    if owners:
        here = f"colonnade {command}".strip()
        return f"{option} is an option of {' and '.join(owners)}, not of `{here}`; {see}."
    near = difflib.get_close_matches(option, options.get(command, ()), n=1, cutoff=0.7)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"Unknown option {option}; {hint}{see[0].upper() if hint else see[0]}{see[1:]}."


def _required(body: Sequence[str]) -> str:
    """Name what is missing, in the words of the help."""
    needed: dict[str, list[str]] = {}
    for line in body[1:]:
        if line.startswith("For full helptext"):
            break
        if line.startswith("     "):
            needed[next(reversed(needed))].append(line.strip())
        else:
            needed[line.strip()] = []
    found = []
    for name, words in needed.items():
        about = " ".join(words).removesuffix("(required)").strip().rstrip(".")
        about = about[:1].lower() + about[1:]
        found.append(f"{name.split()[0]} ({about})" if name.startswith("-") else about)
    return " and ".join(found) or "more than that"


def _wrong_value(option: str, text: str, given: Sequence[str]) -> str:
    came = ""
    for at, word in enumerate(given):
        if word == option and at + 1 < len(given):
            came = given[at + 1]
        elif word.startswith(f"{option}="):
            came = word.partition("=")[2]
    form = re.search(rf"Argument helptext:\s+{re.escape(option)} (.+?)  ?[A-Z]", text)
    kind = _worded(form[1], _KINDS) if form else "something else"
    return f"{option} is {kind}, but {came[:80]!r} came"


def _worded(form: str, kinds: Mapping[str, str]) -> str:
    plain = re.sub(r"\{None\}\||\[|\]|\.\.\.|\(.*|,.*", " ", form).split()
    return next((kinds[part] for part in plain if part in kinds), form.strip())


def speak_plainly() -> None:
    """Have what can't be written to the terminal, such as half a surrogate pair, escaped."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
