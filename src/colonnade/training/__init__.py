"""Learning a task, learning a sequence of tasks, and telling how well it went."""

from colonnade.training.checkpoints import read_tensors, write_tensors
from colonnade.training.evaluation import EPISODE_LIMIT, evaluate
from colonnade.training.options import TrainingOptions
from colonnade.training.recorder import (
    DivergedError,
    Interrupted,
    MemoryRecorder,
    Progress,
    Recorder,
    Row,
)
from colonnade.training.schedule import Visit, in_random_order
from colonnade.training.sequence import train_sequence

__all__ = [
    "EPISODE_LIMIT",
    "DivergedError",
    "Interrupted",
    "MemoryRecorder",
    "Progress",
    "Recorder",
    "Row",
    "TrainingOptions",
    "Visit",
    "evaluate",
    "in_random_order",
    "read_tensors",
    "train_sequence",
    "write_tensors",
]
