import inspect
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.errors import UsageError
from colonnade.experiments.plans.build import build_method
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.methods import ColumnMethod, Finetune
from colonnade.tasks import GymTask
from colonnade.training import evaluate

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
options = st.dictionaries(st.text(max_size=8), json_values, max_size=3)
specs = st.builds(
    RunSpec,
    label=st.text(max_size=20),
    method=st.text(max_size=8),
    tasks=st.lists(
        st.builds(TaskBudget, st.text(max_size=8), st.integers(1, 10**9)), min_size=1, max_size=3
    ).map(tuple),
    learner=st.text(max_size=8),
    column=st.text(max_size=8) | options,
    seed=st.integers(0, 2**31),
    method_options=options,
    learner_options=options,
    training_options=options,
    evaluation_episodes=st.integers(1, 100),
    parent=st.none() | st.text(max_size=8),
    evaluation_limit=st.integers(1, 10**6),
)


def example(**changes: Any) -> RunSpec:
    values: dict[str, Any] = {
        "label": "Finetune pong to zoom, seed 0",
        "method": "finetune",
        "tasks": (TaskBudget("pong-soup/zoom", 1000),),
        "learner": "a2c",
        "column": "pong-soup",
    }
    return RunSpec(**{**values, **changes})


@given(specs)
def test_json_round_trip_keeps_the_spec_and_its_id(spec: RunSpec) -> None:
    again = RunSpec.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert again.id == spec.id


@given(specs)
def test_ids_are_folder_names(spec: RunSpec) -> None:
    assert set(spec.id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert not spec.id.startswith("-")


def test_the_id_is_stable_between_versions() -> None:
    # Changing how ids are made orphans every stored run: do it knowingly.
    assert example().id == "finetune-pong-to-zoom-seed-0-22cd3da2"
    assert "evaluation_limit" not in example().to_json()
    default = inspect.signature(evaluate).parameters["limit"].default
    assert example().evaluation_limit == example(evaluation_limit=default).evaluation_limit


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": 1},
        {"label": "Finetune pong to zoom, seed 1"},
        {"tasks": (TaskBudget("pong-soup/zoom", 1001),)},
        {"learner_options": {"learning_rate": 1e-3}},
        {"parent": "pong-1234"},
        {"evaluation_limit": 5},
    ],
)
def test_every_change_changes_the_id(changes: dict[str, Any]) -> None:
    assert example(**changes).id != example().id


def test_a_spec_without_a_column_takes_the_default() -> None:
    data = example().to_json()
    del data["column"]
    spec = RunSpec.from_json(data)
    assert spec == example(column="default")
    assert spec.id == example(column="default").id
    method = build_method(spec)
    assert isinstance(method, ColumnMethod)
    task = GymTask("CartPole-v1").spec
    method.begin_task(task)
    by_hand = Finetune()
    by_hand.begin_task(task)
    assert method.network.spec_dict() == by_hand.network.spec_dict()
    assert build_method(RunSpec.from_json({**data, "method": "pathnet"}))


def test_later_changes_of_the_callers_options_do_not_reach_the_spec() -> None:
    given_options = {"layers": [1, 2]}
    spec = example(method_options=given_options)
    given_options["layers"].append(3)
    assert spec.method_options == {"layers": [1, 2]}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([], "must be a JSON object"),
        ({"lable": "x"}, "did you mean 'label'"),
        ({"label": 3}, "lacks 'method', 'tasks', 'learner'; add"),
        ({**example().to_json(), "label": 3}, "label of spec.json must be a text; got 3"),
        ({**example().to_json(), "tasks": []}, "at least one task"),
        ({**example().to_json(), "tasks": "pong"}, "tasks of spec.json must be a list"),
        ({**example().to_json(), "tasks": [{"name": "pong"}]}, "lacks 'steps'"),
        (
            {**example().to_json(), "tasks": [{"name": "p", "steps": 0}]},
            "steps of TaskBudget must be a whole number at least 1; got 0",
        ),
        ({**example().to_json(), "tasks": [{"nam": "p"}]}, "did you mean 'name'"),
        (
            {**example().to_json(), "seed": True},
            "seed of spec.json must be a whole number; got True",
        ),
        (
            {**example().to_json(), "column": 3},
            "column of spec.json must be a text or an object; got 3",
        ),
        (
            {**example().to_json(), "learner_options": [1]},
            "learner_options of spec.json must be an object",
        ),
        ({**example().to_json(), "method_options": {"a": float("nan")}}, "what JSON cannot"),
        ({**example().to_json(), "evaluation_limit": 0}, "at least 1; got 0"),
        ({**example().to_json(), "parent": 1}, "parent of spec.json must be a text"),
    ],
)
def test_wrong_specs_get_one_clear_sentence(value: object, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        RunSpec.from_json(value, "spec.json")
    assert "spec.json" in str(caught.value)
    assert "\n" not in str(caught.value)
