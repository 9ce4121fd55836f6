"""Which task is this? Recognisers look at frames and say; a context is a task id."""

from __future__ import annotations

from typing import Any

from colonnade.errors import unknown_name
from colonnade.recognition.forget_me_not import FlatForgetMeNot, ForgetMeNot
from colonnade.recognition.recogniser import Observation, Recogniser, RecogniserConfig
from colonnade.recognition.true_labels import TrueLabels, TrueTasks
from colonnade.records import read

RECOGNISERS: dict[str, type[TrueLabels] | type[ForgetMeNot]] = {
    "true": TrueLabels,
    "forget-me-not": ForgetMeNot,
}


def recogniser_from_name(name: str, **options: Any) -> TrueLabels | ForgetMeNot:
    """Make a way of telling tasks apart by its name, with some options changed.

    Raises:
        UsageError: The name or an option is unknown, or a value has the wrong type.
    """
    if name not in RECOGNISERS:
        raise unknown_name("kind of labels", name, RECOGNISERS)
    return read(RECOGNISERS[name], options)


__all__ = [
    "RECOGNISERS",
    "FlatForgetMeNot",
    "ForgetMeNot",
    "Observation",
    "Recogniser",
    "RecogniserConfig",
    "TrueLabels",
    "TrueTasks",
    "recogniser_from_name",
]
