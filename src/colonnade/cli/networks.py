"""The networks of a suite, before any training."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from colonnade.experiments.launch.rehearsal import Rehearsal
from colonnade.experiments.methods import method_of
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites import SUITES, suite_from_name
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

AnyNetwork = ProgressiveNetwork | ModularNetwork


def print_networks(what: str) -> None:
    """Print the networks of a suite or an output folder, layer by layer.

    Args:
        what: Name of a suite, or an output folder.

    Raises:
        UsageError: It is neither.
    """
    # A pipe has no width: there, lines stay whole.
    console = Console(width=None if sys.stdout.isatty() else 160)
    for title, network in _networks(what):
        if isinstance(network, ModularNetwork):
            console.print(format_modular(describe_modular(network), title))
            console.print()
            continue
        rows = describe(network)
        console.print(format_description(rows, title))
        total = sum(column_totals(rows))
        console.print(f"all columns: {total:,} parameters\n", highlight=False)


def _networks(what: str) -> Iterator[tuple[str, AnyNetwork]]:
    folder = Path(what)
    named = any(suite.name == what for suite in SUITES)
    if (folder / "suite.json").exists() or (folder.is_dir() and not named):
        yield from _of_plan(SuiteFolder.read(folder).plan)
        return
    suite = suite_from_name(what)
    if suite.networks is not None:
        yield from suite.networks()
    else:
        yield from _of_plan(suite.plan(SuiteOptions()))


def _of_plan(plan: Plan) -> Iterator[tuple[str, AnyNetwork]]:
    """One network for each method of the plan; methods that share a network are shown once."""
    examples = {entry.method: entry.run for entry in plan.comparisons}
    if not examples:
        examples = {spec.label: spec.id for spec in plan.runs}
    rehearsal = Rehearsal(plan)
    with custom_factories("stand-in"):  # to look at a folder imports nothing that it names
        networks = {spec.id: rehearsal.method(spec).network for spec in plan.runs}
    seen: dict[str, tuple[list[str], AnyNetwork]] = {}
    for key, run in examples.items():
        network = networks[run]
        if isinstance(network, ModularNetwork):
            layout = str(describe_modular(network))
        else:
            layout = str(describe(network))
        seen.setdefault(layout, ([], network))[0].append(method_of(key).title)
    for titles, network in seen.values():
        yield "; ".join(titles), network
