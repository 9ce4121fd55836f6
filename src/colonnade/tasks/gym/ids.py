"""Which of Gymnasium's ids are known, and what to do about one that is not."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec

import gymnasium

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


def check_id(env_id: str) -> None:
    """Check that Gymnasium knows an id, importing the module that the id names.

    Raises:
        UsageError: It does not; the nearest is suggested, or how to get it.
        UntrustedError: It names a module, or builds what its options name, and stands in what is
            only looked at.
    """
    module, colon, name = env_id.rpartition(":")
    if colon:
        _import(env_id, module)
    if name in _BUILD_WHAT_OPTIONS_NAME:
        check_trusted(f"{name!r}, which builds any environment that its options name,")
    if name not in gymnasium.registry:
        raise unknown_id("Gymnasium id", name, gymnasium.registry)


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
            get = "" if there else f"install it (pip install {package}) and "
            return UsageError(
                f"Unknown {kind} {shown(name)}; it looks like one of the package "
                f"{package.strip(chr(39))}: {get}write it with the module that registers it, "
                f"'gym/{module}:{name[:80]}'."
            )
    return UsageError(
        f"{unknown_name(kind, name, choices)} An id of another package is written with the module "
        f"that registers it, as in 'gym/module:{name[:80]}'."
    )


def _import(env_id: str, module: str) -> None:
    shown_id = shown(env_id)
    if not all(part.isidentifier() for part in module.split(".")):
        raise UsageError(
            f"Gymnasium id {shown_id} should name a module before its colon, as in "
            "'my_package.envs:MyEnv-v0'."
        )
    try:
        import_named(module)
    except UntrustedError:
        raise
    except ModuleNotFoundError as error:
        raise UsageError(
            f"Gymnasium id {shown_id} needs the module {module!r}, and importing it failed: "
            f"{error}; install its package, or give the command in the folder that holds it."
        ) from None
    except Exception as error:
        raise UsageError(
            f"Gymnasium id {shown_id} needs the module {module!r}, which fails when it is "
            f"imported: {type(error).__name__}: {' '.join(str(error).split())[:200]}."
        ) from error
