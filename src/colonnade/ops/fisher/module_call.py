"""A module that is run on one sample: in full precision, and with its parameters replaced."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.utils._pytree import tree_map

from colonnade.errors import UsageError

Run = Callable[[nn.Module, Any], Tensor]
"""Calls a module on one sample, whose tensors have no axis over samples: its output [...]."""


class ModuleCall:
    """A module, how it is run, and by which tensors its output is differentiated.

    Where wanted parameters have 16 bits, copies of 32 stand in for all, if the module bears it.

    Attributes:
        parameters: Those wanted, by their names in this object: what to differentiate by.
    """

    def __init__(self, network: nn.Module, names: Iterable[str]) -> None:
        """Prepare for a module in evaluation mode; `names` are those of wanted parameters."""
        names = list(names)
        self._runner = _Runner(network)
        self._names = [f"network.{name}" for name in names]
        own = dict(network.named_parameters())
        halves = any(own[name].dtype in _HALVES for name in names)
        self._wide = _widened(self._runner) if halves else {}
        self._find()

    @property
    def originals(self) -> list[Tensor]:
        """The module's own parameters that are wanted."""
        found = dict(self._runner.named_parameters())
        return [found[name] for name in self._names]

    def run_by(self, run: Run) -> None:
        """Say how the module is run from now on."""
        self._runner.run = run

    def __call__(self, sample: Any, replaced: Mapping[str, Tensor] | None = None) -> Tensor:
        """Run the module on a sample, with some of its parameters replaced."""
        if self._precise:
            sample = tree_map(_full, sample)
        if not replaced and not self._wide:
            output: Tensor = self._runner(sample)
        else:
            output = functional_call(self._runner, {**self._wide, **(replaced or {})}, (sample,))
        return output

    def probe(self, sample: Any, may_narrow: bool) -> Tensor:
        """Run a sample forwards and backwards, to see that it can be done.

        Args:
            sample: Tensors without an axis over samples.
            may_narrow: Whether a module that insists on its own 16 bits may keep them from now on.

        Returns:
            The output, without a graph.

        Raises:
            UsageError: It can't.
        """
        try:
            return self._try(sample)
        except Exception:
            if not (self._wide and may_narrow):
                raise
            self._wide = {}
            self._find()
            return self._try(sample)

    def gradients(self, output: Tensor, score: Tensor) -> list[Tensor | None]:
        """Return the gradients of `score` x `output` by the parameters, None where they are zero.

        They are dense, and the output's graph stays.
        """
        inputs = list(self.parameters.values())
        if not output.requires_grad:
            return [None] * len(inputs)
        found: list[Tensor | None]
        try:
            found = list(
                torch.autograd.grad(output, inputs, score, retain_graph=True, allow_unused=True)
            )
        except RuntimeError as error:
            if "checkpoint" not in str(error).lower():
                raise
            found = self._by_backward(output, score)  # what re-entrant checkpoints insist on
        return [g.to_dense() if g is not None and g.is_sparse else g for g in found]

    def _find(self) -> None:
        found = {**dict(self._runner.named_parameters()), **self._wide}
        self.parameters: dict[str, Tensor] = {name: found[name] for name in self._names}
        own = [p.dtype for p in self._runner.parameters() if p.is_floating_point()]
        self._precise = bool(self._wide) or all(dtype.itemsize >= 4 for dtype in own)

    def _try(self, sample: Any) -> Tensor:
        try:
            output = self(sample)
        except UsageError:
            raise
        except Exception as error:
            reason = (str(error).strip().splitlines() or [""])[0]
            raise UsageError(
                "The network can't be run on a batch of one sample "
                f"({type(error).__name__}: {reason}); say by forward= how it takes the inputs of "
                "a batch."
            ) from error
        if not output.requires_grad:
            raise UsageError(
                "The network's output does not depend on its parameters by any gradient; look for "
                "torch.no_grad or detach in it."
            )
        self.gradients(output, torch.ones_like(output))
        if self._wide and _reaches(output, self.originals):
            raise RuntimeError("The module computes with its own parameters besides.")
        return output.detach()

    def _by_backward(self, output: Tensor, score: Tensor) -> list[Tensor | None]:
        every = [*self._runner.parameters(), *self._wide.values()]
        every = [tensor for tensor in every if tensor.requires_grad]
        kept = [tensor.grad for tensor in every]
        try:
            for tensor in every:
                tensor.grad = None
            output.backward(score, retain_graph=True)
            if self._wide and any(own.grad is not None for own in self.originals):
                raise RuntimeError("The module computes with its own parameters besides.")
            return [tensor.grad for tensor in self.parameters.values()]
        finally:
            for tensor, gradient in zip(every, kept, strict=True):
                tensor.grad = gradient


def _reaches(output: Tensor, tensors: list[Tensor]) -> bool:
    """Say whether an output's graph leads to any of some tensors."""
    open_ends, seen = [output.grad_fn], set()
    wanted = {id(tensor) for tensor in tensors}
    while open_ends:
        node = open_ends.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if id(getattr(node, "variable", None)) in wanted:
            return True
        open_ends.extend(following for following, _ in node.next_functions)
    return False


class _Runner(nn.Module):
    """The module as a part, so that its parameters can be replaced however it is called."""

    run: Run

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, sample: Any) -> Tensor:
        return self.run(self.network, sample)


def _widened(module: nn.Module) -> dict[str, Tensor]:
    """Return copies in 32 bits of all parameters and buffers that have only 16."""
    wide: dict[str, Tensor] = {}
    for name, parameter in module.named_parameters():
        if parameter.dtype in _HALVES:
            wide[name] = parameter.detach().float().requires_grad_(parameter.requires_grad)
    for name, buffer in module.named_buffers():
        if buffer.dtype in _HALVES:
            wide[name] = buffer.float()
    return wide


def _full(value: Tensor) -> Tensor:
    return value.float() if value.dtype in _HALVES else value


_HALVES = (torch.float16, torch.bfloat16)
