"""What a user gives as inputs and labels, brought to `Examples` or explained in one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colonnade.errors import UsageError
from colonnade.tasks.observations import IMAGE_SIDE, layout_of
from colonnade.types import OBSERVATION, Examples

Arrays = NDArray[Any] | Tensor | Mapping[str, NDArray[Any] | Tensor]
"""Inputs [N, ...], or several by name."""

Channels = Literal["first", "last"] | None
"""Where images have their channels, (C, H, W) or (H, W, C); None is to see it by the shape."""

_BYTES_SIDE = 8
"""The same as `IMAGE_SIDE` of bytes, which data sets have for pixels: MNIST's are 28 by 28."""

_PIXELS_FROM = 64
"""Bytes of which none comes up to this are numbers, such as flags and levels: as pixels, which are
divided by 255, they would be next to nothing."""

_SHOWN = 40
"""Letters of a label that a message shows."""


def examples_of(data: Any, what: str, channels: Channels = None) -> Examples:
    """Bring inputs and labels to `Examples`, images with their channels first.

    Args:
        data: A pair of inputs [N, ...], or several by name, and labels [N].
        what: How messages name it.
        channels: Where images have them.

    Raises:
        UsageError: It is empty, of another form, or not finite; a label is no whole number; or it
            can't be told where images have their channels.
    """
    if not (isinstance(data, tuple | list) and len(data) == 2):
        raise UsageError(
            f"{what} should be a pair of inputs and labels, or a PyTorch Dataset, but "
            f"{type(data).__name__} came."
        )
    inputs, labels = data
    named = inputs if isinstance(inputs, Mapping) else {OBSERVATION: inputs}
    targets = _labels(labels, what)
    tensors = {name: _inputs(value, name, what) for name, value in named.items()}
    for name, value in tensors.items():
        if value.dim() == 0 or len(value) != len(targets):
            raise UsageError(
                f"{what} should have as many labels as inputs, but {len(targets)} labels came with "
                f"{name!r} of shape {list(value.shape)}."
            )
        if value.dim() == 1 or 0 in value.shape[1:]:
            raise UsageError(
                f"{what} should have inputs of one or more features for each example, but {name!r} "
                f"came with shape {list(value.shape)}; of a single feature make it [N, 1], as "
                "inputs[:, None] does."
            )
        if value.is_floating_point() and not _is_finite(value):
            raise UsageError(f"{what} has inputs that are NaN or infinite; clean {name!r} first.")
    if not len(targets):
        raise UsageError(f"{what} is empty; a task needs at least one example.")
    return Examples(
        {name: channels_first(value, name, what, channels) for name, value in tensors.items()},
        targets,
    )


def stacked(
    items: Sequence[Any], what: str, channels: Channels = None, places: Sequence[int] | None = None
) -> Examples:
    """Make a minibatch of a data set's items, as `examples_of` does of arrays.

    Args:
        items: Pairs of an input, or several by name, and a label.
        what: How messages name the data set.
        channels: Where images have them.
        places: Of the items in the data set.

    Raises:
        UsageError: An item is no such pair, inputs have no common shape, or as `examples_of`.
    """
    if any(not isinstance(item, tuple | list) or len(item) != 2 for item in items):
        raise UsageError(f"{what} should give pairs of an input and a label, but gives otherwise.")
    labels = []
    for number, (_, label) in enumerate(items):
        where = f" with example {places[number]}" if places is not None else ""
        labels.append(_one_label(label, where, what))
    inputs = [x if isinstance(x, Mapping) else {OBSERVATION: x} for x, _ in items]
    try:
        joined = {name: torch.stack([_one_input(x[name]) for x in inputs]) for name in inputs[0]}
    except (RuntimeError, TypeError, ValueError, KeyError) as error:
        raise UsageError(
            f"{what} should give inputs that are tensors or arrays of one shape "
            f"({_first_line(error)}); add a transform."
        ) from None
    return examples_of((joined, torch.tensor(labels)), what, channels)


def channels_first(value: Tensor, name: str, what: str, channels: Channels = None) -> Tensor:
    """Turn a batch of images channels-first, as networks take them; others are as they were.

    Inputs of three axes are images, whose channels are found as `observations.layout_of` finds
    those of environments; matrices that are large enough are grey images, and get a channel's axis.

    Args:
        value: [B, ...].
        name: Which input it is.
        what: How messages name the data.
        channels: Where images have them.

    Raises:
        UsageError: No axis can be told to hold an image's channels.
    """
    shape = tuple(value.shape[1:])
    layout = layout_of(shape, _BYTES_SIDE if value.dtype == torch.uint8 else IMAGE_SIDE)
    if layout == "grey":
        return value.unsqueeze(1)
    if len(shape) != 3:
        return value
    if channels is None and layout is None:
        raise UsageError(
            f"{what} has inputs {name!r} of shape {shape}, of which no axis can be told to hold an "
            'image\'s channels; say channels="first" of (C, H, W) and of what is no image, or '
            'channels="last" of (H, W, C).'
        )
    return value.movedim(-1, 1).contiguous() if (channels or layout) == "last" else value


def check_labels(labels: Tensor, classes: int, what: str, *, headed: bool = False) -> None:
    """Check that all labels [B] are below `classes`.

    Args:
        labels: Whole numbers.
        classes: How many there should be.
        what: How messages name the data.
        headed: Whether the width of the task's own head says how many.

    Raises:
        UsageError: One is not; the message says which.
    """
    low, high = int(labels.min()), int(labels.max())
    if low >= 0 and high < classes:
        return
    if low < 0:
        advice = "count labels from 0, and leave out examples without a label"
    elif headed:
        advice = f"make that head {high + 1} wide in heads=, or count labels from 0"
    else:
        advice = f"say classes={high + 1}, or count labels from 0"
    number = f"the head's width of {classes}" if headed else f"{classes} in number"
    raise UsageError(
        f"{what} should have labels from 0 to {classes - 1}, {number}, but "
        f"{low if low < 0 else high} came; {advice}."
    )


def numbers_in(examples: Examples) -> set[str]:
    """Name the inputs of bytes that are no pixels: all of them are small."""
    return {
        name
        for name, value in examples.inputs.items()
        if value.dtype == torch.uint8 and int(value.max()) < _PIXELS_FROM
    }


def as_numbers(examples: Examples, names: set[str]) -> Examples:
    """Return examples with some inputs as float32."""
    if not names:
        return examples
    inputs = {
        name: value.to(torch.float32) if name in names else value
        for name, value in examples.inputs.items()
    }
    return replace(examples, inputs=inputs)


def forms_of(examples: Examples) -> dict[str, str]:
    """Say what each input looks like, as in "uint8 [3, 32, 32]"."""
    return {
        name: f"{str(value.dtype).removeprefix('torch.')} {list(value.shape[1:])}"
        for name, value in examples.inputs.items()
    }


def _inputs(value: Any, name: str, what: str) -> Tensor:
    try:
        tensor = torch.as_tensor(_plain(value))
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"{what} should have inputs that are arrays or tensors of numbers, but {name!r} is "
            f"none ({_first_line(error)})."
        ) from None
    if tensor.is_complex():
        raise UsageError(
            f"{what} has complex numbers in {name!r}; give their real and imaginary parts as "
            "features of their own."
        )
    return tensor if tensor.dtype == torch.uint8 else tensor.to(torch.float32)


def _is_finite(value: Tensor) -> bool:
    # NaN and infinity show in a sum, at a fraction of the cost; so may sums that are too large.
    return bool(value.sum().isfinite()) or bool(value.isfinite().all())


def _one_input(value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value
    array = np.asarray(_plain(value))
    return torch.as_tensor(array if array.flags.writeable else array.copy())


def _plain(value: Any) -> Any:
    """Return an array as torch takes it: a view that runs backwards, or other bytes first, copied.

    Of Python objects, as columns of tables have them, whole numbers become an array of them.
    """
    if not isinstance(value, np.ndarray):
        return value
    if value.dtype == object and all(isinstance(each, int | np.integer) for each in value.flat):
        return value.astype(np.int64)
    if not value.dtype.isnative:
        return value.astype(value.dtype.newbyteorder("="))
    return value.copy() if any(stride < 0 for stride in value.strides) else value


def _labels(labels: Any, what: str) -> Tensor:
    try:
        tensor = torch.as_tensor(_plain(labels))
    except (TypeError, ValueError, RuntimeError):
        odd = _odd_one(labels)
        raise UsageError(
            f"{what} should have whole numbers counted from 0 as labels, but {_shown(odd)} came; "
            f"{_advice(odd)}."
        ) from None
    if tensor.dim() != 1:
        advice = "take the argmax(1) of one-hot labels" if tensor.dim() == 2 else "give [N] labels"
        raise UsageError(
            f"{what} should have one whole number as the label of each example, but labels of "
            f"shape {list(tensor.shape)} came; {advice}."
        )
    if tensor.is_floating_point() or tensor.is_complex():
        raise UsageError(
            f"{what} should have one whole number as the label of each example, but labels of "
            f"type {str(tensor.dtype).removeprefix('torch.')} came"
            + (", NaN among them" if bool(tensor.isnan().any()) else "")
            + "; leave out examples without a label, and convert labels that are whole numbers, as "
            "by labels.astype(int)."
        )
    return tensor.to(torch.int64)


def _one_label(label: Any, where: str, what: str) -> int:
    """Return the label of a data set's item as a number."""
    scalar = isinstance(label, Tensor | np.ndarray | np.generic) and label.ndim == 0
    number = label.item() if scalar else label
    if isinstance(number, int):
        return int(number)
    raise UsageError(
        f"{what} should have whole numbers counted from 0 as labels, but {_shown(number)} "
        f"came{where}; {_advice(number)}."
    )


def _odd_one(labels: Any) -> Any:
    """Find a label that is no number."""
    if isinstance(labels, list | tuple | np.ndarray):
        return next((each for each in labels if not isinstance(each, int | np.integer)), labels)
    return labels


def _shown(value: Any) -> str:
    if getattr(value, "shape", ()):
        return f"labels of shape {list(value.shape)}"
    text = repr(value.item() if isinstance(value, np.generic) else value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def _advice(value: Any) -> str:
    if value is None or (isinstance(value, float) and value != value):
        return "leave out examples without a label"
    if isinstance(value, str):
        return "number them, as np.unique(labels, return_inverse=True)[1] does"
    if isinstance(value, float):
        return "convert labels that are whole numbers by int"
    if getattr(value, "shape", ()):
        return "take the argmax of one-hot labels"
    return "give one number for each example"


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
