"""A part under a name, and what pages say of it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from colonnade.errors import UsageError, unknown_name
from colonnade.records import shown

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


def two_of(part: Part, other: str) -> UsageError:
    """Say that a part and one of another origin have the same name."""
    return UsageError(f"{part.origin} has a {part.words}, but so has {other}; rename it.")
