"""The mazes in ViZDoom: maps, engines, and the processes that hold them."""
