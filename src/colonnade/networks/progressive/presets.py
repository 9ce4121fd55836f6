"""Columns of the papers, and small ones to start with."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, get_args

from colonnade.networks.progressive.network import ProgressiveNetwork
from colonnade.networks.progressive.spec import ColumnSpec
from colonnade.networks.stage import LSTM, Conv, Dense, Join, StageSpec
from colonnade.parts.finding import find_preset
from colonnade.types import OBSERVATION, PROPRIOCEPTION, Shape

Core = Literal["ff", "recurrent"]
"""Feed-forward, or with an LSTM."""

SIM_TO_REAL_INPUT = (3, 64, 64)
SIM_TO_REAL_PROPRIOCEPTION = (18,)
"""Angles and velocities of nine joints."""
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


def sim_to_real_column(core: Core, wide: bool, *inputs: str) -> ColumnSpec:
    """A column of Rusu et al. 2017, Table 1 and Fig. 7.

    Wide ones are trained in simulation, narrow ones on the robot; those start with the policy of
    the column before them. With pixels and proprioception, the latter is encoded by one layer and
    joined before the LSTM, or, feed-forward, to what the convolutions give. With proprioception
    alone, that layer stands for the convolutions, and pixels are seen through earlier columns.
    How many units encode proprioception is chosen here: as many as the layer above.

    Args:
        core: Feed-forward, or with an LSTM.
        wide: As for simulation, or as for the robot.
        inputs: `OBSERVATION`, the pixels, or `PROPRIOCEPTION`, or both; pixels if none is named.
    """
    seen = set(inputs) or {OBSERVATION}
    units = {("ff", True): 512, ("ff", False): 32}.get((core, wide), 128 if wide else 16)
    maps = (16, 32) if wide else (8, 8)
    # To flattened and joined features an adapter as wide as these would outweigh the column.
    joined = seen == {OBSERVATION, PROPRIOCEPTION}
    narrowed = Dense(units, adapter=units) if joined and core == "ff" else Dense(units)
    join = (Join(PROPRIOCEPTION, units),) if joined else ()
    eyes: tuple[StageSpec, ...] = (Conv(maps[0], 8, 4), Conv(maps[1], 5, 2))
    if seen == {PROPRIOCEPTION}:
        eyes = (Dense(units),) if core == "ff" else ()
    top: tuple[StageSpec, ...] = (*join, narrowed)
    if core == "recurrent":
        top = (narrowed, *join, LSTM(units, laterals="linear"))
    return ColumnSpec(
        (*eyes, *top),
        input=None if OBSERVATION in seen else PROPRIOCEPTION,
        output_laterals="linear",
        output_init="random" if wide else "copy",
    )


_SIM_TO_REAL: dict[str, Callable[[], ColumnSpec]] = {
    f"sim-to-real-{core}-{name}": partial(sim_to_real_column, core, wide, *inputs)
    for core in get_args(Core)
    for name, wide, inputs in (
        ("wide", True, ()),
        ("narrow", False, ()),
        ("narrow-both", False, (OBSERVATION, PROPRIOCEPTION)),
        ("narrow-proprioception", False, (PROPRIOCEPTION,)),
    )
}

COLUMN_PRESETS: dict[str, Callable[[], ColumnSpec]] = {
    "atari": atari_column,
    "pong-soup": pong_soup_column,
    "labyrinth": labyrinth_column,
    "labyrinth-mini": labyrinth_mini_column,
    "labyrinth-lstm": labyrinth_recurrent_column,
    "mlp": mlp_column,
    "tiny": tiny_column,
    "grid": grid_column,
    **_SIM_TO_REAL,
}


def column_preset(name: str) -> ColumnSpec:
    """Return the column spec of a preset.

    Raises:
        UsageError: There is no preset of that name, or one of a user's own is no such spec.
    """
    return find_preset(name, COLUMN_PRESETS, ColumnSpec, "column preset")


def sim_to_real_network(core: Core, columns: Literal[2, 3] = 2) -> ProgressiveNetwork:
    """Build the columns of Rusu et al. 2017, a narrow one on a wide one.

    Args:
        core: Feed-forward, or with an LSTM.
        columns: 2 for those of Table 1; 3 for those of Fig. 7, of which the second sees pixels and
            proprioception, and the third proprioception alone.

    Returns:
        A network for images of `SIM_TO_REAL_INPUT`, and nine angles and velocities where they are
        read, with `SIM_TO_REAL_OUTPUTS` outputs.

    Raises:
        UsageError: `core` is neither.
    """
    shapes: dict[str, Shape] = {OBSERVATION: SIM_TO_REAL_INPUT}
    names = ["wide", "narrow"]
    if columns == 3:
        names[1:] = ["narrow-both", "narrow-proprioception"]
        shapes[PROPRIOCEPTION] = SIM_TO_REAL_PROPRIOCEPTION
    network = ProgressiveNetwork()
    for name in names:
        network.add_column(column_preset(f"sim-to-real-{core}-{name}"), shapes, SIM_TO_REAL_OUTPUTS)
    return network
