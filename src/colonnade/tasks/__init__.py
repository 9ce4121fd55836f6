"""What is learned: tasks, each a spec and the vector environments to learn it in."""

from colonnade.tasks.atari import AtariTask
from colonnade.tasks.pong_soup import PongSoupTask
from colonnade.tasks.variants import VARIANTS, Look

__all__ = ["VARIANTS", "AtariTask", "Look", "PongSoupTask"]
