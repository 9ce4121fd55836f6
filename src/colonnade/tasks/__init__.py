"""What is learned: tasks, each a spec and the vector environments or the examples to learn from."""

from colonnade.tasks.arm import JacoTask
from colonnade.tasks.atari import AtariTask
from colonnade.tasks.data.task import DataTask
from colonnade.tasks.gym.task import GymTask
from colonnade.tasks.gymnasium_ids import register_envs
from colonnade.tasks.images.sets import IMAGE_SETS
from colonnade.tasks.images.tasks import (
    ImageTask,
    LabelsTask,
    PermutedTask,
    pair_task,
    split_task,
    split_tasks,
)
from colonnade.tasks.mazes import LEVELS, DoomLabyrinthTask, Item, LabyrinthTask, Level
from colonnade.tasks.mazes.t_maze import TMazeTask
from colonnade.tasks.names import task_from_name, task_names
from colonnade.tasks.pong.mini import MiniPongTask
from colonnade.tasks.pong.soup import PongSoupTask
from colonnade.tasks.pong.variants import VARIANTS, Look

__all__ = [
    "IMAGE_SETS",
    "LEVELS",
    "VARIANTS",
    "AtariTask",
    "DataTask",
    "DoomLabyrinthTask",
    "GymTask",
    "ImageTask",
    "Item",
    "JacoTask",
    "LabelsTask",
    "LabyrinthTask",
    "Level",
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
