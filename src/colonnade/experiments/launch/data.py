"""What runs need of this machine besides Colonnade itself, looked for before any of them begins."""

from __future__ import annotations

import json
from typing import Protocol, runtime_checkable

from colonnade.experiments.plans.build import build_task
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.store.folders import SuiteFolder


@runtime_checkable
class Needing(Protocol):
    """A task that takes packages or libraries which may be missing, as the arm and ViZDoom do."""

    def check_installed(self) -> None:
        """Look for them.

        Raises:
            UsageError: One is missing.
        """
        ...


def fetch(suite: SuiteFolder, plan: Plan) -> None:
    """Look for all that a run still needs, and download data sets of images.

    Args:
        suite: The output folder; its complete runs need nothing.
        plan: What of it is trained.

    Raises:
        UsageError: A package or a library of a task is missing; see `Needing`.
        ColonnadeError: A data set can't be downloaded, or is damaged.
    """
    from colonnade.tasks.images.sets import IMAGE_SETS, load_images

    waiting = (spec for spec in plan.runs if not suite.run(spec.id).done)
    budgets = [budget for spec in waiting for budget in spec.tasks]
    different = {(each.name, json.dumps(dict(each.options))): each for each in budgets}
    tasks = [build_task(budget) for budget in different.values()]
    for task in tasks:
        if isinstance(task, Needing):
            task.check_installed()
    for name in dict.fromkeys(getattr(task, "data", None) for task in tasks):
        if isinstance(name, str) and name in IMAGE_SETS:
            load_images(name)
