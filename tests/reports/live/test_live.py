"""The live page: what it says of unfinished runs, who may read it, how it follows the folder."""

import json
import socket
import socketserver
import struct
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from browser import BROWSER, browser
from reading import table_of

from colonnade.errors import UsageError
from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.suites.progressive.pong_soup import SHORT
from colonnade.reports.live import state
from colonnade.reports.live.server import LiveServer
from colonnade.reports.live.state import LiveState


@pytest.fixture
def suite(fabricate: Callable[..., SuiteFolder]) -> SuiteFolder:
    """Nine complete runs, one half-way, one that failed, three that wait."""

    def status(run: RunFolder, step: int) -> None:
        progress = {
            "task": "x", "task_index": 0, "step": step, "total_steps": 1, "run_step": step,
            "steps_per_second": 2000.0, "recent_return": 3.25,
        }  # fmt: skip
        (run.path / "status.json").write_text(json.dumps({"progress": progress, "notes": []}))

    folder = fabricate(SHORT.plan(SuiteOptions(seeds=1)), done=9)
    running, failed = (folder.run(spec.id) for spec in folder.plan.runs[9:11])
    for spec in folder.plan.runs[:9]:
        status(folder.run(spec.id), spec.steps)
    status(running, 100_000)
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
    rates = {row["Steps/s"] for row in table.values() if row["State"] != "running"}
    assert rates == {""}


def ended(run: RunFolder, kind: str) -> None:
    """Say that a run's process ended by an error, just now."""
    path = run.path / "status.json"
    status = json.loads(path.read_text())
    path.write_text(json.dumps(status | {"error": "It ended at step 100,000.", "kind": kind}))


@pytest.mark.parametrize(
    ("kind", "where"),
    [
        ("Interrupted", "waiting"),
        ("KeyboardInterrupt", "waiting"),
        ("DivergedError", "failed"),
        (None, "failed"),
    ],
)
def test_an_interrupted_run_waits_to_go_on(suite: SuiteFolder, kind: str, where: str) -> None:
    spec = suite.plan.runs[9]
    ended(suite.run(spec.id), kind)
    shown = LiveState(suite.path).content()
    row = table_of(shown["html"], "Time left")[spec.label]
    assert (row["State"], row["Steps/s"], row["Time left"]) == (where, "", "")
    assert row["Steps taken"] == f"{100_000 / spec.steps:.0%}"
    assert ("It ended at step" in shown["html"]) == (where == "failed")
    assert f"{1 + (where == 'failed')} failed." in shown["html"]


def test_where_all_is_over_news_are_asked_for_rarely(suite: SuiteFolder) -> None:
    for spec in suite.plan.runs[9:]:
        folder = suite.run(spec.id).path
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "failed.json").write_text(json.dumps({"reason": "no memory"}))
    live = LiveState(suite.path)
    assert live.content()["over"]
    assert live.content()["seconds"] >= 60
    assert live.seconds < 60, "whoever looks before is told what is new"


def test_a_browser_that_leaves_is_nobodys_fault(
    server: LiveServer, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, left, answered = Event(), Event(), Event()

    def page() -> bytes:
        asked.set()
        assert left.wait(30)
        return b"x" * 2**26

    def shutdown(request: socket.socket) -> None:
        socketserver.TCPServer.shutdown_request(server, request)
        answered.set()

    monkeypatch.setattr(server, "page", page)
    monkeypatch.setattr(server, "shutdown_request", shutdown)
    with socket.create_connection(server.server_address) as browser:
        host = server.hosts[0]
        browser.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert asked.wait(30)
        # So that what arrives afterwards is refused at once.
        browser.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    left.set()
    assert answered.wait(30)
    assert capfd.readouterr().err == ""
    assert json.loads(ask(server, "state.json"))["over"] is False


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


@pytest.mark.browser
@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium")
def test_the_page_sees_that_runs_which_were_over_go_on(
    server: LiveServer, suite: SuiteFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"_OFTEN": 0.2, "_RARELY": 0.2, "SHARE": 100.0}.items():
        monkeypatch.setattr(state, name, value)
    lost = [suite.run(spec.id).path for spec in suite.plan.runs[9:]]
    for folder in lost:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "failed.json").write_text(json.dumps({"reason": "no memory"}))
    with browser() as tab:
        tab.open(server.address)
        words = "document.querySelector('main').innerText"
        tab.until(f"{words}.includes('All runs are over')")
        tab.until(f"{words}.includes('looks again now and then')")
        (lost[0] / "failed.json").unlink()
        tab.until(f"{words}.includes('refreshes by itself')")
        assert "running" in tab.run(words)
        assert tab.said == []
