"""The look of every picture: inks that follow the page's theme."""

from __future__ import annotations

import html
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.text import Text

from colonnade.experiments.results.mean_lines import MeanLine

INK, FAINT, PAPER = "#1a1b1e", "#8b8f98", "#fdfdfc"
"""Text, secondary lines and background. Chosen nowhere else, so that `to_svg` can find them."""


SENSITIVITY = LinearSegmentedColormap.from_list("sensitivity", ["#eef3f8", "#7fb0d8", "#0b4f8a"])
"""From no share to all of a level's sensitivity; readable on light and dark pages."""

DARK, LIGHT = "#202124", "#ffffff"
"""Text on light and on dark cells, whose colours do not follow the page's theme."""


def text_on_share(share: float) -> str:
    """Return a text's colour on a cell of `SENSITIVITY`."""
    return LIGHT if share > 0.55 else DARK


def plain(text: str) -> str:
    """Write a user's words for matplotlib, which takes what stands between "$" for mathematics."""
    return _drawable(text).replace("$", r"\$")


@contextmanager
def drawing() -> Iterator[None]:
    """Set matplotlib up for our pictures."""
    settings: Any = {
        "axes.edgecolor": FAINT,
        "axes.grid": True,
        "axes.grid.axis": "y",
        "axes.labelcolor": INK,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titlesize": 10.5,
        "axes.titleweight": "bold",
        "axes.titlecolor": INK,
        "figure.facecolor": PAPER,
        "axes.facecolor": "none",
        "font.size": 9,
        "grid.alpha": 0.35,
        "grid.color": FAINT,
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "lines.linewidth": 1.9,
        "lines.solid_capstyle": "round",
        "text.color": INK,
        "xtick.color": FAINT,
        "xtick.labelcolor": INK,
        "ytick.color": FAINT,
        "ytick.labelcolor": INK,
        "svg.fonttype": "none",
        "svg.hashsalt": "colonnade",
    }
    with mpl.rc_context(settings):
        yield


def draw_mean(axes: Axes, line: MeanLine, colour: str, **style: Any) -> None:
    """Draw a mean with its band or, where there is none, with its single runs behind it.

    Args:
        axes: Where.
        line: The numbers.
        colour: Of all of it.
        style: Of the mean's line.
    """
    if line.banded:
        axes.fill_between(line.steps, line.low, line.high, color=colour, alpha=0.16, lw=0)
    elif len(line.each) > 1:
        axes.plot(line.steps, line.each.T, color=colour, alpha=0.4, lw=_SINGLE)
    axes.plot(line.steps, line.mean, color=colour, **style)


_SINGLE = 0.7
"""Width of a single run's line."""


def _mend_texts(figure: Figure) -> None:
    """Replace what no font can draw, half a pair of surrogates, by its escape."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        words = text.get_text()
        if (mended := _drawable(words)) != words:
            text.set_text(mended)


def _drawable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def to_svg(figure: Figure, name: str) -> str:
    """Draw a figure as SVG for a page: its inks follow the page's colours, and its text is text.

    Args:
        figure: The picture.
        name: Of its file; with blanks for dashes it is the picture's title to screen readers.
    """
    _mend_texts(figure)
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    title = html.escape(name.replace("-", " ").capitalize())
    begin = f'<svg role="img" aria-label="{title}" data-name="{html.escape(name)}"'
    text = text[text.index("<svg") :].replace("<svg", begin, 1)
    words = f"<title>{title}</title><desc>{html.escape(_contents(figure))}</desc>"
    text = text.replace(">", f">{words}", 1)
    for ink, variable in ((INK, "--ink"), (FAINT, "--faint"), (PAPER, "--paper")):
        text = text.replace(ink, f"var({variable})")
    return text


def _contents(figure: Figure) -> str:
    """Say what a picture shows, by the words on its axes."""
    parts = []
    for axes in figure.axes:
        title = axes.get_title(loc="left") or axes.get_title()
        labels = [label for label in (axes.get_ylabel(), axes.get_xlabel()) if label]
        parts.append(": ".join(part for part in (title, " against ".join(labels)) if part))
    return _drawable("; ".join(dict.fromkeys(part for part in parts if part)))


def to_png(figure: Figure) -> bytes:
    """Draw a figure as PNG on light paper."""
    _mend_texts(figure)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, bbox_inches="tight")
    return buffer.getvalue()
