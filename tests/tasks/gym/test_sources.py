"""Environments that a function of a user's own makes, itself or by name."""

import contextlib
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import gymnasium
import numpy as np
import pytest

from colonnade.errors import UsageError
from colonnade.experiments.plans.build import build_task, named_code
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.learners import A3C
from colonnade.methods import Scratch
from colonnade.networks import mlp_column
from colonnade.tasks import GymTask, task_from_name
from colonnade.tasks.gym import ids
from colonnade.testing import check_task
from colonnade.training import TrainingOptions, train_sequence
from colonnade.trust import UntrustedError, only_if_trusted

NAME = "walks_of_my_own"


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A file in the folder that a command is given in, which makes environments."""
    (tmp_path / f"{NAME}.py").write_text(
        textwrap.dedent("""
            import gymnasium

            def gentle(g=2.0):
                return gymnasium.make("Pendulum-v1", g=g)

            class Makers:
                cart = staticmethod(lambda: gymnasium.make("CartPole-v1"))

            def nothing():
                return None

            def broken():
                assert False

            number = 3
            """)
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield NAME
    sys.modules.pop(NAME, None)


def _played(task: GymTask) -> list[float]:
    with contextlib.closing(task.make_vec(2)) as envs:
        seen = [envs.reset(seed=[3, 4])[0]]
        seen += [envs.step(np.full((2, 1), 0.5, np.float32))[0] for _ in range(5)]
    return np.array(seen).ravel().tolist()


def test_a_function_and_its_name_make_what_the_id_makes(module: str) -> None:
    by_id = _played(GymTask("Pendulum-v1", options={"g": 4.0}))
    by_name = GymTask(f"{module}:gentle", options={"g": 4.0})
    assert by_name.spec.id == f"gym/{module}:gentle"
    assert _played(by_name) == by_id != _played(GymTask(f"{module}:gentle"))
    made = GymTask(lambda g: gymnasium.make("Pendulum-v1", g=g), options={"g": 4.0}, name="mine")
    assert made.spec.id == "mine"
    assert _played(made) == by_id
    assert GymTask(f"{module}:Makers.cart").spec.input_shapes == {"observation": (4,)}


@pytest.mark.parametrize("processes", [False, True])
def test_tasks_of_functions_keep_the_contract(processes: bool) -> None:
    def make() -> gymnasium.Env[Any, Any]:
        return gymnasium.make("CartPole-v1")

    task = GymTask(make, processes=processes, steps=64)
    check_task(task, num_envs=2)
    if processes:
        return
    train_sequence(  # whose workers are processes
        [task],
        Scratch(mlp_column((8,))),
        A3C(workers=2, rollout_steps=4),
        options=TrainingOptions(num_envs=2, segment_steps=32, curve_steps=32),
    )


def test_specs_and_command_lines_name_functions(module: str) -> None:
    budget = TaskBudget(f"gym/{module}:gentle", 50, {"g": 3.0, "name": "gentle"})
    spec = RunSpec("x", "scratch", (budget,), "ppo", "mlp")
    assert RunSpec.from_json(spec.to_json()) == spec
    assert named_code([spec]) == [module]
    task = build_task(budget)
    assert task == task_from_name(f"{module}:gentle", steps=50, g=3.0, name="gentle")
    assert task == GymTask(f"{module}:gentle", 50, options={"g": 3.0}, name="gentle")


def test_a_function_that_only_a_folder_names_is_not_imported(module: str) -> None:
    with (
        only_if_trusted("a folder", trust=False),
        pytest.raises(UntrustedError, match=f"a folder names the module '{module}'"),
    ):
        GymTask(f"{module}:gentle")
    assert module not in sys.modules


@pytest.mark.parametrize(
    ("source", "sentence"),
    [
        (f"{NAME}:gentel", f"'{NAME}:gentel' is neither an id that the module .* registers nor a"),
        (f"{NAME}:number", "should name a function that makes an environment, but names 3"),
        (f"{NAME}:nothing", f"'{NAME}:nothing' should make a gymnasium.Env, but returned None"),
        (f"{NAME}:broken", r"cannot be made .* AssertionError: \(.*walks_of_my_own.py, line 14\)"),
        ("no_such_module:make", "needs the module 'no_such_module', and importing it failed"),
        (7, "id of GymTask must be a Gymnasium id, a function that makes an environment"),
        (gymnasium.make("CartPole-v1"), "id of GymTask must be .* a function that makes an env"),
        (lambda: gymnasium.make("CartPole-v1").spec, "should make a gymnasium.Env, but returned"),
        (lambda more: None, "does not take the options {}: .* missing 1 required"),
    ],
)
def test_what_makes_no_environment_is_told(module: str, source: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        _ = GymTask(source).spec


def test_ids_of_known_packages_need_no_module(monkeypatch: pytest.MonkeyPatch) -> None:
    def imported(name: str) -> ModuleType:
        assert name == "highway_env"
        gymnasium.register("highway-fast-v0", "gymnasium.envs.classic_control:CartPoleEnv")
        return ModuleType(name)

    monkeypatch.setattr(ids, "find_spec", lambda name: name == "highway_env" or None)
    monkeypatch.setattr(ids, "import_module", imported)
    try:
        for name in ("highway-fast-v0", "gym/highway-fast-v0"):
            assert task_from_name(name).spec.id == "gym/highway-fast-v0"
        with pytest.raises(UsageError, match="package highway-env, which has no such id"):
            task_from_name("highway-slow-v0")
    finally:
        gymnasium.registry.pop("highway-fast-v0", None)
