"""Columns of the papers, and small ones to start with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from colonnade.errors import unknown_name
from colonnade.networks.progressive.network import ProgressiveNetwork
from colonnade.networks.progressive.spec import ColumnSpec
from colonnade.networks.stage import LSTM, Conv, Dense, Join
from colonnade.types import OBSERVATION, Shape

SIM_TO_REAL_INPUT = (3, 64, 64)
SIM_TO_REAL_OUTPUTS = 28
"""Nine joints of three actions each, and the value."""


def atari_column() -> ColumnSpec:
    """The Atari column of Rusu et al. 2016: three convolutions of 12 maps, 256 units.

    That its first kernels sum to zero is chosen here; see `ColumnSpec.init`.
    """
    convs = Conv(12, 8, 4), Conv(12, 4, 2), Conv(12, 3, 1)
    return ColumnSpec((*convs, Dense(256)), init="zero-sum")


def pong_soup_column() -> ColumnSpec:
    """The Pong Soup column of Rusu et al. 2016: two convolutions and one dense layer.

    The paper gives the form and 8 maps in the first convolution (Fig. 5). Kernels, strides, the
    second convolution's 16 maps and the 256 units are chosen here after Mnih et al. 2013, which
    doubles the maps; and first kernels that sum to zero, see `ColumnSpec.init`.
    """
    return ColumnSpec((Conv(8, 8, 4), Conv(16, 4, 2), Dense(256)), init="zero-sum")


def labyrinth_column() -> ColumnSpec:
    """A column for Labyrinth's views of 84 x 84, in colour, grey or stacked: the Atari column.

    Rusu et al. 2016 do not say what theirs was. `labyrinth_recurrent_column` has a memory.
    """
    return atari_column()


def labyrinth_recurrent_column() -> ColumnSpec:
    """The column for Labyrinth with an LSTM on top, as agents had there (Mnih et al. 2016).

    Its 128 cells are chosen here.
    """
    column = atari_column()
    return replace(column, stages=(*column.stages, LSTM(128)))


def labyrinth_mini_column() -> ColumnSpec:
    """A small column for views of 84 x 84: two convolutions and 64 units."""
    return ColumnSpec((Conv(8, 8, 4), Conv(16, 4, 2), Dense(64)), init="zero-sum")


def mlp_column(hidden: Sequence[int] = (64, 64)) -> ColumnSpec:
    """A column of tanh layers for vector observations, `hidden` units each."""
    return ColumnSpec(tuple(Dense(units) for units in hidden), activation="tanh")


def tiny_column() -> ColumnSpec:
    """A column for images of 16 to 24 pixels a side, small enough for tests and first steps."""
    return ColumnSpec((Conv(8, 4, 2), Conv(16, 3, 2), Dense(64)))


def grid_column() -> ColumnSpec:
    """A column for images of 3 to 7 pixels a side, such as what the walker of a grid sees."""
    return ColumnSpec((Conv(16, 3, 1), Dense(64)))


def default_column(input_shapes: Mapping[str, Shape]) -> ColumnSpec:
    """Choose a column that reads all inputs.

    Images [C, H, W] get the Atari column from 64 pixels a side on, the tiny column from 8 on, the
    grid column from 3 on; anything else an MLP. Of several images the largest is convolved. All
    other inputs are encoded by a dense layer of 64 units each and joined: before the last dense
    layer, or before the first of an MLP.

    Args:
        input_shapes: As in `TaskSpec.input_shapes`.
    """
    images = [n for n, shape in input_shapes.items() if len(shape) == 3 and min(shape[1:]) >= 3]
    if images:
        first = max(images, key=lambda name: math.prod(input_shapes[name]))
        column = _image_column(min(input_shapes[first][1:]))
    else:
        first = OBSERVATION if OBSERVATION in input_shapes else next(iter(input_shapes))
        column = mlp_column()
    joins = [Join(name, 64) for name in input_shapes if name != first]
    if not joins:
        return column
    place = len(column.stages) - 1 if images else 0
    stages = *column.stages[:place], *joins, *column.stages[place:]
    return replace(column, stages=stages, input=first)


def _image_column(side: int) -> ColumnSpec:
    if side >= 64:
        return atari_column()
    return tiny_column() if side >= 8 else grid_column()


def sim_to_real_ff_wide() -> ColumnSpec:
    """The wide feed-forward column of Rusu et al. 2017, trained in simulation."""
    return ColumnSpec((Conv(16, 8, 4), Conv(32, 5, 2), Dense(512)), output_laterals="linear")


def sim_to_real_recurrent_wide() -> ColumnSpec:
    """The wide recurrent column of Rusu et al. 2017, trained in simulation."""
    return ColumnSpec(
        (Conv(16, 8, 4), Conv(32, 5, 2), Dense(128), LSTM(128, laterals="linear")),
        output_laterals="linear",
    )


def sim_to_real_ff_narrow() -> ColumnSpec:
    """The narrow feed-forward column of Rusu et al. 2017, trained on the robot.

    It starts with the policy of the column before it.
    """
    return ColumnSpec(
        (Conv(8, 8, 4), Conv(8, 5, 2), Dense(32)), output_laterals="linear", output_init="copy"
    )


def sim_to_real_recurrent_narrow() -> ColumnSpec:
    """The narrow recurrent column of Rusu et al. 2017, trained on the robot.

    It starts with the policy of the column before it.
    """
    return ColumnSpec(
        (Conv(8, 8, 4), Conv(8, 5, 2), Dense(16), LSTM(16, laterals="linear")),
        output_laterals="linear",
        output_init="copy",
    )


COLUMN_PRESETS: dict[str, Callable[[], ColumnSpec]] = {
    "atari": atari_column,
    "pong-soup": pong_soup_column,
    "labyrinth": labyrinth_column,
    "labyrinth-mini": labyrinth_mini_column,
    "labyrinth-lstm": labyrinth_recurrent_column,
    "mlp": mlp_column,
    "tiny": tiny_column,
    "grid": grid_column,
    "sim-to-real-ff-wide": sim_to_real_ff_wide,
    "sim-to-real-ff-narrow": sim_to_real_ff_narrow,
    "sim-to-real-recurrent-wide": sim_to_real_recurrent_wide,
    "sim-to-real-recurrent-narrow": sim_to_real_recurrent_narrow,
}


def column_preset(name: str) -> ColumnSpec:
    """Return the column spec of a preset.

    Raises:
        UsageError: There is no preset of that name.
    """
    if name not in COLUMN_PRESETS:
        raise unknown_name("column preset", name, COLUMN_PRESETS)
    return COLUMN_PRESETS[name]()


def sim_to_real_network(core: Literal["ff", "recurrent"]) -> ProgressiveNetwork:
    """Build the two columns of Rusu et al. 2017, a narrow one on a wide one.

    Args:
        core: Feed-forward, or with an LSTM.

    Returns:
        A network for images of `SIM_TO_REAL_INPUT` with `SIM_TO_REAL_OUTPUTS` outputs.

    Raises:
        UsageError: `core` is neither.
    """
    network = ProgressiveNetwork()
    for width in ("wide", "narrow"):
        spec = column_preset(f"sim-to-real-{core}-{width}")
        network.add_column(spec, {OBSERVATION: SIM_TO_REAL_INPUT}, SIM_TO_REAL_OUTPUTS)
    return network
