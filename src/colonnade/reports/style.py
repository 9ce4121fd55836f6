"""The look of every picture: inks that follow the page's theme."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

INK, FAINT, PAPER = "#1a1b1e", "#8b8f98", "#fdfdfc"
"""Text, secondary lines and background. Chosen nowhere else, so that `to_svg` can find them."""


def plain(text: str) -> str:
    """Write a user's words for matplotlib, which takes what stands between "$" for mathematics."""
    return text.replace("$", r"\$")


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
        "svg.hashsalt": "colonnade",
    }
    with mpl.rc_context(settings):
        yield


def to_svg(figure: Figure) -> str:
    """Draw a figure as SVG for a page: its inks follow the page's colours."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", bbox_inches="tight", metadata={"Date": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for ink, variable in ((INK, "--ink"), (FAINT, "--faint"), (PAPER, "--paper")):
        text = text.replace(ink, f"var({variable})")
    return text


def to_png(figure: Figure) -> bytes:
    """Draw a figure as PNG on light paper."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=160, bbox_inches="tight")
    return buffer.getvalue()
