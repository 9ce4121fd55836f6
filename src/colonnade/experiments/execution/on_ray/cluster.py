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
            max_task_retries=-1,  # while it can't be reached; a dead one is not begun again
            scheduling_strategy=NodeAffinitySchedulingStrategy(node.id, soft=False),
            runtime_env={"env_vars": {_KEEP_GPUS: "0"}} if node.gpus else None,
        ).remote(node.gpus)
        return agent, agent.open.remote(orders)

    def call(self, agent: Any, method: str, *given: object) -> Any:
        """Ask an agent for something."""
        return getattr(agent, method).remote(*given)

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

    def end(self, agent: Any) -> None:
        """End an agent at once."""
        with suppress(RayActorError):
            ray.kill(agent)

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


def _check_address(address: str) -> None:
    """Refuse at once what nobody listens at; Ray would try for a minute."""
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
        socket.create_connection((host, int(port)), _ANSWER_SECONDS).close()
    except OSError as error:
        raise UsageError(
            f"Nothing answers at {address} ({error.strerror or error}); give HOST:PORT of the head "
            "of a Ray cluster, as `ray start --head` printed it."
        ) from error


def _started_here() -> bool:
    from ray._private.services import find_gcs_addresses

    return bool(find_gcs_addresses())


def _not_connected(address: str, error: Exception) -> str:
    said = " ".join(str(error).split())[:300].rstrip(".")
    where = f"at {address}" if address else "that was started on this machine"
    return (
        f"The Ray cluster {where} can't be joined ({said}); this machine must be one of its nodes, "
        f"started by `ray start --address={address or 'HOST:PORT'}`, with the same Ray and Python."
    )
