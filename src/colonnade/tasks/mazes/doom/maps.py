"""Levels as files that ZDoom 2.8 and ViZDoom read: geometry, textures, items, all made in Python.

A WAD is a directory of lumps: the map in UDMF ("TEXTMAP"), the actors in DECORATE, pictures as PNG.
No script is compiled. Item i is an actor class of its own that gives, when it is touched, 2**(i mod
`BITS`) of ammunition of kind i // `BITS`; so the amounts tell exactly which items were eaten.
"""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from colonnade.errors import UsageError
from colonnade.tasks.mazes.decor import TEXTURE, Picture, wall_texture
from colonnade.tasks.mazes.doom.palette import light_maps, palette
from colonnade.tasks.mazes.items import KINDS, SPRITE, sprite
from colonnade.tasks.mazes.levels import BODY, CORRIDOR, REACH, Layout, Level
from colonnade.tasks.mazes.view_tables import EYE, ITEM_HEIGHT, ITEM_WIDTH
from colonnade.tasks.mazes.walking import STEP

UNITS = 64
"""Doom's units in a metre."""

TALL = 1.2
"""How much taller than wide the engine shows things; heights in maps are that much smaller."""

TICS = 4
"""Tics of the engine, of which there are 35 a second, that an action lasts."""

FRICTION = 0.90625
"""The share of its speed that a player keeps from tic to tic."""

THRUST = STEP * UNITS / (3 + 2 * FRICTION + FRICTION**2)
"""Units a tic that a move adds to the speed in all tics but its last, to lead `STEP` metres far.
The player moves, and then loses some of its speed."""

PUSH = THRUST / 17
"""Units a tic that one unit of a movement button adds to the speed. The engine takes whole units of
up to 50; so many are a move's thrust, and braking it takes 42."""

BITS = 30
"""Items that one kind of ammunition counts."""

MOST_ITEMS = 9 * BITS

_FIRST_ACTOR = 20_000
_THING = "thing{{x={x:10.3f};y={y:10.3f};angle={angle:3d};type={type};{flags}}}\n"
_LIGHT = 184  # of the maze; the engine lets it fade with distance
_EMPTY = 16_384  # empty lines after a map's text
_FLAGS = "".join(f"skill{n}=true;" for n in range(1, 6)) + "single=true;"


def png(picture: Picture, offset: tuple[int, int] | None = None) -> bytes:
    """Encode a picture [H, W, 3 or 4], with the place in it that stands where its actor does."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        )

    height, width, channels = picture.shape
    kind = {3: 2, 4: 6}[channels]
    rows = b"".join(b"\0" + row.tobytes() for row in picture)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0))
        + (chunk(b"grAb", struct.pack(">ii", *offset)) if offset else b"")
        + chunk(b"IDAT", zlib.compress(rows))
        + chunk(b"IEND", b"")
    )


def wad(lumps: Iterable[tuple[str, bytes]]) -> tuple[bytes, dict[str, int]]:
    """Write lumps into a PWAD.

    Returns:
        The file, and where in it each lump begins.
    """
    body, directory, places, count = b"", b"", {}, 0
    for name, data in lumps:
        places[name] = 12 + len(body)
        directory += struct.pack("<II8s", places[name], len(data), name.encode("ascii"))
        body += data
        count += 1
    return struct.pack("<4sII", b"PWAD", count, 12 + len(body)) + body + directory, places


def text_map(level: Level, begin: Layout) -> bytes:
    """Write a level and an episode's layout in UDMF.

    All layouts of a level are as long. Empty lines follow: the engine keeps the last few thousand
    bytes that it read, and would otherwise not see what is written over them.
    """
    corners = np.array(level.outline) * UNITS
    count = len(corners)
    lengths = np.hypot(*(np.roll(corners, -1, axis=0) - corners).T)
    ends = np.cumsum(lengths)
    lines = ['namespace="zdoom";\n']
    lines += [f"vertex{{x={x:.4f};y={y:.4f};}}\n" for x, y in corners]
    # A wall's front is on its right, so that walls run clockwise around the inside.
    lines += [
        f"linedef{{v1={(i + 1) % count};v2={i};sidefront={i};blocking=true;}}\n"
        for i in range(count)
    ]
    texture = CORRIDOR * UNITS
    lines += [
        f'sidedef{{sector=0;texturemiddle="MAZEWALL";offsetx={round(-end % texture)};'
        f"scaley_mid={TALL};}}\n"
        for end in ends
    ]
    lines.append(
        f"sector{{heightfloor=0;heightceiling={round(CORRIDOR * UNITS / TALL)};"
        'texturefloor="MAZEFLOR";'
        f'textureceiling="MAZECEIL";lightlevel={_LIGHT};}}\n'
    )
    x, y = level.start[:2]
    heading = round(begin.heading) % 360
    lines.append(_THING.format(x=x * UNITS, y=y * UNITS, angle=heading, type=1, flags=_FLAGS))
    for i, (x, y) in enumerate(begin.places):
        kind = _FIRST_ACTOR + i
        lines.append(_THING.format(x=x * UNITS, y=y * UNITS, angle=0, type=kind, flags=_FLAGS))
    return "".join(lines).encode("ascii") + b"\n" * _EMPTY


def _actors(level: Level) -> str:
    """Write the player, the items and what counts them in DECORATE."""
    ammunition = math.ceil(len(level.items) / BITS)
    parts = [
        f"actor Eaten{n} : Ammo {{ Inventory.MaxAmount {2**BITS} }}\n"
        f"actor Counter{n} : Weapon {{ Weapon.AmmoType1 Eaten{n} Weapon.AmmoGive1 0\n"
        "+WEAPON.AMMO_OPTIONAL +WEAPON.NOAUTOFIRE +WEAPON.NOALERT\n"
        "States { Ready: TNT1 A 1 A_WeaponReady\nLoop\nDeselect: TNT1 A 1 A_Lower\nLoop\n"
        "Select: TNT1 A 1 A_Raise\nLoop\nFire: TNT1 A 1\nGoto Ready } }\n"
        for n in range(1, ammunition + 1)
    ]
    push = round(PUSH * 32, 6)  # at 1, a button's unit is a thirty-second of a unit a tic
    slots = "".join(f'Player.WeaponSlot {n}, "Counter{n}"\n' for n in range(1, ammunition + 1))
    begin = "".join(f'Player.StartItem "Counter{n}"\n' for n in range(1, ammunition + 1))
    parts.append(
        f"actor MazePlayer : PlayerPawn {{ Speed 1 Health 100 Radius {BODY * UNITS:.2f} Height 56\n"
        f'Mass 100 Player.DisplayName "Player" Player.ViewHeight {EYE * UNITS / TALL:.2f}\n'
        f"Player.ForwardMove {push}, {push} Player.SideMove {push}, {push}\n"
        f"{slots}{begin}+NOSKIN\n"
        "States { Spawn: TNT1 A -1\nLoop\nSee: TNT1 A 4\nLoop } }\n"
    )
    radius, scale = (REACH - BODY) * UNITS, ITEM_WIDTH * UNITS / SPRITE
    for i, item in enumerate(level.items):
        kind = list(KINDS).index(item.kind)
        parts.append(
            f"actor MazeItem{i} : CustomInventory {_FIRST_ACTOR + i} {{ Radius {radius:.2f} "
            f"Height 40 XScale {scale:.5f} YScale {scale / TALL:.5f}\n"
            "+INVENTORY.ALWAYSPICKUP +INVENTORY.QUIET +INVENTORY.NOSCREENFLASH\n"
            f"States {{ Spawn: MZ{chr(65 + kind)}I A -1\nStop\nPickup: TNT1 A 0 "
            f'A_GiveInventory("Eaten{i // BITS + 1}", {2 ** (i % BITS)})\nStop }} }}\n'
        )
    return "".join(parts)


_MAP_INFO = """gameinfo { playerclasses = "MazePlayer" }
map MAP01 "Labyrinth" { nointermission }
"""


def level_wad(level: Level, begin: Layout) -> tuple[bytes, int]:
    """Write a level into a file for the engine.

    Args:
        level: Which.
        begin: The first episode's layout; others may be written over it with `text_map`.

    Returns:
        The file, and where in it the map's text begins.

    Raises:
        UsageError: The level has more items than can be counted.
    """
    if len(level.items) > MOST_ITEMS:
        raise UsageError(
            f"Level {level.name!r} has {len(level.items)} items; ViZDoom can count {MOST_ITEMS}."
        )
    plain = np.ones((TEXTURE, TEXTURE, 3), np.uint8)
    scale = round(CORRIDOR * UNITS / TEXTURE)
    wall = wall_texture(level.decor).repeat(scale, axis=0).repeat(scale, axis=1)
    # An item's picture stands on its foot, which lies below its own lowest row.
    lift = round((ITEM_HEIGHT - ITEM_WIDTH / 2) / ITEM_WIDTH * SPRITE)
    colours = palette(level.decor)
    lumps = [
        ("PLAYPAL", colours.tobytes() * 14),
        ("COLORMAP", light_maps(colours).tobytes()),
        ("DECORATE", _actors(level).encode("ascii")),
        ("MAPINFO", _MAP_INFO.encode("ascii")),
        ("TX_START", b""),
        ("MAZEWALL", png(wall)),
        ("MAZEFLOR", png(plain * np.array(level.decor.floor, np.uint8))),
        ("MAZECEIL", png(plain * np.array(level.decor.ceiling, np.uint8))),
        ("TX_END", b""),
        ("S_START", b""),
        *(
            (f"MZ{chr(65 + kind)}IA0", png(_cut_out(name), (SPRITE // 2, SPRITE + lift)))
            for kind, name in enumerate(KINDS)
        ),
        ("S_END", b""),
        ("MAP01", b""),
        ("TEXTMAP", text_map(level, begin)),
        ("ENDMAP", b""),
    ]
    content, places = wad(lumps)
    return content, places["TEXTMAP"]


def _cut_out(kind: str) -> Picture:
    colours, shown = sprite(kind)
    return np.concatenate((colours, shown[..., None].astype(np.uint8) * 255), axis=-1)


def eaten_items(amounts: NDArray[np.float64], count: int) -> NDArray[np.bool_]:
    """Tell which of `count` items the amounts of ammunition, [..., kinds], stand for."""
    bits = np.asarray(amounts, np.int64)[..., :, None] >> np.arange(BITS) & 1
    return bits.reshape(*bits.shape[:-2], -1)[..., :count].astype(np.bool_)
