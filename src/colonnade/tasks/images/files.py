"""Reading the file formats of data sets; nothing read is ever executed."""

from __future__ import annotations

import gzip
import io
import math
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from colonnade.errors import ColonnadeError

Bytes = NDArray[np.uint8]
Labels = NDArray[np.int64]

_IDX_BYTES = 0x08
"""Code of unsigned bytes, the third byte of an idx file (LeCun et al., the MNIST database)."""


def unpacked(path: Path) -> bytes:
    """Return the content of a file that may be compressed by gzip, whatever its name says.

    Raises:
        ColonnadeError: It is compressed, but damaged.
    """
    content = path.read_bytes()
    if content[:2] == b"\x1f\x8b":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise _damaged(path, "a whole gzip file") from error
    return content


def read_idx(path: Path) -> Bytes:
    """Read an idx file of unsigned bytes, compressed by gzip or not.

    Its header holds two zeros, the type, the number of axes, and each axis' size as a big-endian
    32-bit number; the data follow with the last axis running fastest.

    Raises:
        ColonnadeError: The file is of another kind, cut short or too long.
    """
    content = unpacked(path)
    if len(content) < 4 or content[:3] != bytes([0, 0, _IDX_BYTES]):
        raise _damaged(path, "an idx file of unsigned bytes")
    start = 4 + 4 * content[3]
    shape = [int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4)]
    if len(content) - start != math.prod(shape):
        raise _damaged(path, "as many bytes as its header states")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


def read_cifar(path: Path, members: list[str]) -> tuple[Bytes, Labels]:
    """Read batches of the binary version of CIFAR-10 out of its archive, which is not unpacked.

    A record is a label's byte, then 32 x 32 red, green and blue bytes, row by row.

    Args:
        path: The archive.
        members: Names of the batches, without their folder.

    Returns:
        Images [N, 3, 32, 32] and labels [N].

    Raises:
        ColonnadeError: The archive is damaged or lacks a batch.
    """
    parts: dict[str, Bytes] = {}
    try:
        with tarfile.open(path) as archive:
            for member in archive:
                name = member.name.rpartition("/")[2]
                if name in members and (file := archive.extractfile(member)) is not None:
                    parts[name] = np.frombuffer(file.read(), np.uint8)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise _damaged(path, "the archive of CIFAR-10's binary version") from error
    if any(name not in parts or parts[name].size % 3073 for name in members):
        raise _damaged(path, f"whole batches {', '.join(members)}")
    records = np.concatenate([parts[name] for name in members]).reshape(-1, 3073)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(np.int64)


def read_svhn(path: Path) -> tuple[Bytes, Labels]:
    """Read a Matlab file of cropped house numbers, where the label 10 stands for the digit 0.

    Returns:
        Images [N, 3, 32, 32] and labels [N].

    Raises:
        ColonnadeError: The file is damaged or of another kind.
    """
    from scipy.io import loadmat

    try:
        content: dict[str, Any] = loadmat(io.BytesIO(path.read_bytes()), variable_names=["X", "y"])
        images, labels = content["X"], content["y"].reshape(-1)
    except Exception as error:  # scipy raises whatever the damaged bytes lead to
        raise _damaged(path, "a Matlab file with X and y") from error
    if images.shape[:3] != (32, 32, 3) or images.shape[3:] != labels.shape:
        raise _damaged(path, "images X [32, 32, 3, N] and labels y [N]")
    return np.ascontiguousarray(images.transpose(3, 2, 0, 1)), labels.astype(np.int64) % 10


def _damaged(path: Path, expected: str) -> ColonnadeError:
    return ColonnadeError(f"{path} should be {expected}, but is not; delete it to fetch it again.")
