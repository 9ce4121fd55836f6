"""The suites' plans are what they were: recorded runs are found again by their ids."""

import hashlib
import json
from pathlib import Path

import pytest

from colonnade.experiments.launch.sweep import plan_sweep
from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.suites import SUITES, suite_from_name

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


def test_every_suite_is_recorded() -> None:
    assert {suite.name for suite in SUITES} == {k.partition("/")[0] for k in RECORDED}
