"""Any labelled data as a task: arrays, tensors, or what PyTorch reads data from."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Dict, Discrete
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, TensorDataset

from colonnade.checks import AT_LEAST_0, whole
from colonnade.errors import UsageError, unknown_name
from colonnade.tasks.data.examples import (
    Arrays,
    Channels,
    as_numbers,
    check_labels,
    examples_of,
    forms_of,
    numbers_in,
)
from colonnade.tasks.data.reading import CheckedReader, batches_of, reader_of
from colonnade.types import OBSERVATION, Examples, Reader, Shape, Split, TaskSpec, check_heads

Part = tuple[Arrays, NDArray[Any] | Tensor] | Dataset[Any] | DataLoader[Any]
"""Inputs and labels; or what reads them."""

_READ_AT_ONCE = 256
"""Examples of a data set read together while it is looked through."""

_SPARSE = 100
"""So many times more outputs than labels are taken for a mistake."""

_PASSES = 20
"""Default budget in passes over the training examples."""


class DataTask:
    """Labelled examples as a task.

    >>> x, y = np.zeros((30, 4), np.float32), np.arange(30) % 3
    >>> DataTask("mine", train=(x, y), test=(x, y)).spec.outputs
    3

    Arrays and tensors are held in memory. A PyTorch `Dataset` is read anew in each pass, in a new
    order, by a `DataLoader`; so random augmentation differs from pass to pass, and is the same in
    every run of the same seed, whatever the number of workers. An `IterableDataset` keeps its own
    order, and a `DataLoader` of your own its minibatches, its order and its workers; what they draw
    from `random`, `numpy.random` and torch is seeded for each pass and worker. Where training goes
    on in the middle of a pass of these two, the pass is read again from its beginning.

    Images (H, W, C) are turned channels-first, and grey ones (H, W) get a channel: matrices of at
    least 32 by 32 numbers, or 8 by 8 bytes. Bytes are pixels, which networks divide by 255; arrays
    of bytes of which none in the training part comes up to 64 are numbers, and kept in float32.

    Args:
        id: A name that is unique within a sequence.
        train: Inputs [N, ...] and labels [N], counted from 0; or a `Dataset`, `IterableDataset` or
            `DataLoader` of such pairs.
        test: The same, for evaluation, read in order; an `IterableDataset` must end.
        validation: The same, for early stopping; without it the test examples can't stand in.
        classes: How many labels there are; by default one more than the largest that occurs, for
            which data sets are read through once.
        steps: Budget in training examples; by default twenty passes, of a `DataLoader` as long as
            its sampler makes them.
        head: Which part of the output layer is this task's own, where tasks have their own.
        heads: Into how many such parts the output layer is divided; or the width of each, of
            which later tasks may add more.
        workers: Processes that read a `Dataset`; 0 reads it in this one.
        channels: Where inputs of three axes have their channels, "first" or "last"; by default as
            the shape tells, as for environments: of the first and the last axis the one with 1, 3
            or 4 entries, or else the one beside two equal ones, or else the shorter one.

    Raises:
        UsageError: A part is empty, inputs and labels don't go together, a label is no whole
            number or is outside the classes, inputs are not finite, it can't be told where images
            have their channels, or there is no such head.
    """

    def __init__(
        self,
        id: str,
        train: Part,
        test: Part,
        validation: Part | None = None,
        *,
        classes: int | None = None,
        steps: int | None = None,
        head: int = 0,
        heads: int | tuple[int, ...] | list[int] = 1,
        workers: int = 0,
        channels: Channels = None,
    ) -> None:
        classes = None if classes is None else whole(f"classes of task {id!r}", classes)
        steps = None if steps is None else whole(f"steps of task {id!r}", steps)
        workers = whole(f"workers of task {id!r}", workers, AT_LEAST_0)
        if channels not in ("first", "last", None):
            raise unknown_name("place of channels", str(channels), ("first", "last"))
        widths = tuple(heads) if isinstance(heads, list) else heads
        check_heads(id, head, widths)
        if classes is None and isinstance(widths, tuple):
            classes = int(widths[head])
        counting = classes is None
        self._parts: dict[str, Examples | CheckedReader] = {}
        seen: dict[str, Examples] = {}
        numbers: set[str] = set()
        for name, given in (("train", train), ("test", test), ("validation", validation)):
            if given is None:
                continue
            what = f"The {name} part of task {id!r}"
            part = _part(given, what, workers, channels)
            if isinstance(part, Examples):
                if name == "train":
                    numbers = numbers_in(part)
                part = as_numbers(part, numbers)
            self._parts[name] = part
            if isinstance(part, CheckedReader):
                part.forms = forms_of(seen["train"]) if seen else None
            seen[name] = part if isinstance(part, Examples) else _look(part, whole=counting)
            if forms_of(seen[name]) != forms_of(seen["train"]):
                raise UsageError(
                    f"{what} has inputs {forms_of(seen[name])}, but the training examples have "
                    f"{forms_of(seen['train'])}; give both the same."
                )
        if classes is None:
            classes = _classes(id, torch.cat([examples.targets for examples in seen.values()]))
        for name, examples in seen.items():
            headed = isinstance(widths, tuple)
            check_labels(
                examples.targets, classes, f"The {name} part of task {id!r}", headed=headed
            )
            if isinstance(part := self._parts[name], CheckedReader):
                part.classes, part.headed = classes, headed
        if steps is None:
            part = self._parts["train"]
            known = seen["train"].steps if counting or isinstance(part, Examples) else len(part)
            steps = _PASSES * known
        spaces = {name: _space(value) for name, value in seen["train"].inputs.items()}
        self._spec = TaskSpec(
            id=id,
            observation_space=spaces[OBSERVATION] if set(spaces) == {OBSERVATION} else Dict(spaces),
            action_space=Discrete(classes),
            steps=steps,
            labelled=True,
            head=head,
            heads=widths,
        )

    @property
    def spec(self) -> TaskSpec:
        """What methods and learners need to know."""
        return self._spec

    @property
    def splits(self) -> tuple[str, ...]:
        """Which parts there are."""
        return tuple(self._parts)

    def examples(self, split: Split) -> Examples:
        """Return a part of the data, read whole and in order where it does not lie in memory.

        Raises:
            UsageError: There are no validation examples, or some can't be read.
        """
        part = self._part(split)
        if isinstance(part, Examples):
            return part
        return _joined(list(batches_of(self, split, _READ_AT_ONCE)))

    def reader(self, split: Split) -> Reader | None:
        """Return what reads a part; None where it lies in memory.

        Raises:
            UsageError: There are no validation examples.
        """
        part = self._part(split)
        return part if isinstance(part, CheckedReader) else None

    def _part(self, split: Split) -> Examples | CheckedReader:
        if split not in self._parts:
            raise UsageError(
                f"Task {self._spec.id!r} has no {split} examples; give DataTask(validation=...)."
            )
        return self._parts[split]


def flat_space(shape: Shape) -> gymnasium.Space[Any]:
    """Make the space of bytes of a shape."""
    return Box(0, 255, shape, np.uint8)


def _part(given: Any, what: str, workers: int, channels: Channels) -> Examples | CheckedReader:
    if type(given) is TensorDataset and len(given.tensors) == 2:
        given = given.tensors
    reader = reader_of(given, what, workers, channels)
    return examples_of(given, what, channels) if reader is None else reader


def _look(reader: CheckedReader, *, whole: bool) -> Examples:
    """Read the first example, or all of them but for their inputs."""
    if whole:
        reader.check_end()
    batches = reader.read(_READ_AT_ONCE if whole else 1, 0, shuffle=False)
    try:
        first = next(batches)
        labels = [first.targets, *(examples.targets for examples in (batches if whole else ()))]
    finally:
        batches.close()
    return Examples(first.inputs, torch.cat(labels))


def _classes(id: str, labels: Tensor) -> int:
    """Return how many labels there are, if they are counted from 0."""
    largest, different = int(labels.max()), len(labels.unique())
    if largest >= _SPARSE * different:
        raise UsageError(
            f"Labels of task {id!r} go up to {largest}, but only {different} different ones occur; "
            "count them from 0, as np.unique(labels, return_inverse=True)[1] does, or say classes=."
        )
    return largest + 1


def _joined(batches: list[Examples]) -> Examples:
    inputs = {name: torch.cat([b.inputs[name] for b in batches]) for name in batches[0].inputs}
    return Examples(inputs, torch.cat([batch.targets for batch in batches]))


def _space(value: Tensor) -> gymnasium.Space[Any]:
    shape = tuple(value.shape[1:])
    if value.dtype == torch.uint8:
        return flat_space(shape)
    return Box(-np.inf, np.inf, shape, np.float32)
