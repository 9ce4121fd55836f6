"""What is learned: tasks, each a spec and the vector environments to learn it in."""

from colonnade.tasks.atari import AtariTask
from colonnade.tasks.gym_task import GymTask
from colonnade.tasks.mini_pong import MiniPongTask
from colonnade.tasks.names import task_from_name, task_names
from colonnade.tasks.pong_soup import PongSoupTask
from colonnade.tasks.registration import register_envs
from colonnade.tasks.variants import VARIANTS, Look

__all__ = [
    "VARIANTS",
    "AtariTask",
    "GymTask",
    "Look",
    "MiniPongTask",
    "PongSoupTask",
    "register_envs",
    "task_from_name",
    "task_names",
]

register_envs()
