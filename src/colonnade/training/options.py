"""How training runs."""

from __future__ import annotations

from dataclasses import dataclass

from colonnade.checks import ANY, AT_LEAST_0, AT_LEAST_1, check_fields
from colonnade.errors import UsageError
from colonnade.learners import Precision


@dataclass(frozen=True)
class TrainingOptions:
    """How training runs; what is learned does not depend on these but by chance."""

    num_envs: int = 16
    """Environments stepped side by side."""
    threads: int = 1
    """Threads for the network; more than one pays for images in large batches. Sums of several
    threads are rounded otherwise than those of one, so that another number gives other numbers."""
    segment_steps: int = 250_000
    """Agent steps between checkpoints, and between the scores that `test_episodes` and `patience`
    ask for; no other number depends on it."""
    curve_steps: int = 10_000
    """Width of a learning curve's bins in agent steps."""
    device: str = "auto"
    """A torch device name; "auto" takes a GPU where there is one."""
    precision: Precision = "auto"
    """Precision of matrix products; "auto" is bfloat16 for images where that is fast."""
    test_episodes: int = 0
    """Episodes that score every task so far, before a task is learned and at the ends of its
    segments; of a data set any number above 0 stands for all test examples. 0 scores nothing."""
    test_unseen: bool = False
    """Whether tasks that were not visited yet are scored too, by what is learned just then."""
    patience: int = 0
    """End a task once the validation score, averaged over the tasks so far, has been below its best
    for more than this many segments in a row, and return to the best weights; 0 never does. Of a
    task that is played the score is that of `test_episodes`, or of 10 where those are 0."""
    goal_episodes: int = 0
    """Episodes, or minibatches, whose mean return ends a task early; 0 spends every budget."""
    goal_return: float = 0.0
    """The mean return at which they do."""

    def __post_init__(self) -> None:
        """Refuse what makes no sense.

        Raises:
            UsageError: A field is of another kind, out of its range or without effect.
        """
        counts = dict.fromkeys(("num_envs", "threads", "segment_steps", "curve_steps"), AT_LEAST_1)
        often = dict.fromkeys(("test_episodes", "patience", "goal_episodes"), AT_LEAST_0)
        check_fields(self, {**counts, **often, "goal_return": ANY})
        for name, needed, nothing in (
            ("goal_return", "goal_episodes", "0"),
            ("test_unseen", "test_episodes", "False"),
        ):
            if getattr(self, name) and not getattr(self, needed):
                raise UsageError(
                    f"{name} of TrainingOptions has no effect while {needed} is 0; set that too, "
                    f"or leave {name} at {nothing}."
                )
