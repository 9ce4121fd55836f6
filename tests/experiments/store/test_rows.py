"""What rows may hold, whoever wrote them."""

import base64
import zlib

import pytest

from colonnade.experiments.store.rows import misfits


def chunk(kind: bytes, content: bytes = b"") -> bytes:
    """A part of a PNG file, by its specification."""
    check = zlib.crc32(kind + content)
    return len(content).to_bytes(4) + kind + content + check.to_bytes(4)


PNG = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", bytes(13)) + chunk(b"IDAT", b"!") + chunk(b"IEND")
PICTURE = base64.b64encode(PNG).decode()


def domain(picture: object) -> list[dict[str, object]]:
    return [
        {"kind": "domain", "task": "jaco/reach", "policy": "domain", "episodes": 3,
         "return_mean": 1.0, "return_std": 0.5, "picture": picture}
    ]  # fmt: skip


def test_a_picture_is_a_png_in_base64() -> None:
    assert PICTURE.endswith("="), "its padding belongs to it"
    assert misfits(domain(PICTURE)) == ""


@pytest.mark.parametrize(
    "picture",
    [
        'x"><script>alert(1)</script><img src="',
        f'{PICTURE}"><script>alert(1)</script>',
        f"{PICTURE}\n",
        f" {PICTURE}",
        PICTURE.rstrip("="),
        f"{PICTURE}====",
        f"é{PICTURE[1:]}",
        base64.b64encode(b"a picture").decode(),
        base64.b64encode(PNG[:-1]).decode(),
        base64.b64encode(b"GIF89a" + PNG).decode(),
        "",
        None,
        7,
        [PICTURE],
    ],
)
def test_anything_else_is_refused(picture: object) -> None:
    assert "should have a PNG in base64 as 'picture', but has" in misfits(domain(picture))
