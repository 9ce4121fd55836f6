"""Elastic weight consolidation and its relatives: one column, held where earlier tasks need it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from colonnade.checks import AT_LEAST_0, whole
from colonnade.errors import UsageError, unknown_name
from colonnade.methods.columns import ColumnChoice, ColumnMethod
from colonnade.methods.consolidation import Anchors, Consolidation, check_exclude, check_options
from colonnade.methods.task_penalties import Own, TaskPenalties
from colonnade.networks import ProgressiveNetwork
from colonnade.ops import MAX_BYTES, FisherKind, Quadratic, check_fisher_options
from colonnade.types import Batch, Likelihood, Network, TaskSpec

Part = Literal["head", "biases"]
"""Parts of a column that a penalty may leave free: the output layer; all bias vectors."""


class HeldColumn(ColumnMethod):
    """One column that moves from task to task under a quadratic penalty."""

    def __init__(
        self,
        column: ColumnChoice,
        *,
        lam: float,
        exclude: Sequence[Part],
        anchors: Anchors = "each",
        decay: float = 1.0,
        kind: FisherKind = "exact",
        samples: int = 1,
        own: Own = "added",
        start: int = 0,
    ) -> None:
        """Begin with no column and no penalty; see `Consolidation` and `EWC` for the options."""
        super().__init__(column)
        if samples is None:
            # Environments never run out: None, which is all there are, would wait for ever.
            raise UsageError("samples must be a whole number of 1 or more; got None.")
        check_options(lam, anchors, decay)
        check_fisher_options(kind, "auto", samples, MAX_BYTES)
        check_exclude(exclude, "parts")
        for part in exclude:
            if part not in get_args(Part):
                raise unknown_name("part to exclude", part, get_args(Part))
        if own not in get_args(Own):
            raise unknown_name("way with a task's own penalty", str(own), get_args(Own))
        self._options: dict[str, Any] = {
            "lam": lam,
            "anchors": anchors,
            "decay": decay,
            "kind": kind,
            "samples": samples,
        }
        self._exclude = tuple(exclude)
        self._consolidation: Consolidation | None = None
        self._own: Own = own
        self._start = whole(f"start of {type(self).__name__}", start, AT_LEAST_0)
        self._tasks = TaskPenalties()
        self._current = ""
        self._taken: dict[str, int] = {}

    @property
    def consolidation(self) -> Consolidation:
        """The penalties of tasks that have ended; there must be a column to hold."""
        if self._consolidation is None:
            exclude = [
                pattern for part in self._exclude for pattern in _patterns(part, self.network)
            ]
            self._consolidation = Consolidation(self.network, exclude=exclude, **self._options)
        return self._consolidation

    def begin_task(self, spec: TaskSpec, outputs: int | None = None) -> Network:
        """Take over the newest column, or add the first one.

        Outputs that the column gets for the task are held by no earlier task.
        """
        network = self.move_on(spec, outputs)
        parameters = dict(self.network.named_parameters())
        self.consolidation.quadratic.widen(parameters)
        self._tasks.widen(parameters)
        self._current = spec.id
        return network

    def revisit(self, spec: TaskSpec) -> Network | None:
        """Go on with the column; see `Own` for what becomes of the task's own penalty."""
        network = super().revisit(spec)
        self._current = spec.id
        if self._own == "released":
            self.consolidation.quadratic = self._tasks.merged(without=spec.id)
        return network

    def on_steps(self, steps: int) -> None:
        """Count the steps of the task."""
        self._taken[self._current] = self._taken.get(self._current, 0) + steps

    def penalty(self) -> Tensor | None:
        """Return the penalty of all tasks that have ended, or None before the first has."""
        held = self._consolidation
        return held.penalty() if held is not None and held.tasks else None

    def end_task(self, samples: Iterator[Batch], likelihood: Likelihood) -> None:
        """Hold the column where it is, if the task was learned for `start` steps by now."""
        enough = self._taken.get(self._current, 0) >= self._start
        if self._own == "added":
            if enough:
                self.consolidation.hold(self.curvature(samples, likelihood))
            return
        if enough:
            place = dict(self.network.named_parameters())
            self._tasks.replace(self._current, self.curvature(samples, likelihood), place)
        self._current = ""  # until one begins or comes back, all that ended hold
        self.consolidation.quadratic = self._tasks.merged()

    def curvature(self, samples: Iterator[Batch], likelihood: Likelihood) -> dict[str, Tensor]:
        """Say how firmly each parameter is held: by the task's Fisher."""
        return self.consolidation.fisher(samples, likelihood)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the column's state, and the penalty beside it."""
        tensors, meta = super().state()
        quadratic = self._consolidation.quadratic if self._consolidation else Quadratic()
        meta |= {"consolidated": quadratic.merged}
        if self._start or self._own != "added":
            meta |= {"current": self._current, "taken": self._taken}
        if self._own == "added":
            return tensors | quadratic.state("penalty/"), meta
        # The sum follows from the parts.
        parts, tasks = self._tasks.state()
        return tensors | parts, meta | {"penalties": tasks}

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state; that of another method brings its column without a penalty."""
        super().load_state(tensors, meta)
        self._load_penalties(tensors, meta)

    def load_states(self, states: Sequence[tuple[dict[str, Tensor], dict[str, Any]]]) -> None:
        """Begin with the columns of several networks; see `ColumnMethod.load_states`.

        The last one's newest column moves on, held by what held it there.
        """
        super().load_states(states)
        tensors, meta = states[-1]
        begin = len(self.network.columns) - len(meta["network"]["columns"])
        self._load_penalties({_moved(name, begin): v for name, v in tensors.items()}, meta)

    def _load_penalties(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        self._consolidation = None
        self._current, self._taken = meta.get("current", ""), dict(meta.get("taken", {}))
        self._tasks = TaskPenalties()
        if meta.get("penalties"):
            self._tasks.load_state(tensors, meta["penalties"])
            left_out = (self._current or None) if self._own == "released" else None
            self.consolidation.quadratic = self._tasks.merged(without=left_out)
        elif meta.get("consolidated"):
            self.consolidation.quadratic.load_state(tensors, "penalty/", meta["consolidated"])
            self._tasks.keep(self.consolidation.quadratic)


def _patterns(part: Part, network: ProgressiveNetwork) -> list[str]:
    """Return patterns of the names of a part's parameters."""
    if part == "head":
        return [f"columns.{network.newest.index}.output.*"]
    # Modules in Custom stages have names of their own: bias_ih_l0, in_proj_bias.
    found = [
        name
        for name, parameter in network.named_parameters()
        if parameter.dim() == 1 and re.search(r"bias[^.]*(\.\d+)*$", name)
    ]
    # Those of later tasks are not there yet.
    return [*found, *(["*.gains.biases.*"] if network.newest.spec.task_gains else [])]


def _moved(name: str, begin: int) -> str:
    """Call a penalty's parameter of one network as it is called where others stand before it."""
    return re.sub(r"/columns\.(\d+)\.", lambda at: f"/columns.{begin + int(at[1])}.", name)


class EWC(HeldColumn):
    """Elastic weight consolidation (Kirkpatrick et al. 2017): an anchor for each task."""

    def __init__(
        self,
        column: ColumnChoice = None,
        lam: float = 100.0,
        kind: FisherKind = "exact",
        samples: int = 2000,
        exclude: Sequence[Part] = (),
        own: Own = "added",
        start: int = 0,
    ) -> None:
        """Begin with no column.

        Args:
            column: What the column looks like.
            lam: Lambda, against a loss that is a mean over samples.
            kind: Whose labels the Fisher takes.
            samples: How many examples or steps the Fisher takes of each task.
            exclude: Parts that are left free.
            own: What becomes of a task's own penalty when the task comes back; see `Own`. Other
                than "added", memory grows by three numbers a parameter with each task; the cost of
                a gradient step does not.
            start: Steps, or examples, that a task must have been learned for, all its visits
                together, before it gets a penalty (Kirkpatrick et al. 2017, supplement: 5 million):
                what is held before it is learned is never learned.
        """
        super().__init__(
            column, lam=lam, kind=kind, samples=samples, exclude=exclude, own=own, start=start
        )


class OneAnchorEWC(HeldColumn):
    """EWC with one anchor (Huszar 2018): the sum of all Fishers, around the latest parameters."""

    def __init__(
        self,
        column: ColumnChoice = None,
        lam: float = 100.0,
        kind: FisherKind = "exact",
        samples: int = 2000,
        exclude: Sequence[Part] = (),
    ) -> None:
        """Begin with no column; arguments are those of `EWC`."""
        super().__init__(
            column, lam=lam, kind=kind, samples=samples, exclude=exclude, anchors="latest"
        )


class OnlineEWC(HeldColumn):
    """Online EWC (Schwarz et al. 2018): one anchor, and a sum of Fishers that decays."""

    def __init__(
        self,
        column: ColumnChoice = None,
        lam: float = 100.0,
        decay: float = 0.9,
        kind: FisherKind = "exact",
        samples: int = 2000,
        exclude: Sequence[Part] = (),
    ) -> None:
        """Begin with no column; `decay` multiplies the sum when a task ends (gamma, Eq. 9)."""
        super().__init__(
            column,
            lam=lam,
            decay=decay,
            kind=kind,
            samples=samples,
            exclude=exclude,
            anchors="latest",
        )


class L2(HeldColumn):
    """The paper's control: every parameter held alike, to where each task ended."""

    def __init__(
        self,
        column: ColumnChoice = None,
        lam: float = 0.1,
        exclude: Sequence[Part] = (),
        own: Own = "added",
        start: int = 0,
    ) -> None:
        """Begin with no column; the penalty is (lam / 2) sum_k |theta - theta_k|^2.

        `own` and `start` are as in `EWC`.
        """
        super().__init__(column, lam=lam, exclude=exclude, own=own, start=start)

    def curvature(self, samples: Iterator[Batch], likelihood: Likelihood) -> dict[str, Tensor]:
        """Hold every parameter by a curvature of 1."""
        place = dict(self.network.named_parameters())
        return {name: torch.ones_like(place[name]) for name in self.consolidation.held()}
