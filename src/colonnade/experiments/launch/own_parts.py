"""What a user should know of parts of their own before a folder is gone on with."""

from __future__ import annotations

from collections.abc import Iterator

from colonnade.experiments.store.basis import parts_in
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.parts.finding import states_of


def changed_since(suite: SuiteFolder) -> Iterator[str]:
    """Say which of the user's own parts have another state than complete runs were trained with."""
    specs = suite.plan.runs
    now = states_of(name for spec in specs for name in parts_in(spec))
    if not now:
        return
    done = [run.result()["versions"] for run in map(suite.run, (s.id for s in specs)) if run.done]
    for origin, state in now.items():
        other = sum(versions.get(origin, state) != state for versions in done)
        if other and len(done) < len(specs):
            yield (
                f"The {origin} has changed since {other} of the runs in {suite.path} were trained; "
                "those to come are trained with what it is now. To train all alike choose another "
                "--out."
            )
