"""What pages are made with: sections that apply where they have something to say; templates."""

from collections.abc import Callable
from pathlib import Path

import jinja2
import pytest
from matplotlib.figure import Figure

from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.results.continual import looks_back
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites.progressive.pong_soup import SHORT
from colonnade.reports.page import drawn, render
from colonnade.reports.suite import SECTIONS


@pytest.mark.parametrize(
    ("compared", "expected"),
    [
        (True, ["FindingsSection", "TableSection", "MatrixSection", "CurvesSection", "RunSection"]),
        (False, ["CurvesSection", "RunSection"]),
    ],
)
def test_sections_apply_where_they_have_something_to_say(
    fabricate: Callable[..., SuiteFolder], compared: bool, expected: list[str]
) -> None:
    plan = SHORT.plan(SuiteOptions(seeds=1, budget=0.01))
    results = Results(fabricate(plan if compared else Plan(plan.runs[:2])))
    assert [each.__name__ for each in SECTIONS if each(results).applies] == expected
    assert not looks_back(results)


def test_pictures_lie_beside_the_page_and_stand_in_it(tmp_path: Path) -> None:
    drawings = drawn({"one": Figure((1, 1))}, tmp_path, "of-")
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["of-one.png"]
    assert drawings["one"].startswith("<svg")
    assert 'aria-label="Of one"' in drawings["one"]


def test_what_a_template_lacks_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="columns"):
        render("transfer/matrix.html.jinja")
