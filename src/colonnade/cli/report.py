"""`colonnade report`: the page of what a folder holds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from colonnade.errors import UsageError


@dataclass(frozen=True)
class Report:
    """Write DIR/report.html from what a folder holds, complete or not."""

    dir: Positional[Path]
    """A folder that `colonnade run --out` made."""
    films: bool = False
    """Let the trained networks play first, and show each task before and after training; it takes
    some seconds a task, once."""
    watch: bool = False
    """Serve a page that refreshes by itself while the runs train: how far they are, what failed,
    the newest curves. On this machine alone, until Ctrl-C."""
    port: int = 0
    """With --watch: the port to serve on; 0 takes a free one."""
    trust: bool = False
    """For films: import the code that the folder names, such as an environment's module; see
    docs/trust.md."""

    def __call__(self) -> None:
        """Write the report and say where it is, or serve the live page."""
        from colonnade.experiments.store.folders import SuiteFolder

        if self.watch and self.films:
            raise UsageError("--watch shows no films; leave --films or --watch out.")
        if self.port and not self.watch:
            raise UsageError("--port is where --watch serves its page; give --watch, too.")
        suite = SuiteFolder.read(self.dir)
        if self.watch:
            watch(self.dir, self.port)
            return
        if self.films:
            from colonnade.cli.train import film

            film(suite, print, trust=self.trust)
        from colonnade.reports.suite import write_report  # heavy, and of no use to a mistake

        print(write_report(suite))


def watch(path: Path, port: int) -> None:
    """Serve the live page of a folder until Ctrl-C; other signals pass."""
    from colonnade.reports.live.server import LiveServer

    with LiveServer(path, port) as server:
        print(f"{server.address} shows {path} on this machine alone; Ctrl-C ends it.", flush=True)
        try:
            server.serve_forever()
        except KeyboardInterrupt as stop:
            if type(stop) is not KeyboardInterrupt:
                raise
