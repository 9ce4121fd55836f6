"""Squared per-sample gradients of a module's output, summed over samples, in bounded memory.

For samples b with outputs o_b, and vectors s_rb on these, this computes for every parameter

    sum_b sum_r ((d o_b / d theta)^T s_rb)^2

One sample never sees another: the module runs under `torch.func.vmap` on batches of one. Linear
maps and convolutions get a perturbation of zeros on their result, whose gradient g, with what the
layer read, x, gives the weight's gradient: where a map is applied once per sample its square
factorises, (g x^T)^2 = g^2 (x^2)^T, so that no per-sample gradient is ever formed. All other
parameters are repeated for each sample, which gives their per-sample gradients by themselves.

Which parameters are which follows from a run on one sample, for each form of the inputs.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from textwrap import shorten
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_leaves

from colonnade.errors import UsageError
from colonnade.ops.fisher.layer_squares import LayerSquares, Plan
from colonnade.ops.fisher.module_call import ModuleCall
from colonnade.ops.fisher.plans import checked_plan, gradients_of, only_one, run_samples, wide
from colonnade.ops.fisher.samples import Samples

How = Literal["auto", "layers", "vmap", "loop"]
"""How per-sample gradients come about: "layers" as above; "vmap" repeats every parameter; "loop"
takes one sample after another, which any module bears; "auto" is the first of these that works."""

ScoreVectors = Callable[[Tensor, Tensor | None], Iterator[Tensor]]
"""The vectors s_r, each as the outputs [B, ...] that are given, detached, with their labels."""

_REASON = 200
"""Letters of an error that a message shows."""

_FORMS = 64
"""Forms of inputs whose plans and outputs are kept."""


class SquaredGradients:
    """Sums squared per-sample gradients over batches.

    Attributes:
        sums: By parameter name, as the parameter, in 32 bits at least; zero at first.
    """

    def __init__(
        self,
        network: nn.Module,
        names: Iterable[str],
        how: How = "auto",
        max_bytes: int = 128 * 2**20,
    ) -> None:
        """Prepare for a module in evaluation mode.

        Args:
            network: Whose parameters.
            names: Which of them.
            how: See `How`.
            max_bytes: About how much memory to use for one chunk of samples.
        """
        names = list(names)
        found = dict(network.named_parameters())
        self._call = ModuleCall(network, names)
        self.sums = {
            name: torch.zeros_like(found[name], dtype=wide(found[name].dtype)) for name in names
        }
        self._how = how
        self._max_bytes = max_bytes
        self._plans: dict[str, Plan] = {}
        self._outputs: dict[str, Tensor] = {}
        self._latest: Plan | None = None

    def output(self, samples: Samples) -> Tensor:
        """Return what the network puts out for a sample of this form: [1, ...], without a graph.

        Raises:
            UsageError: The network can't be run on it, or gives something else.
        """
        self._call.run_by(samples.run)
        form = _form(samples)
        if form not in self._outputs:
            first = samples.part(0, 1).inputs
            with _random_numbers_untouched(first):
                output = self._call.probe(only_one(first), may_narrow=not self._outputs)
            if len(self._outputs) >= _FORMS:
                self._outputs.pop(next(iter(self._outputs)))
            self._outputs[form] = output.unsqueeze(0)
        return self._outputs[form]

    def add(self, samples: Samples, scores: ScoreVectors) -> None:
        """Add the squared gradients of B samples.

        Args:
            samples: Whose `output` has been asked for.
            scores: Gives the vectors s_r for the outputs [B, ...] of some of the samples.
        """
        begin, count = 0, len(samples)
        outputs = self.output(samples).numel()
        while begin < count:
            plan = self._plan(samples)
            left = count - begin
            end = begin + (1 if plan is None else plan.chunk(left, outputs, self._max_bytes))
            part = samples.part(begin, end)
            if plan is None:
                self._add_one(part, scores)
            elif not self._add_chunk(plan, part, scores):
                continue
            begin = end

    def add_mean(self, samples: Samples, vectors: Callable[[Tensor], Tensor]) -> None:
        """Add the squares of one gradient of all the samples, which are no per-sample squares.

        Args:
            samples: As for `add`.
            vectors: Gives the vector on their outputs [B, ...].
        """
        parts = [samples.part(i, i + 1).inputs for i in range(len(samples))]
        outputs = torch.stack([self._call(only_one(part)) for part in parts])
        self._square(outputs, vectors(outputs.detach()))

    def _plan(self, samples: Samples) -> Plan | None:
        """Return how samples of this form are taken; None is one by one."""
        if self._how == "loop":
            return None
        form = _form(samples)
        if form not in self._plans:
            if len(self._plans) >= _FORMS:
                self._plans.pop(next(iter(self._plans)))
            first = samples.part(0, 1).inputs
            try:
                with _random_numbers_untouched(first):
                    plan = checked_plan(self._call, first, layered=self._how != "vmap")
            except Exception as error:
                self._give_up(error)
                return None
            self._plans[form] = plan
        if self._latest is not None and self._latest is not self._plans[form]:
            self._latest.patches.clear()
        self._latest = self._plans[form]
        return self._latest

    def _give_up(self, error: Exception) -> None:
        """Go over to the loop, unless another way was asked for."""
        reason = _reason(error)
        if self._how != "auto":
            raise UsageError(
                f"The Fisher of this module can't be computed with how={self._how!r}: {reason}; "
                "use how='auto' or 'loop'."
            ) from error
        warnings.warn(
            "The per-sample gradients are computed one by one, which is slow, because this module "
            f"can't be run on many samples at once: {reason}",
            stacklevel=2,
        )
        self._how = "loop"

    def _add_chunk(self, plan: Plan, samples: Samples, scores: ScoreVectors) -> bool:
        """Add a chunk, or go over to the loop if the module is beyond vmap."""
        try:
            outputs, leaves, features, _ = run_samples(self._call, plan, samples.inputs)
        except (RuntimeError, NotImplementedError) as error:
            self._give_up(error)
            return False
        squares = LayerSquares(plan, features)
        for score in scores(outputs.detach(), samples.labels):
            squares.add(gradients_of(outputs, leaves, score))
        for name, total in squares.totals().items():
            self.sums[name.removeprefix("network.")] += total
        return True

    def _add_one(self, sample: Samples, scores: ScoreVectors) -> None:
        """Add one sample, by plain backward passes."""
        output = self._call(only_one(sample.inputs)).unsqueeze(0)
        for score in scores(output.detach(), sample.labels):
            self._square(output, score)

    def _square(self, outputs: Tensor, score: Tensor) -> None:
        found = self._call.gradients(outputs, score)
        for total, gradient in zip(self.sums.values(), found, strict=True):
            if gradient is not None:
                total += gradient.to(total.dtype).square()


def _reason(error: Exception) -> str:
    """Return what an error says first: PyTorch goes on with lists of all its backends."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return shorten(lines[0].partition(". ")[0].rstrip("."), _REASON, placeholder=" ...")


def _random_numbers_untouched(sample: Any) -> Any:
    """Give random numbers back after a check, so that it changes nothing that is drawn later."""
    devices = {x.device for x in tree_leaves(sample) if x.is_cuda}
    return torch.random.fork_rng(devices=sorted(devices, key=str))


def _form(samples: Samples) -> str:
    """Describe inputs but for their number: what a plan depends on."""
    leaves, structure = tree_flatten(samples.inputs)
    return str(([(tuple(x.shape[1:]), x.dtype) for x in leaves], structure, samples.run))
