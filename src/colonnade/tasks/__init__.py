"""What is learned: tasks, each a spec and the vector environments or the examples to learn from."""

from colonnade.tasks.arm import JacoTask
from colonnade.tasks.atari import AtariTask
from colonnade.tasks.data_task import DataTask
from colonnade.tasks.gym_task import GymTask
from colonnade.tasks.image_sets import IMAGE_SETS
from colonnade.tasks.image_tasks import (
    ImageTask,
    LabelsTask,
    PermutedTask,
    pair_task,
    split_task,
    split_tasks,
)
from colonnade.tasks.mini_pong import MiniPongTask
from colonnade.tasks.names import task_from_name, task_names
from colonnade.tasks.pong_soup import PongSoupTask
from colonnade.tasks.registration import register_envs
from colonnade.tasks.t_maze import TMazeTask
from colonnade.tasks.variants import VARIANTS, Look

__all__ = [
    "IMAGE_SETS",
    "VARIANTS",
    "AtariTask",
    "DataTask",
    "GymTask",
    "ImageTask",
    "JacoTask",
    "LabelsTask",
    "Look",
    "MiniPongTask",
    "PermutedTask",
    "PongSoupTask",
    "TMazeTask",
    "pair_task",
    "register_envs",
    "split_task",
    "split_tasks",
    "task_from_name",
    "task_names",
]

register_envs()
