"""The suites' plans are what they were: recorded runs are found again by their ids."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from colonnade.errors import UsageError
from colonnade.experiments.launch.sweep import plan_sweep
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.suites import SUITES, Suite, suite_from_name

RECORDED = json.loads((Path(__file__).parent / "plans.json").read_text())
"""A hash of each suite's plan, and of sweeps of four jobs: runs, comparisons and selections."""


@pytest.mark.parametrize("key", RECORDED)
def test_plans_are_as_recorded(key: str) -> None:
    name, _, kind = key.partition("/")
    suite = suite_from_name(name)
    if kind == "sweep":
        plan = plan_sweep(suite, Sweep(jobs=4, top=2), SuiteOptions())
    else:
        plan = suite.plan(SuiteOptions())
    text = json.dumps(plan.to_json(), sort_keys=True)
    assert hashlib.sha256(text.encode()).hexdigest()[:16] == RECORDED[key]
    assert Plan.from_json(json.loads(text), "here") == plan


SMALL = [suite for suite in SUITES if len(suite.once(SuiteOptions()).runs) < 15]


@pytest.mark.parametrize("suite", SMALL, ids=lambda suite: suite.name)
def test_seeds_are_kept_or_refused(suite: Suite) -> None:
    def runs(seeds: int) -> int | None:
        try:
            return len(suite.plan(SuiteOptions(seeds=seeds)).runs)
        except UsageError:
            return None

    few, more, most = (runs(seeds) for seeds in (2, 3, 7))
    assert (few is None) == suite.name.endswith(("-tuning", "-search"))
    assert (most is None) == (few is None or suite.name == "pathnet-cifar-svhn")
    if few and more and most:
        assert most - more == 4 * (more - few) > 0


def labels(name: str, **options: Any) -> set[str]:
    given = SuiteOptions(seeds=1, **options)
    return {
        spec.label
        for spec in suite_from_name(name).plan(given).narrowed(given.tasks, given.methods).runs
    }


def test_suites_that_compare_nothing_narrow_by_what_runs_learn() -> None:
    assert labels("ewc-stream-mini", methods=("ewc",)) == {
        "EWC, labels, seed 0", "EWC, Forget-Me-Not, seed 0", "single tasks, seed 0",
    }  # fmt: skip
    assert labels("ewc-stream-mini", tasks=("mini-pong/black",)) == labels("ewc-stream-mini")
    assert labels("ewc-pong-soup-mini", methods=("ewc",)) == {"ewc pong then h-flip, seed 0"}
    assert labels("ewc-permuted", methods=("l2",)) == {
        "l2, 3 permutations, seed 0", "l2, 10 permutations, seed 0",
        "scratch, 10 permutations, seed 0",
    }  # fmt: skip
    assert labels("ewc-permuted", methods=("ewc",), tasks=("9",)) == {
        "ewc, 10 permutations, seed 0", "scratch, 10 permutations, seed 0",
    }  # fmt: skip
    suite = suite_from_name("ewc-permuted")
    sweep = plan_sweep(suite, Sweep(jobs=2, top=1), SuiteOptions(methods=("l2",)))
    assert {spec.method for spec in sweep.runs} == {"l2", "scratch"}


def test_every_suite_is_recorded() -> None:
    assert {suite.name for suite in SUITES} == {k.partition("/")[0] for k in RECORDED}
