"""How a finished network is analysed; light, for the command line to read."""

from __future__ import annotations

from dataclasses import dataclass

from colonnade.analysis.policies.choices import NOISE, Normalisation, noise_levels
from colonnade.checks import ABOVE_0, ANY, AT_LEAST_0, AT_LEAST_1, check_fields
from colonnade.errors import UsageError


@dataclass(frozen=True)
class AnalysisOptions:
    """How networks are analysed."""

    states: int = 5_000
    """How many states of the policy's own play the Fisher is averaged over."""
    episodes: int = 10
    """How many episodes to play at each noise level in each layer; 0 leaves noise (APS) out."""
    error: float | None = None
    """Standard error of a mean return under noise that suffices, so that fewer episodes than those
    are played: 16 at a time, 32 at the least; by default all are."""
    noise: tuple[float, ...] = NOISE
    """Noise levels, in standard deviations of each feature."""
    normalisation: Normalisation = "map"
    """How pixels of a map are taken together: "map" sums squared gradients, "map-shift" squares the
    summed gradient, "pixel" weighs each pixel by its own variance."""
    seed: int = 0
    """Of states, episodes and noise."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense; noise levels are put in order."""
        counts = {"states": AT_LEAST_1, "episodes": AT_LEAST_0, "seed": ANY}
        check_fields(self, counts | {"error": ABOVE_0})
        if self.error is not None and self.episodes <= _FEWEST:
            raise UsageError(
                f"error ends play from {_FEWEST} episodes on, but episodes is {self.episodes}; ask "
                "for more of them (--episodes), or leave error out."
            )
        object.__setattr__(self, "noise", noise_levels(self.noise))


_FEWEST = 32
"""Two rounds of the 16 games that are played side by side."""
