"""Reading numbers back from what a report shows: from pictures and from pages."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class _Tables(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tables: list[list[list[str]]] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
            self._inside = True

    def handle_endtag(self, tag: str) -> None:
        self._inside = self._inside and tag not in ("td", "th")

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.tables[-1][-1][-1] += data.strip()


def table_of(page: str, heading: str) -> dict[str, dict[str, str]]:
    """The table that has a heading, as {first cell of the row: {heading: cell}}."""
    reader = _Tables()
    reader.feed(page)
    found = [table for table in reader.tables if heading in table[0]]
    assert found, f"no table has a column {heading!r}"
    head, *rows = found[0]
    return {row[0]: dict(zip(head, row, strict=True)) for row in rows}


def charts_of(page: str) -> dict[str, dict[str, Any]]:
    """The numbers of a page's charts, by their names, as its scripts read them."""
    found = re.findall(
        r'<figure class="chart" id="([^"]+)".*?<script type="application/json">(.*?)</script>',
        page,
        re.DOTALL,
    )
    return {name: json.loads(data) for name, data in found}


def without_scripts(page: str) -> str:
    """A page without its scripts."""
    return re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)


def lines_of(axes: Axes, colour: str) -> list[tuple[Floats, Floats]]:
    """The points of all lines of a colour, but for marks on them and single runs behind a mean."""
    return [
        (np.array(line.get_xdata(), dtype=float), np.array(line.get_ydata(), dtype=float))
        for line in axes.lines
        if to_hex(line.get_color()) == to_hex(colour)
        and line.get_marker() not in ("|", ".")
        and line.get_linewidth() >= 1
    ]


def texts_of(axes: Axes) -> dict[tuple[float, float], str]:
    """The texts that stand in a picture, by their places (x, y)."""
    return {
        (text.get_position()[0], text.get_position()[1]): text.get_text() for text in axes.texts
    }


def ticks_of(axes: Axes) -> tuple[list[str], list[str]]:
    """The labels along the columns and the rows of a matrix."""
    return (
        [label.get_text() for label in axes.get_xticklabels()],
        [label.get_text() for label in axes.get_yticklabels()],
    )


class Balance(HTMLParser):
    """Collects tags that open and never close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
