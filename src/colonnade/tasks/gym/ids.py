"""Which of Gymnasium's ids are known, and what to do about one that is not."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from types import ModuleType

import gymnasium
from gymnasium.envs.registration import EnvSpec

from colonnade.errors import UsageError, unknown_name
from colonnade.records import shown
from colonnade.trust import UntrustedError, check_trusted, import_named

_PACKAGES = {
    "ALE/": ("ale_py", "ale-py"),
    "MiniGrid-": ("minigrid", "minigrid"),
    "BabyAI-": ("minigrid", "minigrid"),
    "MiniWorld-": ("miniworld", "miniworld"),
    "Vizdoom": ("vizdoom.gymnasium_wrapper", "vizdoom"),
    "Fetch": ("gymnasium_robotics", "gymnasium-robotics"),
    "HandManipulate": ("gymnasium_robotics", "gymnasium-robotics"),
    "PointMaze_": ("gymnasium_robotics", "gymnasium-robotics"),
    "AntMaze_": ("gymnasium_robotics", "gymnasium-robotics"),
    "dm_control/": ("shimmy", "'shimmy[dm-control]'"),
    "bsuite/": ("shimmy", "'shimmy[bsuite]'"),
    "highway-": ("highway_env", "highway-env"),
    "merge-": ("highway_env", "highway-env"),
    "roundabout-": ("highway_env", "highway-env"),
    "parking-": ("highway_env", "highway-env"),
    "Meta-World/": ("metaworld", "metaworld"),
    "craftium/": ("craftium", "craftium"),
    "FlappyBird-": ("flappy_bird_gymnasium", "flappy-bird-gymnasium"),
    "procgen": ("procgen", "procgen"),
    "Bandit": ("gym_bandits", "gym-bandits"),
}
"""What begins an id of another package: the module that registers it, and what pip calls it."""

_BUILD_WHAT_OPTIONS_NAME = ("GymV21Environment-v0", "GymV26Environment-v0")


def entry_of(env_id: str) -> EnvSpec:
    """Return what Gymnasium knows of an id, whose module was imported if it names one.

    An id of a package in the list above needs no module before it: one that is installed is
    imported, as it is no code that whoever wrote the id has chosen.

    Raises:
        UsageError: It knows nothing; the nearest is suggested, or how to get it.
        UntrustedError: It builds what its options name, and stands in what is only looked at.
    """
    name = env_id.rpartition(":")[2]
    if name in _BUILD_WHAT_OPTIONS_NAME:
        check_trusted(f"{name!r}, which builds any environment that its options name,")
    if not is_known(name):
        raise unknown_id("Gymnasium id", name, gymnasium.registry)
    return gymnasium.registry[name]


def is_known(name: str) -> bool:
    """Whether Gymnasium knows an id without a module, once its package is imported.

    Raises:
        UsageError: The package is installed, and fails when it is imported.
    """
    if name not in gymnasium.registry:
        for lead, (module, _) in _PACKAGES.items():
            if name.startswith(lead) and find_spec(module.partition(".")[0]) is not None:
                try:
                    gymnasium.register_envs(import_module(module))
                except Exception as error:
                    raise _failing(shown(name), module, error) from error
                break
    return name in gymnasium.registry


def unknown_id(kind: str, name: str, choices: Iterable[str]) -> UsageError:
    """Make the error for an id that Gymnasium does not know, or a name that no task has.

    Args:
        kind: What the name stands for.
        name: What came.
        choices: What would have been right.
    """
    for lead, (module, package) in _PACKAGES.items():
        if name.startswith(lead):
            there = find_spec(module.partition(".")[0]) is not None
            get = "which has no such id; look it up there" if there else "which is not installed"
            do = "" if there else f"; install it (pip install {package})"
            return UsageError(
                f"Unknown {kind} {shown(name)}; it looks like one of the package "
                f"{package.strip(chr(39))}, {get}{do}."
            )
    return UsageError(
        f"{unknown_name(kind, name, choices)} An id of another package is written with the module "
        f"that registers it, as in 'gym/module:{name[:80]}'."
    )


def module_of(env_id: str) -> ModuleType | None:
    """Import the module that an id or the name of a function begins with; None where it has none.

    Raises:
        UsageError: It can't be imported.
        UntrustedError: It stands in what is only looked at.
    """
    module, colon, _ = env_id.rpartition(":")
    if not colon:
        return None
    shown_id = shown(env_id)
    if not all(part.isidentifier() for part in module.split(".")):
        raise UsageError(
            f"Gymnasium id {shown_id} should name a module before its colon, as in "
            "'my_package.envs:MyEnv-v0'."
        )
    try:
        return import_named(module)
    except UntrustedError:
        raise
    except ModuleNotFoundError as error:
        raise UsageError(
            f"Gymnasium id {shown_id} needs the module {module!r}, and importing it failed: "
            f"{error}; install its package, or give the command in the folder that holds it."
        ) from None
    except Exception as error:
        raise _failing(shown_id, module, error) from error


def _failing(shown_id: str, module: str, error: Exception) -> UsageError:
    return UsageError(
        f"Gymnasium id {shown_id} needs the module {module!r}, which fails when it is "
        f"imported: {type(error).__name__}: {' '.join(str(error).split())[:200]}."
    )
