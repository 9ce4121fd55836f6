"""What a page's interactive pictures hold: the numbers of lines and dots, with no word on drawing.

`charts.js` draws them with plotly.js. The numbers stand in the page as JSON, so that what a reader
sees can be read back out of it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import ArrayLike, NDArray

from colonnade.experiments.results.mean_lines import MeanLine
from colonnade.experiments.results.runs import RunResult

Floats = NDArray[np.float64]

_DIGITS = 6
"""How many a page keeps of a number; a picture shows four."""

MOST_SEED_POINTS = 150_000
"""Of the single runs of a chart; with more, a page would be too heavy, and means stand alone."""

NOTHING: Floats = np.empty(0)
"""Of a line that has no such numbers."""


@dataclass(frozen=True)
class Series:
    """What a legend switches: a method, a layer.

    Attributes:
        key: What lines refer to it by.
        title: In words.
        colour: As "#rrggbb", the same as in matplotlib's pictures.
        dash: As plotly calls it: "solid", "dash", "dot".
    """

    key: str
    title: str
    colour: str
    dash: str = "solid"


@dataclass(frozen=True)
class Look:
    """How a line or its dots are drawn.

    Attributes:
        width: Of the line, in pixels.
        size: Of the dots, in pixels; 0 lets cells fill their place in a table.
        symbol: Of the dots, as plotly calls it.
        opacity: Of the line; of the dots, [B] or one for all.
        ring: The colour of a ring around the dots; nothing for none.
        quiet: Whether hovering says nothing of it.
    """

    width: float = 2.2
    size: float = 6.0
    symbol: str = "circle"
    opacity: float | Floats = 1.0
    ring: str = ""
    quiet: bool = False


@dataclass(frozen=True)
class Line:
    """A line of a panel, or dots where they are not joined.

    Attributes:
        series: Key of its series.
        x: [B] where.
        y: [B] how much; a mean where there are several runs.
        low: [B] lower end of the 95 % interval of the mean; NaN or empty where there is none.
        high: [B] upper end.
        seconds: [B] seconds of training until each x; empty where that has no meaning.
        runs: The names of the runs that it averages, such as "seed 0".
        each: [R, B] the runs' own values; empty for one run.
        marked: [B] the points to be marked; empty for none.
        joined: Whether the points are joined by a line.
        labels: [B] words for single points; empty for none.
        look: How it is drawn, where that says something.
        texts: [B] words drawn at the points; empty for none.
    """

    series: str
    x: Floats
    y: Floats
    low: Floats = field(default_factory=lambda: NOTHING)
    high: Floats = field(default_factory=lambda: NOTHING)
    seconds: Floats = field(default_factory=lambda: NOTHING)
    runs: Sequence[str] = ()
    each: Floats = field(default_factory=lambda: NOTHING)
    marked: NDArray[np.bool_] | None = None
    joined: bool = True
    labels: Sequence[str] = ()
    look: Look | None = None
    texts: Sequence[str] = ()


def cells_of(
    series: str, table: Floats, shades: Floats, texts: Sequence[str], labels: Sequence[str]
) -> Line:
    """Show a table's known cells as squares, [rows, columns], for a panel whose axes have names.

    Args:
        series: Key of its series.
        table: The numbers; NaN where there is none.
        shades: [rows, columns] how dark each is, 0 to 1.
        texts: Drawn in the known cells, row by row.
        labels: What hovering says of each.
    """
    rows, columns = np.nonzero(~np.isnan(table))
    return Line(
        series,
        columns.astype(np.float64),
        rows.astype(np.float64),
        joined=False,
        labels=labels,
        texts=texts,
        look=Look(size=0, symbol="square", opacity=shades[rows, columns]),
    )


def mean_of(series: str, line: MeanLine, runs: Sequence[str], **more: Any) -> Line:
    """Show a mean with its interval and its single runs.

    Args:
        series: Key of its series.
        line: The numbers.
        runs: What the runs are called.
        more: Other attributes of the line.
    """
    return Line(
        series, line.steps, line.mean, line.low, line.high, runs=runs, each=line.each, **more
    )


def seeds_of(runs: Iterable[RunResult]) -> list[str]:
    """Call runs by their seeds."""
    return [f"seed {run.spec.seed}" for run in runs]


@dataclass(frozen=True)
class Panel:
    """One pair of axes.

    Attributes:
        title: What it is about, as a rule a task.
        lines: In the order of drawing.
        levels: Horizontal lines: (y, words).
        switches: Vertical lines: (x, words).
        plays: The runs that it shows, each by its id, with the place of the panel's task among the
            run's own.
        beside: What stands beside its axes: films of a run at play, as HTML.
        x_names: What stands at 0, 1, 2 ... along the horizontal axis; empty for numbers.
        y_names: The same along the vertical axis, from the top.
    """

    title: str
    lines: Sequence[Line]
    levels: Sequence[tuple[float, str]] = ()
    switches: Sequence[tuple[float, str]] = ()
    plays: Collection[tuple[str, int]] = ()
    beside: Markup | None = None
    x_names: Sequence[str] = ()
    y_names: Sequence[str] = ()


@dataclass(frozen=True)
class Chart:
    """A picture of several panels with one legend.

    Attributes:
        title: What a screen reader and a downloaded picture call it.
        description: What it shows, in a sentence or two.
        x: What the horizontal axis shows, such as "agent steps".
        y: What the vertical axis shows.
        series: What the legend lists.
        panels: In the order of the page.
        log_x: Whether the horizontal axis begins logarithmic.
        wide: Whether each panel takes the whole width.
    """

    title: str
    description: str
    x: str
    y: str
    series: Sequence[Series]
    panels: Sequence[Panel]
    log_x: bool = False
    wide: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return what `charts.js` reads. NaN becomes null."""
        lines = [line for panel in self.panels for line in panel.lines]
        used = {line.series for line in lines}
        seeds = sum(line.each.size for line in lines) <= MOST_SEED_POINTS
        return {
            "title": self.title,
            "description": self.description,
            "x": self.x,
            "y": self.y,
            "logX": self.log_x,
            "wide": self.wide,
            "series": [
                {"key": s.key, "title": s.title, "colour": s.colour, "dash": s.dash}
                for s in self.series
                if s.key in used
            ],
            "panels": [
                {
                    "title": panel.title,
                    "levels": [_mark(level) for level in panel.levels],
                    "switches": [_mark(switch) for switch in panel.switches],
                    "lines": [_line(line, seeds=seeds) for line in panel.lines],
                    **({"xNames": list(panel.x_names)} if panel.x_names else {}),
                    **({"yNames": list(panel.y_names)} if panel.y_names else {}),
                }
                for panel in self.panels
            ],
        }


def to_script(data: Any) -> Markup:
    """Write JSON so that it can stand within a script's tags."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    # A "<" could end the script, or begin a comment in it.
    return Markup(text.replace("<", "\\u003c"))


def numbers(values: ArrayLike) -> list[float | int | None]:
    """Round to the digits that a page keeps; what is not finite becomes None."""
    return list(_rounded(np.asarray(values, dtype=np.float64).ravel().tolist()))


def _rounded(values: Sequence[float]) -> Iterator[float | int | None]:
    for value in values:
        if not math.isfinite(value):
            yield None
        elif value == (whole := round(value)) and abs(value) < 1e15:
            yield whole
        else:
            yield float(f"{value:.{_DIGITS}g}")


def _look(look: Look) -> dict[str, Any]:
    opacity = look.opacity
    return {
        "width": look.width,
        "size": look.size,
        "symbol": look.symbol,
        "opacity": opacity if isinstance(opacity, float) else numbers(opacity),
        **({"ring": look.ring} if look.ring else {}),
        **({"quiet": True} if look.quiet else {}),
    }


def _mark(mark: tuple[float, str]) -> dict[str, Any]:
    return {"at": numbers([mark[0]])[0], "title": mark[1]}


def _line(line: Line, *, seeds: bool) -> dict[str, Any]:
    data: dict[str, Any] = {"series": line.series, "x": numbers(line.x), "y": numbers(line.y)}
    for name in ("low", "high", "seconds"):
        values = getattr(line, name)
        if values.size and not np.isnan(values).all():
            data[name] = numbers(values)
    if line.runs:
        data["runs"] = list(line.runs)
    if len(line.each) > 1 and seeds:
        data["each"] = [numbers(values) for values in line.each]
    if line.marked is not None and line.marked.any():
        data["marked"] = np.flatnonzero(line.marked).tolist()
    if not line.joined:
        data["joined"] = False
    if line.labels:
        data["labels"] = list(line.labels)
    if line.look is not None:
        data["look"] = _look(line.look)
    if line.texts:
        data["texts"] = list(line.texts)
    return data
