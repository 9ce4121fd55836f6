"""What every page is made with: sections, templates, and pictures as SVG and PNG."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from matplotlib.figure import Figure

from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.files import begin_folder, write_bytes, write_text
from colonnade.reports.style import to_png, to_svg

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("colonnade", "reports"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


class Section:
    """A part of the page on a suite's results.

    Args:
        results: What it is made from.
    """

    applies = True
    """Whether the results have anything for it to say."""

    def __init__(self, results: Results) -> None:
        self.results = results

    def figures(self) -> dict[str, Figure]:
        """Draw its pictures, each with a name that no other section uses."""
        return {}

    def html(self, drawings: Mapping[str, Markup]) -> Markup:
        """Write it, given the pictures as SVG by their names."""
        raise NotImplementedError


def text_of(resource: str) -> Markup:
    """Read a style sheet or a script, to stand in a page."""
    return Markup((files("colonnade.reports") / resource).read_text())


def render(template: str, **values: Any) -> Markup:
    """Fill a template of this package in."""
    return Markup(_TEMPLATES.get_template(template).render(**values))


def drawn(figures: Mapping[str, Figure], folder: Path, prefix: str = "") -> dict[str, Markup]:
    """Write pictures as PNG files under figures/ in a folder, and return them as SVG.

    Raises:
        ColonnadeError: Writing failed.
    """
    for name, figure in figures.items():
        path = folder / "figures" / f"{prefix}{name}.png"
        begin_folder(path.parent)
        write_bytes(path, to_png(figure))
    return {name: Markup(to_svg(figure)) for name, figure in figures.items()}


def write_page(path: Path, template: str, **values: Any) -> Path:
    """Write a page that needs nothing else, with its style, its time and its version.

    Raises:
        ColonnadeError: Writing failed.
    """
    page = render(
        template,
        css=text_of("page.css"),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=version("colonnade"),
        **values,
    )
    write_text(path, page)
    return path
