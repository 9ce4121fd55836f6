"""Errors a user can cause, each one clear sentence: what was expected, what came, what to do."""

import difflib
from collections.abc import Iterable


class ColonnadeError(Exception):
    """Something failed while working; the command line prints it and exits with status 1."""

    exit_status = 1


class UsageError(ColonnadeError, ValueError):
    """The request itself is wrong; the command line prints it and exits with status 2."""

    exit_status = 2


class NothingPlayedError(UsageError):
    """A task ended before a method had anything to go by."""


class UnfitError(ColonnadeError):
    """A run has nothing of what is to be measured; others of its folder may have."""


class HungError(ColonnadeError):
    """Somebody who was waited for gave no sign of life; the same may go well another time."""


_LONGEST = 80
"""Letters of a name that are shown, and compared with others."""

_LISTED = 120
"""So many names are listed whole where none is near; of more, the nearest."""


def unknown_name(kind: str, name: str, choices: Iterable[str]) -> UsageError:
    """Make the error for a name that is not among `choices`, suggesting the nearest one.

    Args:
        kind: What the name stands for, as in "suite" or "Atari game".
        name: The name that came.
        choices: The names that would have been right.

    Returns:
        The error, for the caller to raise.
    """
    known = sorted(choices)
    name = name if len(name) <= _LONGEST else f"{name[: _LONGEST - 3]}..."
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    if not known:
        hint = "there is none."
    elif near:
        hint = f"did you mean {near[0]!r}?"
    elif len(known) <= _LISTED:
        hint = f"choose one of: {', '.join(known)}."
    else:
        nearest = difflib.get_close_matches(name, known, n=3, cutoff=0.0)
        hint = f"of {len(known)} names the nearest are: {', '.join(nearest)}."
    return UsageError(f"Unknown {kind} {name!r}; {hint}")
