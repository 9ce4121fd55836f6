"""What a column is made of, as frozen dataclasses that go to JSON data and back.

atari = ColumnSpec((Conv(12, 8, 4), Conv(12, 4, 2), Conv(12, 3, 1), Dense(256)))
assert ColumnSpec.from_dict(atari.to_dict()) == atari
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from colonnade.checks import ANY, AT_LEAST_0, AT_LEAST_1, BELOW_1, check_fields, whole
from colonnade.errors import UsageError
from colonnade.networks.factories import (
    Factory,
    MissingFactory,
    factory_from_data,
    import_path,
    imported,
)
from colonnade.records import as_data, read, write
from colonnade.types import Shape

LateralKind = Literal["adapter", "linear", "none"]
"""How a stage reads earlier columns: Eq. 2, Eq. 1 or not at all (Rusu et al. 2016)."""

Activation = Literal["relu", "tanh", "elu", "silu"]


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
    """

    factory: Factory = field(metadata=as_data(factory_from_data, import_path))
    out_shape: Shape
    laterals: LateralKind | None = None

    def __post_init__(self) -> None:
        check_fields(self, {})
        factory: object = self.factory
        if isinstance(factory, str):
            object.__setattr__(self, "factory", imported(factory))
        elif not callable(factory):
            raise UsageError(f"factory of Custom must be a function; got {factory!r}.")
        for side in self.out_shape:
            whole("Each side in out_shape of Custom", side)


StageSpec = Conv | Dense | LSTM | Join | Custom


@dataclass(frozen=True)
class ColumnSpec:
    """A column: its stages from the input up, and how it reads the columns before it.

    An output layer, as wide as the task asks, follows the last stage.

    Attributes:
        stages: The stages, lowest first.
        input: Name of the input the first stage reads; None means `OBSERVATION`, or the only
            input there is.
        laterals: Kind of the lateral connections into the stages.
        output_laterals: Kind of those into the output layer; None means as `laterals`.
        alpha: Where the adapters' learned scalars start. The paper draws it from {1, 0.1, 0.01}.
        scale_per: One learned scalar per source column, or one per layer; the paper does not say.
        output_init: "random", or "copy" for the sim-to-real initialisation (Rusu et al. 2017):
            output laterals start as the previous column's output layer and own output weights at
            zero, so that the first policy is the previous column's. It needs linear output
            laterals; a first column, with nothing to copy, starts at random.
        activation: The non-linearity of conv, dense and custom stages and of adapters.
        init: "orthogonal" (gain sqrt 2, biases zero); "zero-sum", the same but that a first
            convolution's kernels sum to zero, for images that are mostly background; or "default",
            PyTorch's own.
        output_gain: Gain of the output layer, but under "default".
        dropout: Probability that a hidden conv, dense or custom unit is left out while gradients
            are computed. Actors and evaluators, who compute none, see the whole network.
        input_dropout: The same for the numbers of the input the first stage reads.
        output_adapter: Width of the projection of the adapter into the output layer; that of the
            last features if not given. Pruning sets it.
    """

    stages: tuple[StageSpec, ...]
    input: str | None = None
    laterals: LateralKind = "adapter"
    output_laterals: LateralKind | None = None
    alpha: float = 0.1
    scale_per: Literal["source", "layer"] = "source"
    output_init: Literal["random", "copy"] = "random"
    activation: Activation = "relu"
    init: Literal["orthogonal", "zero-sum", "default"] = "orthogonal"
    output_gain: float = 0.01
    dropout: float = 0.0
    input_dropout: float = 0.0
    output_adapter: int | None = None

    def __post_init__(self) -> None:
        check_fields(
            self,
            {
                "alpha": ANY,
                "output_gain": AT_LEAST_0,
                "dropout": BELOW_1,
                "input_dropout": BELOW_1,
                "output_adapter": AT_LEAST_1,
            },
        )
        if not self.stages:
            raise UsageError("A column needs at least one stage, but its `stages` are empty.")
        if self.init == "zero-sum":
            check_zero_sum(self.stages[0])
        if self.output_init == "copy" and self.output_laterals_kind != "linear":
            raise UsageError(
                'output_init="copy" copies weights into linear output laterals, but this column\'s '
                f'are "{self.output_laterals_kind}"; set output_laterals="linear".'
            )

    @property
    def output_laterals_kind(self) -> LateralKind:
        """Kind of the laterals into the output layer."""
        return self.output_laterals or self.laterals

    def laterals_of(self, stage: StageSpec) -> LateralKind:
        """Kind of the laterals into one of the column's stages."""
        if isinstance(stage, Join):
            return "none"
        return stage.laterals or self.laterals

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as plain JSON data; see `factories` for what is written of `Custom`."""
        return write(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ColumnSpec:
        """Make the spec that `to_dict` described; nothing that it names is imported unasked.

        Raises:
            UsageError: A field or a kind of stage is unknown, or a needed field is missing.
        """
        return read(cls, data)


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
