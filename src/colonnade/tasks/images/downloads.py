"""Fetching data sets: from a folder of the user's, or from mirrors into a cache; always checked."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests

from colonnade.errors import ColonnadeError
from colonnade.tasks.images.files import unpacked

_TIMEOUT = 20
"""Seconds to wait for a server to answer."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a data set.

    Attributes:
        name: Under which it is kept.
        checksum: "md5:..." or "sha256:...", as its publisher states it.
        addresses: Where to look, in this order.
        content: MD5 of what the file holds, unpacked; "" where that is not known. A file that holds
            it is taken as it is, packed by whatever program or not at all.
    """

    name: str
    checksum: str
    addresses: tuple[str, ...]
    content: str = ""


def cache_folder() -> Path:
    """Return where downloads are kept: $COLONNADE_DATA, or the user's cache folder."""
    chosen = os.environ.get("COLONNADE_DATA")
    return Path(chosen) if chosen else Path(pooch.os_cache("colonnade"))


def fetch(data_set: str, file: RemoteFile) -> Path:
    """Return the path of a file, downloading it unless it is at hand and whole.

    It is looked for in the folder that $COLONNADE_DATA names (else in the user's cache folder), in
    the data set's folder within it, and in that of torchvision, whose names are like "MNIST/raw".

    Args:
        data_set: Name of the data set, which is its folder's, too.
        file: What to fetch.

    Raises:
        ColonnadeError: No address gives the file; the message names what needs no download.
    """
    found, wrong = _at_hand(data_set, file)
    if found is not None:
        return found
    folder = cache_folder() / data_set
    reason = ""
    for address in file.addresses:
        try:
            fetched = pooch.retrieve(
                address,
                known_hash=file.checksum,
                fname=file.name,
                path=folder,
                downloader=pooch.HTTPDownloader(timeout=_TIMEOUT, progressbar=False),
            )
            return Path(fetched)
        except requests.exceptions.ConnectionError:
            reason = "the network can't be reached"
        except (requests.exceptions.RequestException, ValueError, OSError) as error:
            reason = str(error).splitlines()[0]
    if wrong is not None:
        reason += f", and {wrong} holds something else"
    packed = f"{file.name}, packed or not," if file.content else file.name
    raise ColonnadeError(
        f"The data set {data_set!r} can't be downloaded ({reason}); put {packed} into {folder}, or "
        "use the digits that come along: the suite 'ewc-permuted' and the tasks "
        "'permuted-digits/0', 'split-digits/0' and 'digits/all' need no network."
    )


def _at_hand(data_set: str, file: RemoteFile) -> tuple[Path | None, Path | None]:
    """Look for a file that is there already: the right one, or else one of its name that is not."""
    root, wrong = cache_folder(), None
    plain = file.name.removesuffix(".gz")
    names = (file.name, plain, plain.replace("-idx", ".idx"))
    theirs = data_set.title().replace("Mnist", "MNIST").replace("-", "")
    for folder in (root / data_set, root / theirs / "raw", root):
        for path in (folder / name for name in dict.fromkeys(names)):
            if not path.is_file():
                continue
            if _is_right(path, file):
                return path, None
            wrong = wrong or path
    return None, wrong


def _is_right(path: Path, file: RemoteFile) -> bool:
    kind, _, checksum = file.checksum.partition(":")
    try:
        if file.content and hashlib.md5(unpacked(path)).hexdigest() == file.content:
            return True
        return hashlib.new(kind, path.read_bytes()).hexdigest() == checksum
    except (ColonnadeError, OSError):
        return False
