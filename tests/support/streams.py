"""Tasks that take turns unannounced, and what a recogniser makes of them."""

from dataclasses import dataclass, field

import numpy as np


@dataclass
class Verdicts:
    """What was said, when and in which task; the agent steps at which visits began."""

    times: list = field(default_factory=list)
    contexts: list = field(default_factory=list)
    tasks: list = field(default_factory=list)
    begins: list = field(default_factory=list)


def turns(tasks, visits, random):
    """Each task once in every round, in random order, never twice in a row."""
    order = []
    for _ in range(visits):
        part = random.permutation(tasks)
        while order and part[0] == order[-1]:
            part = random.permutation(tasks)
        order += [int(task) for task in part]
    return order


def recognise(tasks, recogniser, order, lengths, seed=0):
    """Play the tasks at random, each going on where it was left, and ask after every step."""
    random = np.random.default_rng(seed)
    envs = [task.make_vec(1) for task in tasks]
    for number, env in enumerate(envs):
        env.reset(seed=seed + number)
    said, step = Verdicts(), 0
    for task, length in zip(order, lengths, strict=True):
        said.begins.append(step)
        choices = int(envs[task].single_action_space.n)
        for _ in range(length):
            step += 1
            shown = envs[task].step(random.integers(choices, size=1))[0]
            found = recogniser.observe({"observation": shown[0]}, tasks[task].spec.id)
            if found is not None:
                said.times.append(step)
                said.contexts.append(int(found.removeprefix("context-")))
                said.tasks.append(task)
    for env in envs:
        env.close()
    return said
