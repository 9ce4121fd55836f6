"""Serves the live page to browsers on this machine, and to nobody else."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Lock
from typing import Any

from markupsafe import Markup

from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.reports.live.state import LiveState
from colonnade.reports.page import chart_of_json, page_text

HOST = "127.0.0.1"


class LiveServer(ThreadingHTTPServer):
    """Answers "/" with the page and "/state.json" with its news.

    Args:
        path: The output folder.
        port: On 127.0.0.1; 0 takes one that is free.

    Raises:
        UsageError: The port is taken.
    """

    daemon_threads = True

    def __init__(self, path: Path, port: int = 0) -> None:
        self._path = path
        self._state = LiveState(path)
        self._lock = Lock()
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"--port {port} can't be listened on here ({error}); leave it out for a free one."
            ) from error

    @property
    def address(self) -> str:
        """Where a browser finds the page."""
        return f"http://{HOST}:{self.server_address[1]}/"

    @property
    def hosts(self) -> tuple[str, str]:
        """What a browser on this machine calls the server."""
        port = self.server_address[1]
        return f"{HOST}:{port}", f"localhost:{port}"

    def page(self) -> bytes:
        """Write the page as it is now."""
        suite, state = SuiteFolder.read(self._path), self.news()
        charts = [chart_of_json(name, chart) for name, chart in state["charts"].items()]
        text = page_text(
            "live/page.html.jinja",
            live=True,
            title=suite.basis.title or suite.name,
            now=datetime.now().strftime("%H:%M:%S"),
            progress=Markup(state["html"]),
            charts=charts,
        )
        return text.encode(errors="backslashreplace")

    def news(self) -> dict[str, Any]:
        """Return the newest state, made for one browser at a time."""
        with self._lock:
            return dict(self._state.content())


class _Handler(BaseHTTPRequestHandler):
    server: LiveServer

    def handle(self) -> None:
        """Answer, unless the browser leaves meanwhile."""
        with suppress(ConnectionError):
            super().handle()

    def do_GET(self) -> None:
        # A page from elsewhere may make a browser ask here by a name of its own.
        if self.headers.get("Host") not in self.server.hosts:
            self.send_error(HTTPStatus.FORBIDDEN, "This page is for this machine alone")
            return
        answers: dict[str, tuple[str, Callable[[], bytes]]] = {
            "/": ("text/html; charset=utf-8", self.server.page),
            "/state.json": ("application/json", lambda: json.dumps(self.server.news()).encode()),
        }
        kind, answer = answers.get(self.path, ("", None))
        if answer is None:
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            content = answer()
        except ColonnadeError as error:
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR, explain=str(error))
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing of each request."""
