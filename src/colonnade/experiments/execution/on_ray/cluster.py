"""All that is asked of Ray."""

from __future__ import annotations

import logging
import os
import signal
import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import ray
from ray.exceptions import ActorUnavailableError, RayActorError, RayTaskError
from ray.util.placement_group import (
    placement_group,
    placement_group_table,
    remove_placement_group,
)
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.execution.on_ray import agent as agents
from colonnade.experiments.execution.on_ray.nodes import AgentAwayError, AgentGoneError, Node

_ANSWER_SECONDS = 5.0

_SETTINGS = b"\x04"
_HELLO = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0" + _SETTINGS + b"\0\0\0\0\0"
"""How a client begins HTTP/2, which Ray's head speaks; who does too answers with settings of its
own (RFC 9113, section 3.4)."""

_KEEP_GPUS = "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"
"""Unless this is 0, Ray hides all GPUs from an actor that holds none; an agent's runs use them."""


class RayCluster:
    """A Ray cluster that this machine is a node of.

    Args:
        address: "HOST:PORT" of its head, as `ray start` printed it; empty for the one that was
            started on this machine.

    Raises:
        UsageError: There is none.
    """

    def __init__(self, address: str) -> None:
        _check_address(address)
        logging.getLogger("ray").setLevel(logging.ERROR)
        # Ray takes SIGTERM for itself.
        before = signal.getsignal(signal.SIGTERM)
        try:
            ray.init(
                address=address or "auto",
                log_to_driver=False,
                logging_level=logging.ERROR,
                configure_logging=False,
            )
        except Exception as error:
            raise UsageError(_not_connected(address, error)) from error
        finally:
            signal.signal(signal.SIGTERM, before)
        # As it is, so that a node without Colonnade can say so.
        ray.cloudpickle.register_pickle_by_value(agents)
        self._agent = ray.remote(agents.Agent)
        self._processes: dict[Any, tuple[str, Any]] = {}

    def nodes(self) -> list[Node]:
        """Return the nodes that live and have cores."""
        return [
            Node(
                each["NodeID"],
                f"{each['NodeManagerHostname']} ({each['NodeManagerAddress']}, "
                f"{each['NodeID'][:8]})",
                int(each["Resources"]["CPU"]),
                int(each["Resources"].get("GPU", 0)),
                int(each["Resources"].get("memory", 0)),
            )
            for each in ray.nodes()
            if each["Alive"] and each["Resources"].get("CPU", 0) >= 1
        ]

    def agent(self, node: Node, orders: agents.Orders) -> tuple[Any, Any]:
        """Begin an agent on a node."""
        agent = self._agent.options(
            num_cpus=0,
            scheduling_strategy=_only_on(node.id),
            runtime_env={"env_vars": {_KEEP_GPUS: "0"}} if node.gpus else None,
        ).remote(node.gpus)
        self._processes[agent] = (node.id, agent.process.remote())
        return agent, agent.open.remote(orders)

    def call(self, agent: Any, method: str, *given: object) -> Any:
        """Ask an agent for something."""
        # Again and again while it can't be reached; who only listens would have to be asked anew.
        retries = 0 if method == "heard" else -1
        return getattr(agent, method).options(max_task_retries=retries).remote(*given)

    def wait(self, calls: Sequence[Any], seconds: float) -> list[Any]:
        """Return the calls that are answered."""
        return list(ray.wait(list(calls), num_returns=1, timeout=seconds)[0])

    def answer(self, call: Any) -> Any:
        """Return the answer to a call."""
        try:
            return ray.get(call)
        except ActorUnavailableError as error:
            raise AgentAwayError from error
        except RayActorError as error:
            raise AgentGoneError(str(error)) from error
        except RayTaskError as error:
            if isinstance(error.cause, ColonnadeError):
                raise error.cause from error
            raise

    def end(self, agent: Any, *, stuck: bool = False) -> None:
        """End an agent at once, and one that is stuck by its process id too."""
        with suppress(RayActorError):
            ray.kill(agent)
        node, process = self._processes.pop(agent)
        if not stuck:
            return
        # What Ray sends is not heard by who is stopped.
        kill = ray.remote(agents.kill).options(num_cpus=0, scheduling_strategy=_only_on(node))
        kill.remote(process)

    def reserve(self, amounts: Mapping[str, float], nodes: Iterable[str]) -> Any:
        """Ask for room on one of some nodes."""
        where = {"ray.io/node-id": f"in({','.join(nodes)})"}
        return placement_group(
            [dict(amounts)], strategy="STRICT_PACK", bundle_label_selector=[where]
        )

    def place(self, room: Any) -> str | None:
        """Return the node where there is room."""
        found = placement_group_table(room)
        return found["bundles_to_node_id"][0] if found["state"] == "CREATED" else None

    def release(self, room: Any) -> None:
        """Give room back."""
        remove_placement_group(room)

    def close(self) -> None:
        """Disconnect; Ray ends what is left of this command on its nodes."""
        ray.shutdown()


def _only_on(node: str) -> NodeAffinitySchedulingStrategy:
    return NodeAffinitySchedulingStrategy(node, soft=False)


def _check_address(address: str) -> None:
    """Refuse at once what does not answer; Ray would try for minutes."""
    if not address:
        if "RAY_ADDRESS" not in os.environ and not _started_here():
            raise UsageError(
                "No Ray cluster was started on this machine; start one (`ray start --head`), or "
                "say where its head is, as in --on ray:HOST:6379."
            )
        address = os.environ.get("RAY_ADDRESS", "")
        if address in ("", "auto"):
            return
    host, colon, port = address.rpartition(":")
    if "://" in address or not (colon and host and port.isdecimal() and int(port) < 2**16):
        raise UsageError(
            f"The address of a Ray cluster is HOST:PORT of its head, as in --on ray:10.0.0.1:6379, "
            f"but {address!r} came."
        )
    try:
        with socket.create_connection((host, int(port)), _ANSWER_SECONDS) as line:
            if os.environ.get("RAY_USE_TLS", "0") == "0":
                line.sendall(_HELLO)
                answer = line.recv(9, socket.MSG_WAITALL)
                if answer[3:4] != _SETTINGS:
                    raise OSError("it speaks another language than Ray does")
    except (OSError, UnicodeError) as error:  # the latter of names that can be no host's
        reason = getattr(error, "strerror", None) or error
        raise UsageError(
            f"No Ray cluster answers at {address} ({reason}); give HOST:PORT of "
            "its head, as `ray start --head` printed it."
        ) from error


def _started_here() -> bool:
    """Whether a cluster was; Ray itself would take longer to say so, and many words."""
    try:
        from ray._private.services import find_gcs_addresses
    except ImportError:  # which is no part of what Ray promises
        return True
    return bool(find_gcs_addresses())


def _not_connected(address: str, error: Exception) -> str:
    said = " ".join(str(error).split())[:300].rstrip(".")
    where = f"at {address}" if address else "that was started on this machine"
    return (
        f"The Ray cluster {where} can't be joined ({said}); this machine must be one of its nodes, "
        f"started by `ray start --address={address or 'HOST:PORT'}`, with the same Ray and Python."
    )
