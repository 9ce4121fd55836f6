"""How samples are run side by side: which parameters layers reach, and whether that is all.

Functions that can't be watched might use a parameter besides, so a plan is made by a run on one
sample, and checked on it: no gradient may reach a parameter but through its layers, and the squares
must be those of the plain gradient.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.func import vmap
from torch.utils._pytree import tree_leaves, tree_map

from colonnade.ops.fisher.layer_calls import Discovery, Perturbation
from colonnade.ops.fisher.layer_squares import LayerSquares, Plan
from colonnade.ops.fisher.module_call import ModuleCall


def checked_plan(module: ModuleCall, sample: Any, layered: bool) -> Plan:
    """Plan by a run on one sample and check the plan against plain autograd.

    Args:
        module: What to run.
        sample: Tensors with an axis of one.
        layered: Whether parameters may be reached through layers; else all are repeated.

    Raises:
        RuntimeError: No plan is sure.
    """
    plan = _discover(module, sample, set(), layered)
    outputs, leaves, features, leaks = run_samples(module, plan, sample, watched=True)
    if leaks:
        plan = _discover(module, sample, leaks, layered)
        outputs, leaves, features, leaks = run_samples(module, plan, sample, watched=True)
    if leaks:
        raise RuntimeError(f"{', '.join(sorted(leaks))} is used in a way that can't be seen")
    source = torch.Generator().manual_seed(0)
    score = torch.randn(outputs.shape, generator=source).to(outputs)
    squares = LayerSquares(plan, features)
    squares.add(gradients_of(outputs, leaves, score))
    found = squares.totals()
    plain = module.gradients(module(only_one(sample)).unsqueeze(0), score)
    _compare(dict(zip(module.parameters, plain, strict=True)), found)
    return plan


def _discover(module: ModuleCall, sample: Any, elsewhere: set[str], layered: bool) -> Plan:
    """Run one sample to see which parameters only layer calls use.

    Args:
        module: What to run.
        sample: With an axis of one.
        elsewhere: Parameters that are known to be used in other ways.
        layered: Whether any may be reached through layers.
    """
    watch = Discovery({k: p for k, p in module.parameters.items() if layered})
    with watch:
        module(only_one(sample))
    watch.elsewhere |= elsewhere
    ways: dict[str, tuple[bool, float]] = {}
    for call in watch.calls:
        if (weight := call.weight) is not None:
            way = (call.weight_rows_are_outputs, weight.scale)
            if ways.setdefault(weight.name, way) != way:
                watch.elsewhere.add(weight.name)  # as a decoder that is its encoder transposed
    calls = [call.without(watch.elsewhere) for call in watch.calls]
    calls = [call for call in calls if call.watched]
    names = {n for c in calls for n in (c.weight and c.weight.name, c.bias) if n is not None}
    return Plan(calls, module.parameters, names, watch.other_results)


def run_samples(
    module: ModuleCall, plan: Plan, samples: Any, watched: bool = False
) -> tuple[Tensor, list[Tensor], list[Tensor], set[str]]:
    """Run B samples.

    Raises:
        CallsDiffer: The module calls other layers than those planned.

    Returns:
        Their outputs, what to differentiate by, what the layers read; and, if it is `watched`
        for, which of the parameters a gradient reaches in any other way.
    """
    count = len(tree_leaves(samples)[0])
    place = next(iter(module.parameters.values()))
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
            output = module(sample, {**fixed, **repeated})
        watch.check_end()
        return output, watch.features

    # Modules that draw random numbers even in evaluation mode draw them for each sample.
    outputs, features = vmap(one, randomness="different")(samples, perturbations, repeated)
    leaks: set[str] = set()
    if watched and outputs.requires_grad:
        names = [*fixed, *module.parameters]
        reached = torch.autograd.grad(
            outputs,
            [*fixed.values(), *module.originals],
            torch.ones_like(outputs),
            retain_graph=True,
            allow_unused=True,
        )
        leaks = {n for n, g in zip(names, reached, strict=True) if g is not None}
    return outputs, leaves, [x.detach().to(wide(x.dtype)) for x in features], leaks


def gradients_of(outputs: Tensor, leaves: list[Tensor], score: Tensor) -> tuple[Tensor, ...]:
    """Return the gradients of `score` x `outputs`, in 32 bits at least."""
    if not outputs.requires_grad or not leaves:
        return tuple(torch.zeros_like(leaf, dtype=wide(leaf.dtype)) for leaf in leaves)
    found = torch.autograd.grad(outputs, leaves, score, retain_graph=True, materialize_grads=True)
    return tuple(gradient.to(wide(gradient.dtype)) for gradient in found)


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


def only_one(samples: Any) -> Any:
    """Take the first of samples, without their axis."""
    return tree_map(lambda x: x[0], samples)


def wide(dtype: torch.dtype) -> torch.dtype:
    """Return a type of 32 bits at least."""
    return torch.promote_types(dtype, torch.float32)


def _channels_last(value: Tensor) -> Tensor:
    """Lay maps [..., C, H, W] out so that convolutions run fast; the values stay."""
    if value.dim() < 4:
        return value
    return value.movedim(-3, -1).contiguous().movedim(-1, -3)
