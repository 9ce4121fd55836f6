"""Tasks made of data sets of images: whole, permuted, split by labels, or pairs of labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from gymnasium.spaces import Discrete
from torch import Tensor

from colonnade.checks import ANY, AT_LEAST_0, SHARE, check_fields, whole
from colonnade.errors import UsageError
from colonnade.seeding import generator
from colonnade.tasks.data.task import flat_space
from colonnade.tasks.images.sets import ImageSet, image_set, load_images
from colonnade.types import OBSERVATION, Examples, Shape, Split, TaskSpec

Heads = Literal["shared", "all", "own"]
"""What a part of a split data set predicts: its own labels counted from 0, on outputs that all
parts share ("shared", domain-incremental); any label of the data set ("all", class-incremental);
or its own labels, on outputs of its own ("own", task-incremental)."""

_PASSES = 20
"""Default budget in passes over the training examples (Kirkpatrick et al. 2017, Fig. 2A)."""


@dataclass(frozen=True)
class ImageTask:
    """A data set of images as it is.

    Attributes:
        data: Name of the data set.
        steps: Budget in examples; 0 stands for twenty passes.
    """

    data: str
    steps: int = 0

    def __post_init__(self) -> None:
        image_set(self.data)
        check_fields(self, {"steps": AT_LEAST_0})

    @property
    def spec(self) -> TaskSpec:
        """What methods and learners need to know."""
        known = image_set(self.data)
        return _spec(f"{self.data}/all", known, known.shape, known.classes, self.steps)

    def examples(self, split: Split) -> Examples:
        """Return a part of the data set."""
        images, labels = load_images(self.data)[split]
        return Examples({OBSERVATION: images}, labels)


@dataclass(frozen=True)
class PermutedTask:
    """A data set whose pixels are permuted, in one way for all images (Srivastava et al. 2013).

    Images are vectors, since nothing is left of their form.

    Attributes:
        data: Name of the data set.
        number: Which of the random permutations; the same everywhere and for all seeds of a run.
        side: Side of the central square within which pixels are permuted (the paper's Fig. 2C
            compares 8 and 26); 0 permutes all. A square's pixels move together in all channels.
        steps: Budget in examples; 0 stands for twenty passes.

    Raises:
        UsageError: The data set is unknown, a number is below 0, or the square is wider than the
            images.
    """

    data: str
    number: int
    side: int = 0
    steps: int = 0

    def __post_init__(self) -> None:
        height, width = image_set(self.data).shape[1:]
        check_fields(self, {"number": AT_LEAST_0, "side": AT_LEAST_0, "steps": AT_LEAST_0})
        if self.side > min(height, width):
            raise UsageError(
                f"The square to permute must fit into {height} x {width} pixels; got {self.side}."
            )

    @property
    def spec(self) -> TaskSpec:
        """What methods and learners need to know."""
        known = image_set(self.data)
        square = f"{self.side}x{self.side}-" if self.side else ""
        shape = (torch.Size(known.shape).numel(),)
        name = f"permuted-{self.data}/{square}{self.number}"
        return _spec(name, known, shape, known.classes, self.steps)

    def examples(self, split: Split) -> Examples:
        """Return a part of the data set, permuted: inputs [N, C x H x W]."""
        images, labels = load_images(self.data)[split]
        order = self.order()
        return Examples({OBSERVATION: images.flatten(2).index_select(2, order).flatten(1)}, labels)

    def order(self) -> Tensor:
        """Return, for each pixel [H x W], the pixel of the original image that comes there."""
        height, width = image_set(self.data).shape[1:]
        order = torch.arange(height * width)
        stream = generator(self.number, "permutation", self.side)
        if not self.side:
            return order[torch.randperm(len(order), generator=stream)]
        top, left = (height - self.side) // 2, (width - self.side) // 2
        square = order.view(height, width)[top : top + self.side, left : left + self.side].flatten()
        order[square] = square[torch.randperm(len(square), generator=stream)]
        return order


@dataclass(frozen=True)
class LabelsTask:
    """The images of some labels: one part of a split data set, or a pair of labels.

    Attributes:
        id: Name of the task.
        data: Name of the data set.
        labels: Which, in the order in which the task counts them.
        all_labels: Whether the output is over all labels of the data set.
        noise: Share of the pixels that are turned black or white, each as likely: salt and pepper
            (Fernando et al. 2017 use one half). The same pixels of an image each time.
        head: Which part of the output layer is this task's.
        heads: Into how many parts it is divided.
        steps: Budget in examples; 0 stands for twenty passes.

    Raises:
        UsageError: The data set, a label or the head is not there, or the share of noise is not
            between 0 and 1.
    """

    id: str
    data: str
    labels: tuple[int, ...]
    all_labels: bool = False
    noise: float = 0.0
    head: int = 0
    heads: int = 1
    steps: int = 0

    def __post_init__(self) -> None:
        known = image_set(self.data)
        for label in self.labels:
            whole(f"a label of task {self.id!r}", label, ANY)
        wrong = [label for label in self.labels if not 0 <= label < known.classes]
        if wrong or len(set(self.labels)) < max(1, len(self.labels)):
            raise UsageError(
                f"Labels of {self.data} are different numbers from 0 to {known.classes - 1}; got "
                f"{', '.join(map(str, self.labels)) or 'none'}."
            )
        check_fields(self, {"noise": SHARE, "steps": AT_LEAST_0})

    @property
    def spec(self) -> TaskSpec:
        """What methods and learners need to know."""
        known = image_set(self.data)
        classes = known.classes if self.all_labels else len(self.labels)
        share = len(self.labels) / known.classes
        return _spec(self.id, known, known.shape, classes, self.steps, share, self.head, self.heads)

    def examples(self, split: Split) -> Examples:
        """Return a part of the data set."""
        images, labels = load_images(self.data)[split]
        places = torch.full((image_set(self.data).classes,), -1)
        places[list(self.labels)] = torch.arange(len(self.labels))
        chosen = places[labels] >= 0
        images, labels = images[chosen], labels[chosen]
        if self.noise:
            images = salt_and_pepper(images, self.noise, generator(0, "noise", self.id, split))
        targets = labels if self.all_labels else places[labels]
        return Examples({OBSERVATION: images}, targets)


def split_tasks(
    data: str, parts: int = 5, heads: Heads = "shared", steps: int = 0
) -> list[LabelsTask]:
    """Split a data set by its labels into tasks of equally many, in order.

    Args:
        data: Name of the data set, one of `IMAGE_SETS`.
        parts: How many tasks.
        heads: "shared", all tasks count their labels from 0 on the same outputs; "own", each has
            outputs of its own; "all", the output is over all labels of the data set.
        steps: Budget of each in examples; 0 stands for twenty passes.

    Raises:
        UsageError: The labels can't be divided so.
    """
    return [split_task(data, number, parts, heads, steps) for number in range(parts)]


def split_task(
    data: str, number: int, parts: int = 5, heads: Heads = "shared", steps: int = 0
) -> LabelsTask:
    """Make one part of a data set that is split by its labels.

    Args:
        data: Name of the data set, one of `IMAGE_SETS`.
        number: Which part, counted from 0.
        parts: Of how many.
        heads: As in `split_tasks`.
        steps: Budget in examples; 0 stands for twenty passes.

    Raises:
        UsageError: The labels can't be divided so, or there is no such part.
    """
    classes = image_set(data).classes
    if parts < 1 or classes % parts:
        raise UsageError(f"The {classes} labels of {data} can't be split into {parts} equal parts.")
    if not 0 <= number < parts:
        raise UsageError(f"Parts of split-{data} are numbered from 0 to {parts - 1}; got {number}.")
    each = classes // parts
    labels = tuple(range(number * each, (number + 1) * each))
    name = f"split-{data}/{number}" + ("" if heads == "shared" else f"-{heads}")
    own = (number, parts) if heads == "own" else (0, 1)
    return LabelsTask(name, data, labels, heads == "all", 0.0, *own, steps)


def pair_task(data: str, labels: Sequence[int], noise: float = 0.0, steps: int = 0) -> LabelsTask:
    """Make the task of telling two labels apart, as PathNet's binary MNIST tasks.

    Args:
        data: Name of the data set, one of `IMAGE_SETS`.
        labels: The two, in the order in which the task counts them.
        noise: Share of the pixels that are turned black or white, 0 to 1.
        steps: Budget in examples; 0 stands for twenty passes.
    """
    name = f"{data}/pair-{'-'.join(map(str, labels))}" + (
        f"-noise-{100 * noise:.6g}" if noise else ""
    )
    return LabelsTask(name, data, tuple(labels), noise=noise, steps=steps)


def salt_and_pepper(images: Tensor, share: float, stream: torch.Generator) -> Tensor:
    """Turn a share of the pixels black or white, each as likely.

    Args:
        images: [N, C, H, W] uint8; a pixel's channels turn together.
        share: Of the pixels, on average.
        stream: Which pixels.
    """
    draw = torch.rand(images[:, :1].shape, generator=stream)
    black, white = draw < share / 2, (draw >= share / 2) & (draw < share)
    return images.masked_fill(black, 0).masked_fill(white, 255)


def _spec(
    name: str,
    known: ImageSet,
    shape: Shape,
    classes: int,
    steps: int,
    share: float = 1.0,
    head: int = 0,
    heads: int = 1,
) -> TaskSpec:
    return TaskSpec(
        id=name,
        observation_space=flat_space(shape),
        action_space=Discrete(classes),
        steps=steps or round(_PASSES * share * known.train),
        labelled=True,
        head=head,
        heads=heads,
    )
