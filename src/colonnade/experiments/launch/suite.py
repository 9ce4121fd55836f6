"""From what a user names to an output folder that is ready to train in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from colonnade.errors import UsageError
from colonnade.experiments.launch.adoption import Adopted, adopted, keep
from colonnade.experiments.launch.changes import check_learner, with_changes
from colonnade.experiments.launch.named import file_content
from colonnade.experiments.launch.own_parts import changed_since
from colonnade.experiments.plans.build import named_code
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.store.basis import Basis
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.kept import Kept
from colonnade.experiments.suites import Suite


def begin(
    what: Suite | Path,
    out: Path,
    options: SuiteOptions,
    say: Callable[[str], None] = lambda line: None,
    accept: Callable[[Plan], object] = lambda plan: None,
) -> SuiteFolder:
    """Plan a suite or a user's own specs, check every name in them and begin the output folder.

    Args:
        what: A suite, or a JSON file with a spec or a list of specs.
        out: The output folder.
        options: What to change about the suite.
        say: Is told what code is imported because a spec names it.
        accept: Is shown the plan, which it may refuse, before anything is done.

    Raises:
        UsageError: A name is unknown, a spec is wrong, or the folder holds something else.
    """
    from colonnade.experiments.launch.rehearsal import Rehearsal

    networks: dict[str, Kept] = {}
    origins: dict[str, str] = {}
    if isinstance(what, Path):
        found = _from_file(what, out, options)
        suite = SuiteFolder(out, what.name, {}, Plan(found.specs))
        networks, origins = found.networks, found.origins
    else:
        plan = what.plan(options).narrowed(options.tasks, options.methods)
        check_learner(plan, options.learner)
        plan = with_changes(plan, options.set)
        suite = SuiteFolder(out, what.name, options.given, plan, basis=Basis.now(what, plan, None))
    suite.check()  # before any work
    accept(suite.plan)
    if named := named_code(suite.plan.runs):
        say(f"Imports {', '.join(named)}, which {what.name} names.")
    rehearsal = Rehearsal(suite.plan, networks, out)
    for spec in suite.plan.runs:
        try:
            rehearsal.check(spec)
        except UsageError as error:
            # The runs of a suite are alike; in a file of specs the reader must find the wrong one.
            where = f"Run {spec.label!r} of {what.name}: " if isinstance(what, Path) else ""
            raise UsageError(f"{where}{error}") from error
    begun = suite.begin()
    for line in changed_since(begun):
        say(line)
    keep(out, networks, origins)
    return begun


def _from_file(path: Path, out: Path, options: SuiteOptions) -> Adopted:
    if options != SuiteOptions():
        raise UsageError(
            "--seeds, --budget, --learner, --device, --tasks, --methods, --games and --set change "
            "a suite; a spec file states them itself, so edit it."
        )
    content = file_content(path)
    listed = content if isinstance(content, list) else [content]
    if not listed:
        raise UsageError(f"{path} lists no run; write at least one spec into it.")
    given = tuple(
        RunSpec.from_json(value, _called(value, number, path) if len(listed) > 1 else path.name)
        for number, value in enumerate(listed, start=1)
    )
    return adopted(given, out)


def _called(value: object, number: int, path: Path) -> str:
    """Say which of a file's specs one is: by its label if it has one, by its number else."""
    label = value.get("label") if isinstance(value, dict) else None
    name = repr(label) if isinstance(label, str) else number
    return f"run {name} of {path.name}"
