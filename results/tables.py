"""Writes the tables of results/README.md from figures.json, between their markers.

`python results/tables.py` writes them; with `--check` it only says whether they are right.

figures.json lists measurements. Each has a name, the command, the seeds, the hardware and the
commit that recorded it, its figures (a name, a value, what was wanted, a unit), and the table that
shows them: titles of columns, and rows of texts in which "{name:format}" stands for a figure's
value and "{name.wanted}" for what was wanted. A figure may name a command, seeds, hardware or
commit of its own. "measures" is the version of the measures of the learning curves behind it, where
there are any.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FIGURES, PAGE = HERE / "figures.json", HERE / "README.md"

BARS = "bars"
"""Name of the table of all figures that something was wanted of."""

SAID = ("command", "seeds", "hardware", "commit", "measures")
"""What a measurement says of all its figures."""

_FIGURE = re.compile(r"\{([^{}:]+?)(\.wanted)?(?::([^{}]*))?\}")
_MARKED = re.compile(r"<!-- table: ([\w-]+) -->\n.*?<!-- end -->", re.DOTALL)

Figure = dict[str, Any]


def read() -> list[dict[str, Any]]:
    """Read the measurements."""
    measurements: list[dict[str, Any]] = json.loads(FIGURES.read_text())["measurements"]
    return measurements


def figures(measurements: list[dict[str, Any]]) -> dict[str, Figure]:
    """List all figures by their full names, each with everything that is said of it."""
    found: dict[str, Figure] = {}
    for measurement in measurements:
        said = {key: measurement[key] for key in SAID if key in measurement}
        for figure in measurement["figures"]:
            name = f"{measurement['name']}/{figure['name']}"
            if name in found:
                raise SystemExit(f"{FIGURES} has two figures {name!r}.")
            found[name] = {"wanted": None, "unit": "", **said, **figure, "name": name}
    return found


def met(figure: Figure) -> bool | None:
    """Say whether a figure is as wanted; None where what is wanted is no bound."""
    bound = re.match(r"at (least|most) (-?[\d.]+)", str(figure["wanted"]))
    if bound is None:
        return None
    limit, value = float(bound[2]), float(figure["value"])
    return value >= limit if bound[1] == "least" else value <= limit


def table(measurement: dict[str, Any]) -> str:
    """Write a measurement's table."""
    known = {figure["name"]: figure for figure in measurement["figures"]}

    def value(match: re.Match[str]) -> str:
        figure = known[match[1]]
        return str(figure["wanted"]) if match[2] else format(figure["value"], match[3] or "")

    layout = measurement["table"]
    rows = [[_FIGURE.sub(value, cell) for cell in row] for row in layout["rows"]]
    return _markdown(layout["columns"], rows)


def bars(measurements: list[dict[str, Any]]) -> str:
    """Write the table of all bars: what was wanted, what was measured, whether that is enough."""
    words = {True: "met", False: "**missed**", None: ""}
    rows = [
        [f"`{name}`", f"{figure['wanted']}{figure['unit']}", f"{figure['value']}{figure['unit']}",
         words[met(figure)]]
        for name, figure in figures(measurements).items()
        if met(figure) is not None
    ]  # fmt: skip
    return _markdown(["figure", "wanted", "measured", ""], rows)


def filled(page: str, measurements: list[dict[str, Any]]) -> str:
    """Write every table of a page anew."""
    tables = {m["name"]: table(m) for m in measurements if "table" in m}
    tables[BARS] = bars(measurements)

    def marked(match: re.Match[str]) -> str:
        return f"<!-- table: {match[1]} -->\n{tables[match[1]]}<!-- end -->"

    return _MARKED.sub(marked, page)


def shown(page: str) -> set[str]:
    """Names of the tables that a page has markers for."""
    return {match[1] for match in _MARKED.finditer(page)}


def _markdown(columns: list[str], rows: list[list[str]]) -> str:
    lines = [columns, ["---"] * len(columns), *rows]
    texts = ["|" + "|".join(f" {cell} " if cell else " " for cell in line) + "|" for line in lines]
    texts[1] = "|" + "---|" * len(columns)
    return "\n".join(texts) + "\n"


def main() -> None:
    """Write the page, or check it."""
    page = PAGE.read_text()
    should = filled(page, read())
    if "--check" in sys.argv:
        sys.exit(0 if page == should else f"{PAGE} differs; run python results/tables.py.")
    PAGE.write_text(should)


if __name__ == "__main__":
    main()
