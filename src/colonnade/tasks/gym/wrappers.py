"""Wrappers of Gymnasium environments by name, as specs hold them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import gymnasium

from colonnade.errors import UsageError
from colonnade.records import shown
from colonnade.trust import UntrustedError, import_named

_REMEMBERING = ("NormalizeObservation", "NormalizeReward")
"""Wrappers of Gymnasium that go on from one episode to the next."""

Named = str | Mapping[str, Any]
"""A wrapper: "gymnasium.wrappers:FlattenObservation"; with options of its constructor
{"wrapper": "gymnasium.wrappers:TimeAwareObservation", "flatten": False}."""


def as_json(wrappers: Sequence[Named]) -> str:
    """Write wrappers as JSON, each with its options.

    Raises:
        UsageError: One is not as `Named` says.
    """
    if isinstance(wrappers, str) or not isinstance(wrappers, Sequence):
        raise UsageError(f"wrappers of GymTask must be a list; got {shown(wrappers)}.")
    return json.dumps([_entry(each) for each in wrappers], sort_keys=True)


def modules_of(wrappers: Iterable[Any]) -> list[str]:
    """List the modules that wrappers in a spec name, as far as they are named."""
    names = (each.get("wrapper") if isinstance(each, Mapping) else each for each in wrappers)
    return [str(name).partition(":")[0] for name in names if name]


def wrapped(env: gymnasium.Env[Any, Any], wrappers: str) -> gymnasium.Env[Any, Any]:
    """Put wrappers around an environment, the first one innermost.

    Args:
        env: The environment.
        wrappers: As `as_json` wrote them.

    Raises:
        UsageError: One cannot be imported or made, or is no wrapper.
        UntrustedError: One stands in what is only looked at.
    """
    for name, options in json.loads(wrappers):
        module, _, attribute = name.partition(":")
        try:
            env = getattr(import_named(module), attribute)(env, **options)
        except UntrustedError:
            raise
        except Exception as error:
            said = " ".join(str(error).split())[:200]
            raise UsageError(
                f"Wrapper {name!r} cannot be put around {env} with {options}: "
                f"{type(error).__name__}: {said}."
            ) from error
        if not isinstance(env, gymnasium.Env):
            raise UsageError(f"Wrapper {name!r} made {shown(env)}, which is no environment.")
    return env


def _entry(given: Named) -> tuple[str, dict[str, Any]]:
    options = dict(given) if isinstance(given, Mapping) else {"wrapper": given}
    name = options.pop("wrapper", None)
    if not isinstance(name, str) or not all(name.partition(":")):
        raise UsageError(
            "A wrapper is named as 'gymnasium.wrappers:FlattenObservation', or "
            f'{{"wrapper": NAME, ...}} with options, but {shown(given)} came.'
        )
    if name.rpartition(":")[2] in _REMEMBERING:
        raise UsageError(
            f"Wrapper {name!r} goes on from one episode to the next, so that runs could not be "
            "gone on with exactly; use normalize_observations or normalize_rewards of the task."
        )
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"Options of wrapper {name!r} must be plain JSON values: {error}."
        ) from None
    return name, options
