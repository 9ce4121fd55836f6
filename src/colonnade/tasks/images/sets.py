"""The data sets of images: bundled digits, MNIST, Fashion-MNIST, CIFAR-10 and SVHN."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from colonnade.errors import ColonnadeError, unknown_name
from colonnade.tasks.images.downloads import RemoteFile, fetch
from colonnade.tasks.images.files import read_cifar, read_idx, read_svhn
from colonnade.types import Shape, Split

Part = tuple[Tensor, Tensor]
"""Images [N, C, H, W] uint8 and labels [N] int64."""


@dataclass(frozen=True)
class ImageSet:
    """A data set of images.

    Attributes:
        name: As in the names of tasks.
        shape: Of an image, (C, H, W).
        classes: How many labels there are.
        train: Number of training examples, validation apart.
        read: Reads or fetches the parts.
    """

    name: str
    shape: Shape
    classes: int
    train: int
    read: Callable[[], dict[Split, Part]]


def image_set(name: str) -> ImageSet:
    """Find a data set.

    Raises:
        UsageError: There is none of that name; the nearest is suggested.
    """
    if name not in IMAGE_SETS:
        raise unknown_name("data set", name, IMAGE_SETS)
    return IMAGE_SETS[name]


@functools.lru_cache(maxsize=2)
def load_images(name: str) -> dict[Split, Part]:
    """Return the parts of a data set, fetching it where it is not at hand yet.

    Raises:
        ColonnadeError: It can't be downloaded, or is damaged.
    """
    known = image_set(name)
    parts = known.read()
    for images, labels in parts.values():
        fits = tuple(images.shape[1:]) == known.shape and len(images) == len(labels) > 0
        if not (fits and int(labels.min()) >= 0 and int(labels.max()) < known.classes):
            raise ColonnadeError(
                f"The data set {name!r} should have images of shape {known.shape} and labels below "
                f"{known.classes}, but its files hold something else; take them away."
            )
    return parts


def _read_digits() -> dict[Split, Part]:
    """Bring scikit-learn's handwritten digits to MNIST's form, split in a fixed way.

    The 8 x 8 images of 17 greys are enlarged to 20 x 20 pixels, bilinearly, and centred on 28 x 28,
    the box and the margin of MNIST's digits. Two ninths of the 1,797 are for testing and one for
    validation, taken in turn, so that all writers are in all parts.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = torch.from_numpy(np.asarray(bunch.images)).unsqueeze(1) * (255 / 16)
    large = F.interpolate(small, size=(20, 20), mode="bilinear", align_corners=False)
    images = F.pad(large, (4, 4, 4, 4)).round().to(torch.uint8)
    labels = torch.from_numpy(np.asarray(bunch.target)).to(torch.int64)
    turn = torch.arange(len(labels)) % 9
    chosen: dict[Split, Tensor] = {
        "test": turn < 2,
        "validation": turn == 4,
        "train": (turn >= 2) & (turn != 4),
    }
    return {part: (images[mask], labels[mask]) for part, mask in chosen.items()}


_TRAIN = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz")
_TEST = ("t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")

_MNIST = {
    "train-images-idx3-ubyte.gz": "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "md5:d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "md5:9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "md5:ec29112dd5afa0611ce80d1b7f02629c",
}
_MNIST_CONTENT = {
    "train-images-idx3-ubyte.gz": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte.gz": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte.gz": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte.gz": "27ae3e4e09519cfbb04c329615203637",
}
"""MD5 of what the files hold, unpacked: copies that were packed anew differ in all else."""
_MNIST_MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
_FASHION = {
    "train-images-idx3-ubyte.gz": "md5:8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte.gz": "md5:25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte.gz": "md5:bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte.gz": "md5:bb300cfdad3c16e7a12a480ee83cd310",
}
_FASHION_MIRRORS = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
_CIFAR = RemoteFile(
    "cifar-10-binary.tar.gz",
    "md5:c32a1d4ab5d03f1284b67883e8d87530",
    (
        "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        "https://cave.cs.toronto.edu/kriz/cifar-10-binary.tar.gz",
    ),
)
_SVHN = {
    "train_32x32.mat": "md5:e26dedcc434d2e4c54c9b2d4a06d8373",
    "test_32x32.mat": "md5:eb5a983be6a315427106f1b164d9cef3",
}
_SVHN_MIRRORS = (
    "http://ufldl.stanford.edu/housenumbers/",
    "https://ufldl.stanford.edu/housenumbers/",
)


def _files(
    checksums: dict[str, str], mirrors: tuple[str, ...], contents: dict[str, str] | None = None
) -> dict[str, RemoteFile]:
    contents = contents or {}
    return {
        name: RemoteFile(
            name, checksum, tuple(mirror + name for mirror in mirrors), contents.get(name, "")
        )
        for name, checksum in checksums.items()
    }


def _read_idx_set(
    name: str,
    checksums: dict[str, str],
    mirrors: tuple[str, ...],
    contents: dict[str, str] | None = None,
) -> dict[Split, Part]:
    files = _files(checksums, mirrors, contents)

    def part(names: tuple[str, str]) -> Part:
        images, labels = (read_idx(fetch(name, files[file])) for file in names)
        return _part(images.reshape(-1, 1, *images.shape[1:]), labels.astype(np.int64))

    return _with_validation(part(_TRAIN), part(_TEST), 10_000)


def _read_cifar() -> dict[Split, Part]:
    path = fetch("cifar-10", _CIFAR)
    train = read_cifar(path, [f"data_batch_{number}.bin" for number in range(1, 6)])
    return _with_validation(_part(*train), _part(*read_cifar(path, ["test_batch.bin"])), 5_000)


def _read_svhn() -> dict[Split, Part]:
    files = _files(_SVHN, _SVHN_MIRRORS)
    train, test = (_part(*read_svhn(fetch("svhn", file))) for file in files.values())
    return _with_validation(train, test, 5_000)


def _part(images: NDArray[np.uint8], labels: NDArray[np.int64]) -> Part:
    return torch.from_numpy(images.copy()), torch.from_numpy(labels)


def _with_validation(train: Part, test: Part, count: int) -> dict[Split, Part]:
    """Keep the last `count` training examples for validation."""
    images, labels = train
    return {
        "train": (images[:-count], labels[:-count]),
        "validation": (images[-count:], labels[-count:]),
        "test": test,
    }


IMAGE_SETS: dict[str, ImageSet] = {
    known.name: known
    for known in (
        ImageSet("digits", (1, 28, 28), 10, 1197, _read_digits),
        ImageSet(
            "mnist",
            (1, 28, 28),
            10,
            50_000,
            functools.partial(_read_idx_set, "mnist", _MNIST, _MNIST_MIRRORS, _MNIST_CONTENT),
        ),
        ImageSet(
            "fashion-mnist",
            (1, 28, 28),
            10,
            50_000,
            functools.partial(_read_idx_set, "fashion-mnist", _FASHION, _FASHION_MIRRORS),
        ),
        ImageSet("cifar-10", (3, 32, 32), 10, 45_000, _read_cifar),
        ImageSet("svhn", (3, 32, 32), 10, 68_257, _read_svhn),
    )
}
"""By name; the digits need no network, the others are fetched when they are first used."""
