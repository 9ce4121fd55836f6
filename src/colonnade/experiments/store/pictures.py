"""Whether a picture's file is whole; told from its bytes, without drawing it."""

from __future__ import annotations

import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def is_png(content: bytes) -> bool:
    """Whether bytes are a whole PNG file: chunks that fit their checks, from IHDR to IEND.

    Source: PNG specification (W3C), sections 5.2 to 5.4.
    """
    if not content.startswith(_SIGNATURE):
        return False
    place, kinds = len(_SIGNATURE), []
    while place + 12 <= len(content):
        length = int.from_bytes(content[place : place + 4])
        end = place + 8 + length
        kinds.append(content[place + 4 : place + 8])
        if end + 4 > len(content):
            return False
        if zlib.crc32(content[place + 4 : end]) != int.from_bytes(content[end : end + 4]):
            return False
        place = end + 4
    return place == len(content) and kinds[:1] == [b"IHDR"] and kinds[-1:] == [b"IEND"]
