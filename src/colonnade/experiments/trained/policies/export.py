"""A trained policy as a program of its own: `torch.export`, or ONNX.

What is exported takes a batch of observations and what the network remembers, and gives the best
actions as the environment takes them, the network's output, and what it remembers then. Its inputs
are called as the task's ("observation"), then as the entries of the network's state; its outputs
"actions", "output", and the state's names again with "next/" before them.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
import torch
from torch import Tensor, nn

from colonnade.atomic import write_atomically
from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.store.files import check_place, disk_errors
from colonnade.learners import Acting
from colonnade.ops import evaluation
from colonnade.tasks.normalization import Normalization
from colonnade.types import Network, State, TaskSpec

if TYPE_CHECKING:
    from collections.abc import Iterator

KINDS = {".pt2": "torch.export", ".onnx": "ONNX"}
"""What the end of a file's name stands for."""

_BATCH = 2
"""Of the example that is traced; the program takes any."""


class Acts(nn.Module):
    """A network and what its output means, as a function of tensors alone.

    Args:
        network: Trained on the task.
        spec: The task.
        acting: Whose network it is.
        state: An initial state, for its names.
        seen: What the task has seen, where it normalises.
    """

    def __init__(
        self,
        network: Network,
        spec: TaskSpec,
        acting: Acting,
        state: State,
        seen: Normalization | None = None,
    ) -> None:
        super().__init__()
        self._normalized = tuple(seen.observations) if seen else ()
        for place, name in enumerate(self._normalized):
            assert seen is not None
            moments = seen.observations[name]
            self.register_buffer(f"mean{place}", torch.from_numpy(np.array(moments.mean)))
            self.register_buffer(f"deviation{place}", torch.from_numpy(np.array(moments.deviation)))
        self.network = network
        self.inputs = tuple(spec.input_shapes)
        self.remembered = tuple(state)
        self._spec, self._acting = spec, acting
        if isinstance(space := spec.action_space, gymnasium.spaces.Box):
            bounded = np.isfinite(space.low) & np.isfinite(space.high)
            low = np.where(bounded, space.low, -1).astype(np.float32)
            high = np.where(bounded, space.high, 1).astype(np.float32)
            self.register_buffer("low", torch.from_numpy(low))
            self.register_buffer("halfwidth", torch.from_numpy(np.asarray((high - low) / 2)))
            for name, limit in (("least", space.low), ("most", space.high)):
                self.register_buffer(name, torch.from_numpy(np.asarray(limit, np.float32)))
        else:
            first = np.ravel(getattr(space, "start", 0)).astype(np.int64)
            self.register_buffer("start", torch.from_numpy(first))

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Take a step: inputs and state in their order, to actions, output and the next state."""
        count = len(self.inputs)
        inputs = dict(zip(self.inputs, tensors[:count], strict=True))
        for place, name in enumerate(self._normalized):
            mean, deviation = self.get_buffer(f"mean{place}"), self.get_buffer(f"deviation{place}")
            inputs[name] = ((inputs[name].double() - mean) / deviation).float()
        state = dict(zip(self.remembered, tensors[count:], strict=True))
        output, state = self.network(inputs, state)
        return (self._actions(output), output, *(state[name] for name in self.remembered))

    def _actions(self, output: Tensor) -> Tensor:
        actions = self._acting.likelihood(output, self._spec).mode()
        space = self._spec.action_space
        if isinstance(space, gymnasium.spaces.Box):
            numbers = actions.reshape(actions.shape[0], *space.shape)
            low, half = self.get_buffer("low"), self.get_buffer("halfwidth")
            sent = low + (numbers.to(low) + 1) * half  # as `Actions.sent`
            return sent.maximum(self.get_buffer("least")).minimum(self.get_buffer("most"))
        if actions.is_floating_point():  # values of actions
            actions = actions.argmax(-1, keepdim=True)
        actions = actions + self.get_buffer("start")
        return actions[..., 0] if isinstance(space, gymnasium.spaces.Discrete) else actions


def export(
    path: Path,
    network: Network,
    spec: TaskSpec,
    acting: Acting,
    dtypes: Mapping[str, Any],
    seen: Normalization | None = None,
) -> None:
    """Write a policy as a program.

    Args:
        path: ".pt2" for `torch.export`, which `torch.export.load` reads; ".onnx" for ONNX.
        network: Trained on the task, on the CPU.
        spec: The task.
        acting: Whose network it is.
        dtypes: Of each input.
        seen: What the task has seen, where it normalises: the program takes observations as they
            come.

    Raises:
        UsageError: The file's name ends otherwise, or the network cannot be exported.
        ColonnadeError: A package that ONNX needs is not installed, or writing failed.
    """
    if path.suffix not in KINDS:
        raise UsageError(
            f"What is exported to is called *.pt2 (torch.export) or *.onnx, but {path.name!r} came."
        )
    if path.suffix == ".onnx":
        _check_onnx()
    check_place(path)
    state = network.initial_state(_BATCH)
    acts = Acts(network, spec, acting, state, seen)
    example = (
        *(
            torch.from_numpy(np.zeros((_BATCH, *shape), dtypes[name]))
            for name, shape in spec.input_shapes.items()
        ),
        *state.values(),
    )
    # float64 observations are shown to networks in float32, as `TrainedPolicy` does.
    example = tuple(each.float() if each.dtype == torch.float64 else each for each in example)
    batch = torch.export.Dim("batch")
    with evaluation(network), torch.no_grad(), _quiet():
        try:
            program = torch.export.export(
                acts, example, dynamic_shapes=(tuple({0: batch} for _ in example),), strict=False
            )
            content = _saved(program) if path.suffix == ".pt2" else _onnx(program, acts)
        except Exception as error:  # whatever a user's own module or the exporters raise
            reason = " ".join(str(error).split())[:200]
            raise UsageError(
                f"The network of {spec.id!r} can't be exported: {type(error).__name__}: {reason}."
            ) from error
    with disk_errors(path):
        write_atomically(path, content)


def _saved(program: Any) -> bytes:
    import io

    buffer = io.BytesIO()
    torch.export.save(program, buffer)
    return buffer.getvalue()


def _onnx(program: Any, acts: Acts) -> bytes:
    inputs = [*acts.inputs, *acts.remembered]
    outputs = ["actions", "output", *(f"next/{name}" for name in acts.remembered)]
    exported: Any = torch.onnx.export(
        program, dynamo=True, verbose=False, input_names=inputs, output_names=outputs
    )
    content: bytes = exported.model_proto.SerializeToString()
    return content


def _check_onnx() -> None:
    missing = _missing(("onnx", "onnxscript"))
    if missing:
        raise ColonnadeError(
            f"To write ONNX takes {' and '.join(missing)}, which is not installed; install "
            "colonnade[onnx]."
        )


def _missing(names: Sequence[str]) -> list[str]:
    from importlib.util import find_spec

    return [name for name in names if find_spec(name) is None]


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what exporters say about themselves from a user who can't act on it."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
