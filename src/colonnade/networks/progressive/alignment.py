"""Which features of earlier columns each stage of a column reads."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from colonnade.networks.progressive.spec import ColumnSpec
from colonnade.networks.stage import LSTM, Join


class Feature(NamedTuple):
    """The features of one stage of one column.

    Attributes:
        column: Index of the column.
        stage: Index of the stage; the output layer is no feature.
    """

    column: int
    stage: int

    @property
    def key(self) -> str:
        """The name under which the features are cached among a network's inputs."""
        return f"column{self.column}/stage{self.stage}"


def levels(spec: ColumnSpec) -> list[int]:
    """Positions of the stages that count in the alignment, and of the output layer."""
    hidden = [i for i, stage in enumerate(spec.stages) if not isinstance(stage, Join)]
    return [*hidden, len(spec.stages)]


def aligned(
    spec: ColumnSpec,
    position: int,
    earlier: Sequence[ColumnSpec],
    sources: Collection[int] | None = None,
) -> tuple[Feature, ...]:
    """Find what a stage reads of earlier columns.

    Columns are aligned from the top: the output layer reads the last hidden features of each
    earlier column, and each stage below it those one level further down; so columns of equal depth
    meet as in Rusu et al. 2016. A first stage reads the raw input only.

    Args:
        spec: The column.
        position: Which of its stages; the number of stages stands for the output layer.
        earlier: All columns before it.
        sources: Indices of those that it reads; all if None.
    """
    stage = None if position == len(spec.stages) else spec.stages[position]
    kind = spec.output_laterals_kind if stage is None else spec.laterals_of(stage)
    own = levels(spec)
    if kind == "none" or own.index(position) == 0:
        return ()
    below_top = len(own) - own.index(position)
    features = []
    for index, source in enumerate(earlier):
        if sources is not None and index not in sources:
            continue
        theirs = levels(source)
        if below_top >= len(theirs):
            continue
        above = theirs[-below_top]
        features.append(Feature(index, above - 1))
        recurrent = above < len(source.stages) and isinstance(source.stages[above], LSTM)
        if isinstance(stage, LSTM) and recurrent:
            features.append(Feature(index, above))
    return tuple(features)
