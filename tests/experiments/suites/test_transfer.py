"""Suites of transfer: what rows differ in, and in nothing else."""

from collections import defaultdict

import pytest

from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.experiments.suites import suite_from_name


def differing(one, other):
    """Fields of two specs that differ, but for what they are called."""
    one, other = one.to_json(), other.to_json()
    return {
        key: (one.get(key), other.get(key))
        for key in {*one, *other} - {"label"}
        if one.get(key) != other.get(key)
    }


@pytest.mark.parametrize("name", ["pong-outputs", "pong-outputs-mini"])
def test_rows_of_output_layers_differ_in_where_those_start(name):
    plan = suite_from_name(name).plan(SuiteOptions(seeds=2))
    runs = {spec.id: spec for spec in plan.runs}
    places = defaultdict(dict)
    for entry in plan.comparisons:
        places[entry.target, entry.seed][entry.method] = runs[entry.run]
    assert len(places) == 8
    for rows in places.values():
        fresh = differing(rows["finetune"], rows["finetune-fresh-output"])
        assert fresh == {"method_options": ({}, {"fresh_output": True})}
        ((key, (plain, copied)),) = differing(
            rows["progressive-2"], rows["progressive-2-copied-output"]
        ).items()
        assert key == "column"
        assert copied == {**plain, "output_laterals": "linear", "output_init": "copy"}
        begin = {rows[row].parent for row in rows if row != "scratch"}
        assert len(begin) == 1
        assert rows["scratch"].parent is None
