"""What a task promises: its environments, or its examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from gymnasium.vector import AutoresetMode

from colonnade.checks import having
from colonnade.learners.acting.observed import completed
from colonnade.tasks.vector import AnyVectorEnv
from colonnade.testing.contract import ContractError, demand
from colonnade.types import DatasetTask, EnvironmentTask, StatefulEnvironments, Task


def check_task(task: Task, *, num_envs: int = 3, steps: int = 60, seed: int = 0) -> None:
    """Check that a task is what methods, learners and checkpoints rely on.

    Args:
        task: With environments or with examples.
        num_envs: How many environments to step side by side.
        steps: How many random steps each takes; enough for an episode to end in one of them.
        seed: Of environments and actions.

    Raises:
        UsageError: It is no task.
        ContractError: It is not: its description changes or does not fit what comes, resets are not
            in the same step, the same seed gives other numbers, arrays are written to later, or
            environments do not go on from a state that they gave.
    """
    having("task of check_task", task, "a task", "spec")
    demand(task.spec == task.spec, f"The spec of task {task.spec.id!r} should stay the same.")
    if isinstance(task, EnvironmentTask):
        _check_spaces(task, num_envs, seed)
        first, second = (_played(task, num_envs, steps, seed) for _ in range(2))
        for number, (one, other) in enumerate(zip(first, second, strict=True)):
            demand(
                _same(one[:4], other[:4]),
                f"Two environments of task {task.spec.id!r} with the same seed and actions should "
                f"do the same, but differ in step {number}.",
            )
        _check_ends(task, first)
        _check_state(task, num_envs, steps, seed)
    elif isinstance(task, DatasetTask):
        _check_examples(task)
    else:
        demand(
            False,
            f"Task {task.spec.id!r} should have environments (`make_vec`) or examples "
            "(`examples`), but has neither.",
        )


def _made(task: EnvironmentTask, num_envs: int) -> AnyVectorEnv:
    """Make environments as training does."""
    try:
        return task.make_vec(num_envs, 1)
    except TypeError as error:
        raise ContractError(
            f"make_vec of task {task.spec.id!r} should take the number of environments and of "
            f"threads, but make_vec({num_envs}, 1) failed: {error}."
        ) from error


def _check_spaces(task: EnvironmentTask, num_envs: int, seed: int) -> None:
    name = f"task {task.spec.id!r}"
    env = _made(task, num_envs)
    try:
        demand(env.num_envs == num_envs, f"make_vec({num_envs}) of {name} made {env.num_envs}.")
        mode = env.metadata.get("autoreset_mode")
        demand(
            mode == AutoresetMode.SAME_STEP,
            f"Environments of {name} should begin the next episode in the step in which one ends "
            f'(metadata["autoreset_mode"] = AutoresetMode.SAME_STEP), but have {mode}.',
        )
        for what, space, said in (
            ("observations", env.single_observation_space, task.spec.observation_space),
            ("actions", env.single_action_space, task.spec.action_space),
        ):
            demand(space == said, f"The spec of {name} says {what} {said}, but they are {space}.")
        observation, _ = env.reset(seed=seed)
        env.action_space.seed(seed)
        stepped, *outcome, _ = env.step(env.action_space.sample())
        for seen in (observation, stepped):
            demand(
                env.observation_space.contains(seen),
                f"An observation of {name} should lie in {env.observation_space}, but does not.",
            )
        for what, value, kind, words in zip(
            ("rewards", "terminated", "truncated"),
            outcome,
            (np.floating, np.bool_, np.bool_),
            ("floating-point numbers", "bool", "bool"),
            strict=True,
        ):
            dtype = getattr(value, "dtype", None)
            demand(
                dtype is not None and np.issubdtype(dtype, kind) and np.shape(value) == (num_envs,),
                f"The {what} of {name} should be {words} of shape ({num_envs},), but are "
                f"{dtype} of shape {np.shape(value)}.",
            )
    finally:
        env.close()


def _played(task: EnvironmentTask, num_envs: int, steps: int, seed: int) -> list[tuple[Any, ...]]:
    """Play with random actions: (observation, reward, terminated, truncated, info) of each step."""
    env = _made(task, num_envs)
    try:
        observation, info = env.reset(seed=seed)
        env.action_space.seed(seed)
        nothing = np.zeros(num_envs, np.float32)
        trajectory: list[tuple[Any, ...]] = [(observation, nothing, nothing, nothing, info)]
        kept = [_copy(observation)]
        for _ in range(steps):
            trajectory.append(env.step(env.action_space.sample()))
            kept.append(_copy(trajectory[-1][0]))
    finally:
        env.close()
    for (observation, *_), copy in zip(trajectory, kept, strict=True):
        demand(
            _same(observation, copy),
            f"An observation of task {task.spec.id!r} was written to by a later step; hand out a "
            "fresh array each time.",
        )
    return trajectory


def _check_ends(task: EnvironmentTask, trajectory: list[tuple[Any, ...]]) -> None:
    shape = [leaf.shape for leaf in _leaves(trajectory[0][0])]
    for observation, _, terminated, truncated, info in trajectory[1:]:
        lives_on = info.get("lives_on", np.zeros(len(terminated), bool))
        if ((terminated & ~lives_on) | truncated).any():
            # Gymnasium's own environments give an object for each episode that ended.
            final = completed(info, observation) if "final_obs" in info else None
            demand(
                final is not None and [leaf.shape for leaf in _leaves(final)] == shape,
                f"Where an episode of task {task.spec.id!r} ends, info['final_obs'] should be the "
                "last observations, a full batch like any other.",
            )


def _check_state(task: EnvironmentTask, num_envs: int, steps: int, seed: int) -> None:
    env, other = _made(task, num_envs), _made(task, num_envs)
    try:
        if not isinstance(env, StatefulEnvironments):
            return
        assert isinstance(other, StatefulEnvironments)
        env.reset(seed=seed)
        other.reset(seed=seed + 1)
        env.action_space.seed(seed)
        actions = [env.action_space.sample() for _ in range(2 * steps)]
        for action in actions[:steps]:
            env.step(action)
        other.load_state({name: np.copy(value) for name, value in env.state().items()})
        for action in actions[steps:]:
            demand(
                _same(env.step(action)[:4], other.step(action)[:4]),
                f"Environments of task {task.spec.id!r} that were given the `state` of others "
                "should go on as they do, but differ.",
            )
    finally:
        env.close()
        other.close()


def _check_examples(task: DatasetTask) -> None:
    for split in ("train", "test"):
        one, other = task.examples(split), task.examples(split)
        demand(
            torch.equal(one.targets, other.targets),
            f"The {split} examples of task {task.spec.id!r} should come in the same order.",
        )
        classes = sum(task.spec.action_sizes)
        low, high = int(one.targets.min()), int(one.targets.max())
        demand(
            low >= 0 and high < classes,
            f"Labels of task {task.spec.id!r} should be from 0 to {classes - 1}, but are from "
            f"{low} to {high}.",
        )
        for name, shape in task.spec.input_shapes.items():
            got = tuple(one.inputs[name].shape)
            demand(
                got == (len(one.targets), *shape),
                f"Input {name!r} of task {task.spec.id!r} should have the shape "
                f"{(len(one.targets), *shape)}, but has {got}.",
            )


def _leaves(value: Any) -> list[Any]:
    return list(value.values()) if isinstance(value, dict) else [value]


def _copy(value: Any) -> Any:
    return {k: v.copy() for k, v in value.items()} if isinstance(value, dict) else value.copy()


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        return all(_same(a, b) for a, b in zip(one, other, strict=True))
    pairs = zip(_leaves(one), _leaves(other), strict=True)
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in pairs)
