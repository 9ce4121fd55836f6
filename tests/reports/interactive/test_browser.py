"""Pages in a browser: hovered, switched, sorted, on small and dark screens, by keyboard."""

import base64
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from browser import BROWSER, Tab, browser
from finished import images, poles
from reading import charts_of

from colonnade.cli.analyze import analyze
from colonnade.experiments.launch.sweep import plan_sweep
from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites import suite_from_name
from colonnade.experiments.suites.progressive.labyrinth import MINI
from colonnade.experiments.suites.progressive.pong_soup import SHORT
from colonnade.experiments.suites.sim_to_real import mini as sim_mini
from colonnade.experiments.trained.analysis_options import AnalysisOptions
from colonnade.experiments.trained.films.kept import make_films
from colonnade.experiments.trained.films.ways import Way
from colonnade.experiments.trained.films.writing import animated, first_frame
from colonnade.reports.suite import write_report
from colonnade.tasks.arm import DOMAINS
from colonnade.tasks.mazes import LEVELS

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(BROWSER is None, reason="there is no Chromium"),
]

RESULTS = Path(__file__).parents[3] / "results"
AXE = Path(__file__).parents[2] / "support" / "axe" / "axe.min.js"


@pytest.fixture(scope="module")
def tab() -> Iterator[Tab]:
    with browser() as found:
        yield found


@pytest.fixture
def page(fabricate: Callable[..., SuiteFolder]) -> Path:
    return write_report(fabricate(SHORT.plan(SuiteOptions(seeds=3))))


def quiet(tab: Tab) -> None:
    assert tab.said == []
    assert tab.asked == []


def barriers(tab: Tab) -> list[str]:
    tab.run(AXE.read_text() + ";0")
    found = tab.run(
        "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa']}).then(r =>"
        "r.violations.map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html.slice(0, 200))))"
    )
    return list(found)


def test_a_report_can_be_hovered_switched_sorted_and_taken_away(tab: Tab, page: Path) -> None:
    tab.open(page)
    tab.place("#curves-pong")
    tab.until("document.querySelector('#curves-pong .main-svg')")
    # Every text of a picture is text.
    assert "agent steps" in tab.run("document.querySelector('#curves-pong .plot').textContent")

    tab.hover("#curves-pong .panel .plot")
    tab.until("!document.querySelector('#curves-pong .tip').hidden")
    words = tab.run("document.querySelector('#curves-pong .tip').innerText")
    shown = charts_of(page.read_text())["curves-pong"]["panels"][0]
    places = [f"{x // 1000} k" for x in shown["lines"][0]["x"]]
    step = words.splitlines()[0].removeprefix("agent steps: ")
    line = next(each for each in shown["lines"] if each["series"] == "scratch")
    mean = line["y"][places.index(step)]
    said = next(row for row in words.splitlines() if row.startswith("Baseline 1"))
    assert float(said.split(") ")[1].split(" ·")[0]) == pytest.approx(mean, rel=1e-3)
    assert "95 %" in said
    assert "3 runs" in said

    count = "document.querySelector('#curves-pong .plot').data.filter(t => t.meta).length"
    assert tab.run(count) == 3
    tab.run("document.querySelector('#curves-pong .keys button').click()")
    assert tab.run(count) == 2
    assert tab.run("document.querySelector('.keys button').getAttribute('aria-pressed')") == "false"
    tab.run("document.querySelectorAll('#curves-pong .keys')[1].children[1].click()")
    assert tab.run("[...document.querySelectorAll('#curves-pong .panel')].map(p => p.hidden)") == [
        False, True, False, False,
    ]  # fmt: skip

    pick = "document.querySelector('#curves-pong .controls {}')"
    tab.run(f"{pick.format('input[type=checkbox]')}.click()")
    axis = "document.querySelector('#curves-pong .plot')._fullLayout.xaxis"
    assert tab.run(f"{axis}.type") == "log"
    tab.run(f"(s => (s.value = 'time', s.onchange({{target: s}})))({pick.format('select')})")
    assert tab.run(f"{axis}.title.text") == "minutes of training"
    smoothing = pick.format("input[type=range]")
    raw = "document.querySelector('#curves-pong .plot').data.find(t => t.meta).y.slice()"
    before = tab.run(raw)
    tab.run(f"(s => (s.value = 0.5, s.oninput({{target: s}})))({smoothing})")
    after = tab.run(raw)
    assert after[1] == pytest.approx((0.5 * before[0] + before[1]) / 1.5)

    tab.run("document.querySelectorAll('th button')[1].click()")
    means = tab.run(
        "[...document.querySelector('table').tBodies[0].rows].map(r => +r.cells[1].innerText)"
    )
    assert means == sorted(means, reverse=True)
    kept = (
        "window.kept = []; URL.createObjectURL = b => (kept.push(b), 'blob:x');"
        "HTMLAnchorElement.prototype.click = () => {}; Object.defineProperty(navigator,"
        "'clipboard', {value: {writeText: async t => kept.push(t)}}); 0"
    )
    tab.run(kept)
    tab.run("[...document.querySelectorAll('.controls button')].slice(0, 2).map(b => b.click())")
    csv, latex = tab.run("kept")
    assert csv.splitlines()[0].startswith("Method,Mean,95 % interval")
    assert "\\toprule\nMethod & Mean & 95 \\% interval" in latex

    tab.run(f"kept = []; {pick.format('button')}.click()")
    tab.until("kept.length")
    svg = tab.run("kept[0].text()")
    assert svg.startswith("<svg")
    assert "Learning curves from Pong</title>" in svg
    assert ">Zoom</text>" in svg
    assert ">White</text>" not in svg, "that panel is switched off"
    tab.run(f"kept = []; {pick.format('button:last-of-type')}.click()")
    tab.until("kept.length")
    assert tab.run("kept[0].type") == "image/png"
    quiet(tab)


def test_points_are_read_by_keyboard(tab: Tab, page: Path) -> None:
    tab.open(page)
    tab.place("#curves-pong")
    tab.until("document.querySelector('#curves-pong .main-svg')")
    tab.run("document.querySelector('#curves-pong .plot').focus()")
    for _ in range(2):
        tab.press("ArrowRight")
    tab.until("!document.querySelector('#curves-pong .tip').hidden")
    assert tab.run("document.querySelector('.tip .where').innerText") == "agent steps: 20 k"
    tab.press("Escape")
    assert tab.run("document.querySelector('#curves-pong .tip').hidden")
    quiet(tab)


def test_every_dot_is_read_by_keyboard(tab: Tab, fabricate: Callable[..., SuiteFolder]) -> None:
    page = sweep(fabricate)
    tab.open(page)
    tab.place("#score-against")
    tab.until("document.querySelector('#score-against .main-svg')")
    tab.run("document.querySelector('#score-against .plot').focus()")
    panel = charts_of(page.read_text())["score-against"]["panels"][0]
    points = sum(len(line["y"]) for line in panel["lines"])
    assert points > len(panel["lines"]) > 1

    def said() -> list[str]:
        tip = "[...document.querySelectorAll('#score-against .tip')[0].children]"
        return list(tab.run(f"{tip}.map(p => p.innerText)"))

    tips = []
    for _ in range(points):
        tab.press("ArrowRight")
        tips.append(said())
    labels = [
        label for line in panel["lines"] for label in line.get("labels") or [""] * len(line["y"])
    ]
    for (_, point), label in zip(tips, labels, strict=True):
        assert point.endswith(label)
    assert len(set(map(tuple, tips))) == points
    tab.press("ArrowRight")
    assert said() == tips[-1], "there is no more"
    tab.press("Home")
    assert said() == tips[0]
    tab.press("End")
    assert said() == tips[-1]
    quiet(tab)


def test_durations_are_sorted_as_durations(tab: Tab, fabricate: Callable[..., SuiteFolder]) -> None:
    suite = fabricate(SHORT.plan(SuiteOptions(seeds=1)), done=4)
    for run, seconds in zip(suite.plan.runs, (59.0, 3720.0, 90_000.0, 500.0), strict=False):
        path = suite.run(run.id).path / "result.json"
        result = json.loads(path.read_text())
        result["timing"]["training_seconds"] = seconds
        path.write_text(json.dumps(result))
    tab.open(write_report(suite))
    tab.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    table = "[...document.querySelectorAll('table')].find(t => t.innerText.includes('Final score'))"
    tab.run(f"{table}.querySelector('th:last-child button').click()")
    times = tab.run(f"[...{table}.tBodies[0].rows].map(r => r.cells[r.cells.length - 1].innerText)")
    assert times[:4] == ["1 d 1 h", "1 h 02 min", "8 min 20 s", "59 s"]
    assert set(times[4:]) == {""}
    quiet(tab)


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, False), (390, True)])
def test_a_page_fits_its_screen_and_bars_nobody(
    tab: Tab, page: Path, width: int, dark: bool
) -> None:
    tab.open(page, width, dark=dark)
    tab.run("document.querySelectorAll('.panel').forEach(panel => panel.draw())")
    tab.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    assert tab.run("document.documentElement.scrollWidth") <= width
    paper = tab.run("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(23, 24, 27)") == dark
    ink = tab.run("document.querySelector('#curves-pong .xtick text').style.fill")
    assert (ink == "rgb(230, 230, 227)") == dark
    assert barriers(tab) == []
    quiet(tab)


def test_films_stand_still_until_they_are_asked_to_play(tab: Tab, tmp_path: Path) -> None:
    suite = images(tmp_path / "out")
    assert [problem for _, problem in make_films(suite)] == ["", ""]
    tab.open(write_report(suite), 390)
    sources = "[...document.querySelectorAll('.film img')].map(i => i.src.slice(5, 15))"
    assert tab.run(sources) == ["image/png;"] * 4
    tab.run("document.querySelector('.film button').click()")
    assert tab.run(sources) == ["image/webp"] * 2 + ["image/png;"] * 2
    widths = "[...document.querySelectorAll('.film img')].map(i => i.naturalWidth)"
    tab.until(f"{widths}.every(width => width === 16)")
    tab.run("document.querySelector('.film button').click()")
    assert tab.run(sources) == ["image/png;"] * 4
    assert tab.run("document.documentElement.scrollWidth") <= 390
    assert barriers(tab) == []
    quiet(tab)


def sweep(make: Callable[..., SuiteFolder]) -> Path:
    """The page of a small sweep."""
    small, drawn = suite_from_name("pong-soup-mini"), Sweep(jobs=3, top=3)
    plan = plan_sweep(small, drawn, SuiteOptions(budget=0.2, tasks=("zoom",)))
    return write_report(make(plan, name=small.name, sweep=drawn))


def mazes(make: Callable[..., SuiteFolder]) -> Path:
    """The page of mazes, with films and the ways walked beside a curve."""
    suite = make(MINI.plan(SuiteOptions(seeds=1)), name="labyrinth")
    film, level = animated([np.full((84, 84, 3), 99, np.uint8)] * 2), LEVELS["track-2"]
    items = np.array([[item.x, item.y] for item in level.items])
    (run,) = [f for f in suite.runs if f.spec.label.startswith("progressive track-1 to track-2")]
    way = Way(np.array([[1.0, 1.0], [3.0, 1.0]]), np.zeros(2), items, np.full(len(items), -1))
    for when in ("before", "after"):
        (run.path / f"film-{when}.webp").write_bytes(film)
        (run.path / f"film-{when}.json").write_text(json.dumps(way.to_json()))
    return write_report(suite)


def sim_to_real(make: Callable[..., SuiteFolder]) -> Path:
    """The page of a robot's stand-in, with a film of every domain."""
    suite = make(sim_mini.plan(SuiteOptions(budget=0.1)), name="sim-to-real-mini")
    row = {"episodes": 100, "return_mean": 10.0, "return_std": 5.0}
    for folder in suite.runs:
        path = folder.path / "result.json"
        result = json.loads(path.read_text())
        if "zero-shot" in folder.spec.analyses:
            task = folder.spec.target
            result["scores"].append(
                {**row, "kind": "zero-shot", "policy": "zero-shot", "task": task}
            )
        if "domains" in folder.spec.analyses:
            film = animated([np.full((64, 64, 3), 99, np.uint8)] * 2)
            for number, name in enumerate(DOMAINS, 1):
                result["scores"].append({
                    **row, "kind": "domain", "policy": "domain", "task": f"jaco/{name}",
                    "picture": base64.b64encode(first_frame(film)).decode(),
                })  # fmt: skip
                (folder.path / f"film-domain-{number}.webp").write_bytes(film)
        path.write_text(json.dumps(result))
    return write_report(suite)


def recorded(folder: str, into: Path) -> Path:
    """The page of runs that the repository keeps."""
    shutil.copytree(RESULTS / folder, into / folder)
    return write_report(SuiteFolder.read(into / folder))


KINDS = {"sweep": sweep, "mazes": mazes, "sim-to-real": sim_to_real}
SCREENS = [(390, True), (768, False), (1280, True)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_page_fits_and_bars_nobody(
    tab: Tab, fabricate: Callable[..., SuiteFolder], kind: str
) -> None:
    check(tab, KINDS[kind](fabricate), SCREENS)


@pytest.mark.slow
@pytest.mark.parametrize("folder", ["pong-soup-mini", "ewc-permuted"])
def test_the_pages_of_recorded_runs_bar_nobody(tab: Tab, tmp_path: Path, folder: str) -> None:
    every = [(width, dark) for width in (390, 768, 1280) for dark in (False, True)]
    check(tab, recorded(folder, tmp_path), every)


def check(tab: Tab, page: Path, screens: list[tuple[int, bool]]) -> None:
    for width, dark in screens:
        tab.open(page, width, dark=dark)
        tab.run("document.querySelectorAll('details').forEach(d => d.open = true)")
        tab.run("document.querySelectorAll('.panel').forEach(panel => panel.draw())")
        assert tab.run("document.documentElement.scrollWidth") <= width
        assert barriers(tab) == []
        quiet(tab)


def test_a_page_opens_before_the_library_of_its_charts_is_read(tab: Tab, page: Path) -> None:
    tab.open(page, 390, 300)
    assert not tab.run("window.Plotly")
    tab.place("#curves-pong")
    tab.until("document.querySelector('#curves-pong .main-svg')")
    assert tab.run("Plotly.version")
    quiet(tab)


def test_films_stand_beside_their_curve(tab: Tab, fabricate: Callable[..., SuiteFolder]) -> None:
    tab.open(mazes(fabricate), 1280)
    places = (
        "(() => { const box = document.querySelector('.accompanied');"
        "const [plot, film] = ['.plot', '.beside'].map(s => box.querySelector(s)"
        ".getBoundingClientRect()); return [box.querySelector('.panel-title').textContent,"
        "plot.right <= film.left, plot.top < film.bottom, plot.bottom <= film.top]; })()"
    )
    assert tab.run(places) == ["Track 2", True, True, False]
    tab.run("document.querySelector('.accompanied .film button').click()")
    sources = "[...document.querySelectorAll('.accompanied img')].map(i => i.src.slice(5, 15))"
    assert tab.run(sources) == ["image/webp"] * 2
    tab.run("document.querySelectorAll('#curves-track-1 .keys')[1].children[0].click()")
    assert not tab.run("document.querySelector('.beside').checkVisibility()")
    tab.open(tab.run("location.href"), 390)
    assert tab.run(places)[3], "on a narrow screen films stand below"
    quiet(tab)


def test_an_analysis_bars_nobody(tab: Tab, tmp_path: Path) -> None:
    options = AnalysisOptions(states=120, episodes=3, noise=(1.0, 30.0))
    path = analyze(poles(tmp_path / "out").path, None, options, jobs=1)
    for width, dark in ((390, False), (1280, True)):
        tab.open(path, width, dark=dark)
        tab.run("document.querySelectorAll('.panel').forEach(panel => panel.draw())")
        assert tab.run("document.documentElement.scrollWidth") <= width
        assert barriers(tab) == []
        assert tab.run("document.querySelectorAll('.main-svg').length") >= 6
    quiet(tab)
