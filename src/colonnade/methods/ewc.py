"""Elastic weight consolidation and its relatives: one column, held where earlier tasks need it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from colonnade.errors import UsageError, unknown_name
from colonnade.methods.columns import ColumnChoice, ColumnMethod
from colonnade.methods.consolidation import Anchors, Consolidation, check_exclude, check_options
from colonnade.ops import MAX_BYTES, FisherKind, Quadratic, check_fisher_options
from colonnade.types import Batch, Likelihood, Network, TaskSpec

Part = Literal["head", "biases"]
"""Parts of a column that a penalty may leave free: the output layer; all bias vectors."""

_PATTERNS: dict[str, str] = {"head": "columns.*.output.*", "biases": "*.bias"}


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
    ) -> None:
        """Begin with no column and no penalty; see `Consolidation` for the options."""
        super().__init__(column)
        if samples is None:
            # Environments never run out: None, which is all there are, would wait for ever.
            raise UsageError("samples must be a whole number of 1 or more; got None.")
        check_options(lam, anchors, decay)
        check_fisher_options(kind, "auto", samples, MAX_BYTES)
        check_exclude(exclude, "parts")
        for part in exclude:
            if part not in _PATTERNS:
                raise unknown_name("part to exclude", part, _PATTERNS)
        self._options: dict[str, Any] = {
            "lam": lam,
            "anchors": anchors,
            "decay": decay,
            "kind": kind,
            "samples": samples,
            "exclude": [_PATTERNS[part] for part in exclude],
        }
        self._consolidation: Consolidation | None = None

    @property
    def consolidation(self) -> Consolidation:
        """The penalties of tasks that have ended; there must be a column to hold."""
        if self._consolidation is None:
            self._consolidation = Consolidation(self.network, **self._options)
        return self._consolidation

    def begin_task(self, spec: TaskSpec, outputs: int | None = None) -> Network:
        """Take over the newest column, or add the first one.

        Outputs that the column gets for the task are held by no earlier task.
        """
        network = self.move_on(spec, outputs)
        self.consolidation.quadratic.widen(dict(self.network.named_parameters()))
        return network

    def penalty(self) -> Tensor | None:
        """Return the penalty of all tasks that have ended, or None before the first has."""
        held = self._consolidation
        return held.penalty() if held is not None and held.tasks else None

    def end_task(self, samples: Iterator[Batch], likelihood: Likelihood) -> None:
        """Hold the column where it is, each parameter by the task's Fisher."""
        self.consolidation.consolidate(samples, likelihood)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the column's state, and the penalty beside it."""
        tensors, meta = super().state()
        quadratic = self._consolidation.quadratic if self._consolidation else Quadratic()
        return tensors | quadratic.state("penalty/"), meta | {"consolidated": quadratic.merged}

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state; that of another method brings its column without a penalty."""
        super().load_state(tensors, meta)
        self._consolidation = None
        if meta.get("consolidated"):
            self.consolidation.quadratic.load_state(tensors, "penalty/", meta["consolidated"])


class EWC(HeldColumn):
    """Elastic weight consolidation (Kirkpatrick et al. 2017): an anchor for each task."""

    def __init__(
        self,
        column: ColumnChoice = None,
        lam: float = 100.0,
        kind: FisherKind = "exact",
        samples: int = 2000,
        exclude: Sequence[Part] = (),
    ) -> None:
        """Begin with no column.

        Args:
            column: What the column looks like.
            lam: Lambda, against a loss that is a mean over samples.
            kind: Whose labels the Fisher takes.
            samples: How many examples or steps the Fisher takes of each task.
            exclude: Parts that are left free.
        """
        super().__init__(column, lam=lam, kind=kind, samples=samples, exclude=exclude)


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
        self, column: ColumnChoice = None, lam: float = 0.1, exclude: Sequence[Part] = ()
    ) -> None:
        """Begin with no column; the penalty is (lam / 2) sum_k |theta - theta_k|^2."""
        super().__init__(column, lam=lam, exclude=exclude)

    def end_task(self, samples: Iterator[Batch], likelihood: Likelihood) -> None:
        """Add a penalty of curvature 1 around where the parameters are now."""
        place = dict(self.network.named_parameters())
        self.consolidation.hold(
            {name: torch.ones_like(place[name]) for name in self.consolidation.held()}
        )
