"""How a finished network's weights are disturbed; light, for the command line to read."""

from __future__ import annotations

from dataclasses import dataclass

from colonnade.analysis.policies.choices import noise_levels
from colonnade.checks import ABOVE_0, ANY, AT_LEAST_0, AT_LEAST_1, check_fields


@dataclass(frozen=True)
class WeightNoiseOptions:
    """How weights are disturbed."""

    sizes: tuple[float, ...] = (0.03, 0.1, 0.3, 1.0, 3.0)
    """Sizes of the perturbation, in root mean squares of the weights."""
    states: int = 2_000
    """How many states of the policy's own play the Fisher is averaged over."""
    episodes: int = 10
    """How many episodes to play at each size of each shape."""
    damping: float = 1.0
    """What is added to the Fisher before it is inverted, as a factor on its mean."""
    null: float = 1e-6
    """Weights whose Fisher is at most this part of its mean span the null space."""
    seed: int = 0
    """Of states, episodes and noise."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense; sizes are put in order."""
        counts = dict.fromkeys(("states", "episodes"), AT_LEAST_1)
        check_fields(self, {**counts, "damping": ABOVE_0, "null": AT_LEAST_0, "seed": ANY})
        object.__setattr__(self, "sizes", noise_levels(self.sizes, "size"))
