"""The seams: what tasks, networks, methods and learners pass to one another.

The loop that joins them, in `colonnade.training`, is in outline::

    network = method.begin_task(task.spec, learner.outputs(task.spec))  # new parameters unfrozen
    with learner.trainer(Lesson(task, network, method.penalty)) as trainer:
        trainer.begin(streams)                             # first episodes, seeded
        while steps < task.spec.steps:
            steps, metrics, episodes = trainer.advance()   # act or read, loss, backward, step
            method.on_segment(episodes)
        method.end_task(trainer.samples(), trainer.likelihood)
"""

from colonnade.types.actions import Actions
from colonnade.types.experience import Batch, Episode, Examples, Rollout
from colonnade.types.method import Counting, Expecting, Method, Metrics, Penalty, Revisiting
from colonnade.types.network import (
    OBSERVATION,
    PROPRIOCEPTION,
    Backward,
    Descending,
    Descent,
    Differentiated,
    Differentiating,
    Distribution,
    Inputs,
    Likelihood,
    Network,
    Shape,
    State,
    Twofold,
)
from colonnade.types.task import (
    DatasetTask,
    EnvironmentTask,
    Reader,
    ReadTask,
    SeededEpisodes,
    Split,
    StatefulEnvironments,
    Task,
    TaskSpec,
    check_heads,
    environments_of,
    has_split,
)

__all__ = [
    "OBSERVATION",
    "PROPRIOCEPTION",
    "Actions",
    "Backward",
    "Batch",
    "Counting",
    "DatasetTask",
    "Descending",
    "Descent",
    "Differentiated",
    "Differentiating",
    "Distribution",
    "EnvironmentTask",
    "Episode",
    "Examples",
    "Expecting",
    "Inputs",
    "Likelihood",
    "Method",
    "Metrics",
    "Network",
    "Penalty",
    "ReadTask",
    "Reader",
    "Revisiting",
    "Rollout",
    "SeededEpisodes",
    "Shape",
    "Split",
    "State",
    "StatefulEnvironments",
    "Task",
    "TaskSpec",
    "Twofold",
    "check_heads",
    "environments_of",
    "has_split",
]
