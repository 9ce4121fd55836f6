"""Modules of all kinds, and the slow obvious Fisher they are checked against."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def fisher_by_loop(network, inputs, run=None, labels=None):
    """Average over samples and labels of the squared gradient of each log-probability, by hand.

    Without `labels` every label counts by its probability; with `labels` each sample's own does.
    """
    named = dict(network.named_parameters())
    totals = {name: torch.zeros_like(p, dtype=torch.float64) for name, p in named.items()}
    for index in range(len(inputs)):
        one = inputs[index : index + 1]
        log_p = (network(one) if run is None else run(network, one))[0].log_softmax(-1)
        chosen = range(len(log_p)) if labels is None else [int(labels[index])]
        for label in chosen:
            network.zero_grad()
            log_p[label].backward(retain_graph=True)
            weight = float(log_p[label].detach().exp()) if labels is None else 1.0
            for name, parameter in named.items():
                if parameter.grad is not None:
                    totals[name] += weight * parameter.grad.double().square()
    network.zero_grad()
    return {name: total / len(inputs) for name, total in totals.items()}


class Recurrent(nn.Module):
    """An LSTM and a linear map of its last output."""

    def __init__(self, **options) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, **options)
        width = options.get("proj_size") or 4
        self.out = nn.Linear(width * (2 if options.get("bidirectional") else 1), 3)

    def forward(self, x: Tensor) -> Tensor:
        if self.lstm.batch_first:
            return self.out(self.lstm(x)[0][:, -1])
        return self.out(self.lstm(x.transpose(0, 1))[0][-1])


class Unusual(nn.Module):
    """Parameters that are shared, transposed, scaled, multiplied in by hand, and never used."""

    def __init__(self) -> None:
        super().__init__()
        self.shared = nn.Parameter(torch.randn(5, 3))
        self.gain = nn.Parameter(torch.tensor(0.3))
        self.out = nn.Parameter(torch.randn(4, 3))
        self.right = nn.Parameter(torch.randn(3, 3))
        self.unused = nn.Parameter(torch.randn(2))

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(F.linear(x, self.shared) * self.gain)
        hidden = F.linear(hidden, self.shared.t()) @ self.right
        return torch.addmm(self.gain, hidden, self.out.T * 2.0)


class Scaled(nn.Module):
    """Weights that are multiplied by a number on their way into a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(2, 1, 3, 3))
        self.left = nn.Parameter(torch.randn(5, 8))
        self.right = nn.Parameter(torch.randn(5, 3))
        self.bias = nn.Parameter(torch.randn(3))

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(F.conv2d(x, self.kernel * 0.25)).flatten(1)
        return torch.addmm(self.bias, torch.tanh(F.linear(hidden, self.left * 3)), self.right * 0.5)


class Twice(nn.Module):
    """One layer applied at two depths and at several positions."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)
        self.conv = nn.Conv1d(2, 2, 3, padding=1, dilation=1)
        self.head = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = torch.tanh(self.layer(torch.tanh(self.layer(x))))
        return self.head(torch.tanh(self.conv(torch.tanh(self.conv(hidden)))).flatten(1))


class Gated(nn.Module):
    """A GRU, which torch.func.vmap can't run."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = nn.GRU(3, 4, batch_first=True)
        self.out = nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.gru(x)[0][:, -1])


def mlp() -> nn.Module:
    return nn.Sequential(nn.Linear(7, 6), nn.ReLU(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 4))


def conv() -> nn.Module:
    """Strides, padding, dilation, groups and norms."""
    net = nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, padding=1),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Conv2d(4, 4, 2, dilation=2),
        nn.GroupNorm(2, 4),
        nn.ReLU(),
        nn.Conv2d(4, 4, (1, 2), groups=2, padding="same"),
        nn.Flatten(),
        nn.LayerNorm(36),
        nn.Linear(36, 3),
    )
    net[1].running_mean.normal_()
    net[1].running_var.uniform_(0.5, 2)
    return net


MODULES = {
    "mlp": (mlp, (7,)),
    "conv": (conv, (3, 10, 10)),
    "lstm": (lambda: Recurrent(batch_first=True), (5, 3)),
    "deep lstm": (lambda: Recurrent(num_layers=2, bidirectional=True), (4, 3)),
    "projected lstm": (lambda: Recurrent(proj_size=2, bias=False), (4, 3)),
    "unusual": (Unusual, (3,)),
    "scaled": (Scaled, (1, 4, 4)),
    "twice": (Twice, (2, 4)),
    "weight norm": (lambda: nn.utils.parametrizations.weight_norm(nn.Linear(4, 3)), (4,)),
}


def close(found, expected, **tolerance):
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        scale = float(value.abs().max().clamp_min(1e-12))
        error = float((found[name].double() - value).abs().max())
        assert error <= tolerance.get("rtol", 1e-5) * scale, f"{name}: {error} of {scale}"
