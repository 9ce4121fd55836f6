"""Complete runs whose weights are set by hand: a pole that is balanced, and nets of images."""

import json
from pathlib import Path

import torch

from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.store.measures import MEASURES
from colonnade.networks import ColumnSpec, Dense, ProgressiveNetwork, tiny_column
from colonnade.seeding import generator
from colonnade.tasks import task_from_name
from colonnade.training import write_tensors

POLE = "gym/CartPole-v1"
UNITS = 8
AROUND = {
    "measures": MEASURES,
    "versions": {"python": "3.12", "torch": "2.13"},
    "hardware": {"cpu": "A processor", "cores": 2, "threads": 1, "gpu": None},
    "timing": {"training_seconds": 500.0, "started": 1000.0, "finished": 1600.0},
    "notes": [],
}
"""What stands around the scores in a run's result."""


def balancing_network(columns: int = 2) -> ProgressiveNetwork:
    """Balances with two features of the first column; the second one adds only what is useless."""
    network = ProgressiveNetwork()
    spec = ColumnSpec((Dense(UNITS),), alpha=1.0)
    for k in range(columns):
        network.add_column(spec, {"observation": (4,)}, 3, generator(0, k))
    with torch.no_grad():
        first = network.column(0)
        lean = 10 * torch.tensor([0.03, 0.1, 1.0, 0.4])
        first.stage(0).weight[:2] = torch.stack([lean, -lean])
        readers = [first.output.weight]
        if columns > 1:
            second = network.newest
            second.output.weight.zero_()
            second.output.lateral.project.weight.copy_(torch.eye(UNITS))
            readers.append(second.output.lateral.transfer.weight)
        for weight in readers:
            weight.zero_()
            weight[1, 0] = weight[0, 1] = 20.0
    return network


def write_suite(
    path: Path, runs: list[tuple[RunSpec, ProgressiveNetwork, dict[str, int]]]
) -> SuiteFolder:
    """Write an output folder with complete runs."""
    suite = SuiteFolder(path, "by hand", {}, Plan(tuple(spec for spec, *_ in runs)))
    suite.begin()
    for spec, network, tasks in runs:
        write_run(suite.run(spec.id), spec, network, tasks)
    return suite


def write_run(
    folder: RunFolder, spec: RunSpec, network: ProgressiveNetwork, tasks: dict[str, int]
) -> None:
    folder.path.mkdir(parents=True)
    (folder.path / "spec.json").write_text(json.dumps(spec.to_json()))
    meta = {"network": network.spec_dict(), "tasks": tasks, "frozen": []}
    write_tensors(folder.path / "weights.safetensors", dict(network.state_dict()), meta)
    (folder.path / "network.json").write_text(json.dumps(meta))
    (folder.path / "result.json").write_text(json.dumps({**AROUND, "scores": []}))
    (folder.path / "DONE").touch()


def run_spec(label: str, method: str, task: str, parent: str | None = None) -> RunSpec:
    return RunSpec(label, method, (TaskBudget(task, 1000),), "ppo", "default", parent=parent)


def poles(path: Path) -> SuiteFolder:
    """A source run, and a progressive one that plays a task by each of its columns."""
    source = run_spec("source pole", "scratch", POLE)
    target = run_spec("progressive pole", "progressive", POLE, source.id)
    one, two = balancing_network(1), balancing_network(2)
    return write_suite(path, [(source, one, {POLE: 0}), (target, two, {POLE: 1})])


def images(path: Path) -> SuiteFolder:
    """Two- and three-column nets of images, their weights as they began."""
    runs = []
    for number, names in enumerate((["pong", "zoom"], ["pong", "zoom", "white"])):
        tasks = [f"mini-pong/{name}" for name in names]
        task = task_from_name(tasks[0], steps=1)
        network = ProgressiveNetwork()
        for k in range(len(tasks)):
            network.add_column(
                tiny_column(), task.spec.input_shapes, task.spec.outputs, generator(number, k)
            )
        spec = run_spec(f"progressive {' '.join(names)}", "progressive", tasks[-1])
        runs.append((spec, network, {name: k for k, name in enumerate(tasks)}))
    return write_suite(path, runs)
