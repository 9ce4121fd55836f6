"""Continual and transfer learning for deep reinforcement learning."""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colonnade.experiments.trained.policies.policy import TrainedPolicy, load

__version__ = version("colonnade")
__all__ = ["TrainedPolicy", "__version__", "load"]


def __getattr__(name: str) -> Any:
    """Import what needs torch when it is asked for, so that the command line answers at once."""
    if name in ("TrainedPolicy", "load"):
        from colonnade.experiments.trained.policies import policy

        return getattr(policy, name)
    raise AttributeError(f"module 'colonnade' has no attribute {name!r}")
