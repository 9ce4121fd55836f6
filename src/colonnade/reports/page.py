"""What every page is made with: sections, templates, and pictures as SVG and PNG."""

from __future__ import annotations

import base64
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
from colonnade.experiments.trained.films.writing import first_frame
from colonnade.reports.interactive.chart import Chart, to_script
from colonnade.reports.style import to_png, to_svg

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("colonnade", "reports"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


_KEPT = ' type="text/plain"'
"""Of the script that `charts.js` runs when it is needed."""


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

    def charts(self) -> dict[str, Chart]:
        """Return the pictures that the page shows as charts instead; named as in `figures`."""
        return {}

    def html(self, drawings: Mapping[str, Markup]) -> Markup:
        """Write it, given the pictures by their names: charts, or drawings as SVG."""
        raise NotImplementedError


def embedded(kind: str, content: bytes) -> Markup:
    """Write a picture or a film as an address that holds it."""
    return Markup(f"data:{kind};base64,{base64.b64encode(content).decode()}")


def embedded_film(content: bytes) -> tuple[Markup, Markup]:
    """Write a film as addresses that hold its first frame and the whole of it.

    Raises:
        OSError: It is none.
    """
    return embedded("image/png", first_frame(content)), embedded("image/webp", content)


def text_of(resource: str) -> Markup:
    """Read a style sheet or a script, to stand in a page."""
    return Markup((files("colonnade.reports") / resource).read_text())


def render(template: str, **values: Any) -> Markup:
    """Fill a template of this package in."""
    return Markup(_TEMPLATES.get_template(template).render(**values))


def drawn(
    figures: Mapping[str, Figure],
    folder: Path,
    prefix: str = "",
    charts: Mapping[str, Chart] | None = None,
) -> dict[str, Markup]:
    """Write pictures as PNG files under figures/ in a folder, and return what a page shows of them.

    Args:
        figures: The pictures by their names.
        folder: Where.
        prefix: Begins the files' names.
        charts: Those that the page shows as charts, by the same names.

    Returns:
        By the same names: a chart where there is one, else the picture as SVG.

    Raises:
        ColonnadeError: Writing failed.
    """
    charts = charts or {}
    for name, figure in figures.items():
        path = folder / "figures" / f"{prefix}{name}.png"
        begin_folder(path.parent)
        write_bytes(path, to_png(figure))
    shown = {name: _chart(prefix + name, chart) for name, chart in charts.items()}
    for name, figure in figures.items():
        if name not in charts:
            shown[name] = Markup(to_svg(figure, prefix + name))
    return shown


def _chart(name: str, chart: Chart) -> Markup:
    beside = {number: panel.beside for number, panel in enumerate(chart.panels) if panel.beside}
    return chart_of_json(name, chart.to_json(), beside)


def chart_of_json(
    name: str, data: Mapping[str, Any], beside: Mapping[int, Markup] | None = None
) -> Markup:
    """Put a chart's numbers, as `Chart.to_json` writes them, where `charts.js` finds them.

    Args:
        name: Of the chart.
        data: The numbers.
        beside: What stands beside its panels, by their numbers.
    """
    return render(
        "interactive/chart.html.jinja",
        name=name,
        title=data["title"],
        description=data["description"],
        beside=beside or {},
        data=to_script(data),
    )


def write_page(path: Path, template: str, **values: Any) -> Path:
    """Write a page that needs nothing else, with its style, scripts, time and version.

    Raises:
        ColonnadeError: Writing failed.
    """
    write_text(path, page_text(template, **values))
    return path


def page_text(template: str, *, live: bool = False, **values: Any) -> str:
    """Fill a page's template in, with its style, scripts, time and version.

    Args:
        template: Of the page.
        live: Whether it asks its server for news.
        values: What the template shows.
    """
    page = render(
        template,
        css=text_of("page.css"),
        written=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=version("colonnade"),
        **values,
    )
    text = str(page)
    names = ["page.js", "pictures.js"]
    if live:
        names += ["charts.js", "live.js"]
    else:
        names += ["tables.js"]
        names += ["films.js"] if "data-film=" in text else []
        names += ["charts.js"] if 'class="chart"' in text else []
    if "charts.js" in names:
        names.insert(0, "plotly/plotly-basic.min.js")
    texts = {name: text_of(f"interactive/{name}") for name in names}
    scripts = "".join(
        f'<script data-name="{name}"{_KEPT * name.startswith("plotly")}>{content}</script>\n'
        for name, content in texts.items()
    )
    return text.replace("</body>", f"{scripts}</body>")
