"""Build the documentation site: `make docs`, or `python docs/site/build.py [FOLDER]`.

Pages of `docs/` and those of `ELSEWHERE` are laid side by side in a folder of their own, their
links following them, and Zensical makes `FOLDER/site` of that. A warning is an error: of a link, a
name or a docstring that leads nowhere.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ELSEWHERE = {
    "results/README.md": "results.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "README.md": "index.md",
    "examples/corridors/README.md": "corridors.md",
}
"""Where on the site a file of the repository stands that is not in `docs/`."""

_LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)#\s]+)(#[^)\s]*)?\)")
_NAME = re.compile(r"(?<![\[`])`(colonnade\.[\w.]+)`(?![\]`])")
_FENCED = re.compile(r"(^```.*?^```)", re.DOTALL | re.MULTILINE)


def documented() -> list[str]:
    """List the names that the reference shows, as its pages order them."""
    pages = sorted((ROOT / "docs" / "reference").glob("*.md"))
    return [name for page in pages for name in re.findall(r"^::: (\S+)$", page.read_text(), re.M)]


def place_of(file: Path) -> str | None:
    """Say where on the site a file of the repository stands; None where it does not."""
    name = file.relative_to(ROOT).as_posix()
    if name.startswith("docs/"):
        return name.removeprefix("docs/")
    if name in ELSEWHERE:
        return ELSEWHERE[name]
    return "results.md" if name.startswith("results/") else None


def follow(text: str, file: Path, place: str) -> str:
    """Make the links of a page lead where they lead in the repository.

    Args:
        text: The page, as it is in `file`.
        file: In the repository.
        place: Of the page on the site, such as "tutorials/task.md".

    Returns:
        The page; what leads to a file that is not on the site is no link there, and what the
        reference shows is one where it is named in full.
    """
    shown = set(documented())

    def moved(link: re.Match[str]) -> str:
        picture, words, target, anchor = link.groups()
        aim = place_of((file.parent / target).resolve())
        if aim is None:
            return words
        there = os.path.relpath(aim, Path(place).parent)
        return f"{picture}[{words}]({there}{anchor or ''})"

    def named(name: re.Match[str]) -> str:
        return f"[`{name[1]}`][{name[1]}]" if name[1] in shown else name[0]

    parts = _FENCED.split(text)
    parts[::2] = [_NAME.sub(named, _LINK.sub(moved, part)) for part in parts[::2]]
    return "".join(parts)


def listing(folder: Path) -> str:
    """Show all files of a package of examples, as a page's last part."""
    kinds = {".py": "python", ".toml": "toml"}
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in kinds]
    shown = [
        f"## `{path.relative_to(folder)}`\n\n```{kinds[path.suffix]}\n{path.read_text()}```\n"
        for path in files
        if "build" not in path.parts
    ]
    return "\n" + "\n".join(shown)


def lay_out(into: Path) -> None:
    """Write all pages of the site, as Markdown, and what they need."""
    shutil.copytree(ROOT / "docs" / "images", into / "images")
    pages = [path for path in (ROOT / "docs").rglob("*.md") if HERE not in path.parents]
    for file in [*pages, *(ROOT / name for name in ELSEWHERE)]:
        place = place_of(file)
        if place is None or (file.name == "README.md" and place == "index.md"):
            continue
        text = follow(file.read_text(), file, place)
        if file.parent.parent.name == "examples":
            text += listing(file.parent)
        (into / place).parent.mkdir(parents=True, exist_ok=True)
        (into / place).write_text(text)
    shutil.copytree(HERE / "iframe-worker", into / "iframe-worker")
    (into / "style").mkdir()
    shutil.copy(HERE / "style.css", into / "style")
    shutil.copy(_font(), into / "style")


def _font() -> Path:
    """Find the typeface of equations, STIX Two Math, which ziamath brings along."""
    import ziamath

    return Path(ziamath.__file__).parent / "fonts" / "STIXTwoMath-Regular.ttf"


def build(folder: Path) -> int:
    """Build the site in `folder/site`; returns 0, or the number of things that were amiss."""
    shutil.rmtree(folder, ignore_errors=True)
    lay_out(folder / "pages")
    config = (HERE / "zensical.toml").read_text()
    places = config.replace("{src}", str(ROOT / "src")).replace("{here}", str(HERE))
    (folder / "zensical.toml").write_text(places)
    paths = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths, "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    print(done.stdout, end="")
    # Griffe, which reads the docstrings, warns in its own words, which --strict does not count.
    return done.returncode or len(re.findall(r"^griffe: ", done.stdout, re.M))


if __name__ == "__main__":
    place = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "docs"
    status = build(place.resolve())
    if not status:
        print(f"{place}/site/index.html")
    sys.exit(status)
