"""Fetching data sets: checked against their published checksums, kept in a cache, from mirrors."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pooch
import requests

from colonnade.errors import ColonnadeError

_TIMEOUT = 20
"""Seconds to wait for a server to answer."""


@dataclass(frozen=True)
class RemoteFile:
    """A file of a data set.

    Attributes:
        name: Under which it is kept.
        checksum: "md5:..." or "sha256:...", as its publisher states it.
        addresses: Where to look, in this order.
    """

    name: str
    checksum: str
    addresses: tuple[str, ...]


def cache_folder() -> Path:
    """Return where downloads are kept: $COLONNADE_DATA, or the user's cache folder."""
    chosen = os.environ.get("COLONNADE_DATA")
    return Path(chosen) if chosen else Path(pooch.os_cache("colonnade"))


def fetch(data_set: str, file: RemoteFile) -> Path:
    """Return the path of a file, downloading it unless it is in the cache and whole.

    Args:
        data_set: Name of the data set, which is the cache's folder for it.
        file: What to fetch.

    Raises:
        ColonnadeError: No address gives the file; the message names what needs no download.
    """
    folder = cache_folder() / data_set
    reason = ""
    for address in file.addresses:
        try:
            found = pooch.retrieve(
                address,
                known_hash=file.checksum,
                fname=file.name,
                path=folder,
                downloader=pooch.HTTPDownloader(timeout=_TIMEOUT, progressbar=False),
            )
            return Path(found)
        except requests.exceptions.ConnectionError:
            reason = "the network can't be reached"
        except (requests.exceptions.RequestException, ValueError, OSError) as error:
            reason = str(error).splitlines()[0]
    raise ColonnadeError(
        f"The data set {data_set!r} can't be downloaded ({reason}); put {file.name} into {folder}, "
        "or use the digits that come along: the suite 'ewc-permuted' and the tasks "
        "'permuted-digits/0', 'split-digits/0' and 'digits/all' need no network."
    )
