"""Whether MuJoCo can draw here."""

import contextlib
import functools

import pytest

from colonnade.errors import UsageError
from colonnade.tasks.arm import Dynamics, Look
from colonnade.tasks.arm.renderer import Renderer, choose_platform
from colonnade.tasks.arm.scene import compile_scene

with contextlib.suppress(UsageError):
    choose_platform()  # before any test imports MuJoCo


@functools.cache
def no_graphics():
    """Return the sentence that says why there are none, or None."""
    try:
        Renderer(compile_scene(Look(), Dynamics(), 0.1), 8, 8).close()
    except UsageError as error:
        return str(error)
    return None


@pytest.fixture(autouse=True)
def _graphics(request):
    if request.node.get_closest_marker("gl") and (reason := no_graphics()):
        pytest.skip(reason)
