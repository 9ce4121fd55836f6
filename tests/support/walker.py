"""A player that reads its pose and follows waypoints, in whichever body."""

import math

import numpy as np

from colonnade.tasks.mazes.labyrinth import first_layout
from colonnade.tasks.mazes.paper_levels import LEVELS
from colonnade.tasks.mazes.walking import ACTIONS, TURN

UP, DOWN, LEFT, RIGHT, FORWARD = (
    ACTIONS.index(name)
    for name in ("look up", "look down", "look left", "look right", "move forward")
)
ARRIVED = 0.3
REST = 8
"""Looks up and down at a waypoint, until an engine's player has come to rest."""

ROUTES = {
    "track-1": [(15.0, 0)],
    "track-2": [(10, 0), (10, 5), (1, 5)],
    "track-3": [(4, 0), (4, 4), (10, 4), (10, 0), (13, 0)],
    "track-4": [(4, 0), (7, 3), (10, 3), (13, 0), (16, 0)],
    "maze-m": [(0, 4.6), (0, 0.8), (0, 4.6), (4, 1.5), (8, 4.6), (8, 0.8)],
    "maze-y": [(0, 0), (2.2, 2.2), (0, 0), (-2.2, 2.2)],
}


def clear_route(level, seed):
    """Go from good item to good item where no other lies near the way."""
    begin = first_layout(level, seed)
    here, route = np.array(level.start[:2]), []
    left = set(range(len(level.items)))
    while True:
        open_ways = []
        for i in left:
            if level.items[i].reward < 0:
                continue
            along = begin.places[i] - here
            others = [begin.places[j] - here for j in left - {i}]
            shares = [np.clip(other @ along / (along @ along), 0, 1) for other in others]
            gaps = [np.hypot(*(o - s * along)) for o, s in zip(others, shares, strict=True)]
            if min(gaps) > 0.8:
                open_ways.append((np.hypot(*along), i))
        if not open_ways:
            return route
        _, nearest = min(open_ways)
        left.remove(nearest)
        here = begin.places[nearest]
        route.append(tuple(here))


def route_of(name, seed):
    level = LEVELS[name]
    return clear_route(level, seed) if level.scattered else ROUTES[name]


def walk(env, name, seed, most=500):
    """Follow the route in the first copy.

    Returns:
        The items in the order in which they were eaten, the path, and the rewards.
    """
    env.reset(seed=seed)
    route, rest = list(route_of(name, seed)), 0
    left, order, path, rewards = env.items_left[0].copy(), [], [env.poses[0]], []
    for step in range(most):
        x, y, heading, _ = env.poses[0]
        while route and math.dist((x, y), route[0]) < ARRIVED:
            route.pop(0)
            rest = REST
        if not route:
            break
        bearing = math.degrees(math.atan2(route[0][1] - y, route[0][0] - x))
        error = (bearing - heading + 180) % 360 - 180
        if rest:
            action, rest = (UP, DOWN)[step % 2], rest - 1
        elif abs(error) > TURN / 2 + 0.1:
            action = LEFT if error > 0 else RIGHT
        else:
            action = FORWARD
        _, reward, terminated, truncated, _ = env.step(np.full(env.num_envs, action))
        rewards.append(float(reward[0]))
        if terminated[0] or truncated[0]:
            order += np.flatnonzero(left).tolist()  # a new episode shows all again
            break
        order += np.flatnonzero(left & ~env.items_left[0]).tolist()
        left = env.items_left[0].copy()
        path.append(env.poses[0])
    return order, np.array(path), rewards
