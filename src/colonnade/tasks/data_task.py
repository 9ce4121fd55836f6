"""Any labelled data as a task: arrays, tensors, or PyTorch data sets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Dict, Discrete
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from colonnade.errors import UsageError
from colonnade.types import OBSERVATION, Examples, Shape, Split, TaskSpec

Arrays = NDArray[Any] | Tensor | Mapping[str, NDArray[Any] | Tensor]
"""Inputs [N, ...], or several by name."""


class DataTask:
    """Labelled examples, in memory, as a task.

    >>> x, y = np.zeros((30, 4), np.float32), np.arange(30) % 3
    >>> DataTask("mine", train=(x, y), test=(x, y)).spec.outputs
    3

    Args:
        id: A name that is unique within a sequence.
        train: Inputs [N, ...] and labels [N], counted from 0; or a PyTorch `Dataset` of pairs of
            an input and a label, which is read once, whole.
        test: The same, for evaluation.
        validation: The same, for early stopping; without it the test examples can't stand in.
        classes: How many labels there are; by default as many as occur.
        steps: Budget in training examples; by default twenty passes.
        head: Which part of the output layer is this task's own, where tasks have their own.
        heads: Into how many such parts the output layer is divided.

    Raises:
        UsageError: A part is empty, inputs and labels don't go together, a label is outside the
            classes, or inputs are not finite.
    """

    def __init__(
        self,
        id: str,
        train: tuple[Arrays, NDArray[Any] | Tensor] | Dataset[Any],
        test: tuple[Arrays, NDArray[Any] | Tensor] | Dataset[Any],
        validation: tuple[Arrays, NDArray[Any] | Tensor] | Dataset[Any] | None = None,
        *,
        classes: int | None = None,
        steps: int | None = None,
        head: int = 0,
        heads: int = 1,
    ) -> None:
        given = {"train": train, "test": test, "validation": validation}
        parts = {
            name: examples_of(part, f"The {name} part of task {id!r}")
            for name, part in given.items()
            if part is not None
        }
        largest = max(int(part.targets.max()) for part in parts.values())
        classes = classes or largest + 1
        first = parts["train"]
        shapes = {name: tuple(value.shape[1:]) for name, value in first.inputs.items()}
        for name, part in parts.items():
            check_labels(part, classes, f"the {name} part of task {id!r}")
            found = {key: tuple(value.shape[1:]) for key, value in part.inputs.items()}
            if found != shapes:
                raise UsageError(
                    f"The {name} part of task {id!r} has inputs of shape {found}, but the training "
                    f"examples have {shapes}; give both the same."
                )
        spaces = {name: _space(value) for name, value in first.inputs.items()}
        self._parts = parts
        self._spec = TaskSpec(
            id=id,
            observation_space=spaces[OBSERVATION] if set(spaces) == {OBSERVATION} else Dict(spaces),
            action_space=Discrete(classes),
            steps=20 * first.steps if steps is None else steps,
            value=False,
            head=head,
            heads=heads,
        )

    @property
    def spec(self) -> TaskSpec:
        """What methods and learners need to know."""
        return self._spec

    def examples(self, split: Split) -> Examples:
        """Return a part of the data.

        Raises:
            UsageError: There are no validation examples.
        """
        if split not in self._parts:
            raise UsageError(
                f"Task {self._spec.id!r} has no {split} examples; give DataTask(validation=...)."
            )
        return self._parts[split]


def examples_of(data: Any, what: str) -> Examples:
    """Bring inputs and labels, or a PyTorch data set of such pairs, to `Examples`.

    Args:
        data: See `DataTask`.
        what: How messages name it.

    Raises:
        UsageError: It is empty, of another form, or not finite.
    """
    if isinstance(data, Dataset):
        data = _read(data, what)
    if not (isinstance(data, tuple | list) and len(data) == 2):
        raise UsageError(
            f"{what} should be a pair of inputs and labels, or a PyTorch Dataset, but "
            f"{type(data).__name__} came."
        )
    inputs, labels = data
    named = inputs if isinstance(inputs, Mapping) else {OBSERVATION: inputs}
    tensors = {name: _tensor(value) for name, value in named.items()}
    targets = torch.as_tensor(labels)
    if targets.dim() != 1 or targets.is_floating_point():
        raise UsageError(
            f"{what} should have one whole number as the label of each example, but labels of "
            f"shape {list(targets.shape)} and type {targets.dtype} came."
        )
    for name, value in tensors.items():
        if value.dim() == 0 or len(value) != len(targets):
            raise UsageError(
                f"{what} should have as many labels as inputs, but {len(targets)} labels came with "
                f"{name!r} of shape {list(value.shape)}."
            )
        if value.is_floating_point() and not bool(value.isfinite().all()):
            raise UsageError(f"{what} has inputs that are NaN or infinite; clean {name!r} first.")
    if not len(targets):
        raise UsageError(f"{what} is empty; a task needs at least one example.")
    return Examples(tensors, targets.to(torch.int64))


def check_labels(examples: Examples, classes: int, what: str) -> None:
    """Check that all labels are below `classes`.

    Raises:
        UsageError: One is not; the message says which.
    """
    low, high = int(examples.targets.min()), int(examples.targets.max())
    if low < 0 or high >= classes:
        raise UsageError(
            f"Labels of {what} should be from 0 to {classes - 1}, the head's width of {classes}, "
            f"but {low if low < 0 else high} came; say classes={high + 1}, or count labels from 0."
        )


def flat_space(shape: Shape) -> gymnasium.Space[Any]:
    """Make the space of bytes of a shape."""
    return Box(0, 255, shape, np.uint8)


def _read(data: Dataset[Any], what: str) -> tuple[Tensor, Tensor]:
    count = len(data)  # type: ignore[arg-type]
    items = [data[index] for index in range(count)]
    if any(not isinstance(item, tuple | list) or len(item) != 2 for item in items):
        raise UsageError(f"{what} should give pairs of an input and a label, but gives otherwise.")
    if not items:
        raise UsageError(f"{what} is empty; a task needs at least one example.")
    try:
        inputs = torch.stack([torch.as_tensor(np.asarray(value)) for value, _ in items])
    except (RuntimeError, TypeError) as error:
        raise UsageError(
            f"{what} should give inputs that are tensors or arrays of one shape ({error}); "
            "add a transform."
        ) from None
    return inputs, torch.tensor([int(label) for _, label in items])


def _tensor(value: NDArray[Any] | Tensor) -> Tensor:
    tensor = torch.as_tensor(value)
    return tensor if tensor.dtype == torch.uint8 else tensor.to(torch.float32)


def _space(value: Tensor) -> gymnasium.Space[Any]:
    shape = tuple(value.shape[1:])
    if value.dtype == torch.uint8:
        return flat_space(shape)
    return Box(-np.inf, np.inf, shape, np.float32)
