"""Ten permuted-digits tasks through Avalanche's EWC, tuned by as many draws as our own.

The suite `ewc-permuted-tuning` draws learning rates and lambdas for our methods; this script takes
the same learning rates and as many lambdas, from a range of its own: Avalanche leaves out the
factor 1/2 and squares the mean gradient of a minibatch, which at 128 examples comes to about a
hundredth of the Fisher. Same data, network, minibatches, passes and momentum.

Needs an environment with Avalanche: `pip install . avalanche-lib`.

    python benchmarks/avalanche_permuted.py [--quick] [--out FILE]
"""

from __future__ import annotations

import argparse
import json
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from colonnade.experiments.plans.search_space import LogUniform
from colonnade.experiments.suites.ewc.permuted import TUNING_DRAWS, TUNING_SEED, draw
from colonnade.tasks import PermutedTask
from colonnade.types import Split

LAMBDAS = LogUniform(100.0, 100_000.0)
SEEDS = (0, 1, 2)


def _import_avalanche() -> Any:
    """Import Avalanche, also where torchvision was built for another PyTorch.

    Only torchvision's transforms are used, which are plain Python; its operators are not.
    """
    register = torch.library.register_fake

    def lenient(name: Any, *args: Any, **options: Any) -> Any:
        if str(name).startswith("torchvision::"):
            return lambda function: function
        return register(name, *args, **options)

    torch.library.register_fake = lenient
    warnings.filterwarnings("ignore")
    import avalanche

    return avalanche


def data_of(task: PermutedTask, split: Split) -> tuple[Tensor, Tensor]:
    examples = task.examples(split)
    return examples.inputs["observation"].float() / 255, examples.targets


def network() -> nn.Module:
    layers = [nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 400), nn.ReLU(), nn.Linear(400, 10)]
    for layer, gain in ((layers[0], 2**0.5), (layers[2], 2**0.5), (layers[4], 1.0)):
        nn.init.orthogonal_(layer.weight, gain)
        nn.init.zeros_(layer.bias)
    return nn.Sequential(*layers)


def learn(
    tasks: list[PermutedTask], rate: float, lam: float, epochs: int, seed: int, split: Split
) -> dict[str, Any]:
    """Learn all tasks in turn and score them in the end."""
    from avalanche.benchmarks import benchmark_from_datasets
    from avalanche.benchmarks.utils import as_classification_dataset
    from avalanche.training.plugins import EvaluationPlugin
    from avalanche.training.supervised import EWC
    from torch.utils.data import TensorDataset

    torch.manual_seed(seed)
    model = network()
    train = [
        _dataset(as_classification_dataset, TensorDataset, *data_of(t, "train")) for t in tasks
    ]
    benchmark = benchmark_from_datasets(train=train)
    strategy = EWC(
        model=model,
        optimizer=torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9),
        criterion=nn.CrossEntropyLoss(),
        ewc_lambda=lam,
        train_mb_size=128,
        train_epochs=epochs,
        eval_mb_size=500,
        evaluator=EvaluationPlugin(loggers=[]),
    )
    started, busy = time.perf_counter(), time.process_time()
    for experience in benchmark.train_stream:
        strategy.train(experience)
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    model.eval()
    scores = []
    with torch.no_grad():
        for task in tasks:
            x, y = data_of(task, split)
            scores.append(float((model(x).argmax(1) == y).float().mean()))
    return {
        "rate": rate,
        "lambda": lam,
        "seed": seed,
        "split": split,
        "average": sum(scores) / len(scores),
        "scores": [round(score, 4) for score in scores],
        "seconds": round(seconds, 1),
        "cpu_seconds": round(busy, 1),
    }


def _dataset(convert: Any, wrap: Any, x: Tensor, y: Tensor) -> Any:
    dataset = wrap(x, y)
    dataset.targets = y.tolist()
    return convert(dataset)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="two tasks, two draws, one pass")
    parser.add_argument("--out", type=Path, help="a JSON file, one line for each run")
    options = parser.parse_args()
    version = _import_avalanche().__version__
    torch.set_num_threads(1)
    tasks = [PermutedTask("digits", number) for number in range(2 if options.quick else 10)]
    epochs = 1 if options.quick else 20
    runs: list[dict[str, Any]] = []
    done = [json.loads(line) for line in _lines(options.out)]

    def run(rate: float, lam: float, seed: int, split: Split) -> dict[str, Any]:
        for entry in done:  # of an earlier call that was cut off
            if (entry["rate"], entry["lambda"], entry["seed"]) == (rate, lam, seed):
                return entry
        entry = learn(tasks, rate, lam, epochs, seed, split)
        print(json.dumps(entry), flush=True)
        if options.out:
            with options.out.open("a") as file:
                file.write(json.dumps(entry) + "\n")
        return entry

    for number in range(2 if options.quick else len(TUNING_DRAWS)):
        rate, lam = draw(number, LAMBDAS)
        runs.append(run(rate, lam, TUNING_SEED, "validation"))
    best = max(runs, key=lambda entry: entry["average"])
    final = [
        run(best["rate"], best["lambda"], seed, "test")
        for seed in (SEEDS[:1] if options.quick else SEEDS)
    ]
    mean = sum(entry["average"] for entry in final) / len(final)
    print(
        json.dumps(
            {
                "avalanche": version,
                "avalanche_ewc_average_accuracy": round(mean, 4),
                "learning_rate": best["rate"],
                "lambda": best["lambda"],
                "seconds_a_run": sum(entry["seconds"] for entry in final) / len(final),
                "cpu_seconds_a_run": sum(entry["cpu_seconds"] for entry in final) / len(final),
            }
        )
    )


def _lines(path: Path | None) -> list[str]:
    return path.read_text().splitlines() if path and path.exists() else []


if __name__ == "__main__":
    main()
