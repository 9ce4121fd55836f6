"""The page of the papers' claims: its numbers are figures.json's, its folders and suites exist."""

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

from colonnade.experiments.suites import SUITES

ROOT = Path(__file__).parents[1]
SCRIPT = runpy.run_path(str(ROOT / "results" / "reproduction.py"))
CLAIMS = [claim for paper in SCRIPT["read"]() for claim in paper["claims"]]

each_claim = pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim["item"])


def test_the_page_says_what_claims_and_figures_say() -> None:
    page, papers = SCRIPT["PAGE"].read_text(), SCRIPT["read"]()
    assert SCRIPT["filled"](page, papers) == page, "run python results/reproduction.py"
    assert SCRIPT["shown"](page) == {paper["name"] for paper in papers} | {"all"}


@each_claim
def test_a_verdict_stands_on_something_that_can_be_run_again(claim: dict[str, Any]) -> None:
    assert claim["verdict"] in SCRIPT["VERDICTS"]
    assert claim["verdict"] != "not run" or "ours" not in claim
    assert ("ours" in claim) == ("budget" in claim) == ("on" in claim)
    measured = {source["name"] for source in SCRIPT["sources"](claim)}
    assert measured == set(claim.get("from", ()))
    used = set(re.findall(r"\{([\w-]+)/", claim.get("ours", "")))
    assert used <= measured
    for suite in re.findall(r"colonnade (?:run|sweep) ([a-z][a-z0-9-]+)(?= )", claim["command"]):
        assert suite in {known.name for known in SUITES}
    folders = SCRIPT["folders"](claim)
    assert bool(folders) == ("ours" in claim), "a number without a folder"
    for folder in folders:
        kept = {path.name for path in (ROOT / "results" / folder).iterdir()}
        assert kept & {"suite.json", "runs.csv", "jobs.csv"}
    if claim["verdict"] == "not run":
        assert re.search(r"(about|up to) .* on two cores", SCRIPT["cost"](claim))


def test_a_changed_figure_changes_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    claim = next(claim for claim in CLAIMS if "pathnet-mnist" in claim.get("from", ()))
    before = SCRIPT["ours"](claim)
    assert "Digits: PathNet 91 (without a first task 87), finetuning 52, alone 86" in before
    tables = SCRIPT["ours"].__globals__["_TABLES"]
    known = tables["figures"](tables["read"]())
    known["pathnet-mnist/pathnet/generations"]["value"] = 17
    monkeypatch.setitem(tables, "figures", lambda _: known)
    assert "Digits: PathNet 17 (" in SCRIPT["ours"](claim)
