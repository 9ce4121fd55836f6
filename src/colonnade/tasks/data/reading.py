"""Reading PyTorch's data sets pass by pass, with whatever they draw at random, by its DataLoader.

Everything random follows from the seed of a pass. Of a `Dataset`, each minibatch has streams of its
own (`random`, `numpy.random`, torch), so that it is the same whichever process reads it, and
whether or not those before it were read. An `IterableDataset` and a `DataLoader` of the user's own
have streams for each pass and worker; to go on in the middle of a pass, it is read again from its
beginning.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch.utils.data import BatchSampler, DataLoader, Dataset, IterableDataset, Sampler

from colonnade.errors import UsageError
from colonnade.seeding import derive, generator
from colonnade.tasks.data.examples import (
    Channels,
    check_labels,
    examples_of,
    forms_of,
    stacked,
)
from colonnade.tasks.data.streams import OwnStreams
from colonnade.types import DatasetTask, Examples, Reader, ReadTask, Split


def reader_of(data: Any, what: str, workers: int, channels: Channels) -> CheckedReader | None:
    """Return what reads a `Dataset` or a `DataLoader`; None of anything else.

    Raises:
        UsageError: The `DataLoader` keeps its workers, and their random streams with them.
    """
    if isinstance(data, DataLoader):
        if data.persistent_workers:
            raise UsageError(
                f"{what} is a DataLoader with persistent workers, whose random streams no "
                "checkpoint can hold; make it without persistent_workers."
            )
        return CheckedReader(_LoaderReader(data, what, channels), data, what)
    if isinstance(data, IterableDataset):
        return CheckedReader(_StreamReader(data, what, workers, channels), data, what)
    if isinstance(data, Dataset):
        reader = CheckedReader(_DatasetReader(data, what, workers, channels), data, what)
        len(reader)
        return reader
    return None


def batches_of(task: DatasetTask, split: Split, size: int, seed: int = 0) -> Generator[Examples]:
    """Go once through a part of a task, in minibatches and in its own order.

    Args:
        task: Whose part.
        split: Which.
        size: Examples in a minibatch.
        seed: Of what is random about the examples, where they are read anew.
    """
    reader = task.reader(split) if isinstance(task, ReadTask) else None
    if reader is not None:
        yield from reader.read(size, derive(seed, "in order", split), shuffle=False)
        return
    examples = task.examples(split)
    for start in range(0, examples.steps, size):
        chunk = slice(start, start + size)
        inputs = {name: value[chunk] for name, value in examples.inputs.items()}
        yield Examples(inputs, examples.targets[chunk])


class CheckedReader:
    """Reads, and refuses what does not fit the rest of the task.

    Attributes:
        classes: Labels must be below it, once it is known.
        headed: Whether it is the width of the task's own head.
        forms: What inputs must look like, once it is known; see `forms_of`.
    """

    def __init__(self, reader: Reader, data: Any, what: str) -> None:
        """Wrap a reader of `data`, which messages call `what`."""
        self.classes: int | None = None
        self.headed = False
        self.forms: dict[str, str] | None = None
        self._reader = reader
        self._data = data
        self._what = what

    def __len__(self) -> int:
        """Return how many examples a pass gives; of a `DataLoader`, as many as its sampler draws.

        Raises:
            UsageError: It can't be told.
        """
        try:
            return _pass_length(self._data)
        except (TypeError, NotImplementedError):
            raise self._unknown() from None

    def check_end(self) -> None:
        """Make sure that a pass ends.

        Raises:
            UsageError: Nothing says so.
        """
        try:
            len(self._data)
        except (TypeError, NotImplementedError):
            raise self._unknown() from None

    def _unknown(self) -> UsageError:
        if isinstance(self._data, DataLoader):
            return UsageError(
                f"{self._what} is a DataLoader of which it can't be told how many examples a pass "
                "has; give the task steps=, and classes= where a pass may have no end."
            )
        return UsageError(
            f"{self._what} does not say by __len__ how many examples it has; add that, or, of an "
            "IterableDataset, give the task classes= and steps=."
        )

    def read(
        self, size: int, seed: int, *, shuffle: bool = True, skip: int = 0
    ) -> Generator[Examples]:
        """Read through all examples once; see `Reader`.

        Raises:
            UsageError: There is no example, or one does not fit, or can't be read.
        """
        found, parts = skip > 0, self._reader.read(size, seed, shuffle=shuffle, skip=skip)
        try:
            for examples in parts:
                self._check(examples)
                found = True
                yield examples
        finally:
            parts.close()
        if not found:
            raise UsageError(
                f"{self._what} is empty; a task needs at least one example, and a stream must "
                "begin anew whenever it is iterated over."
            )

    def _check(self, examples: Examples) -> None:
        found = forms_of(examples)
        self.forms = self.forms or found
        if found != self.forms:
            raise UsageError(
                f"{self._what} has inputs {found}, but the training examples have {self.forms}; "
                "give all the same."
            )
        if self.classes is not None:
            check_labels(examples.targets, self.classes, self._what, headed=self.headed)


def _pass_length(data: Any) -> int:
    """Count the examples of a pass.

    Raises:
        TypeError, NotImplementedError: Something has no length.
    """
    if not isinstance(data, DataLoader):
        return len(data)
    batches: Any = data.batch_sampler
    if isinstance(data.dataset, IterableDataset) and data.batch_size is not None:
        stream: Any = data.dataset
        count, size, cut = len(stream), data.batch_size, data.drop_last
    elif type(batches) is BatchSampler:
        sampler: Any = batches.sampler
        count, size, cut = len(sampler), batches.batch_size, batches.drop_last
    else:  # one of the user's own; without one the data set gives minibatches of any size
        size, cut = getattr(batches, "batch_size", 0), False
        if not isinstance(size, int) or not size:
            raise TypeError("minibatches of no known size")
        count = size * len(batches)
    return count - count % size if cut else count


class _DatasetReader:
    """Reads a data set whose items can be had in any order."""

    def __init__(self, data: Dataset[Any], what: str, workers: int, channels: Channels) -> None:
        self._data = _Minibatches(data, what, channels)
        self._workers = workers

    def read(
        self, size: int, seed: int, *, shuffle: bool = True, skip: int = 0
    ) -> Generator[Examples]:
        count = len(self._data)
        order = torch.arange(count)
        if shuffle:
            order = torch.randperm(count, generator=generator(seed, "order"))
        loader = DataLoader(
            self._data,
            sampler=_Plan(order.tolist(), size, seed, skip),
            batch_size=None,
            num_workers=self._workers,
            collate_fn=_as_it_is,
            generator=generator(seed, "loader"),
        )
        for found in loader:
            yield _sound(found)


class _Minibatch(NamedTuple):
    """What to read at once.

    Attributes:
        indices: Of the items.
        seed: Of the random streams.
    """

    indices: list[int]
    seed: int


class _Plan(Sampler[_Minibatch]):
    """The minibatches of a pass, but for those to skip."""

    def __init__(self, order: list[int], size: int, seed: int, skip: int) -> None:
        self._order, self._size, self._seed, self._skip = order, size, seed, skip

    def __iter__(self) -> Iterator[_Minibatch]:
        for number in range(self._skip, -(-len(self._order) // self._size)):
            indices = self._order[number * self._size : (number + 1) * self._size]
            yield _Minibatch(indices, derive(self._seed, "minibatch", number))


class _Minibatches(Dataset[Any]):
    """A data set as one of minibatches; what can't be read comes as the error that says so.

    Errors as values come whole out of the processes that read.
    """

    def __init__(self, data: Any, what: str, channels: Channels) -> None:
        self._data, self._what, self._channels = data, what, channels

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, wanted: _Minibatch) -> Examples | UsageError:
        with OwnStreams(wanted.seed):
            try:
                if callable(many := getattr(self._data, "__getitems__", None)):
                    items = many(wanted.indices)
                else:
                    items = [self._data[index] for index in wanted.indices]
            except Exception as error:  # whatever a user's code raises
                return _unreadable(self._what, error)
        return _Stack(self._what, self._channels)(items, wanted.indices)


class _LoaderReader:
    """Reads what a user's own DataLoader gives, minibatch by minibatch."""

    def __init__(self, loader: DataLoader[Any], what: str, channels: Channels) -> None:
        self._loader, self._what, self._channels = loader, what, channels

    def read(
        self, size: int, seed: int, *, shuffle: bool = True, skip: int = 0
    ) -> Generator[Examples]:
        for batch in _loaded(self._loader, self._what, seed, skip):
            yield examples_of(batch, f"A minibatch of {self._what}", self._channels)


class _StreamReader:
    """Reads a data set that has an order of its own."""

    def __init__(
        self, data: IterableDataset[Any], what: str, workers: int, channels: Channels
    ) -> None:
        self._data, self._what, self._workers, self._channels = data, what, workers, channels

    def read(
        self, size: int, seed: int, *, shuffle: bool = True, skip: int = 0
    ) -> Generator[Examples]:
        stack = _Stack(self._what, self._channels)
        loader = DataLoader(self._data, size, num_workers=self._workers, collate_fn=stack)
        for found in _loaded(loader, self._what, seed, skip):
            yield _sound(found)


class _Stack:
    """Makes a minibatch of items, or the error that says why it can't."""

    def __init__(self, what: str, channels: Channels) -> None:
        self._what, self._channels = what, channels

    def __call__(self, items: list[Any], places: list[int] | None = None) -> Examples | UsageError:
        try:
            return stacked(items, self._what, self._channels, places)
        except UsageError as error:
            return error


def _loaded(loader: DataLoader[Any], what: str, seed: int, skip: int) -> Generator[Any]:
    """Go through what a loader gives, all of whose draws follow from a seed."""
    streams, given = OwnStreams(seed), _GivenStreams(_generators(loader), seed)
    batches: Iterator[Any] | None = None
    for number in itertools.count():
        with streams, given:
            try:
                batches = iter(loader) if batches is None else batches
                batch = next(batches)
            except StopIteration:
                return
            except Exception as error:  # whatever a user's code raises
                raise _unreadable(what, error) from error
        if number >= skip:
            yield batch


class _GivenStreams:
    """The generators that a loader was given, in states of its own while a pass is read.

    The same loader may be read by two at once, as when a task is scored while it is learned.
    """

    def __init__(self, streams: Sequence[torch.Generator], seed: int) -> None:
        self._streams = streams
        self._own = [
            torch.Generator(stream.device).manual_seed(derive(seed, "loader", place)).get_state()
            for place, stream in enumerate(streams)
        ]
        self._outside: list[torch.Tensor] = []

    def __enter__(self) -> None:
        self._outside = self._exchanged(self._own)

    def __exit__(self, *_: object) -> None:
        self._own = self._exchanged(self._outside)

    def _exchanged(self, states: Sequence[torch.Tensor]) -> list[torch.Tensor]:
        left = [stream.get_state() for stream in self._streams]
        for stream, state in zip(self._streams, states, strict=True):
            stream.set_state(state)
        return left


def _generators(loader: DataLoader[Any]) -> list[torch.Generator]:
    """Find the generators that a loader and its samplers were given."""
    samplers = loader.sampler, loader.batch_sampler, getattr(loader.batch_sampler, "sampler", None)
    found = [getattr(part, "generator", None) for part in (loader, *samplers)]
    unique = {id(each): each for each in found if isinstance(each, torch.Generator)}
    return list(unique.values())


def _as_it_is(found: Any) -> Any:
    return found


def _sound(found: Examples | UsageError) -> Examples:
    if isinstance(found, UsageError):
        raise found
    return found


def _unreadable(what: str, error: Exception) -> UsageError:
    """Say what went wrong in a user's own code, in this process or in one that reads."""
    kind = type(error).__name__
    lines = [line for line in str(error).splitlines() if line.strip()] or [""]
    # What another process raised comes with its traceback before it.
    told = [line.removeprefix(f"{kind}: ") for line in lines if line.startswith(f"{kind}: ")]
    reason = f"{kind}: {(told or lines)[-1 if told else 0]}"
    return UsageError(f"{what} can't be read: {reason.rstrip('.: ')}.")
