"""A drawing of a progressive network: its columns side by side, laterals between them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from colonnade.experiments.method_titles import METHODS
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.titles import distinct
from colonnade.reports.style import FAINT, INK, plain

_WIDTH, _HEIGHT, _GAP_X, _GAP_Y = 1.7, 0.62, 1.25, 0.42
_FROZEN = FAINT
_NEW = METHODS["progressive-2"].colour


@dataclass(frozen=True)
class DrawnNetwork:
    """The network of a run.

    Attributes:
        run: Id of the run.
        spec: As `ProgressiveNetwork.spec_dict` gives it.
        captions: What each column was trained on, oldest first.
    """

    run: str
    spec: Mapping[str, Any]
    captions: tuple[str, ...]

    @property
    def laterals(self) -> int:
        """How many columns read earlier ones."""
        return sum(any(_reads(column)) for column in self.spec["columns"][1:])


def largest_network(results: Results) -> DrawnNetwork | None:
    """Choose the network to show: the one with the most columns that read others.

    Of several the one with the most columns, and then the one that has learned the most tasks; the
    first of those that are alike. None where no complete run has columns.
    """
    best, largest = None, (-1, 0, 0)
    for run in results.runs.values():
        if not run.done:
            continue
        meta = run.folder.network()
        if "columns" not in meta["network"]:
            continue
        titles = distinct(meta["tasks"])
        captions = ["never trained"] * len(meta["network"]["columns"])
        for task, column in meta["tasks"].items():
            captions[column] = titles[task]
        drawn = DrawnNetwork(run.spec.id, meta["network"], tuple(captions))
        size = drawn.laterals, len(captions), len(set(meta["tasks"].values()))
        if size > largest:
            best, largest = drawn, size
    return best


def network_drawing(drawn: DrawnNetwork) -> Figure:
    """Draw a network's columns side by side, and laterals where a column has some."""
    network = drawn.spec
    columns = [_layers(column) for column in network["columns"]]
    count, levels = len(columns), max(map(len, columns))
    figure = Figure(figsize=(0.6 + 1.55 * count * 1.75, 0.9 * levels * 0.85 + 0.5))
    axes = figure.subplots()
    axes.set_axis_off()
    for index, layers in enumerate(columns):
        colour = _NEW if index == count - 1 else _FROZEN
        for level, name in enumerate(layers):
            _box(axes, index, level, name, colour, is_input=level == 0)
            if level:
                _arrow(axes, (index, level - 1), (index, level), INK)
        x, _ = _corner(index, 0)
        state = "trains" if index == count - 1 else "frozen"
        axes.text(
            x + _WIDTH / 2,
            -0.22,
            f"{plain(drawn.captions[index])}\n({state})",
            ha="center",
            va="top",
            fontsize=9,
            fontweight="bold",
            color=INK,
        )
        reads = _reads(network["columns"][index])
        for source in range(index):
            for level in range(2, min(len(layers), len(columns[source]) + 1)):
                if reads[level]:
                    _arrow(axes, (source, level - 1), (index, level), _NEW)
    axes.set_xlim(-0.2, count * _WIDTH + (count - 1) * _GAP_X + 0.2)
    axes.set_ylim(-0.85, levels * (_HEIGHT + _GAP_Y))
    return figure


def _reads(column: Mapping[str, Any]) -> list[bool]:
    """Whether each layer, the input first, reads earlier columns."""
    spec = column["spec"]
    kinds = [stage.get("laterals") or spec["laterals"] for stage in spec["stages"]]
    kinds.append(spec.get("output_laterals") or spec["laterals"])
    # The first stage reads the raw input only.
    return [False, False, *(kind != "none" for kind in kinds[1:])]


def _layers(column: dict[str, Any]) -> list[str]:
    """Name the layers of a column, the input first."""
    shape = next(iter(column["input_shapes"].values()))
    names = ["input " + " x ".join(map(str, shape))]
    for stage in column["spec"]["stages"]:
        kind = stage["kind"]
        if kind == "conv":
            size = stage["kernel"]
            names.append(f"conv {stage['maps']}, {size} x {size} / {stage['stride']}")
        elif kind == "custom":
            names.append(f"custom {' x '.join(map(str, stage['out_shape']))}")
        elif kind == "join":
            names.append(f"+ {stage['input']} {stage['units']}")
        else:
            names.append(f"{'LSTM' if kind == 'lstm' else kind} {stage['units']}")
    return [*names, f"policy, value ({column['outputs']})"]


def _corner(column: int, level: int) -> tuple[float, float]:
    return column * (_WIDTH + _GAP_X), level * (_HEIGHT + _GAP_Y)


def _box(axes: Axes, column: int, level: int, name: str, colour: str, *, is_input: bool) -> None:
    x, y = _corner(column, level)
    axes.add_patch(
        FancyBboxPatch(
            (x, y),
            _WIDTH,
            _HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.1",
            facecolor="none" if is_input else colour,
            alpha=1 if is_input else 0.22,
            edgecolor="none",
        )
    )
    axes.add_patch(
        FancyBboxPatch(
            (x, y),
            _WIDTH,
            _HEIGHT,
            boxstyle="round,pad=0,rounding_size=0.1",
            facecolor="none",
            edgecolor=colour,
            linestyle="--" if is_input else "-",
            linewidth=1.3,
        )
    )
    axes.text(x + _WIDTH / 2, y + _HEIGHT / 2, name, ha="center", va="center", fontsize=8.5)


def _arrow(axes: Axes, start: tuple[int, int], end: tuple[int, int], colour: str) -> None:
    """Join two layers: upwards within a column, from side to bottom edge between columns."""
    (x0, y0), (x1, y1) = _corner(*start), _corner(*end)
    if start[0] == end[0]:
        points = (x0 + _WIDTH / 2, y0 + _HEIGHT), (x1 + _WIDTH / 2, y1)
    else:
        points = (x0 + _WIDTH, y0 + _HEIGHT / 2), (x1, y1 + _HEIGHT / 2)
    axes.add_patch(
        FancyArrowPatch(*points, arrowstyle="-|>", mutation_scale=9, color=colour, linewidth=1.2)
    )
