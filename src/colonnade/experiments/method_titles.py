"""What is said of each method, everywhere: its name for people, its colour, the papers' values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from colonnade.parts.part import Said

PONG_SOUP, ATARI, LABYRINTH = "Pong Soup", "Atari", "Labyrinth"
PAIRS, PERMUTED = "binary MNIST", "permuted MNIST"
"""Experiments of the papers that numbers are set beside; see `Suite.paper`."""

FALLBACK_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""For a user's own methods, and for curves that belong to no method: Okabe and Ito's palette."""


@dataclass(frozen=True)
class Method:
    """A method, or a row of a table of transfer.

    Attributes:
        key: What specs and folders call it.
        title: What people call it where transfer is compared.
        colour: In every picture; those that meet in a picture are told apart by colour-blind
            readers.
        alone: What it is called where tasks are learned one after another, if not the same.
        transfer: Mean and median transfer in per cent by experiment: Rusu et al. 2016, Table 1.
        generations: Mean on binary MNIST: Fernando et al. 2017.
    """

    key: str
    title: str
    colour: str
    alone: str = ""
    transfer: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    generations: int | None = None


def _paper(*columns: tuple[int, int]) -> dict[str, tuple[int, int]]:
    """Mean and median of Pong Soup, Atari and Labyrinth, in this order."""
    return dict(zip((PONG_SOUP, ATARI, LABYRINTH), columns, strict=False))


_TABLE = (
    Method("ewc", "EWC", "#d55e00"),
    Method("ewc-one-anchor", "EWC, one anchor", "#e69f00"),
    Method("ewc-online", "Online EWC", "#0072b2"),
    Method("l2", "L2", "#009e73"),
    Method("dropout", "SGD with dropout", "#56b4e9"),
    Method("replay", "Experience replay", "#117733"),
    Method("joint", "Joint training", "#661100"),
    Method("scratch", "Baseline 1 (scratch)", "#7f7f7f", "Single tasks",
           _paper((100, 100), (100, 100), (100, 100)), 195),
    Method("scratch-wide", "Baseline 1, wide column", "#a6761d"),
    Method("output-only", "Baseline 2 (output layer only)", "#e69f00", "Output layer only",
           _paper((35, 7), (41, 21), (88, 85))),
    Method("finetune", "Baseline 3 (full finetune)", "#cc79a7", "Finetuning",
           _paper((181, 160), (133, 110), (235, 112))),
    Method("finetune-fresh-output", "Full finetune, new output layer", "#882255"),
    Method("random-column", "Baseline 4 (random frozen column)", "#56b4e9", "Random frozen column",
           _paper((134, 131), (96, 95), (185, 108))),
    Method("progressive", "Progressive", "#332288"),
    Method("progressive-2", "Progressive, 2 columns", "#0072b2", "",
           _paper((209, 169), (132, 112), (491, 115))),
    Method("progressive-2-copied-output", "Progressive, 2 columns, output copied", "#44aa99"),
    Method("progressive-2-wide", "Progressive, 2 columns, both wide", "#56b4e9"),
    Method("progressive-3", "Progressive, 3 columns", "#009e73", "",
           _paper((222, 183), (140, 111))),
    Method("progressive-4", "Progressive, 4 columns", "#d55e00", "", {ATARI: (141, 116)}),
    Method("path-de-novo", "De novo path", "#7f7f7f"),
    Method("path-finetune", "Finetuned path", "#cc79a7", generations=229),
    Method("pathnet-alone", "PathNet, no first task", "#56b4e9"),
    Method("pathnet", "PathNet", "#0072b2", generations=167),
)  # fmt: skip
METHODS = {method.key: method for method in _TABLE}
"""All methods by their keys, in the order of tables."""


def method_of(key: str, own: Iterable[Said] = ()) -> Method:
    """What is said of a method.

    Args:
        key: What specs and folders call it.
        own: What a folder says of parts that are a user's own; one of which it says nothing has its
            name for a title, and a colour that stays the same.
    """
    columns = re.fullmatch(r"progressive-(\d+)", key)
    title = f"Progressive, {columns[1]} columns" if columns else key
    colour = FALLBACK_COLOURS[sum(map(ord, key)) % len(FALLBACK_COLOURS)]
    said = next((said for said in own if (said.kind, said.name) == ("methods", key)), None)
    if said is not None:
        title, colour = said.title or title, said.colour or colour
    return METHODS.get(key) or Method(key, title, colour)


def sequence_title(key: str, own: Iterable[Said] = (), *, labelled: bool) -> str:
    """Name a method where tasks are learned one after another; labels are learned by plain SGD."""
    method = method_of(key, own)
    return "SGD" if labelled and key == "finetune" else method.alone or method.title


def in_order(keys: Iterable[str], own: Sequence[Said] = ()) -> list[str]:
    """Sort methods as in the paper's Table 1.

    Args:
        keys: Of the methods.
        own: What a folder says of a user's own; one that stands behind no other comes last, as
            unknown ones do, in the order of `keys`.
    """
    order = list(METHODS)
    waiting = [said for said in own if said.kind == "methods" and said.after]
    while placed := [said for said in waiting if said.after in order]:
        order.insert(order.index(placed[0].after) + 1, placed[0].name)
        waiting.remove(placed[0])

    def place(key: str) -> tuple[int, int]:
        columns = re.fullmatch(r"progressive-(\d+)", key)
        known = "progressive-4" if columns and key not in order else key
        return (
            order.index(known) if known in order else len(order),
            int(columns[1]) if columns else 0,
        )

    return sorted(dict.fromkeys(keys), key=place)
