"""Stages as frozen data: what columns are stacked from, and what modules of a PathNet are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from colonnade.checks import ANY, AT_LEAST_0, AT_LEAST_1, check_fields, having, whole
from colonnade.errors import UsageError
from colonnade.networks.factories import (
    Factory,
    MissingFactory,
    check_factory,
    factory_from_data,
    import_path,
    imported,
)
from colonnade.records import as_data
from colonnade.types import Shape

LateralKind = Literal["adapter", "linear", "none"]
"""How a stage reads earlier columns: Eq. 2, Eq. 1 or not at all (Rusu et al. 2016)."""

Activation = Literal["relu", "tanh", "elu", "silu"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "tanh": torch.tanh,
    "elu": F.elu,
    "silu": F.silu,
}


@dataclass(frozen=True)
class Conv:
    """A square convolution followed by the column's activation.

    Attributes:
        maps: Number of feature maps.
        kernel: Side of the kernel, in pixels.
        stride: Step of the kernel, in pixels.
        padding: Zeros added on each side, in pixels; none by default, as in both papers.
        laterals: Overrides the column's kind of lateral for this stage.
        adapter: Width of the adapter's projection, in maps or units; that of the stage's own input
            if not given. Pruning sets it.
        silent: Computes nothing: its features are zero. Pruning sets it where no feature is needed.
    """

    maps: int
    kernel: int
    stride: int = 1
    padding: int = 0
    laterals: LateralKind | None = None
    adapter: int | None = None
    silent: bool = False

    def __post_init__(self) -> None:
        counts = dict.fromkeys(("maps", "kernel", "stride", "adapter"), AT_LEAST_1)
        check_fields(self, {**counts, "padding": AT_LEAST_0})


@dataclass(frozen=True)
class Dense:
    """A fully connected layer, over flattened features, followed by the column's activation.

    Attributes:
        units: Number of units.
        laterals: Overrides the column's kind of lateral for this stage.
        adapter: Width of the adapter's projection, in maps or units; that of the stage's own input
            if not given. Pruning sets it.
        silent: Computes nothing: its features are zero. Pruning sets it where no feature is needed.
    """

    units: int
    laterals: LateralKind | None = None
    adapter: int | None = None
    silent: bool = False

    def __post_init__(self) -> None:
        check_fields(self, {"units": AT_LEAST_1, "adapter": AT_LEAST_1})


@dataclass(frozen=True)
class LSTM:
    """A layer of LSTM cells over flattened features.

    Attributes:
        units: Number of cells.
        laterals: Overrides the column's kind of lateral for this stage.
        adapter: Width of the adapter's projection, in maps or units; that of the stage's own input
            if not given. Pruning sets it.
        forget_bias: Where the forget gates' bias starts; 1 lets a new cell remember.
    """

    units: int
    laterals: LateralKind | None = None
    forget_bias: float = 1.0
    adapter: int | None = None

    def __post_init__(self) -> None:
        check_fields(self, {"units": AT_LEAST_1, "adapter": AT_LEAST_1, "forget_bias": ANY})


@dataclass(frozen=True)
class Join:
    """Another named input, encoded by a dense layer and concatenated to the flattened features.

    It has no laterals of its own and is no level when columns are aligned: a later column that
    reads the features of this one reads them joined.

    Attributes:
        input: Name of the input.
        units: Number of units of its encoder.
    """

    input: str
    units: int

    def __post_init__(self) -> None:
        check_fields(self, {"units": AT_LEAST_1})


@dataclass(frozen=True)
class Custom:
    """A user's own module, which gives the pre-activation; the column applies its activation.

    Attributes:
        factory: Makes the module for an input of the given shape (without the batch axis). It is
            called once for the stage and again for each lateral that enters it. As text it is an
            import path, "my_package.nets:make_stage", and imported at once.
        out_shape: Shape of the module's output, without the batch axis.
        laterals: Overrides the column's kind of lateral for this stage.

    Raises:
        UsageError: The factory is no function but a module, say, or its import path leads nowhere;
            or a side of the shape is below 1.
    """

    factory: Factory = field(metadata=as_data(factory_from_data, import_path))
    out_shape: Shape
    laterals: LateralKind | None = None

    def __post_init__(self) -> None:
        check_fields(self, {})
        factory: object = self.factory
        if isinstance(factory, str):
            object.__setattr__(self, "factory", imported(factory))
        else:
            check_factory("factory of Custom", factory)
        for side in self.out_shape:
            whole("Each side in out_shape of Custom", side)


StageSpec = Conv | Dense | LSTM | Join | Custom


def lacks_factories(stages: Sequence[StageSpec]) -> bool:
    """Whether a `Custom` stage came from data and has no factory yet."""
    customs = [stage for stage in stages if isinstance(stage, Custom)]
    return any(isinstance(stage.factory, MissingFactory) for stage in customs)


def with_factories_of(
    stages: Sequence[StageSpec], own: Iterable[Sequence[StageSpec]]
) -> tuple[StageSpec, ...]:
    """Return stages from data with the factories of the user's own that they were made by.

    Args:
        stages: Whose `Custom` stages may lack their factories.
        own: Stages of columns that the user gave. A factory with an import path is looked for
            under it, one without at the same place of as many stages.

    Returns:
        The stages; those for which nothing was found are as they were.
    """
    known = [tuple(column) for column in own]
    return tuple(
        replace(stage, factory=_factory_of(stage, place, len(stages), known))
        if isinstance(stage, Custom) and isinstance(stage.factory, MissingFactory)
        else stage
        for place, stage in enumerate(stages)
    )


def _factory_of(
    stage: Custom, place: int, count: int, known: Iterable[Sequence[StageSpec]]
) -> Factory:
    """Find the factory of a stage, the one at `place` of `count`."""
    path = import_path(stage.factory)
    for column in known:
        here = column[place : place + 1] if len(column) == count else ()
        for other in here if path is None else column:
            if not isinstance(other, Custom) or isinstance(other.factory, MissingFactory):
                continue
            nameless = path is None and other.out_shape == stage.out_shape
            named = path is not None and import_path(other.factory) == path
            if nameless or named:
                return other.factory
    return stage.factory


def check_zero_sum(first: StageSpec) -> None:
    """Refuse to start a network with `init="zero-sum"` whose first stage is no convolution."""
    if not isinstance(first, Conv):
        raise UsageError(
            'init="zero-sum" is about the kernels of a first convolution, but the first stage is '
            f'{first!r}; use "orthogonal" or "default".'
        )


def words(stage: StageSpec) -> str:
    """Say what a stage is, as in "conv 12 8x8 s4"."""
    match stage:
        case Conv():
            return f"conv {stage.maps} {stage.kernel}x{stage.kernel} s{stage.stride}"
        case Dense():
            return f"dense {stage.units}"
        case LSTM():
            return f"lstm {stage.units}"
        case Join():
            return f"join {stage.input} {stage.units}"
        case Custom():
            missing = isinstance(stage.factory, MissingFactory)
            return "custom (not imported, so not counted)" if missing else "custom"


def check_shapes(where: str, shapes: object) -> None:
    """Refuse what says no shapes of inputs by their names.

    Args:
        where: Whose `input_shapes` they are.
        shapes: What came.

    Raises:
        UsageError: It has no names.
    """
    kind = "shapes by name, as in {'observation': (4, 84, 84)}"
    having(f"input_shapes of {where}", shapes, kind, "items", "keys")
