"""Mazes: Labyrinth's eight 3-D levels, in a ray caster of our own and as maps for ViZDoom."""

from colonnade.tasks.mazes.decor import Decor
from colonnade.tasks.mazes.doom.labyrinth import DoomLabyrinthTask, DoomLabyrinthVectorEnv
from colonnade.tasks.mazes.labyrinth import LabyrinthTask, LabyrinthVectorEnv
from colonnade.tasks.mazes.levels import Item, Level, level_from_json
from colonnade.tasks.mazes.paper_levels import LEVELS, level_from_name
from colonnade.tasks.mazes.plan_drawing import draw_plan, plan_edges

__all__ = [
    "LEVELS",
    "Decor",
    "DoomLabyrinthTask",
    "DoomLabyrinthVectorEnv",
    "Item",
    "LabyrinthTask",
    "LabyrinthVectorEnv",
    "Level",
    "draw_plan",
    "level_from_json",
    "level_from_name",
    "plan_edges",
]
