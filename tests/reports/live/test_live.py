"""The live page: what it says of unfinished runs, who may read it, how it follows the folder."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from browser import BROWSER, browser
from reading import table_of

from colonnade.errors import UsageError
from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites.progressive.pong_soup import SHORT
from colonnade.reports.live import state
from colonnade.reports.live.server import LiveServer
from colonnade.reports.live.state import LiveState


@pytest.fixture
def suite(fabricate: Callable[..., SuiteFolder]) -> SuiteFolder:
    """Nine complete runs, one half-way, one that failed, three that wait."""
    folder = fabricate(SHORT.plan(SuiteOptions(seeds=1)), done=9)
    running, failed = (folder.run(spec.id) for spec in folder.plan.runs[9:11])
    progress = {
        "task": "x", "task_index": 0, "step": 100_000, "total_steps": 1, "run_step": 100_000,
        "steps_per_second": 2000.0, "recent_return": 3.25,
    }  # fmt: skip
    (running.path / "status.json").write_text(json.dumps({"progress": progress, "notes": []}))
    failed.path.mkdir(parents=True)
    (failed.path / "spec.json").write_text(json.dumps(folder.plan.runs[10].to_json()))
    (failed.path / "failed.json").write_text(json.dumps({"reason": "out of <memory>"}))
    return folder


@pytest.fixture
def server(suite: SuiteFolder) -> Iterator[LiveServer]:
    with LiveServer(suite.path) as found:
        thread = Thread(target=found.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield found
        found.shutdown()
        thread.join()


def ask(server: LiveServer, path: str, host: str | None = None) -> str:
    request = urllib.request.Request(server.address + path)
    if host:
        request.add_header("Host", host)
    with urllib.request.urlopen(request) as answer:
        return str(answer.read().decode())


def test_the_state_is_what_the_folder_says(suite: SuiteFolder) -> None:
    shown = LiveState(suite.path).content()
    table = table_of(shown["html"], "Time left")
    spec = suite.plan.runs[9]
    left = (spec.steps - 100_000) / 2000
    assert table[spec.label] == {
        "Run": spec.label, "State": "running", "Steps taken": f"{100_000 / spec.steps:.0%}",
        "Steps/s": "2,000", "Time left": f"{left // 60:.0f} min {left % 60:02.0f} s"
        if left >= 60 else f"{left:.0f} s", "Recent return": "3.25",
    }  # fmt: skip
    assert table[suite.plan.runs[10].label]["State"] == "failed"
    assert "out of &lt;memory&gt;" in shown["html"]
    assert f"9 of {len(suite.plan.runs)} runs complete, 1 failed, 2,000 steps/s" in shown["html"]
    assert not shown["over"]
    assert set(shown["charts"]) == {"curves-pong"}


def test_news_come_no_more_often_than_they_may_cost(
    suite: SuiteFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = {"now": 1000.0, "used": 0.0}
    monkeypatch.setattr(state.time, "monotonic", lambda: clock["now"])

    def used() -> float:
        clock["used"] += 0.3
        return clock["used"]

    monkeypatch.setattr(state.time, "process_time", used)
    live = LiveState(suite.path)
    assert live.content()["seconds"] == pytest.approx(15), "the first costs twice as much"
    clock["now"] += 14
    assert live.content()["seconds"] == pytest.approx(30), "0.3 s are 1 % of it"
    metrics = suite.run(suite.plan.runs[9].id).metrics_path
    before = live.content()["charts"]
    metrics.write_text("".join(metrics.read_text().splitlines(keepends=True)[:-1]))
    clock["now"] += 20
    assert live.content()["charts"] is before, "not due yet"
    clock["now"] += 20
    assert live.content()["charts"] != before


def test_nobody_else_is_answered(server: LiveServer) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert json.loads(ask(server, "state.json"))["over"] is False
    with pytest.raises(urllib.error.HTTPError, match="403"):
        ask(server, "state.json", host="evil.example")
    for path in ("suite.json", "../suite.json", "state.json?x"):
        with pytest.raises(urllib.error.HTTPError, match="404"):
            ask(server, path)
    with pytest.raises(UsageError, match="leave it out for a free one"):
        LiveServer(Path(), server.server_address[1])


@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
def test_the_page_follows_the_folder(
    server: LiveServer, suite: SuiteFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state, "_OFTEN", 0.2)
    with browser() as tab:
        tab.open(server.address)
        tab.until("document.querySelector('.main-svg')")
        tab.run("document.querySelector('.keys button').click()")
        run = suite.run(suite.plan.runs[9].id)
        drawn = "document.querySelector('figure.chart').drawn.chart.panels"
        points = f"{drawn}.map(p => p.lines.length)"
        before = tab.run(points)
        run.path.joinpath("status.json").write_text("{}")
        text = run.metrics_path.read_text()
        row = json.loads(text.splitlines()[-1])
        row |= {"step": row["step"] + row["width"], "return_mean": 77.0}
        run.metrics_path.write_text(text + json.dumps(row) + "\n")
        tab.until(f"{drawn}.some(p => p.lines.some(l => l.y.some(y => y === 77)))")
        assert tab.run(points) == before
        pressed = "document.querySelector('.keys button').getAttribute('aria-pressed')"
        assert tab.run(pressed) == "false", "what was switched off stays off"
        assert "waiting" in tab.run("document.querySelector('#progress').innerText")
        assert tab.said == []
        assert {url.rpartition("/")[2] for url in tab.asked} <= {"state.json", ""}
