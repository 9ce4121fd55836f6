"""MuJoCo and numba, which the extra `arm` installs: imported where used, missed in one sentence."""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import Any

from colonnade.errors import UsageError

_MUJOCO = "4.0"
_INSTALL = "install them with `pip install colonnade[arm]`"


def mujoco() -> ModuleType:
    """Import MuJoCo.

    Raises:
        UsageError: It is missing, or of another version than the arm is tested with.
    """
    module = _imported("mujoco")
    found = str(getattr(module, "__version__", "unknown"))
    if found.split(".")[:2] != _MUJOCO.split("."):
        raise UsageError(
            f"The arm needs MuJoCo {_MUJOCO}, but version {found} is installed; {_INSTALL}."
        )
    return module


def batch() -> Any:
    """Import `mujoco.batch`; see `mujoco`."""
    mujoco()
    return _imported("mujoco.batch")


def numba() -> ModuleType:
    """Import numba.

    Raises:
        UsageError: It is missing.
    """
    return _imported("numba")


def _imported(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        reason = " ".join(str(error).split())
        raise UsageError(
            f"The arm needs MuJoCo and numba, but importing {name} failed ({reason}); {_INSTALL}."
        ) from None
