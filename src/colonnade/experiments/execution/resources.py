"""What a run needs of a machine, and the sharing out of a machine among runs."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from colonnade.errors import ColonnadeError
from colonnade.experiments.plans.build import build_learner, build_tasks, build_training_options
from colonnade.experiments.plans.spec import RunSpec
from colonnade.learners import Demanding


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


def needs(spec: RunSpec) -> Resources:
    """Say what a run needs: a core for each of its learner's workers, or each of its threads.

    Memory is that of a learner that keeps much of a task, such as a replay: of the task of which
    it is most, since the others' rests packed.
    """
    try:
        learner, options = build_learner(spec), build_training_options(spec)
        memory = 0
        if isinstance(learner, Demanding):
            tasks = [task.spec for task in build_tasks(spec)]
            memory = max(learner.memory_bytes(task, options.num_envs) for task in tasks)
    except ColonnadeError:
        return Resources()  # the run itself will say what is wrong with it
    cores = max(getattr(learner, "workers", 1), options.threads)
    return Resources(cores, options.device != "cpu", memory)


class Machine:
    """Shares out a machine among runs, so that they never have more together than there is.

    Args:
        whole: All of it.
        runs: How many runs have a share at most.

    Attributes:
        runs: How many runs have a share at most.
        shares: What the runs have that train, by id; entries come with them and go with them.
    """

    def __init__(self, whole: Resources, runs: int) -> None:
        self._whole = whole
        self.runs = runs
        self.shares: dict[str, Resources] = {}

    def share(self, need: Resources, competing: int | None = None) -> Resources | None:
        """Say what a run can have now; None if it must wait.

        One that needs more than there is gets the whole, when no other run has anything. Where
        runs are fewer than cores, each gets more cores than it needs, as long as some are free:
        emulators use those.

        Args:
            need: What the run needs.
            competing: How many runs have a share or could have one now; many if None.
        """
        runs = self.runs if competing is None else max(1, min(self.runs, competing))
        cores = self._whole.cores - sum(share.cores for share in self.shares.values())
        memory = self._whole.memory - sum(share.memory for share in self.shares.values())
        least = min(need.cores, self._whole.cores)
        need = replace(need, memory=min(need.memory, self._whole.memory))
        if len(self.shares) == self.runs or least > cores or need.memory > memory:
            return None
        return replace(need, cores=max(least, min(self._whole.cores // runs, cores)))


def available_cores() -> int:
    """Count the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def this_machine() -> Resources:
    """Return what there is for runs: the cores that this process may use, and all memory."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return Resources(available_cores(), memory=memory)
