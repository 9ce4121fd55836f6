"""Fetching the data sets that runs learn, before any of them begins."""

from __future__ import annotations

from colonnade.experiments.plans.build import build_task
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.store.folders import SuiteFolder


def fetch(suite: SuiteFolder, plan: Plan) -> None:
    """Download, or look for, every data set of images that a run still needs.

    Args:
        suite: The output folder; its complete runs need nothing.
        plan: What of it is trained.

    Raises:
        ColonnadeError: One can't be downloaded, or is damaged.
    """
    from colonnade.tasks.images.sets import IMAGE_SETS, load_images

    waiting = (spec for spec in plan.runs if not suite.run(spec.id).done)
    tasks = {task.name: task for spec in waiting for task in spec.tasks}
    for name in dict.fromkeys(getattr(build_task(task), "data", None) for task in tasks.values()):
        if isinstance(name, str) and name in IMAGE_SETS:
            load_images(name)
