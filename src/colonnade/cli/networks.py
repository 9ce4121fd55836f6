"""The networks of a suite, before any training, and what a trained network says of itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from colonnade.errors import UsageError
from colonnade.experiments.launch.named import named_suite
from colonnade.experiments.launch.rehearsal import Rehearsal
from colonnade.experiments.method_titles import method_of
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.spec import BUNDLED, FILE
from colonnade.experiments.store.basis import Basis
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.kept import Kept
from colonnade.experiments.store.parents import read_trained
from colonnade.experiments.store.reading import is_there
from colonnade.experiments.suites import suite_names
from colonnade.experiments.trained.load import network_laid_out, network_of, trusting
from colonnade.networks import (
    ModularNetwork,
    ProgressiveNetwork,
    column_totals,
    custom_factories,
    describe,
    describe_modular,
    format_description,
    format_modular,
)
from colonnade.parts.part import Said
from colonnade.trust import UntrustedError

AnyNetwork = ProgressiveNetwork | ModularNetwork


def print_networks(what: str, *, trust: bool = False) -> None:
    """Print the networks of a suite or an output folder, layer by layer.

    Args:
        what: Name of a suite, or an output folder.
        trust: Whether code that the folder names may be imported, where an environment must be
            made to know its shapes.

    Raises:
        UsageError: It is neither, or names code that is needed and is not trusted.
    """
    console = _console()
    for title, network in _networks(what, trust=trust):
        _print_layers(console, title, network)


def is_trained(what: str) -> bool:
    """Whether a trained network is asked for: one that ships, a file of one, or a run's folder."""
    path = Path(what)
    return what.startswith(BUNDLED) or path.suffix == ".safetensors" or is_there(path / "spec.json")


def print_trained(what: str) -> None:
    """Print what a trained network is, has learned and may be used for; imports nothing of it.

    Args:
        what: A run's folder, a file that `TrainedPolicy.save` wrote, or "bundled:NAME".

    Raises:
        UsageError: It is none of these.
        ColonnadeError: It is not there or damaged, or the run is not complete.
    """
    kept = read_trained(what)
    console = _console()
    facts = Table(title=what, show_header=False, box=None, title_justify="left")
    for name, value in _facts(kept, what):
        facts.add_row(name, Text(value))
    console.print(facts)
    console.print()
    with custom_factories("stand-in"):
        _print_layers(console, "Layers", network_laid_out(kept.meta["network"], Path(what)))


def _facts(kept: Kept, what: str) -> Iterator[tuple[str, str]]:
    about, spec = kept.about, kept.spec
    if spec is None:
        alone = kept.alone or {}
        yield "task", str(alone.get("task", {}).get("id", "?"))
        yield "learner", str(alone.get("learner", {}).get("name", "?"))
    else:
        yield "tasks", ", ".join(f"{name} ({task.steps:,})" for name, task in kept.tasks.items())
        yield "method", spec.method
        yield "learner", spec.learner
        yield "column", spec.column if isinstance(spec.column, str) else json.dumps(spec.column)
        yield "seed", str(spec.seed)
    if about.steps is not None:
        which = "last task learned for" if len(kept.tasks) > 1 else "learned for"
        yield which, f"{about.steps:,} steps"
    if (score := about.score) is not None:
        over = f"{score.episodes} episodes" if score.episodes > 1 else "the test examples"
        yield "score", f"{score.words} over {over} of {score.task}"
    else:
        yield "score", "not known; save(path, returns=evaluate(...)) says it"
    yield "licence", about.licence or "not stated; ask whoever made it"
    if about.note:
        yield "note", about.note
    if about.versions:
        yield "made with", ", ".join(f"{name} {said}" for name, said in about.versions.items())
    if about.hardware:
        yield "made on", about.hardware
    yield "start from it", f'"parent": "{what if what.startswith(BUNDLED) else FILE + what}"'


def _console() -> Console:
    # A pipe has no width: there, lines stay whole.
    return Console(width=None if sys.stdout.isatty() else 160)


def _print_layers(console: Console, title: str, network: AnyNetwork) -> None:
    if isinstance(network, ModularNetwork):
        console.print(format_modular(describe_modular(network), title))
        console.print()
        return
    rows = describe(network)
    console.print(format_description(rows, title))
    total = sum(column_totals(rows))
    console.print(f"all columns: {total:,} parameters\n", highlight=False)


def _networks(what: str, *, trust: bool) -> Iterator[tuple[str, AnyNetwork]]:
    folder = Path(what)
    named = what in suite_names()
    if is_there(folder / "suite.json") or (is_there(folder) and folder.is_dir() and not named):
        read = SuiteFolder.read(folder)
        try:
            with trusting(folder, trust=trust), custom_factories("stand-in"):
                networks = _of_folder(read)
        except UsageError:  # what they need is not here; complete runs need nothing
            if not all(run.done for run in read.runs):
                raise
            with custom_factories("stand-in"):
                networks = {run.spec.id: network_of(run) for run in read.runs}
        yield from _grouped(read.plan, networks, read.basis.parts)
        return
    suite = named_suite(what, "What is described is a suite or a folder")
    if suite.networks is not None:
        yield from suite.networks()
        return
    plan = suite.plan(SuiteOptions())
    rehearsal = Rehearsal(plan)
    with custom_factories("import"):  # which the suite's own file names, as for `run`
        networks = {spec.id: rehearsal.method(spec).network for spec in plan.runs}
    yield from _grouped(plan, networks, Basis.now(suite, plan, None).parts)


def _of_folder(suite: SuiteFolder) -> dict[str, AnyNetwork]:
    """Build the networks of all runs; of complete ones from their files where code would be run."""
    rehearsal = Rehearsal(suite.plan, folder=suite.path)
    networks = dict[str, AnyNetwork]()
    for spec in suite.plan.runs:
        try:
            networks[spec.id] = rehearsal.method(spec).network
        except UntrustedError:
            folder = suite.run(spec.id)
            if not folder.done:
                raise
            networks[spec.id] = network_of(folder)
    return networks


def _grouped(
    plan: Plan, networks: dict[str, AnyNetwork], own: Sequence[Said]
) -> Iterator[tuple[str, AnyNetwork]]:
    """One network for each method of the plan; methods that share a network are shown once."""
    compared = {entry.method: entry.run for entry in plan.comparisons}
    examples = list(compared.items()) or [(spec.label, spec.id) for spec in plan.runs]
    seen: dict[str, tuple[dict[str, None], AnyNetwork]] = {}
    for key, run in examples:
        network = networks[run]
        if isinstance(network, ModularNetwork):
            layout = str(describe_modular(network))
        else:
            layout = str(describe(network))
        seen.setdefault(layout, ({}, network))[0][method_of(key, own).title] = None
    for titles, network in seen.values():
        yield "; ".join(titles), network
