"""Where environments come from: an id that Gymnasium knows, or a function that makes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import gymnasium
from gymnasium.envs.registration import EnvSpec

from colonnade.errors import UsageError
from colonnade.records import shown
from colonnade.tasks.gym.ids import entry_of, module_of
from colonnade.tasks.gym.probing import AnyEnv

Factory = Callable[..., AnyEnv]
"""Makes an environment of a task's options; a class is one too."""

Source = str | Factory
"""A Gymnasium id, as in "CartPole-v1" or "my_package:MyEnv-v0", whose module registers it; or a
function that makes environments: itself, or by its name "my_package.envs:make"."""


def label_of(source: Source) -> str:
    """Return what a task calls its source: an id or a name as it is, of a function its own name.

    Raises:
        UsageError: It is neither text nor function.
    """
    if isinstance(source, str):
        return source
    if not callable(source) or isinstance(source, gymnasium.Env):
        raise UsageError(
            "id of GymTask must be a Gymnasium id, a function that makes an environment, or its "
            f"name, as in 'my_package.envs:make'; got {shown(source)}."
        )
    name = getattr(source, "__qualname__", type(source).__qualname__)
    return f"{getattr(source, '__module__', type(source).__module__)}:{name}"


def origin_of(source: Source) -> EnvSpec | Factory:
    """Return the entry of Gymnasium's registry that a source names, or the function.

    What stands after a module is an id where the module registers one of that name, and else a
    function of the module.

    Raises:
        UsageError: There is neither; an id is suggested, or how to get it.
        UntrustedError: It names a module, and stands in what is only looked at.
    """
    if not isinstance(source, str):
        return source
    name = source.rpartition(":")[2]
    module = module_of(source)
    if module is None or name in gymnasium.registry or not _is_dotted(name):
        return entry_of(source)
    try:
        found: Any = reduce(getattr, name.split("."), module)
    except AttributeError:
        raise UsageError(
            f"{shown(source)} is neither an id that the module {module.__name__!r} registers nor a "
            "function in it; look at the name after the colon."
        ) from None
    if not callable(found):
        raise UsageError(
            f"{shown(source)} should name a function that makes an environment, but names "
            f"{shown(found)}."
        )
    function: Factory = found
    return function


def make(source: Source, options: Mapping[str, Any]) -> AnyEnv:
    """Make an environment, with options of its constructor or of the function.

    Raises:
        UsageError: A function made none.
    """
    origin = origin_of(source)
    if isinstance(origin, EnvSpec):
        return gymnasium.make(str(source), **options)
    env = origin(**options)
    if not isinstance(env, gymnasium.Env):
        raise UsageError(
            f"{label_of(source)!r} should make a gymnasium.Env, but returned {shown(env)}."
        )
    return env


def _is_dotted(name: str) -> bool:
    return all(part.isidentifier() for part in name.split("."))
