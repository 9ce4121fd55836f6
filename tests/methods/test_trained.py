"""By what each column was trained, which the tasks that columns play do not say."""

from typing import Any

import pytest

from colonnade.experiments.store.contents import misfit_of_network
from colonnade.methods import ColumnMethod, method_from_name
from colonnade.networks import tiny_column
from colonnade.tasks import task_from_name
from colonnade.types import TaskSpec

PONG, ZOOM = "mini-pong/pong", "mini-pong/zoom"


def spec_of(task: str) -> TaskSpec:
    return task_from_name(task, steps=10).spec


def learned(name: str, *tasks: str, **options: Any) -> ColumnMethod:
    method = method_from_name(name, column=tiny_column(), **options)
    assert isinstance(method, ColumnMethod)
    for task in tasks:
        method.begin_task(spec_of(task))
    return method


@pytest.mark.parametrize(
    ("name", "tasks", "trained"),
    [
        ("progressive", [PONG, PONG], [[PONG], [PONG]]),
        ("finetune", [PONG, ZOOM, PONG], [[ZOOM, PONG]]),
        ("random-column", [PONG], [[], [PONG]]),
    ],
)
def test_a_state_says_what_trained_each_column(
    name: str, tasks: list[str], trained: list[list[str]]
) -> None:
    method = learned(name, *tasks)
    assert method.trained == trained
    tensors, meta = method.state()
    other = learned("progressive")
    other.load_state(tensors, meta)
    assert other.trained == trained
    other.begin_task(spec_of(ZOOM))
    assert other.trained == [*trained, [ZOOM]]
    assert meta["trained"] == trained


def test_parents_side_by_side_keep_what_trained_them() -> None:
    method = learned("progressive")
    method.load_states([learned("scratch", PONG).state(), learned("scratch", PONG).state()])
    assert method.columns == {PONG: 0}
    assert method.trained == [[PONG], [PONG]]


def test_an_older_state_knows_what_its_columns_play() -> None:
    tensors, meta = learned("random-column", PONG).state()
    del meta["trained"]
    method = learned("progressive")
    method.load_state(tensors, meta)
    assert method.trained == [None, [PONG]]


@pytest.mark.parametrize(
    ("trained", "words"),
    [
        ([[PONG]], ""),
        ([None], ""),
        ([PONG], "should have a list of texts or null as 'trained[0]'"),
        ([[PONG], []], "says by what 2 columns were trained, where there are 1"),
    ],
)
def test_a_file_says_it_of_all_columns(trained: list[Any], words: str) -> None:
    _, meta = learned("scratch", PONG).state()
    wrong = misfit_of_network({**meta, "trained": trained})
    assert wrong.startswith(words)
    assert bool(wrong) == bool(words)
