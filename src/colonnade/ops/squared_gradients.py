"""Squared per-sample gradients of a module's output, summed over samples, in bounded memory.

For samples b with outputs o_b, and vectors s_rb on these, this computes for every parameter

    sum_b sum_r ((d o_b / d theta)^T s_rb)^2

One sample never sees another: the module runs under `torch.func.vmap` on batches of one. Linear
maps and convolutions get a perturbation of zeros on their result, whose gradient g, with what the
layer read, x, gives the weight's gradient: where a map is applied once per sample its square
factorises, (g x^T)^2 = g^2 (x^2)^T, so that no per-sample gradient is ever formed. All other
parameters are repeated for each sample, which gives their per-sample gradients by themselves.

Which parameters are which follows from a run on one sample, for each form of the inputs. Functions
that can't be watched might use a parameter besides; so that run is checked: no gradient may reach
a parameter but through its layers, and the squares must be those of the plain gradient.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import vmap
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map

from colonnade.errors import UsageError
from colonnade.ops.layer_calls import Discovery, Perturbation
from colonnade.ops.layer_squares import LayerSquares, Plan
from colonnade.ops.module_call import ModuleCall
from colonnade.ops.samples import Samples

How = Literal["auto", "layers", "vmap", "loop"]
"""How per-sample gradients come about: "layers" as above; "vmap" repeats every parameter; "loop"
takes one sample after another, which any module bears; "auto" is the first of these that works."""

ScoreVectors = Callable[[Tensor, Tensor | None], Iterator[Tensor]]
"""The vectors s_r, each as the outputs [B, ...] that are given, detached, with their labels."""

_FORMS = 64
"""Forms of inputs whose plans are kept."""


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
            name: torch.zeros_like(found[name], dtype=_wide(found[name].dtype)) for name in names
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
                output = self._call.probe(_only(first), may_narrow=not self._outputs)
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
        outputs = torch.stack([self._call(_only(part)) for part in parts])
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
                    plan = self._checked(first)
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
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if self._how != "auto":
            raise UsageError(
                f"The Fisher of this module can't be computed with how={self._how!r}: {reason}; "
                "use how='auto' or 'loop'."
            ) from error
        warnings.warn(
            "The per-sample gradients are computed one by one, which is slow, because "
            f"torch.func.vmap can't run this module: {reason}",
            stacklevel=2,
        )
        self._how = "loop"

    def _checked(self, sample: Any) -> Plan:
        """Plan by a run on one sample (an axis of one), and check the plan against plain autograd.

        Raises:
            RuntimeError: No plan is sure.
        """
        plan = self._discover(sample, set())
        outputs, leaves, features, leaks = self._run(plan, sample, watched=True)
        if leaks:
            plan = self._discover(sample, leaks)
            outputs, leaves, features, leaks = self._run(plan, sample, watched=True)
        if leaks:
            raise RuntimeError(f"{', '.join(sorted(leaks))} is used in a way that is not seen")
        source = torch.Generator().manual_seed(0)
        score = torch.randn(outputs.shape, generator=source).to(outputs)
        squares = LayerSquares(plan, features)
        squares.add(_gradients(outputs, leaves, score))
        found = squares.totals()
        plain = self._call.gradients(self._call(_only(sample)).unsqueeze(0), score)
        _compare(dict(zip(self._call.parameters, plain, strict=True)), found)
        return plan

    def _discover(self, sample: Any, elsewhere: set[str]) -> Plan:
        """Run one sample to see which parameters only layer calls use.

        Args:
            sample: With an axis of one.
            elsewhere: Parameters that are known to be used in other ways.
        """
        watch = Discovery({k: p for k, p in self._call.parameters.items() if self._how != "vmap"})
        with watch:
            self._call(_only(sample))
        watch.elsewhere |= elsewhere
        ways: dict[str, tuple[bool, float]] = {}
        for call in watch.calls:
            if (weight := call.weight) is not None:
                way = (call.weight_rows_are_outputs, weight.scale)
                if ways.setdefault(weight.name, way) != way:
                    watch.elsewhere.add(weight.name)  # as a decoder that is its encoder transposed
        calls = [call.without(watch.elsewhere) for call in watch.calls]
        calls = [call for call in calls if call.watched]
        layered = {n for c in calls for n in (c.weight and c.weight.name, c.bias) if n is not None}
        return Plan(calls, self._call.parameters, layered, watch.other_results)

    def _add_chunk(self, plan: Plan, samples: Samples, scores: ScoreVectors) -> bool:
        """Add a chunk, or go over to the loop if the module is beyond vmap."""
        try:
            outputs, leaves, features, _ = self._run(plan, samples.inputs)
        except (RuntimeError, NotImplementedError) as error:
            self._give_up(error)
            return False
        squares = LayerSquares(plan, features)
        for score in scores(outputs.detach(), samples.labels):
            squares.add(_gradients(outputs, leaves, score))
        for name, total in squares.totals().items():
            self.sums[name.removeprefix("network.")] += total
        return True

    def _run(
        self, plan: Plan, samples: Any, watched: bool = False
    ) -> tuple[Tensor, list[Tensor], list[Tensor], set[str]]:
        """Run B samples.

        Returns:
            Their outputs, what to differentiate by, what the layers read; and, if it is `watched`
            for, which of the parameters a gradient reaches in any other way.
        """
        count = len(tree_leaves(samples)[0])
        place = next(iter(self._call.parameters.values()))
        samples = tree_map(_channels_last, samples) if plan.convolutional else samples
        perturbations = [
            _channels_last(
                torch.zeros(count, *call.out_shape, device=place.device, dtype=call.out_dtype)
            )
            for call in plan.calls
        ]
        repeated = {
            name: parameter.detach().expand(count, *parameter.shape)
            for name, parameter in plan.repeated.items()
        }
        leaves = [leaf.requires_grad_() for leaf in (*perturbations, *repeated.values())]
        fixed = {n: p.detach().requires_grad_(watched) for n, p in plan.layered.items()}

        def one(sample: Any, perturbations: list[Tensor], repeated: dict[str, Tensor]) -> Any:
            with Perturbation(fixed, perturbations) as watch:
                output = self._call(sample, {**fixed, **repeated})
            watch.check_end()
            return output, watch.features

        # Modules that draw random numbers even in evaluation mode draw them for each sample.
        outputs, features = vmap(one, randomness="different")(samples, perturbations, repeated)
        leaks: set[str] = set()
        if watched and outputs.requires_grad:
            names = [*fixed, *self._call.parameters]
            reached = torch.autograd.grad(
                outputs,
                [*fixed.values(), *self._call.originals],
                torch.ones_like(outputs),
                retain_graph=True,
                allow_unused=True,
            )
            leaks = {n for n, g in zip(names, reached, strict=True) if g is not None}
        return outputs, leaves, [x.detach().to(_wide(x.dtype)) for x in features], leaks

    def _add_one(self, sample: Samples, scores: ScoreVectors) -> None:
        """Add one sample, by plain backward passes."""
        output = self._call(_only(sample.inputs)).unsqueeze(0)
        for score in scores(output.detach(), sample.labels):
            self._square(output, score)

    def _square(self, outputs: Tensor, score: Tensor) -> None:
        found = self._call.gradients(outputs, score)
        for total, gradient in zip(self.sums.values(), found, strict=True):
            if gradient is not None:
                total += gradient.to(total.dtype).square()


def _gradients(outputs: Tensor, leaves: list[Tensor], score: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of `score` x `outputs`, in 32 bits at least."""
    if not outputs.requires_grad or not leaves:
        return tuple(torch.zeros_like(leaf, dtype=_wide(leaf.dtype)) for leaf in leaves)
    found = torch.autograd.grad(outputs, leaves, score, retain_graph=True, materialize_grads=True)
    return tuple(gradient.to(_wide(gradient.dtype)) for gradient in found)


def _compare(plain: dict[str, Tensor | None], squares: dict[str, Tensor]) -> None:
    """Compare squares of one gradient with the gradient.

    Rounding is forgiven: a thousandth of a parameter's largest gradient, or 1e-5 of the largest of
    all, which is about what is left where the true one is zero; more of 16 bits or a GPU's 19.

    Raises:
        RuntimeError: They are another's.
    """
    expected = {n: None if g is None else g.detach().abs() for n, g in plain.items()}
    found = [g for g in expected.values() if g is not None]
    if not found or not all(bool(g.isfinite().all()) for g in found):
        return  # the loop would say no other
    coarse = any(g.dtype.itemsize < 4 or g.is_cuda for g in found)
    part, floor = (3e-2, 1e-3) if coarse else (1e-3, 1e-5)
    largest = max(float(g.amax()) for g in found if g.numel())
    for name, gradient in expected.items():
        own = squares[name].sqrt() if name in squares else torch.zeros(())
        wanted = torch.zeros_like(own) if gradient is None else gradient.to(own.dtype)
        if not wanted.numel():
            continue
        allowed = part * float(wanted.amax()) + floor * largest
        if not float((own.to(wanted.device) - wanted).abs().amax()) <= allowed:
            raise RuntimeError(
                f"the gradient of {name.removeprefix('network.')!r} is not that of plain autograd"
            )


def _random_numbers_untouched(sample: Any) -> Any:
    """Give random numbers back after a check, so that it changes nothing that is drawn later."""
    devices = {x.device for x in tree_leaves(sample) if x.is_cuda}
    return torch.random.fork_rng(devices=sorted(devices, key=str))


def _form(samples: Samples) -> str:
    """Describe inputs but for their number: what a plan depends on."""
    leaves, structure = tree_flatten(samples.inputs)
    return str(([(tuple(x.shape[1:]), x.dtype) for x in leaves], structure, samples.run))


def _only(samples: Any) -> Any:
    return tree_map(lambda x: x[0], samples)


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _channels_last(value: Tensor) -> Tensor:
    """Lay maps [..., C, H, W] out so that convolutions run fast; the values stay."""
    if value.dim() < 4:
        return value
    return value.movedim(-3, -1).contiguous().movedim(-1, -3)
