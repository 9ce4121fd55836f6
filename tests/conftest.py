"""Settings for all tests."""

import signal

from hypothesis import settings

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in the background, where shells have Ctrl-C ignored; the tests' own processes, which
    # inherit that, must hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("colonnade", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("colonnade")
