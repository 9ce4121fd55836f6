"""A headless Chromium that tests look at pages with, over its DevTools protocol."""

from __future__ import annotations

import base64
import json
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

BROWSER = next((b for b in ("chromium", "google-chrome", "chrome") if shutil.which(b)), None)

_QUIET = (
    "--headless", "--no-sandbox", "--disable-extensions", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--hide-scrollbars",
    "--remote-debugging-port=0", "--remote-allow-origins=*",
)  # fmt: skip


class Tab:
    """One page, and what it has said and asked for.

    Attributes:
        said: Messages on the console and errors of its scripts.
        asked: Addresses that it asked for, but for its own and those of data within it.
    """

    def __init__(self, socket: Any) -> None:
        self._socket = socket
        self._number = 0
        self.said: list[str] = []
        self.asked: list[str] = []
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        """Call a method of the protocol and return its result."""
        self._number += 1
        number = self._number
        self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=120))
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                return dict(message["result"])
            self._hear(message)

    def open(
        self, path: Path | str, width: int = 1280, height: int = 900, *, dark: bool = False
    ) -> Self:
        """Open a page on a screen of that size and theme."""
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.send("Emulation.setEmulatedMedia", features=[scheme])
        self.said.clear()
        self.asked.clear()
        url = path.as_uri() if isinstance(path, Path) else path
        self.send("Page.navigate", url=url)
        self.until("document.readyState === 'complete' && location.href !== 'about:blank'")
        return self

    def run(self, script: str) -> Any:
        """Evaluate an expression in the page; a promise is awaited."""
        found = self.send(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True,
            userGesture=True,
        )  # fmt: skip
        assert "exceptionDetails" not in found, found["exceptionDetails"]
        return found["result"].get("value")

    def until(self, condition: str, seconds: float = 60.0) -> None:
        """Wait for an expression to be true."""
        end = time.monotonic() + seconds
        while not self.run(condition):
            assert time.monotonic() < end, f"never true: {condition}"
            time.sleep(0.02)

    def place(self, selector: str) -> tuple[float, float]:
        """Scroll an element into view and return its middle."""
        x, y = self.run(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center'}); const r = e.getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2]; })()"
        )
        return float(x), float(y)

    def hover(self, selector: str) -> None:
        """Move the mouse over the middle of an element."""
        x, y = self.place(selector)
        for step in (3, 0):
            self.send("Input.dispatchMouseEvent", type="mouseMoved", x=x + step, y=y)

    def press(self, key: str) -> None:
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self.send("Input.dispatchKeyEvent", type=kind, key=key, code=key)

    def photograph(self, path: Path) -> None:
        """Save the whole page as PNG."""
        size = self.send("Page.getLayoutMetrics")["cssContentSize"]
        self.send(
            "Emulation.setDeviceMetricsOverride",
            width=int(size["width"]), height=int(size["height"]), deviceScaleFactor=1, mobile=False,
        )  # fmt: skip
        shot = self.send("Page.captureScreenshot")
        path.write_bytes(base64.b64decode(shot["data"]))

    def _hear(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                self.said.append(params["exceptionDetails"].get("text", "") + str(params)[:500])
            case "Runtime.consoleAPICalled":
                self.said.append(" ".join(str(a.get("value")) for a in params["args"]))
            case "Log.entryAdded":
                self.said.append(params["entry"]["text"])
            case "Network.requestWillBeSent":
                url = params["request"]["url"]
                if not re.match(r"data:|blob:", url) and params.get("type") != "Document":
                    self.asked.append(url)


@contextmanager
def browser() -> Iterator[Tab]:
    """Start a browser and open an empty tab in it."""
    from websockets.sync.client import connect

    assert BROWSER is not None
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = [BROWSER, *_QUIET, f"--user-data-dir={profile}", "about:blank"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
            try:
                assert process.stderr is not None
                for line in process.stderr:
                    if found := re.search(r"ws://([^/]+)/", line):
                        break
                else:
                    raise AssertionError("the browser did not start")
                with connect(_address(found[1]), max_size=None, ping_interval=None) as socket:
                    yield Tab(socket)
            finally:
                process.terminate()
                process.stderr.close()


def _address(host: str) -> str:
    from urllib.request import urlopen

    with urlopen(f"http://{host}/json") as answer:
        tabs = json.load(answer)
    return str(next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"))
