"""Names for people: of tasks, sources and learners.

Only names that Colonnade gives itself are put into better words; a user's own stand as they are.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from colonnade.parts.part import Said

_DATA = {"digits": "Digits", "mnist": "MNIST", "cifar-10": "CIFAR-10", "svhn": "SVHN"}
_PAIR = re.compile(r"(?:digits|mnist)/pair-(\d+)-(\d+)(?:-noise-(\d+))?")
_MAZE = re.compile(r"(track|avoid|maze)-(\w)")
_LEARNERS = {"a2c": "A2C", "a3c": "A3C", "ppo": "PPO", "dqn": "DQN"}


def task_title(name: str) -> str:
    """Write a task's name for people.

    "pong-soup/vh-flip" becomes "VH-flip", "mini-pong/black~" of our streams "Black, swapped", and
    "digits/pair-4-9-noise-50" "4 or 9, 50 % noise"; what a user named, such as "gym/CartPole-v1" or
    "mini-pong/my_own", is not respelled.
    """
    if pair := _PAIR.fullmatch(name):
        first, second, noise = pair.groups()
        return f"{first} or {second}" + (f", {noise} % noise" if noise else "")
    family, slash, word = name.partition("/")
    if slash and word in _words_of(family):
        return _worded(word)
    if slash and word[-1:] == "~" and word[:-1] in _words_of(family):
        return f"{_worded(word[:-1])}, swapped"
    return _DATA[family] if slash and family in _DATA and word == "all" else name


def _words_of(family: str) -> tuple[str, ...]:
    """Names that are ours, whose family is left out of titles."""
    from colonnade.tasks.arm import DOMAINS
    from colonnade.tasks.atari import games
    from colonnade.tasks.mazes import LEVELS
    from colonnade.tasks.pong.variants import VARIANTS

    mazes, pongs = ("labyrinth", "doom-labyrinth"), ("mini-pong", "pong-soup")
    ours = {"atari": games(), "jaco": tuple(DOMAINS), **dict.fromkeys(pongs, VARIANTS)}
    return {**ours, **dict.fromkeys(mazes, tuple(LEVELS))}.get(family, ())


def source_title(source: str) -> str:
    """Write a source, as a design names it, for people: "pong + h-flip" becomes "Pong + H-flip"."""
    return " + ".join(
        task_title(part) if "/" in part else _worded(part) for part in source.split(" + ")
    )


def distinct(names: Iterable[str], title: Callable[[str], str] = task_title) -> dict[str, str]:
    """Give each name a title; names whose titles would be the same stand as they are."""
    given = dict.fromkeys(names)
    titles = {name: title(name) for name in given}
    counts = Counter(titles.values())
    return {name: words if counts[words] == 1 else name for name, words in titles.items()}


def option_titles(tasks: Iterable[tuple[str, str]]) -> dict[tuple[str, str], str]:
    """Give each task a title, by its name and its options as JSON.

    A task that its user gave a name has that one. Where one name has several options, they stand
    behind it.
    """
    keys = dict.fromkeys(tasks)
    options = {key: json.loads(key[1]) for key in keys}
    own = {key: str(found["name"]) for key, found in options.items() if "name" in found}
    titles = distinct(name for name, _ in keys)
    several = Counter(own.get(key, titles[key[0]]) for key in keys)
    found = {}
    for key in keys:
        words = own.get(key, titles[key[0]])
        found[key] = words
        if several[words] > 1 and options[key]:
            found[key] += f" {json.dumps(options[key])}"
    counts = Counter(found.values())
    return {
        key: f"{key[0]}, {words}" if counts[words] > 1 else words for key, words in found.items()
    }


def learner_title(learner: str, own: Iterable[Said] = ()) -> str:
    """Name a learner; what a folder says of a user's `own` parts says it of theirs."""
    said = (said.title for said in own if (said.kind, said.name) == ("learners", learner))
    return _LEARNERS.get(learner) or next(said, "") or learner


def slugs(names: Sequence[str]) -> list[str]:
    """Make a part of a file's name of each name, all of them different."""
    taken: set[str] = set()
    found = []
    for name in names:
        plain = re.sub(r"[^\w.-]+", "-", name, flags=re.ASCII).strip("-.")[:80] or "figure"
        slug, number = plain, 2
        while slug.lower() in taken:
            slug, number = f"{plain}-{number}", number + 1
        taken.add(slug.lower())
        found.append(slug)
    return found


def _worded(word: str) -> str:
    """Begin one of our own words with a capital: "space_invaders", "vh-flip", "cifar-10"."""
    if word in _DATA:
        return _DATA[word]
    if maze := _MAZE.fullmatch(word):
        return f"{maze[1].title()} {maze[2].upper()}"
    if word != word.lower():
        return word
    word = word.replace("_", " ")
    first, dash, rest = word.partition("-")
    return (first.upper() if len(first) <= 2 else first[:1].upper() + first[1:]) + dash + rest
