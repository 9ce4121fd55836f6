"""Where runs train, as `--on` says it, and what is said where that is nowhere."""

import socket
import threading
from contextlib import suppress

import pytest

from colonnade.errors import UsageError
from colonnade.experiments.execution import executors
from colonnade.experiments.execution.executors import executor
from colonnade.experiments.execution.processes import ForkedWorkers


def test_here_is_this_machine() -> None:
    here = executor("here")
    assert here.make_workers is ForkedWorkers
    assert len(here.machines) == 1
    assert here.words == "this machine"


@pytest.mark.parametrize("on", ["there", "ray:", "rays", "slurm:4", ""])
def test_what_is_no_place_is_told(on: str) -> None:
    with pytest.raises(
        UsageError, match=r"^--on is 'here', 'ray' or 'ray:HOST:PORT', as in .*came"
    ):
        executor(on)


def test_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"pip install 'colonnade\[ray\]'"):
        executor("ray")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("10.0.0.1", r"is HOST:PORT of its head, .* but '10\.0\.0\.1' came\."),
        ("ray://host:10001", r"is HOST:PORT of its head, .* but 'ray://host:10001' came\."),
        ("host:port", r"but 'host:port' came\."),
        ("host:70000", r"but 'host:70000' came\."),
        ("10.0.0..1:6379", r"No Ray cluster answers at 10\.0\.0\.\.1:6379 \("),
        ("no-such-host.invalid:6379", r"No Ray cluster answers at no-such-host\.invalid:6379 \("),
    ],
)
def test_an_address_that_is_none_or_does_not_answer(address: str, said: str) -> None:
    pytest.importorskip("ray")
    with pytest.raises(UsageError, match=said):
        executor(f"ray:{address}")


@pytest.mark.slow
def test_a_port_that_nobody_listens_at() -> None:
    pytest.importorskip("ray")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(UsageError, match=rf"No Ray cluster answers at 127\.0\.0\.1:{port} \(Con"):
        executor(f"ray:127.0.0.1:{port}")


@pytest.mark.slow
def test_a_port_where_something_else_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    from colonnade.experiments.execution.on_ray import cluster

    monkeypatch.setattr(cluster, "_ANSWER_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(UsageError, match=rf"answers at 127\.0\.0\.1:{port} \(timed out\)"):
            executor(f"ray:127.0.0.1:{port}")

        def answer() -> None:
            line, _ = server.accept()
            with line, suppress(OSError):
                line.recv(100)
                line.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        for _ in range(2):  # the first one above waits still
            threading.Thread(target=answer).start()
        with pytest.raises(UsageError, match=r"\(it speaks another language than Ray does\)"):
            executor(f"ray:127.0.0.1:{port}")


@pytest.mark.slow
def test_a_machine_without_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("ray")
    from colonnade.experiments.execution.on_ray import cluster

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(cluster, "_started_here", lambda: False)
    with pytest.raises(UsageError, match=r"No Ray cluster was started on this machine; start one"):
        executor("ray")
