"""What a folder of somebody else's says of domains is shown, and never run."""

import json
from collections.abc import Callable

import pytest

from colonnade.errors import ColonnadeError
from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.experiments.results.domains import DomainScore
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites.sim_to_real import mini
from colonnade.reports.domains import section as module
from colonnade.reports.domains.section import DomainsSection
from colonnade.reports.suite import write_report

SCRIPT = 'x"><script>alert(1)</script><img src="'


@pytest.fixture
def suite(fabricate: Callable[..., SuiteFolder]) -> SuiteFolder:
    return fabricate(mini.plan(SuiteOptions(budget=0.1)), name="sim-to-real-mini")


def test_a_picture_that_is_none_is_refused(suite: SuiteFolder) -> None:
    path = suite.runs[0].path / "result.json"
    result = json.loads(path.read_text())
    result["scores"].append(
        {"kind": "domain", "task": "jaco/reach", "policy": "domain", "picture": SCRIPT,
         "episodes": 3, "return_mean": 1.0, "return_std": 0.5}
    )  # fmt: skip
    path.write_text(json.dumps(result))
    with pytest.raises(ColonnadeError, match="should have a PNG in base64 as 'picture'"):
        write_report(suite)
    assert not (suite.path / "report.html").exists()


def test_the_page_escapes_whatever_stands_as_a_picture(
    suite: SuiteFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    score = DomainScore("jaco/reach", SCRIPT, 1.0, 0.5, 3)
    monkeypatch.setattr(module, "domain_scores", lambda _: [score])
    html = DomainsSection(Results(suite)).html({})
    assert "<script>" not in html
    assert 'src="data:image/png;base64,x&#34;&gt;&lt;script&gt;' in html
