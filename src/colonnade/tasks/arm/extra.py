"""MuJoCo and numba, which the extra `arm` installs: imported where used, missed in one sentence."""

from __future__ import annotations

import importlib
import os
from types import ModuleType
from typing import Any

from colonnade.errors import UsageError

_MUJOCO = "4.0"
_INSTALL = "install them with `pip install colonnade[arm]`"

DRAWING = (
    "install Debian's libegl1 and libgl1-mesa-dri (for MUJOCO_GL=egl) or libosmesa6 (for "
    'MUJOCO_GL=osmesa), or use renderer="rays", which needs neither'
)
"""What MuJoCo's own pictures take."""


def mujoco() -> ModuleType:
    """Import MuJoCo.

    Raises:
        UsageError: It is missing, or of another version than the arm is tested with; or it can't
            load the graphics library that MUJOCO_GL names, which it does whoever draws.
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
    except Exception as error:
        # Which exceptions there are depends on the library that is missing.
        platform = os.environ.get("MUJOCO_GL")
        if platform is None:
            raise
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UsageError(
            f"MuJoCo can't be imported with MUJOCO_GL={platform} ({reason}); {DRAWING} "
            "once MUJOCO_GL is unset."
        ) from None
