"""The networks of a suite, before any training."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console

from colonnade.experiments.launch.named import named_suite
from colonnade.experiments.launch.rehearsal import Rehearsal
from colonnade.experiments.method_titles import method_of
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.store.basis import Basis
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.reading import is_there
from colonnade.experiments.suites import suite_names
from colonnade.experiments.trained.load import network_of, trusting
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
from colonnade.parts import Said
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
    # A pipe has no width: there, lines stay whole.
    console = Console(width=None if sys.stdout.isatty() else 160)
    for title, network in _networks(what, trust=trust):
        if isinstance(network, ModularNetwork):
            console.print(format_modular(describe_modular(network), title))
            console.print()
            continue
        rows = describe(network)
        console.print(format_description(rows, title))
        total = sum(column_totals(rows))
        console.print(f"all columns: {total:,} parameters\n", highlight=False)


def _networks(what: str, *, trust: bool) -> Iterator[tuple[str, AnyNetwork]]:
    folder = Path(what)
    named = what in suite_names()
    if is_there(folder / "suite.json") or (is_there(folder) and folder.is_dir() and not named):
        read = SuiteFolder.read(folder)
        with trusting(folder, trust=trust), custom_factories("stand-in"):
            networks = _of_folder(read)
        yield from _grouped(read.plan, networks, read.basis.parts)
        return
    suite = named_suite(what, "What is described is a suite or a folder")
    if suite.networks is not None:
        yield from suite.networks()
        return
    plan = suite.plan(SuiteOptions())
    rehearsal = Rehearsal(plan)
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
    examples = {entry.method: entry.run for entry in plan.comparisons}
    if not examples:
        examples = {spec.label: spec.id for spec in plan.runs}
    seen: dict[str, tuple[list[str], AnyNetwork]] = {}
    for key, run in examples.items():
        network = networks[run]
        if isinstance(network, ModularNetwork):
            layout = str(describe_modular(network))
        else:
            layout = str(describe(network))
        seen.setdefault(layout, ([], network))[0].append(method_of(key, own).title)
    for titles, network in seen.values():
        yield "; ".join(titles), network
