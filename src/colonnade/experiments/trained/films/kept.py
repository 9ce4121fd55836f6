"""Films for a report: each task played at random and as the trained network plays it.

They lie in the folder of the run whose network plays, and are not made again.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from colonnade.errors import ColonnadeError
from colonnade.experiments.method_titles import in_order
from colonnade.experiments.plans.build import build_learner, build_task
from colonnade.experiments.store.files import write_bytes, write_plain_json
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.store.reading import is_there, read_content, read_json
from colonnade.experiments.trained.films.camera import Footage, shoot
from colonnade.experiments.trained.films.ways import Way
from colonnade.experiments.trained.films.writing import animated, shrunk
from colonnade.experiments.trained.load import load_method, trusting
from colonnade.experiments.trained.play import trained_player
from colonnade.methods import ColumnMethod
from colonnade.tasks.arm import JacoTask, in_every_domain

MOST_TASKS = 6
"""Of how many tasks there are films; a page with more would be heavy."""

_FRAMES, _DOMAIN_FRAMES = 150, 60
"""Ten seconds, and four of each domain, of which there are many."""


_EXACT_BYTES = 60_000
"""Of a film that is kept exactly; one that would be larger is compressed."""


@dataclass(frozen=True)
class Films:
    """A task's two films, animated WebP.

    Attributes:
        run: The run whose network plays.
        task: Which of its tasks, from 0.
        before: A random policy's play.
        after: The trained network's.
        ways: In a maze, the way walked in each; else None.
    """

    run: RunFolder
    task: int
    before: bytes
    after: bytes
    ways: tuple[Way, Way] | None


def make_films(suite: SuiteFolder, *, trust: bool = False) -> Iterator[tuple[str, str]]:
    """Film what has not been filmed yet: for each task the run of its last method, first seed.

    Where the arm's domains were scored, the first column is filmed in each.

    Args:
        suite: The output folder.
        trust: Whether code that the folder names is imported.

    Yields:
        The label of each run that was filmed, and what came of it: nothing, or why there is no
        film.
    """
    for folder, task in _chosen(suite):
        if folder.labelled or is_there(_path(folder, task, "after")):
            continue
        label = folder.spec.label
        if len(folder.spec.tasks) > 1:
            label += f": {folder.spec.tasks[task].name}"
        try:
            _film(suite, folder, task, trust=trust)
        except ColonnadeError as error:  # a report without a film is better than none
            yield label, str(error)
        else:
            yield label, ""
    scored = _scored_domains(suite)
    if scored is None or all(is_there(path) for path in _domain_paths(scored).values()):
        return
    try:
        _film_domains(suite, scored, trust=trust)
    except ColonnadeError as error:
        yield f"{scored.spec.label}, in all domains", str(error)
    else:
        yield f"{scored.spec.label}, in all domains", ""


def films_of(suite: SuiteFolder) -> list[Films]:
    """Return the films that there are, in the order of the plan.

    Raises:
        ColonnadeError: A way that was kept with a film is damaged.
    """
    found = []
    for folder, task in _chosen(suite):
        before, after = (_path(folder, task, when) for when in ("before", "after"))
        if is_there(before) and is_there(after):
            walked = _way(before), _way(after)
            ways = None if walked[0] is None or walked[1] is None else (walked[0], walked[1])
            found.append(Films(folder, task, read_content(before), read_content(after), ways))
    return found


def domain_films(suite: SuiteFolder) -> dict[str, bytes]:
    """Return the films of the arm's domains that there are, by the ids of the domains' tasks."""
    folder = _scored_domains(suite)
    paths = _domain_paths(folder) if folder else {}
    return {task: read_content(path) for task, path in paths.items() if is_there(path)}


def _film(suite: SuiteFolder, folder: RunFolder, task: int, *, trust: bool) -> None:
    spec = folder.spec
    name = spec.tasks[task].id_among(folder.played_as)
    stage, network, learner = trained_player(suite, folder, name, trust=trust)
    for when, player in (("before", None), ("after", network)):
        shot = shoot(stage, player, learner, spec, _FRAMES)
        if not shot.frames:
            raise ColonnadeError("this task shows no images")
        _keep(_path(folder, task, when), shot)


def _film_domains(suite: SuiteFolder, folder: RunFolder, *, trust: bool) -> None:
    """Film the first column, which is frozen, in every domain; it never learned in most of them."""
    with trusting(suite.path, trust=trust):
        last = build_task(folder.spec.tasks[-1])
        method = load_method(folder)
    if not isinstance(last, JacoTask) or not isinstance(method, ColumnMethod):
        raise ColonnadeError("these domains are none of the arm's")
    learner, paths = build_learner(folder.spec), _domain_paths(folder)
    for task in in_every_domain(last):
        if task.spec.id not in paths:
            continue
        shot = shoot(task, method.network.view(0), learner, folder.spec, _DOMAIN_FRAMES)
        if not shot.frames:
            raise ColonnadeError("this task shows no images")
        _keep(paths[task.spec.id], shot)


def _keep(path: Path, shot: Footage) -> None:
    if shot.way is not None:
        write_plain_json(path.with_suffix(".json"), shot.way.to_json())
    write_bytes(path, animated(shrunk(shot.frames), most=_EXACT_BYTES))


def _way(film: Path) -> Way | None:
    path = film.with_suffix(".json")
    return Way.from_json(read_json(path)) if is_there(path) else None


def _path(folder: RunFolder, task: int, when: str) -> Path:
    """Where a film lies; that of the last task of a run has no number, as when it was the only."""
    number = "" if task == len(folder.spec.tasks) - 1 else f"-{task + 1}"
    return folder.path / f"film-{when}{number}.webp"


def _domain_paths(folder: RunFolder) -> dict[str, Path]:
    rows = [row for row in folder.result()["scores"] if row["kind"] == "domain"]
    return {
        row["task"]: folder.path / f"film-domain-{number + 1}.webp"
        for number, row in enumerate(rows)
    }


def _scored_domains(suite: SuiteFolder) -> RunFolder | None:
    """Return the first run that scored the first column in every domain."""
    for spec in suite.plan.runs:
        if "domains" in spec.analyses and (folder := suite.run(spec.id)).done:
            return folder
    return None


def _chosen(suite: SuiteFolder) -> list[tuple[RunFolder, int]]:
    """Choose the run to film for each task: complete, of the last method in tables, first seed.

    Of runs of one method, those that learned the task last come first.
    """
    methods = {entry.run: entry.method for entry in suite.plan.comparisons}
    done = [
        (spec, folder)
        for spec in suite.plan.runs
        if (not methods or spec.id in methods) and (folder := suite.run(spec.id)).done
    ]
    order = in_order(methods.get(spec.id, spec.method) for spec, _ in done)
    chosen: dict[tuple[str, str], tuple[tuple[int, bool], RunFolder, int]] = {}
    for spec, folder in done:
        for place, task in enumerate(spec.tasks):
            method = methods.get(spec.id, spec.method)
            rank = order.index(method), place == len(spec.tasks) - 1
            if task.key not in chosen or rank > chosen[task.key][0]:
                chosen[task.key] = rank, folder, place
    return [(folder, place) for _, folder, place in list(chosen.values())[:MOST_TASKS]]
