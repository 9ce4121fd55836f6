"""The documentation site: what stands on it, and that its links and equations come out."""

import ast
import doctest
import importlib
import inspect
import os
import re
import subprocess
import sys
import textwrap
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from browser import BROWSER, browser

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
SOURCES = ROOT / "src"
PAGES = sorted(page for page in DOCS.rglob("*.md"))


def site(name: str) -> ModuleType:
    """Import a script that makes the site."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "site" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


build = site("build")


def public() -> dict[str, list[str]]:
    """What `from PACKAGE import *` gives, by package."""
    names = {}
    for file in SOURCES.rglob("__init__.py"):
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
                package = ".".join(file.parent.relative_to(SOURCES).parts)
                names[package] = ast.literal_eval(node.value)
    return names


def found(name: str) -> Any:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


def test_every_public_name_stands_in_the_reference_once():
    names = Counter(build.documented())
    assert [name for name, count in names.items() if count > 1] == []
    shown = {id(found(name)) for name in names}  # a name of two packages stands under one of them
    packages = public()
    assert len(packages) >= 12
    everything = [f"{package}.{name}" for package, all_ in packages.items() for name in all_]
    assert len(everything) > 200
    assert [name for name in everything if id(found(name)) not in shown] == []


def test_what_the_pages_import_stands_in_the_reference():
    shown = {id(found(name)) for name in build.documented()}
    missing = set()
    for page in [ROOT / "README.md", *PAGES]:
        for block in re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL):
            for node in ast.walk(ast.parse(block)):
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("colonnade"):
                    names = (f"{node.module}.{alias.name}" for alias in node.names)
                    missing |= {name for name in names if id(found(name)) not in shown}
    assert missing == set()


def functions(name: str) -> Iterator[tuple[str, Any, str]]:
    """Yield what the reference shows of a name that can be called, with all that is said of it."""
    shown = found(name)
    if inspect.isfunction(shown):
        yield name, shown, inspect.getdoc(shown) or ""
    elif inspect.isclass(shown):
        for member, value in vars(shown).items():
            made = member in ("__init__", "__post_init__")
            function = inspect.unwrap(getattr(value, "__func__", value))
            if (made or not member.startswith("_")) and inspect.isfunction(function):
                above = (inspect.getdoc(shown) or "") if made else ""
                yield f"{name}.{member}", function, (inspect.getdoc(function) or "") + above


NAMES = build.documented()
FUNCTIONS = [each for name in NAMES for each in functions(name)]


def raises(function: Any) -> bool:
    if not inspect.getmodule(function).__name__.startswith("colonnade"):
        return False
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, SyntaxError):  # a dataclass's own
        return False
    return any(isinstance(node, ast.Raise) and node.exc is not None for node in ast.walk(tree))


def test_what_a_public_function_raises_it_says():
    assert len(FUNCTIONS) > 300
    assert [
        name for name, function, said in FUNCTIONS if raises(function) and "Raises:" not in said
    ] == []


def test_public_functions_of_several_arguments_explain_them():
    several = [
        (name, said)
        for name, function, said in FUNCTIONS
        if name in NAMES and len(inspect.signature(function).parameters) > 2
    ]
    assert len(several) > 20
    assert [name for name, said in several if "Args:" not in said] == []


def test_every_page_has_its_place_in_the_menu():
    config = tomllib.loads((DOCS / "site" / "zensical.toml").read_text())
    menu: list[str] = []

    def walk(entry: Any) -> None:
        if isinstance(entry, str):
            menu.append(entry)
        else:
            for part in entry.values() if isinstance(entry, dict) else entry:
                walk(part)

    walk(config["project"]["nav"])
    pages = {page.relative_to(DOCS).as_posix() for page in PAGES}
    assert Counter(menu) == Counter(pages | set(build.ELSEWHERE.values()))


@pytest.mark.parametrize(
    ("written", "page", "place", "followed"),
    [
        ("[a](ewc.md#x)", "docs/plugins.md", "plugins.md", "[a](ewc.md#x)"),
        ("[a](../results/README.md#b)", "docs/ewc.md", "ewc.md", "[a](results.md#b)"),
        ("[a](../docs/ewc.md)", "results/README.md", "results.md", "[a](ewc.md)"),
        ("![a](../docs/images/b.png)", "results/README.md", "results.md", "![a](images/b.png)"),
        ("[a](../src/colonnade/parts.py)", "docs/ewc.md", "ewc.md", "a"),
        ("[a](../ewc.md)", "docs/tutorials/task.md", "tutorials/task.md", "[a](../ewc.md)"),
        ("[a](https://b.org)", "docs/ewc.md", "ewc.md", "[a](https://b.org)"),
        ("`[a](../b.py)`\n", "docs/ewc.md", "ewc.md", "`a`\n"),
        ("```\n[a](../b.py)\n```", "docs/ewc.md", "ewc.md", "```\n[a](../b.py)\n```"),
        ("`colonnade.load`", "docs/ewc.md", "ewc.md", "[`colonnade.load`][colonnade.load]"),
        ("`colonnade.nothing`", "docs/ewc.md", "ewc.md", "`colonnade.nothing`"),
    ],
)
def test_links_follow_their_page(written, page, place, followed):
    assert build.follow(written, ROOT / page, place) == followed


def test_equations_are_understood():
    pytest.importorskip("latex2mathml")
    mathml = site("equations").mathml
    texts = [
        re.sub(r"```.*?```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL) for page in PAGES
    ]
    written = [
        tex
        for text in texts
        for pair in re.findall(r"\$\$(.+?)\$\$|(?<![\\$\w])\$([^$\n]+?)\$(?!\w)", text, re.DOTALL)
        for tex in pair
        if tex
    ]
    assert len(written) > 100
    for tex in written:
        drawn = re.sub(r"<[^>]+>", "", mathml(tex))
        assert "\\" not in drawn, f"{tex} became {drawn}"


EXAMPLES = [path for path in SOURCES.rglob("*.py") if ">>>" in path.read_text()]


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.stem)
def test_examples_of_docstrings_are_true(file):
    name = ".".join(file.relative_to(SOURCES).with_suffix("").parts)
    result = doctest.testmod(importlib.import_module(name))
    assert result.attempted > 0
    assert result.failed == 0


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    pytest.importorskip("zensical")
    folder = tmp_path_factory.mktemp("docs")
    command = [sys.executable, str(DOCS / "site" / "build.py"), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "site"


@pytest.mark.slow
def test_the_site_builds_without_a_warning_and_asks_no_other_address(built):
    pages = list(built.rglob("*.html"))
    assert len(pages) > len(PAGES)
    for page in pages:
        text = page.read_text()
        loaded = re.findall(
            r'<(?:script|link|img|iframe|source)\b[^>]*(?:src|href)="([^"]+)"', text
        )
        assert [url for url in loaded if url.startswith(("http", "//"))] == [], page
        assert "arithmatex" not in text, page
    for style in built.rglob("*.css"):
        assert re.findall(r"url\([\"']?(?:https?:)?//", style.read_text()) == [], style


@pytest.mark.slow
def test_every_public_name_has_an_anchor_and_the_search_knows_it(built):
    pages = {page: page.read_text() for page in (built / "reference").glob("*.html")}
    words = (built / "search.json").read_text()
    for name in build.documented():
        assert any(f'id="{name}"' in text for text in pages.values()), name
        assert name.rpartition(".")[2] in words
    # A class shows its own source, not the inherited constructor's.
    page = (built / "reference" / "methods.html").read_text()
    place = page.index('id="colonnade.methods.Progressive"')
    assert "colonnade/methods/progressive.py" in page[place:].split("</details>", 1)[0]


@pytest.mark.slow
def test_a_warning_is_an_error(tmp_path, monkeypatch):
    pytest.importorskip("zensical")

    def lay_out(into: Path) -> None:
        into.mkdir(parents=True)
        (into / "index.md").write_text("# A\n\n[nowhere](b.md)\n")

    monkeypatch.setattr(build, "lay_out", lay_out)
    assert build.build(tmp_path / "docs") != 0


@pytest.mark.slow
@pytest.mark.browser
def test_pages_opened_as_files_search_draw_equations_and_ask_nobody(built):
    pytest.importorskip("websockets")
    if BROWSER is None:
        pytest.skip("there is no browser")
    with browser() as tab:
        tab.open(built / "ewc.html")
        assert tab.run(
            "[...document.querySelectorAll('math')].every(m => m.getBoundingClientRect().width > 3)"
        )
        assert tab.run("document.fonts.ready.then(() => document.fonts.check('16px Equations'))")
        x, y = tab.place(".md-search__button")
        for kind in ("mousePressed", "mouseReleased"):
            tab.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)
        tab.until("!!document.activeElement.shadowRoot")
        tab.send("Input.insertText", text="fisher_overlap")
        inner = "[...document.querySelectorAll('*')].map(e => e.shadowRoot?.innerHTML ?? '').join()"
        tab.until(f"{inner}.includes('#colonnade.analysis.overlap.fisher_overlap')")
        assert [url for url in tab.asked if not url.startswith("file:")] == []
        assert tab.said == []
