"""Squared per-sample gradients of a module's output, summed over samples, in bounded memory.

For samples b with outputs o_b, and vectors s_rb on these, this computes for every parameter

    sum_b sum_r ((d o_b / d theta)^T s_rb)^2

One sample never sees another: the module runs under `torch.func.vmap` on batches of one. Linear
maps and convolutions get a perturbation of zeros on their result, whose gradient g, with what the
layer read, x, gives the weight's gradient: where a map is applied once per sample its square
factorises, (g x^T)^2 = g^2 (x^2)^T, so that no per-sample gradient is ever formed. All other
parameters are repeated for each sample, which gives their per-sample gradients by themselves.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_leaves, tree_map

from colonnade.ops.layer_calls import Discovery, Perturbation
from colonnade.ops.layer_squares import LayerSquares, Plan

How = Literal["auto", "layers", "vmap", "loop"]
"""How per-sample gradients come about: "layers" as above; "vmap" repeats every parameter; "loop"
takes one sample after another, which any module bears; "auto" is the first of these that works."""

Scores = Callable[[Tensor, Tensor | None], Iterable[Tensor]]
"""The vectors s_r, each as the outputs [B, ...] that are given, detached, with their labels."""


class SquaredGradients:
    """Sums squared per-sample gradients over batches.

    Attributes:
        sums: By parameter name, as the parameter; zero at first.
    """

    def __init__(
        self,
        network: nn.Module,
        names: Iterable[str],
        run: Callable[[nn.Module, Any], Tensor],
        how: How = "auto",
        max_bytes: int = 128 * 2**20,
    ) -> None:
        """Prepare for a module in evaluation mode.

        Args:
            network: Whose parameters.
            names: Which of them.
            run: Calls the module on one sample, whose tensors have no axis over samples, and
                returns its output [...].
            how: See `How`.
            max_bytes: About how much memory to use for one chunk of samples.
        """
        self._module = _Runner(network, run)
        found = dict(network.named_parameters())
        self._parameters = {f"network.{name}": found[name] for name in names}
        self.sums = {name: torch.zeros_like(found[name]) for name in names}
        self._how = how
        self._max_bytes = max_bytes
        self._plan: Plan | None = None

    def add(self, samples: Any, labels: Tensor | None, scores: Scores) -> None:
        """Add the squared gradients of B samples.

        Args:
            samples: Tensors [B, ...], nested in tuples, lists and dicts.
            labels: [B, ...], handed to `scores` with the outputs they belong to.
            scores: Gives the vectors s_r for the outputs [B, ...] of some of the samples.
        """
        with torch.enable_grad():
            begin, count = 0, len(tree_leaves(samples)[0])
            if self._how != "loop" and count:
                self._plan = self._plan or self._discover(_part(samples, 0, 1))
            while begin < count:
                plan = None if self._how == "loop" else self._plan
                end = begin + (1 if plan is None else plan.chunk(count - begin, self._max_bytes))
                part, own = _part(samples, begin, end), _part(labels, begin, end)
                if plan is None:
                    self._add_one(part, own, scores)
                elif not self._try(plan, part, own, scores):
                    continue
                begin = end

    def add_mean(self, samples: Any, labels: Tensor | None, scores: Scores) -> None:
        """Add the squares of the B samples' mean gradient, which are no per-sample squares.

        Arguments are those of `add`.
        """
        with torch.enable_grad():
            count = len(tree_leaves(samples)[0])
            outputs = torch.stack(
                [self._module(_only(_part(samples, i, i + 1))) for i in range(count)]
            )
            entries = outputs[..., 0].numel()
            for score in scores(outputs.detach(), labels):
                self._square(outputs, score / entries)

    def _discover(self, samples: Any) -> Plan:
        """Run one sample to see which parameters only layer calls use."""
        watch = Discovery({k: p for k, p in self._parameters.items() if self._how != "vmap"})
        with watch:
            self._module(_only(samples))
        ways: dict[str, tuple[bool, float]] = {}
        for call in watch.calls:
            if (weight := call.weight) is not None:
                way = (call.weight_rows_are_outputs, weight.scale)
                if ways.setdefault(weight.name, way) != way:
                    watch.elsewhere.add(weight.name)  # as a decoder that is its encoder transposed
        calls = [call.without(watch.elsewhere) for call in watch.calls]
        calls = [call for call in calls if call.watched]
        layered = {n for c in calls for n in (c.weight and c.weight.name, c.bias) if n is not None}
        return Plan(calls, self._parameters, layered)

    def _try(self, plan: Plan, samples: Any, labels: Tensor | None, scores: Scores) -> bool:
        """Add a chunk, or go over to the loop if the module is beyond vmap."""
        try:
            outputs, leaves, features = self._run(plan, samples)
        except (RuntimeError, NotImplementedError) as error:
            if self._how != "auto":
                raise
            reason = str(error).strip().splitlines()[0]
            warnings.warn(
                "The per-sample gradients are computed one by one, which is slow, because "
                f"torch.func.vmap can't run this module: {reason}",
                stacklevel=2,
            )
            self._how = "loop"
            return False
        squares = LayerSquares(plan, features)
        for score in scores(outputs.detach(), labels):
            gradients = torch.autograd.grad(
                outputs, leaves, score, retain_graph=True, materialize_grads=True
            )
            squares.add(gradients)
        for name, total in squares.totals().items():
            self.sums[name.removeprefix("network.")] += total
        return True

    def _run(self, plan: Plan, samples: Any) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Run B samples; return outputs, what to differentiate by, and what the layers read."""
        count = len(tree_leaves(samples)[0])
        place = next(iter(self._parameters.values()))
        samples = tree_map(_channels_last, samples) if plan.convolutional else samples
        perturbations = [
            _channels_last(
                torch.zeros(count, *call.out_shape, device=place.device, dtype=place.dtype)
            )
            for call in plan.calls
        ]
        repeated = {
            name: parameter.detach().expand(count, *parameter.shape)
            for name, parameter in plan.repeated.items()
        }
        leaves = [leaf.requires_grad_() for leaf in (*perturbations, *repeated.values())]
        fixed = {name: parameter.detach() for name, parameter in plan.layered.items()}

        def one(sample: Any, perturbations: list[Tensor], repeated: dict[str, Tensor]) -> Any:
            with Perturbation(fixed, perturbations) as watch:
                output = functional_call(self._module, {**fixed, **repeated}, (sample,))
            return output, watch.features

        # Modules that draw random numbers even in evaluation mode draw them for each sample.
        outputs, features = vmap(one, randomness="different")(samples, perturbations, repeated)
        return outputs, leaves, [x.detach() for x in features]

    def _add_one(self, samples: Any, labels: Tensor | None, scores: Scores) -> None:
        """Add one sample (an axis of one), by plain backward passes."""
        output = self._module(_only(samples)).unsqueeze(0)
        for score in scores(output.detach(), labels):
            self._square(output, score)

    def _square(self, outputs: Tensor, score: Tensor) -> None:
        parameters = list(self._parameters.values())
        gradients = torch.autograd.grad(
            outputs, parameters, score, retain_graph=True, allow_unused=True
        )
        for total, gradient in zip(self.sums.values(), gradients, strict=True):
            if gradient is not None:
                total += gradient.square()


def _part(samples: Any, begin: int, end: int) -> Any:
    return tree_map(lambda x: None if x is None else x[begin:end], samples)


def _only(samples: Any) -> Any:
    return tree_map(lambda x: x[0], samples)


class _Runner(nn.Module):
    """The module and how it is called, so that its parameters can be replaced for a call."""

    def __init__(self, network: nn.Module, run: Callable[[nn.Module, Any], Tensor]) -> None:
        super().__init__()
        self.network = network
        self._call = run

    def forward(self, sample: Any) -> Tensor:
        return self._call(self.network, sample)


def _channels_last(value: Tensor) -> Tensor:
    """Lay maps [..., C, H, W] out so that convolutions run fast; the values stay."""
    if value.dim() < 4:
        return value
    return value.movedim(-3, -1).contiguous().movedim(-1, -3)
