"""Settings for all tests."""

from hypothesis import settings

settings.register_profile("colonnade", deadline=None, derandomize=True, max_examples=50)
settings.load_profile("colonnade")
