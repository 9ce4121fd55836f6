"""Settings for all tests."""

import signal

import pytest
import torch
from hypothesis import settings

pytest_plugins = ["fabricated"]

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background, where shells have Ctrl-C ignored; the tests' own processes, which
    # inherit that, must hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("colonnade", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("colonnade")


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """Give every test the same random weights, whichever tests its process ran before."""
    torch.manual_seed(0)
