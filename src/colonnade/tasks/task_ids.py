"""What tasks are called within a sequence."""

from __future__ import annotations

from colonnade.errors import UsageError


def task_id(name: str | None, default: str) -> str:
    """Return a task's id: the name that its user gave it, or the default.

    A name is what tells two tasks apart that are the same environment with other options.

    Raises:
        UsageError: The name is no text, or blank.
    """
    if name is None:
        return default
    if not isinstance(name, str) or not name.strip() or not name.isprintable():
        raise UsageError(
            f"The name of a task must be a line of text, such as 'long poles', not {name!r}."
        )
    return name
