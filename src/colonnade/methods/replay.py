"""Experience replay: some of each task is kept, and learned again with every later one.

It forgets little and asks for the data that the other methods do without: what it comes to, and
what all tasks together come to, are the bounds that those are held against.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from colonnade.checks import ABOVE_0, AT_LEAST_1, real, whole
from colonnade.errors import UsageError
from colonnade.memory_layout import take
from colonnade.methods.columns import ColumnChoice, ColumnMethod
from colonnade.networks import LSTM
from colonnade.ops import evaluation
from colonnade.types import Batch, Examples, Inputs, Likelihood, Network, Rollout, TaskSpec


@dataclass(frozen=True)
class Kept:
    """What is kept of a task.

    Attributes:
        inputs: Of n examples or steps, each [n, ...].
        targets: Their labels [n] int64; or what the network said of them when the task ended, [n,
            outputs] float32.
        head: Where the task's labels begin in the output, and how many there are; (0, 0) if there
            are none.
    """

    inputs: Inputs
    targets: Tensor
    head: tuple[int, int] = (0, 0)


class Replay(ColumnMethod):
    """One column that goes on with the next task, and with what was kept of the earlier ones.

    To the loss of the task comes that of a minibatch of earlier tasks, drawn anew at each gradient
    step, of each task alike. Of a data set it is the cross-entropy of the labels (experience
    replay: Chaudhry et al. 2019, arXiv 1902.10486, Alg. 1). Of an environment there are no right
    answers, and what the network then said takes their place: half the squared distance of the
    outputs, logits, values and all (dark experience replay: Buzzega et al. 2020, arXiv 2004.07211;
    Rolnick et al. 2019, arXiv 1811.11682, clone policy and value likewise).
    """

    def __init__(
        self,
        column: ColumnChoice = None,
        examples: int = 1000,
        batch_size: int = 128,
        weight: float = 1.0,
    ) -> None:
        """Begin with no column and nothing kept.

        Args:
            column: What the column looks like; one without memory.
            examples: How many examples or steps are kept of each task. They are part of every
                checkpoint.
            batch_size: How many of them, of all earlier tasks together, are learned at a step.
            weight: Of their mean loss, against the mean loss of the task.
        """
        super().__init__(column)
        name = type(self).__name__
        self._examples = whole(f"examples of {name}", examples, AT_LEAST_1)
        self._batch_size = whole(f"batch_size of {name}", batch_size, AT_LEAST_1)
        self._weight = real(f"weight of {name}", weight, ABOVE_0)
        self._kept: dict[str, Kept] = {}
        self._current = ""
        self._head = (0, 0)

    def begin_task(self, spec: TaskSpec, outputs: int | None = None) -> Network:
        """Take over the newest column, or add the first one.

        Raises:
            UsageError: It has a memory of its own, so that single steps say too little.
        """
        column = self.network.newest.spec if self.network.columns else self.column_for(spec)
        if any(isinstance(stage, LSTM) for stage in column.stages):
            raise UsageError(
                f"{type(self).__name__} learns single steps again, but the column has an LSTM, for "
                "which a step says nothing without those before it; use a column without one."
            )
        self._enter(spec)
        return self.move_on(spec, outputs)

    def revisit(self, spec: TaskSpec) -> Network | None:
        """Go on with the column; what was kept of the task itself rests meanwhile."""
        self._enter(spec)
        return super().revisit(spec)

    def penalty(self) -> Tensor | None:
        """Return the loss of a minibatch of earlier tasks, or None where there are none."""
        earlier = [task for task in self._kept if task != self._current]
        if not earlier:
            return None
        device = self.network.newest.output.bias.device
        parts = defaultdict[tuple[int, _Form], list[Kept]](list)
        for task, count in zip(earlier, _shares(self._batch_size, len(earlier)), strict=True):
            if count:
                kept = self._kept[task]
                index = torch.randint(len(kept.targets), (count,))
                drawn = Kept(
                    {name: take(value, 0, index).to(device) for name, value in kept.inputs.items()},
                    kept.targets.index_select(0, index).to(device),
                    kept.head,
                )
                parts[self.rows.get(task, 0), _form(kept)].append(drawn)
        # Tasks that the network computes alike go through it together.
        losses = [self._loss(row, _joined(drawn)) for (row, _), drawn in parts.items()]
        return torch.stack(losses).sum() * (self._weight / self._batch_size)

    def end_task(self, samples: Iterator[Batch], likelihood: Likelihood) -> None:
        """Keep some of the task."""
        network = self.network_for(self._current)
        parts, count = list[Kept](), 0
        for batch in samples:
            if isinstance(batch, Examples) and batch.passed:
                break  # all of the task is kept, once
            part = _of(batch, network, self._head)
            parts.append(part)
            count += len(part.targets)
            if count >= self._examples:
                break
        found = _joined(parts)
        # A copy: a slice would be written with all that it is a slice of.
        self._kept[self._current] = Kept(
            {name: value[: self._examples].clone() for name, value in found.inputs.items()},
            found.targets[: self._examples].clone(),
            found.head,
        )
        self._current = ""  # until one begins or comes back, all are earlier ones

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the column's state, and what is kept."""
        tensors, meta = super().state()
        for number, kept in enumerate(self._kept.values()):
            home = f"kept/{number}/"
            tensors |= {f"{home}inputs/{name}": value for name, value in kept.inputs.items()}
            tensors[f"{home}targets"] = kept.targets
        heads = [list(kept.head) for kept in self._kept.values()]
        now = {"current": self._current, "head": list(self._head)}
        return tensors, meta | now | {"kept": list(self._kept), "kept_heads": heads}

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state; that of another method brings its column, and nothing kept."""
        super().load_state(tensors, meta)
        self._kept = {}
        self._current = meta.get("current", "")
        first, size = meta.get("head", (0, 0))
        self._head = first, size
        for number, task in enumerate(meta.get("kept", ())):
            home = f"kept/{number}/inputs/"
            inputs = {
                name.removeprefix(home): value.clone()
                for name, value in tensors.items()
                if name.startswith(home)
            }
            first, size = meta["kept_heads"][number]
            targets = tensors[f"kept/{number}/targets"].clone()
            self._kept[task] = Kept(inputs, targets, (first, size))

    def _enter(self, spec: TaskSpec) -> None:
        """Take note of the task that is learned from now on."""
        self._current, self._head = spec.id, (0, 0)
        if spec.labelled:
            self._head = sum(spec.head_widths[: spec.head]), sum(spec.action_sizes)

    def _loss(self, row: int, kept: Kept) -> Tensor:
        """Return the loss of examples, added up."""
        network = self.network.view(len(self.network.columns) - 1, row)
        output = network(kept.inputs)[0].float()
        if kept.targets.dim() == 1:
            logits = output.narrow(-1, *kept.head)
            return F.cross_entropy(logits, kept.targets, reduction="sum")
        before = output.narrow(-1, 0, kept.targets.shape[-1])
        return 0.5 * F.mse_loss(before, kept.targets, reduction="sum")


class Joint(Replay):
    """All labelled tasks together, as far as they have come: the bound of what can be kept.

    Everything of the earlier tasks is kept, and half of what is learned from at each step is
    theirs. It is called cumulative, too, since the tasks still come one after another.
    """

    def __init__(
        self, column: ColumnChoice = None, examples: int | None = None, batch_size: int = 128
    ) -> None:
        """Begin with no column and nothing kept.

        Args:
            column: What the column looks like; one without memory.
            examples: Most that are kept of each task; None keeps all.
            batch_size: As many as a minibatch of the task has.
        """
        super().__init__(column, sys.maxsize if examples is None else examples, batch_size)

    def begin_task(self, spec: TaskSpec, outputs: int | None = None) -> Network:
        """Take over the newest column, or add the first one.

        Raises:
            UsageError: The task is no data set.
        """
        if not spec.labelled:
            raise UsageError(
                f"Joint training learns the labels of all tasks together, but task {spec.id!r} is "
                "an environment; use the method 'replay', or let tasks take turns (a schedule)."
            )
        return super().begin_task(spec, outputs)


_Form = tuple[tuple[int, int], frozenset[tuple[str, torch.dtype]]]


def _form(kept: Kept) -> _Form:
    """Say what parts must have in common that go through a network together."""
    return kept.head, frozenset((name, value.dtype) for name, value in kept.inputs.items())


def _shares(total: int, parts: int) -> list[int]:
    """Divide a number evenly; which part gets one more is drawn."""
    more = torch.randperm(parts) < total % parts
    return (total // parts + more.long()).tolist()


def _of(batch: Batch, network: Network, head: tuple[int, int]) -> Kept:
    """Take what is kept of a batch, on the host, in a row; a copy, for the next takes its place."""
    if isinstance(batch, Examples):
        inputs = {name: value.cpu().clone() for name, value in batch.inputs.items()}
        return Kept(inputs, batch.targets.cpu().clone(), head)
    # What a task remembers of an earlier visit has come back from a checkpoint, on the host.
    if isinstance(batch, Rollout):
        device = next(value for _, value in network.named_parameters()).device
        batch = batch.map(lambda value: value.to(device), lambda value: value.to(device))
    with torch.no_grad(), evaluation(network):
        said = batch.outputs(network).float().cpu()
    last = said.dim() - 2  # of the axes of steps
    inputs = {name: value.cpu().clone().flatten(0, last) for name, value in batch.inputs.items()}
    return Kept(inputs, said.flatten(0, last))


def _joined(parts: list[Kept]) -> Kept:
    """Put parts of one head into one."""
    if len(parts) == 1:
        return parts[0]
    inputs = {name: torch.cat([p.inputs[name] for p in parts]) for name in parts[0].inputs}
    return Kept(inputs, torch.cat([p.targets for p in parts]), parts[0].head)
