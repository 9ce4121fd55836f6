"""MuJoCo's own renderer, where the machine has a graphics library: the ray caster's truth."""

from __future__ import annotations

import importlib
import os
import sys
import weakref
from ctypes.util import find_library
from typing import Any

import numpy as np

from colonnade.errors import UsageError
from colonnade.tasks.arm import extra
from colonnade.tasks.arm.ray_caster import Frames
from colonnade.tasks.arm.scene import CAMERA, Scene


def choose_platform() -> str:
    """Say by which library MuJoCo shall draw; a user's choice stays.

    Without a display MuJoCo would try GLFW, which needs one. It reads MUJOCO_GL where it is
    imported, so that where it has been, the part of it that does is imported anew.

    Raises:
        UsageError: There is neither a display nor a library that does without.
    """
    # Mesa's threads make a process that is forked after a picture hang, and pictures slower.
    os.environ.setdefault("LP_NUM_THREADS", "0")
    if "DISPLAY" not in os.environ and "MUJOCO_GL" not in os.environ:
        found = [name for name in ("EGL", "OSMesa") if find_library(name)]
        if not found:
            raise UsageError(f"MuJoCo finds no library to draw with here; {extra.DRAWING}.")
        os.environ["MUJOCO_GL"] = found[0].lower()
        if reader := sys.modules.get("mujoco.rendering.classic.gl_context"):
            importlib.reload(reader)
    return os.environ.get("MUJOCO_GL", "glfw")


class Renderer:
    """Draws one scene at a time with MuJoCo's classic renderer.

    Args:
        scene: What there is to see.
        height: Of the pictures, pixels.
        width: Of the pictures, pixels.

    Raises:
        UsageError: MuJoCo finds no graphics library here.
    """

    def __init__(self, scene: Scene, height: int = 64, width: int = 64) -> None:
        platform = choose_platform()
        mujoco = extra.mujoco()
        try:
            renderer = mujoco.Renderer(scene.model, height, width)
        except Exception as error:
            # Which exceptions there are depends on the library that is missing.
            reason = " ".join(str(error).split()) or type(error).__name__
            raise UsageError(
                f"MuJoCo can't draw here with MUJOCO_GL={platform} ({reason}); {extra.DRAWING}."
            ) from None
        self._renderer = renderer
        # One that is still open when Python ends prints a traceback.
        self.close = weakref.finalize(self, renderer.close)
        for flag in (mujoco.mjtRndFlag.mjRND_SHADOW, mujoco.mjtRndFlag.mjRND_REFLECTION):
            renderer.scene.flags[flag] = 0

    def draw(self, data: Any) -> Frames:
        """Draw an `mujoco.MjData` whose places of geoms are known.

        Returns:
            A fresh array uint8 [3, H, W].
        """
        self._renderer.update_scene(data, CAMERA)
        return np.ascontiguousarray(self._renderer.render().transpose(2, 0, 1))
