"""A drawing of a progressive network: its columns side by side, and what each layer reads.

Where the network was analysed, its layers are shaded by their Average Fisher Sensitivity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from colonnade.experiments.method_titles import METHODS
from colonnade.experiments.results.runs import RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.titles import distinct
from colonnade.experiments.trained.analysis import stored_analysis
from colonnade.networks import LSTM, ColumnSpec, Conv, Custom, Join
from colonnade.networks.progressive.alignment import aligned
from colonnade.networks.progressive.column import starting_input
from colonnade.networks.stage import StageSpec
from colonnade.reports.style import FAINT, INK, SENSITIVITY, plain, text_on_share

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 1.7, 0.62, 1.25, 0.42
_FROZEN = FAINT
_NEW = METHODS["progressive-2"].colour


@dataclass(frozen=True)
class Layer:
    """A layer of a column.

    Attributes:
        name: Its kind and size.
        reads: The layers that it reads, each by its column and its level; its own column's first.
        share: Its AFS: the part of the sensitivity at its level that falls on it. None where the
            network was not analysed, and of inputs and outputs.
    """

    name: str
    reads: tuple[tuple[int, int], ...]
    share: float | None


@dataclass(frozen=True)
class DrawnNetwork:
    """The network of a run.

    Attributes:
        run: Id of the run.
        spec: As `ProgressiveNetwork.spec_dict` gives it.
        captions: What each column was trained on, oldest first.
        shares: AFS of the layers, by column and level, where they were analysed; level 1 is the
            first layer after the input.
    """

    run: str
    spec: Mapping[str, Any]
    captions: tuple[str, ...]
    shares: Mapping[tuple[int, int], float] = field(default_factory=dict)

    @property
    def laterals(self) -> int:
        """How many columns read earlier ones."""
        return sum(
            any(source != index for layer in layers for source, _ in layer.reads)
            for index, layers in enumerate(self.columns)
        )

    @property
    def columns(self) -> list[list[Layer]]:
        """The layers of each column, the input first and the policy last."""
        specs = [ColumnSpec.from_dict(column["spec"]) for column in self.spec["columns"]]
        found = []
        for index, (column, spec) in enumerate(zip(self.spec["columns"], specs, strict=True)):
            layers = [Layer(_input_name(spec, column["input_shapes"]), (), None)]
            names = [*map(_stage_name, spec.stages), f"policy, value ({column['outputs']})"]
            for position, name in enumerate(names):
                features = aligned(spec, position, specs[:index], column.get("sources"))
                reads = ((feature.column, feature.stage + 1) for feature in features)
                level = position + 1
                share = self.shares.get((index, level))
                layers.append(Layer(name, ((index, level - 1), *reads), share))
            found.append(layers)
        return found


def largest_network(results: Results) -> DrawnNetwork | None:
    """Choose the network to show: the one with the most columns that read others.

    One that was analysed comes before those that were not. Of several the one with the most
    columns, and then the one that has learned the most tasks; the first of those that are alike.
    None where no complete run has columns.
    """
    best, largest = None, (False, -1, 0, 0)
    for run in results.runs.values():
        if not run.done:
            continue
        meta = run.folder.network()
        if "columns" not in meta["network"]:
            continue
        trained = run.folder.trained
        titles = distinct(task for tasks in trained for task in tasks or ())
        captions = [
            "another column" if tasks is None else titles[tasks[-1]] if tasks else "never trained"
            for tasks in trained
        ]
        shares = _shares(run, len(captions))
        drawn = DrawnNetwork(run.spec.id, meta["network"], tuple(captions), shares)
        size = bool(shares), drawn.laterals, len(captions), len(set(meta["tasks"].values()))
        if size > largest:
            best, largest = drawn, size
    return best


def _shares(run: RunResult, columns: int) -> dict[tuple[int, int], float]:
    """Return the AFS of a network's layers; nothing where an earlier column was analysed."""
    found = stored_analysis(run.folder)
    if found is None or len(found.columns) != columns:
        return {}
    return {(f.column, f.stage + 1): share for f, share in found.layer_afs.items()}


def network_drawing(drawn: DrawnNetwork) -> Figure:
    """Draw a network's columns side by side, as they are aligned, and laterals where there are."""
    columns = drawn.columns
    count, levels = len(columns), max(map(len, columns))
    figure = Figure(figsize=(0.6 + 1.55 * count * 1.75, 0.9 * levels * 0.85 + 0.5))
    axes = figure.subplots()
    axes.set_axis_off()
    lowest = [levels - len(layers) for layers in columns]
    for index, layers in enumerate(columns):
        colour = _NEW if index == count - 1 else _FROZEN
        for level, layer in enumerate(layers):
            corner = _corner(index, lowest[index] + level)
            _box(axes, corner, layer, colour, of_network=level > 0)
            for column, below in layer.reads:
                own = column == index
                _arrow(axes, _corner(column, lowest[column] + below), corner, own=own)
        x, y = _corner(index, lowest[index])
        state = "trains" if index == count - 1 else "frozen"
        axes.text(
            x + _WIDTH / 2,
            y - 0.22,
            f"{plain(drawn.captions[index])}\n({state})",
            ha="center",
            va="top",
            fontsize=9,
            fontweight="bold",
            color=INK,
        )
    axes.set_xlim(-0.2, count * _WIDTH + (count - 1) * _GAP_X + 0.2)
    axes.set_ylim(-0.85, levels * (_HEIGHT + _GAP_Y))
    return figure


def layer_table(drawn: DrawnNetwork) -> list[tuple[str, str, str, str]]:
    """Say layer by layer, from the inputs up: its column, its name, what it reads, its AFS."""
    columns = drawn.columns
    rows = []
    for index, layers in enumerate(columns):
        for layer in layers[1:]:
            words = [
                columns[column][level].name
                + (f" of {drawn.captions[column]}" if column != index else "")
                for column, level in layer.reads
            ]
            share = "" if layer.share is None else f"{layer.share:.0%}"
            rows.append((drawn.captions[index], layer.name, ", ".join(words), share))
    return rows


def _input_name(spec: ColumnSpec, shapes: Mapping[str, Sequence[int]]) -> str:
    name = starting_input(spec, shapes)
    size = " x ".join(map(str, shapes[name]))
    return f"{'input' if spec.input is None else name} {size}"


def _stage_name(stage: StageSpec) -> str:
    match stage:
        case Conv():
            return f"conv {stage.maps}, {stage.kernel} x {stage.kernel} / {stage.stride}"
        case Custom():
            return f"custom {' x '.join(map(str, stage.out_shape))}"
        case Join():
            return f"+ {stage.input} {stage.units}"
        case LSTM():
            return f"LSTM {stage.units}"
        case _:
            return f"dense {stage.units}"


def _corner(column: int, row: int) -> tuple[float, float]:
    """The lower left corner of a box."""
    return column * (_WIDTH + _GAP_X), row * (_HEIGHT + _GAP_Y)


def _box(
    axes: Axes, corner: tuple[float, float], layer: Layer, colour: str, *, of_network: bool
) -> None:
    x, y = corner
    filled: Any = {"facecolor": colour, "alpha": 0.22}
    words, ink = plain(layer.name), INK
    if not of_network:
        filled = {"facecolor": "none"}
    elif layer.share is not None:
        filled = {"facecolor": SENSITIVITY(layer.share)}
        words, ink = f"{words}\nAFS {layer.share:.0%}", text_on_share(layer.share)
    shape = "round,pad=0,rounding_size=0.1"
    axes.add_patch(
        FancyBboxPatch((x, y), _WIDTH, _HEIGHT, boxstyle=shape, edgecolor="none", **filled)
    )
    axes.add_patch(
        FancyBboxPatch(
            (x, y),
            _WIDTH,
            _HEIGHT,
            boxstyle=shape,
            facecolor="none",
            edgecolor=colour,
            linestyle="-" if of_network else "--",
            linewidth=1.3,
        )
    )
    axes.text(
        x + _WIDTH / 2, y + _HEIGHT / 2, words, ha="center", va="center", fontsize=8.5, color=ink
    )


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], *, own: bool) -> None:
    """Join two boxes: upwards within a column, from side to side between columns."""
    (x0, y0), (x1, y1), colour = start, end, INK if own else _NEW
    if own:
        points = (x0 + _WIDTH / 2, y0 + _HEIGHT), (x1 + _WIDTH / 2, y1)
    else:
        points = (x0 + _WIDTH, y0 + _HEIGHT / 2), (x1, y1 + _HEIGHT / 2)
    axes.add_patch(
        FancyArrowPatch(*points, arrowstyle="-|>", mutation_scale=9, color=colour, linewidth=1.2)
    )
