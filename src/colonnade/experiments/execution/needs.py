"""What a run needs of a machine."""

from __future__ import annotations

from colonnade.errors import ColonnadeError
from colonnade.experiments.execution.resources import Resources
from colonnade.experiments.plans.build import build_learner, build_tasks, build_training_options
from colonnade.experiments.plans.spec import RunSpec
from colonnade.learners import Demanding
from colonnade.learners.compute import device_for


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
        device = device_for(learner, options.device)
    except ColonnadeError:
        return Resources()  # the run itself will say what is wrong with it
    cores = max(getattr(learner, "workers", 1), options.threads)
    return Resources(cores, device != "cpu", memory)
