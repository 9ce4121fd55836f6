"""Machines, and the sharing out of them among runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Resources:
    """A part of a machine, or the whole of one.

    Attributes:
        cores: Processor cores.
        gpu: Whether a GPU is used where there is one; runs on one machine share it.
        memory: Bytes; 0 where a run says nothing of it.
    """

    cores: int = 1
    gpu: bool = False
    memory: int = 0


class Machines:
    """Shares out machines among runs, so that they never have more together than there is.

    Where there are several, whoever trains the runs finds each a machine with room for its share.

    Args:
        wholes: All of each machine.
        runs: How many runs have a share at most; 0 for one a core.

    Attributes:
        wholes: May be set, as machines come and go.
        shares: What the runs have that train, by id; entries come with them and go with them.
    """

    def __init__(self, wholes: Sequence[Resources], runs: int = 0) -> None:
        self.wholes = wholes
        self._runs = runs
        self.shares: dict[str, Resources] = {}

    @property
    def runs(self) -> int:
        """How many runs have a share at most."""
        return self._runs or self._cores

    def share(self, need: Resources, competing: int | None = None) -> Resources | None:
        """Say what a run can have now; None if it must wait.

        One that needs more than any machine has gets the whole of one, when there is one to itself.
        Where runs are fewer than cores, each gets more cores than it needs, as long as some are
        free: emulators use those.

        Args:
            need: What the run needs.
            competing: How many runs have a share or could have one now; many if None.
        """
        if not self.wholes:
            return None
        runs = self.runs if competing is None else max(1, min(self.runs, competing))
        cores = self._cores - sum(share.cores for share in self.shares.values())
        memory = sum(whole.memory for whole in self.wholes)
        memory -= sum(share.memory for share in self.shares.values())
        least = min(need.cores, max(whole.cores for whole in self.wholes))
        need = replace(need, memory=min(need.memory, max(each.memory for each in self.wholes)))
        if len(self.shares) >= self.runs or least > cores or need.memory > memory:
            return None
        # Of any machine, so that the smallest has room for it too.
        many = min(self._cores // runs, cores, *(whole.cores for whole in self.wholes))
        return replace(need, cores=max(least, many))

    @property
    def _cores(self) -> int:
        return sum(whole.cores for whole in self.wholes)


def available_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def this_machine() -> Resources:
    """Return what there is for runs: the cores that this process may use, and all memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Resources(available_cores(), memory=memory)
