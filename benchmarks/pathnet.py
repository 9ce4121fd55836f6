"""PathNet: what paths cost, and generations per second against a peer.

Figures:

- `path_step_vs_plain`: time of a training step along one path over that of a plain network whose
  layers are as wide as the active modules together, the larger one of two: a minibatch of 16 with
  `supervised` on the paper's MNIST network, and a rollout of 5 x 16 steps with `a2c` on its Atari
  network.
- `mixed_paths_vs_one`: time of deciding for 16 Atari environments on 16 different paths over that
  on one path, in the precision that training chooses; `..._float32` in full precision.
- `generations_vs_peer`: generations per second over those of kimhc6028/pathnet-pytorch, on one
  binary task of digits: L 3, M 10, N 3, 20 units, population 64, two evaluations of 50 minibatches
  of 16, on as many images as a pair of MNIST's labels has. Needs `--peer DIR`, a checkout of it.
"""

import argparse
import sys
from collections.abc import Callable
from types import SimpleNamespace

from _alternate import alternate, report, rest_threads

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--quick", action="store_true", help="rough figures in under 50 seconds")
parser.add_argument("--peer", help="a checkout of kimhc6028/pathnet-pytorch")
ARGS = parser.parse_args()
rest_threads()  # before torch is imported

import numpy as np  # noqa: E402
import torch  # noqa: E402
from gymnasium.spaces import Box, Discrete  # noqa: E402
from torch import nn  # noqa: E402

from colonnade.learners import A2C, Compute, Lesson, Supervised  # noqa: E402
from colonnade.methods import PathNet  # noqa: E402
from colonnade.networks import (  # noqa: E402
    Conv,
    ModularNetwork,
    ModularSpec,
    PopulationView,
    atari_modules,
    mnist_modules,
)
from colonnade.tasks import DataTask, task_from_name  # noqa: E402
from colonnade.types import Examples, Rollout, TaskSpec  # noqa: E402

ATARI = TaskSpec("atari", Box(0, 255, (4, 84, 84), np.uint8), Discrete(6), 10**9)
DIGITS = TaskSpec("digits", Box(0, 1, (1, 28, 28)), Discrete(2), 10**9, labelled=True)


class Plain(nn.Module):
    """A network whose layers compute what N modules do, written with PyTorch's own layers."""

    def __init__(self, spec: ModularSpec, task: TaskSpec) -> None:
        super().__init__()
        shape = task.input_shapes["observation"]
        self.groups, self.average = spec.active, spec.last == "average"
        self.layers = nn.ModuleList()
        for stage in spec.layers:
            if isinstance(stage, Conv):
                layer: nn.Module = nn.Conv2d(
                    shape[0], spec.active * stage.maps, stage.kernel, stage.stride
                )
                sides = [(side - stage.kernel) // stage.stride + 1 for side in shape[1:]]
                shape = (stage.maps, *sides)
            else:
                layer = nn.Linear(torch.Size(shape).numel(), spec.active * stage.units)
                shape = (stage.units,)
            self.layers.append(layer)
        self.head = nn.Linear(torch.Size(shape).numel(), task.outputs)

    def forward(self, inputs, state=None):
        """Take one step."""
        x = inputs["observation"]
        if x.dtype == torch.uint8:
            half = torch.is_autocast_enabled("cpu")
            x = x.to(torch.get_autocast_dtype("cpu") if half else torch.float32) / 255
        for layer in self.layers:
            x = torch.relu(layer(x.flatten(1) if isinstance(layer, nn.Linear) else x))
            x = x.unflatten(1, (self.groups, -1)).sum(1) if x.dim() == 4 else x.view(
                len(x), self.groups, -1
            ).sum(1)  # fmt: skip
        return self.head(x / self.groups if self.average else x), state

    def unroll(self, inputs, state, starts):
        """Take T steps at once."""
        x = inputs["observation"].flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return self({"observation": x})[0].unflatten(0, starts.shape), state


def modular(spec: ModularSpec, task: TaskSpec) -> ModularNetwork:
    network = ModularNetwork(spec, task.input_shapes)
    network.add_head(task.outputs)
    return network


def some_path(spec: ModularSpec, rng: np.random.Generator):
    rows = [rng.permutation(spec.modules)[: spec.active] for _ in spec.layers]
    return tuple(tuple(sorted(int(module) for module in row)) for row in rows)


def rollout() -> Rollout:
    lead = (5, 16)
    frames = torch.randint(0, 256, (*lead, 84, 84, 4), dtype=torch.uint8).permute(0, 1, 4, 2, 3)
    off = torch.zeros(lead, dtype=torch.bool)
    return Rollout(
        inputs={"observation": frames},
        actions=torch.randint(0, 6, (*lead, 1)),
        rewards=torch.randn(lead),
        terminated=off,
        truncated=off,
        starts=off,
        log_probs=torch.randn(lead),
        values=torch.randn(lead),
        final_values=torch.zeros(lead),
        last_value=torch.zeros(16),
        state={},
    )


def labels_step(network) -> Callable[[], int]:
    learner = Supervised().build(network, DIGITS, Compute(torch.device("cpu")))
    batch = Examples({"observation": torch.rand(16, 1, 28, 28)}, torch.randint(0, 2, (16,)))

    def work() -> int:
        for _ in range(20):
            learner.update(batch, lambda: None)
        return 20

    return work


def atari_step(network) -> Callable[[], int]:
    learner = A2C().build(network, ATARI, Compute.choose(ATARI, "cpu"))
    batch = rollout()

    def work() -> int:
        for _ in range(4):
            learner.update(batch, lambda: None)
        return 4

    return work


def deciding(view: PopulationView, compute: Compute) -> Callable[[], int]:
    frames = torch.randint(0, 256, (16, 84, 84, 4), dtype=torch.uint8).permute(0, 3, 1, 2)
    state = view.initial_state(16)

    def work() -> int:
        with torch.no_grad(), compute.autocast():
            for _ in range(10):
                view({"observation": frames}, state)
        return 10

    return work


def paths_cost(rounds: int, seconds: float) -> dict[str, float]:
    rng = np.random.default_rng(0)
    labels, games = modular(mnist_modules(), DIGITS), modular(atari_modules(), ATARI)
    best, full = Compute.choose(ATARI, "cpu"), Compute(torch.device("cpu"))
    paths = [some_path(games.spec, rng) for _ in range(16)]
    mixed = games.population_view(paths)
    one = games.population_view([paths[0]] * 16)
    rate = alternate(
        {
            "labels_path": labels_step(labels.view(some_path(labels.spec, rng))),
            "labels_plain": labels_step(Plain(labels.spec, DIGITS)),
            "atari_path": atari_step(games.view(paths[0])),
            "atari_plain": atari_step(Plain(games.spec, ATARI)),
            "mixed": deciding(mixed, best),
            "one": deciding(one, best),
            "mixed_float32": deciding(mixed, full),
            "one_float32": deciding(one, full),
        },
        rounds=rounds,
        seconds=seconds,
    )
    labels_ratio = rate["labels_plain"] / rate["labels_path"]
    atari_ratio = rate["atari_plain"] / rate["atari_path"]
    return {
        "path_step_vs_plain": max(labels_ratio, atari_ratio),
        "path_step_vs_plain_mnist": labels_ratio,
        "path_step_vs_plain_atari": atari_ratio,
        "mixed_paths_vs_one": rate["one"] / rate["mixed"],
        "mixed_paths_vs_one_float32": rate["one_float32"] / rate["mixed_float32"],
    }


def our_generation(images: torch.Tensor, targets: torch.Tensor) -> Callable[[], int]:
    method = PathNet(mnist_modules(), population=64, episodes=50)
    task = DataTask("pair", train=(images, targets), test=(images, targets), classes=2)
    view = method.begin_task(task.spec)
    learner = Supervised(learning_rate=0.01, momentum=0.0, batch_size=16)
    trainer = learner.trainer(Lesson(task, view, method.penalty, Compute(torch.device("cpu"))))
    trainer.begin(lambda name: 0)

    def work() -> int:
        for _ in range(100):
            method.on_segment(trainer.advance().episodes)
        return 1

    return work


def peer_generation(images: torch.Tensor, targets: torch.Tensor) -> Callable[[], int]:
    """What the peer's `train_pathnet` does in a generation, without its pictures and prints."""
    sys.path.insert(0, ARGS.peer)
    import genotype
    import pathnet as peer

    args = SimpleNamespace(
        L=3, M=10, N=3, neuron_num=20, readout_num=2, lr=0.01, cuda=False, cifar_svhn=False
    )
    network, genes = peer.Net(args), genotype.Genetic(3, 10, 3, 64)
    data = torch.utils.data.TensorDataset(images.flatten(1), targets)
    loader = torch.utils.data.DataLoader(data, batch_size=16, shuffle=True)

    def work() -> int:
        contestants = genes.sample()
        batches = list(loader)
        fitness = [network.train_model(batches, c.return_genotype(), 50) for c in contestants]
        genes.overwrite(contestants, fitness)
        return 1

    return work


def main() -> None:
    """Measure and report."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    figures = paths_cost(*((5, 0.5) if ARGS.quick else (15, 2.0)))
    examples = task_from_name("digits/pair-3-5-noise-50").examples("train")
    # Copied until there are as many as a pair of MNIST's labels has, 12,000.
    images = examples.inputs["observation"].float().div(255).repeat(52, 1, 1, 1)
    targets = examples.targets.repeat(52)
    sides = {"generations": our_generation(images, targets)}
    if ARGS.peer:
        sides["peer"] = peer_generation(images, targets)
    rate = alternate(sides, rounds=3 if ARGS.quick else 9, seconds=1.0 if ARGS.quick else 4.0)
    figures["generations_per_second"] = rate["generations"]
    if ARGS.peer:
        figures["peer_generations_per_second"] = rate["peer"]
        figures["generations_vs_peer"] = rate["generations"] / rate["peer"]
    report(figures)


if __name__ == "__main__":
    main()
