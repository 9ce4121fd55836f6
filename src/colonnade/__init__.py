"""Continual and transfer learning for deep reinforcement learning."""

from importlib.metadata import version

__version__ = version("colonnade")
