"""Which task is this? Recognisers look at frames and say; a context is a task id."""

from __future__ import annotations

from typing import Any

from colonnade.parts.finding import find_config
from colonnade.recognition.forget_me_not import FlatForgetMeNot, ForgetMeNot
from colonnade.recognition.recogniser import Observation, Recogniser, RecogniserConfig
from colonnade.recognition.true_labels import TrueLabels, TrueTasks

RECOGNISERS: dict[str, type[TrueLabels] | type[ForgetMeNot]] = {
    "true": TrueLabels,
    "forget-me-not": ForgetMeNot,
}


def recogniser_from_name(name: str, **options: Any) -> RecogniserConfig:
    """Make a way of telling tasks apart by its name, with some options changed.

    Raises:
        UsageError: The name or an option is unknown, a value has the wrong type, or one of a user's
            own (`colonnade.parts`) is no `RecogniserConfig`.
    """
    made: RecogniserConfig = find_config("recognisers", name, RECOGNISERS, options, ("build",))
    return made


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
