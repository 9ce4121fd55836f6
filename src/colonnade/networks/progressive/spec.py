"""What a column is made of, as frozen dataclasses that go to JSON data and back.

atari = ColumnSpec((Conv(12, 8, 4), Conv(12, 4, 2), Conv(12, 3, 1), Dense(256)))
assert ColumnSpec.from_dict(atari.to_dict()) == atari
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from colonnade.checks import AT_LEAST_0, AT_LEAST_1, BELOW_1, check_fields
from colonnade.errors import UsageError
from colonnade.networks.stage import LSTM, Activation, Join, LateralKind, StageSpec, check_zero_sum
from colonnade.records import LATER, read, shown, write


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
        task_gains: Whether each task that the column learns has gains and biases of its own in
            every layer (Kirkpatrick et al. 2017, supplement); see `task_gains`.

    Raises:
        UsageError: There is no stage, a value has the wrong type or is out of range, or two do not
            go together.
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
    task_gains: bool = field(default=False, metadata=LATER)

    def __post_init__(self) -> None:
        check_fields(
            self,
            {
                "alpha": AT_LEAST_0,
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
        if self.task_gains and any(isinstance(stage, LSTM) for stage in self.stages):
            raise UsageError(
                "task_gains are for layers without a state, but the column has an LSTM; leave one "
                "of the two out."
            )
        if self.output_init == "copy" and self.output_laterals_kind != "linear":
            raise UsageError(
                'output_init="copy" copies weights into linear output laterals, but this column\'s '
                f'are "{self.output_laterals_kind}"; set output_laterals="linear".'
            )

        if self.output_init == "copy" and self.task_gains:
            raise UsageError(
                'output_init="copy" copies weights, and not what task_gains give each task beside '
                "them; choose one of the two."
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


def column_spec(name: str, value: object) -> ColumnSpec:
    """Return what should be a `ColumnSpec`.

    Args:
        name: What it is, as the sentence begins.
        value: What came.

    Raises:
        UsageError: It is none.
    """
    if isinstance(value, ColumnSpec):
        return value
    raise UsageError(
        f"{name} must be a ColumnSpec, such as column_preset('tiny'), with modules of your own in "
        f"Custom stages; got {shown(value)}."
    )
