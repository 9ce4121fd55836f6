"""What elastic weight consolidation costs: estimating the Fisher, and training under the penalty.

Figures:

- `fisher_vs_loop_mlp`, `fisher_vs_loop_conv`: samples/s of the exact Fisher of an MLP of 2 x 400
  units and of the 12-map conv net, 8 batches of 128, over those of the loop that takes one sample
  after another and differentiates each label's log-probability. `fisher_vs_loop` is the smaller.
- `step_after_10_tasks_vs_plain`: time of an SGD step of that MLP at batch 128 with the penalty of
  10 tasks, whose gradient is added to that of the loss, over that of a plain step; ..._by_loss:
  with the penalty added to the loss; `step_after_10_tasks_vs_1`: over that with 1 task.
"""

from collections.abc import Callable

from _alternate import alternate, arguments, report

ARGS = arguments(__doc__, spin=True)

import torch  # noqa: E402
import torch.nn.functional as F  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from colonnade.methods import Consolidation  # noqa: E402
from colonnade.ops import parameter_fisher  # noqa: E402

BATCH = 128
BATCHES = 8


def mlp() -> tuple[nn.Module, Tensor]:
    """Two hidden layers of 400 units, and images of 784 pixels."""
    layers = [nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 400), nn.ReLU(), nn.Linear(400, 10)]
    return nn.Sequential(*layers), torch.rand(BATCH, 784)


def conv() -> tuple[nn.Module, Tensor]:
    """The network of 12 maps, with the six actions of Pong, and stacks of four frames."""
    sizes = [(4, 8, 4), (12, 4, 2), (12, 3, 1)]
    maps = [m for c, k, s in sizes for m in (nn.Conv2d(c, 12, k, s), nn.ReLU())]
    head = [nn.Flatten(), nn.Linear(588, 256), nn.ReLU(), nn.Linear(256, 6)]
    return nn.Sequential(*maps, *head), torch.rand(BATCH, 4, 84, 84)


def fisher(model: nn.Module, x: Tensor) -> Callable[[], int]:
    """The exact Fisher, a batch at a time."""

    def work() -> int:
        parameter_fisher(model, [x] * BATCHES)
        return BATCHES * len(x)

    return work


def loop(model: nn.Module, x: Tensor) -> Callable[[], int]:
    """The same by plain autograd, a sample and a label at a time."""
    model.eval()
    parameters = list(model.parameters())

    def work() -> int:
        totals = [torch.zeros_like(p) for p in parameters]
        for one in x[:4]:
            log_p = model(one.unsqueeze(0))[0].log_softmax(-1)
            for entry in log_p:
                gradients = torch.autograd.grad(entry, parameters, retain_graph=True)
                weight = entry.detach().exp()
                for total, gradient in zip(totals, gradients, strict=True):
                    total += weight * gradient.square()
        return 4

    return work


def step(tasks: int, directly: bool = True) -> Callable[[], int]:
    """Steps of SGD with momentum under the penalty of some tasks, added to gradient or loss."""
    model, x = mlp()
    y = torch.randint(10, (BATCH,))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    consolidation = Consolidation(model, lam=1.0)
    for _ in range(tasks):
        consolidation.consolidate([x])

    def work() -> int:
        for _ in range(10):
            loss = F.cross_entropy(model(x), y)
            if tasks and not directly:
                loss = loss + consolidation.penalty()
            optimizer.zero_grad()
            loss.backward()
            if tasks and directly:
                consolidation.add_gradient()
            optimizer.step()
        return 10

    return work


def main() -> None:
    """Measure and report."""
    torch.set_num_threads(ARGS.threads)
    torch.manual_seed(0)
    rounds, seconds = (5, 0.7) if ARGS.quick else (15, 2.0)
    sides = {}
    for name, (model, x) in {"mlp": mlp(), "conv": conv()}.items():
        sides |= {f"fisher_{name}": fisher(model, x), f"loop_{name}": loop(model, x)}
    rate = alternate(sides, rounds=rounds, seconds=seconds)
    ratios = {name: rate[f"fisher_{name}"] / rate[f"loop_{name}"] for name in ("mlp", "conv")}
    steps = {f"step_{tasks}": step(tasks) for tasks in (0, 1, 10)}
    steps["step_10_loss"] = step(10, directly=False)
    speed = alternate(steps, rounds=4 * rounds, seconds=seconds / 4)
    report(
        {
            "fisher_vs_loop": min(ratios.values()),
            **{f"fisher_vs_loop_{name}": ratio for name, ratio in ratios.items()},
            "step_after_10_tasks_vs_plain": speed["step_0"] / speed["step_10"],
            "step_after_10_tasks_vs_plain_by_loss": speed["step_0"] / speed["step_10_loss"],
            "step_after_10_tasks_vs_1": speed["step_1"] / speed["step_10"],
            **{f"{name}_per_second": value for name, value in (rate | speed).items()},
        }
    )


if __name__ == "__main__":
    main()
