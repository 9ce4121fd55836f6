"""How a finished network is pruned; light, for the command line to read."""

from __future__ import annotations

from dataclasses import dataclass

from colonnade.checks import ANY, AT_LEAST_0, AT_LEAST_1, BELOW_1, check_fields, whole


@dataclass(frozen=True)
class PruneOptions:
    """What is asked of pruning."""

    keep: float = 0.95
    """Share of each policy's sensitivity to hold, above 0 and at most 1."""
    bound: float = 0.05
    """Most that a task may lose of its score above the random policy's."""
    tasks: tuple[str, ...] = ()
    """Tasks that must go on being played; all that the network plays if not given. Earlier columns
    are then kept only as far as the columns of these tasks read them."""
    columns: tuple[int, ...] = ()
    """Columns that lose features, counted from 0; all if not given."""
    states: int = 5_000
    """How many states of each policy's own play its sensitivity is averaged over."""
    episodes: int = 30
    """How many episodes each policy plays before and after."""
    seed: int = 0
    """Of states and episodes."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense."""
        check_fields(
            self,
            {
                "keep": (0, 1, True),
                "bound": BELOW_1,
                "states": AT_LEAST_1,
                "episodes": AT_LEAST_1,
                "seed": ANY,
            },
        )
        for each in self.columns:
            whole("A column to prune", each, AT_LEAST_0)
