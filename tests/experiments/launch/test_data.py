"""Data sets are fetched, and packages looked for, before any run begins."""

import importlib.util
import sys

import pooch
import pytest
import requests

from colonnade.cli.main import main
from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.launch.data import fetch
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.tasks.images.sets import load_images


@pytest.fixture
def without_network(tmp_path, monkeypatch):
    def refuse(*_):
        raise requests.exceptions.ConnectionError

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", refuse)
    monkeypatch.setenv("COLONNADE_DATA", str(tmp_path / "data"))
    load_images.cache_clear()
    yield
    load_images.cache_clear()


def test_what_is_not_at_hand_is_said_before_a_run_begins(without_network, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["run", "ewc-overlap-mnist", "--out", str(out), "--jobs", "1"]) == 1
    captured = capsys.readouterr()
    assert "The data set 'mnist' can't be downloaded (the network can't be reached); put" in (
        " ".join(captured.err.split())
    )
    assert "running" not in captured.out
    assert not list(out.glob("runs/*/log.txt"))


@pytest.mark.parametrize(
    ("task", "package", "words"),
    [
        ("jaco/reach", "mujoco", r"importing mujoco failed .*pip install colonnade\[arm\]"),
        ("doom-labyrinth/track-1", "vizdoom", r"need ViZDoom, which is not installed"),
    ],
)
def test_a_package_that_a_task_needs_is_missed_before_a_run_begins(
    tmp_path, monkeypatch, task, package, words
):
    find = importlib.util.find_spec
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == package else find(name)
    )
    spec = RunSpec("one", "scratch", (TaskBudget(task, 10),), "ppo", {"preset": "labyrinth"})
    suite = SuiteFolder(tmp_path, "mine", {}, Plan((spec,)))
    with pytest.raises(UsageError, match=words):
        fetch(suite, suite.plan)


def test_only_what_is_left_to_train_needs_its_data(without_network, tmp_path):
    tasks = (TaskBudget("permuted-mnist/3", 10),)
    spec = RunSpec("digits", "finetune", tasks, "supervised", {"preset": "mnist"})
    suite = SuiteFolder(tmp_path, "mine", {}, Plan((spec,)))
    with pytest.raises(ColonnadeError, match="'mnist' can't be downloaded"):
        fetch(suite, suite.plan)
    folder = suite.run(spec.id).path
    folder.mkdir(parents=True)
    (folder / "DONE").touch()
    fetch(suite, suite.plan)
