"""How this process gets memory from the system."""

from __future__ import annotations

import ctypes
import os
import sys

_KEPT_BYTES = 2**30
_PARAMETERS = {"MALLOC_TRIM_THRESHOLD_": -1, "MALLOC_MMAP_THRESHOLD_": -3}
"""Of glibc's `mallopt`, by the environment variables that set them too."""


def keep_memory() -> None:
    """Let this process, and its forks, keep memory that the next minibatch needs again.

    512 frames in float32 are 58 MB. glibc gives so much back to the system at once, and to get it
    anew takes as long as to convolve the frames. It is asked to keep up to 1 GiB instead, unless
    the environment says otherwise. Where there is no glibc nothing happens.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    for name, parameter in _PARAMETERS.items():
        if mallopt is not None and name not in os.environ:
            mallopt(parameter, _KEPT_BYTES)
