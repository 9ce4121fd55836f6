"""What a user names on the command line: a suite of ours or their own, or a file.

A suite as data, in JSON or TOML, has the fields of a `TransferDesign` and a few of its own::

    {"suite": "lines", "title": "Lines", "summary": "both ends of a line",
     "sources": ["line/left"], "targets": ["line/left", "line/right"],
     "methods": ["scratch", "finetune", "progressive"],
     "source_steps": 20000, "target_steps": 20000, "seeds": 3,
     "search": {"learner": {"learning_rate": [0.003, 0.001]}}}

With "rounds" each cell is trained with its own best draw, as in a `HalvingDesign`.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import Any

from colonnade.errors import ColonnadeError, UsageError, unknown_name
from colonnade.experiments.plans.plan import SCRATCH
from colonnade.experiments.plans.search_space import SearchSpace
from colonnade.experiments.store.reading import parse_json, read_content
from colonnade.experiments.suites import Suite, suite_from_name, suite_names
from colonnade.experiments.suites.designs.halving import HalvingDesign, Round
from colonnade.experiments.suites.designs.transfer import TransferDesign
from colonnade.parts.finding import own_names
from colonnade.records import fitting, read

_OWN = ("suite", "title", "summary", "search", "rounds")
"""Fields of a suite's file that are none of its design."""


def named(what: str) -> Suite | Path:
    """Find what a user names.

    Args:
        what: Name of a suite; a plugin's file that has one; or a file with a suite or with specs.

    Returns:
        The suite; of a file with specs of runs its path.

    Raises:
        UsageError: There is none of that name, or the file cannot be read.
    """
    path = Path(what)
    if path.suffix not in (".json", ".toml"):
        return suite_from_name(what)
    content = file_content(path)
    if isinstance(content, dict) and ("suite" in content or path.suffix == ".toml"):
        return _suite(content, path.name)
    return path


def named_suite(what: str, needed: str) -> Suite:
    """Find a suite that a user names.

    Args:
        what: As for `named`.
        needed: Why it must be one, in messages.

    Raises:
        UsageError: It is none.
    """
    found = named(what)
    if isinstance(found, Path):
        raise UsageError(f"{needed}, but {what} is a file; see `colonnade suites`.")
    return found


def file_content(path: Path) -> Any:
    """Read a JSON or TOML file.

    Raises:
        UsageError: It is missing or damaged.
    """
    try:
        content = read_content(path)
        if path.suffix == ".toml":
            return tomllib.loads(content.decode())
        return parse_json(content)
    except ColonnadeError as error:
        raise UsageError(f"The spec can't be read: {error}") from error
    except ValueError as error:
        kind = path.suffix[1:].upper()
        raise UsageError(f"The spec {path} is no {kind}: {error}.") from error


def _suite(content: dict[str, Any], where: str) -> Suite:
    given = {name: content[name] for name in _OWN if name in content}
    if "suite" not in given:
        raise UsageError(f"{where} lacks 'suite', the name of the suite; add it.")
    words = {name: fitting(str, given.get(name, ""), name, where) for name in _OWN[:3]}
    name = words["suite"]
    if name in suite_names():
        raise UsageError(f"{where} calls its suite {name!r}, but there is one already; rename it.")
    data = {key: value for key, value in content.items() if key not in _OWN}
    design = read(TransferDesign, data, where)
    if SCRATCH not in design.methods:
        raise UsageError(
            f"'methods' of {where} lacks {SCRATCH!r}, which every transfer score is measured "
            "against; add it."
        )
    from colonnade.learners import LEARNERS

    learners = (*LEARNERS, *own_names("learners"))
    if unknown := [key for key in design.learner_options if key not in learners]:
        raise unknown_name(f"learner in 'learner_options' of {where}", unknown[0], learners)
    search: dict[str, SearchSpace] = {}
    if "search" in given:
        space = _space(given["search"], where)
        # Of a variant its method's: a draw is an option of that.
        trained = [design.variants[k].method if k in design.variants else k for k in design.methods]
        if unknown := [key for key in space.methods if key not in trained]:
            raise unknown_name(f"method in 'search' of {where}", unknown[0], trained)
        search = dict.fromkeys(learners, space)
    suite = Suite(name, words["title"] or name, words["summary"], design.plan, spaces=search)
    if "rounds" not in given:
        return suite
    rounds = fitting(tuple[Round, ...], given["rounds"], "rounds", where)
    return replace(suite, plan=HalvingDesign(design, rounds, search).plan, job=design.plan)


def _space(data: object, where: str) -> SearchSpace:
    try:
        space: SearchSpace = fitting(SearchSpace, data, "search", where)
    except UsageError as error:
        raise UsageError(
            f"{str(error).rstrip('.')}; a range is a list of numbers, or an object with 'low' and "
            "'high'."
        ) from None
    return space
