"""Films for a report: each task as it is played at random and as the trained network plays it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from colonnade.errors import ColonnadeError
from colonnade.experiments.method_titles import in_order
from colonnade.experiments.store.files import write_bytes
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.store.reading import is_there, read_content
from colonnade.experiments.trained.film import animated
from colonnade.experiments.trained.play import film_frames, trained_player

BEFORE, AFTER = "film-before.webp", "film-after.webp"
"""Files in a run's folder."""

MOST_TASKS = 6
"""Of how many tasks there are films; a page with more would be heavy."""

_FRAMES = 150
"""Ten seconds."""


@dataclass(frozen=True)
class Films:
    """A task's two films, animated WebP.

    Attributes:
        run: The run whose network plays.
        before: A random policy's play.
        after: The trained network's.
    """

    run: RunFolder
    before: bytes
    after: bytes


def make_films(suite: SuiteFolder, *, trust: bool = False) -> Iterator[tuple[str, str]]:
    """Film what has not been filmed yet: for each task the run of its last method, first seed.

    Args:
        suite: The output folder.
        trust: Whether code that the folder names is imported.

    Yields:
        The label of each run that was filmed, and what came of it: nothing, or why there is no
        film.
    """
    for folder in _chosen(suite):
        if folder.spec.learner == "supervised" or is_there(folder.path / AFTER):
            continue
        try:
            stage, network, learner = trained_player(suite, folder, None, trust=trust)
            for name, player in ((BEFORE, None), (AFTER, network)):
                frames = film_frames(stage, player, learner, folder.spec, _FRAMES)
                if not frames:
                    raise ColonnadeError("this task shows no images")
                write_bytes(folder.path / name, animated(frames))
        except ColonnadeError as error:  # a report without a film is better than none
            yield folder.spec.label, str(error)
        else:
            yield folder.spec.label, ""


def films_of(suite: SuiteFolder) -> list[Films]:
    """Return the films that there are, in the order of the plan."""
    found = []
    for folder in _chosen(suite):
        paths = [folder.path / name for name in (BEFORE, AFTER)]
        if all(map(is_there, paths)):
            found.append(Films(folder, *map(read_content, paths)))
    return found


def _chosen(suite: SuiteFolder) -> list[RunFolder]:
    """Choose the run to film for each task: complete, of the last method in tables, first seed."""
    methods = {entry.run: entry.method for entry in suite.plan.comparisons}
    order = in_order(methods.values())
    chosen: dict[tuple[str, str], RunFolder] = {}

    def rank(folder: RunFolder) -> int:
        return order.index(methods[folder.id]) if methods else 0

    for folder in suite.runs:
        if not folder.done or (methods and folder.id not in methods):
            continue
        key = folder.spec.tasks[-1].key
        if key not in chosen or rank(folder) > rank(chosen[key]):
            chosen[key] = folder
    return list(chosen.values())[:MOST_TASKS]
