"""Writes docs/reproduction.md's verdicts from claims.json and figures.json, between their markers.

`python results/reproduction.py` writes them; with `--check` it only says whether they are right.

claims.json lists the papers and what each claims. A claim has the paper's number ("theirs"), ours,
in which "{measurement/figure:format}" stands for a figure of figures.json, the measurements that
those are from, what it was shown "on", what was smaller than in the paper ("budget"), the command,
a verdict and why. "whole" names the suite that goes further, or "sweep" one and a number of draws;
what that costs is worked out here. The runs behind a measurement lie in the folder of its name, or
in those that it names as "folders".
"""

import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
CLAIMS, PAGE = HERE / "claims.json", HERE.parent / "docs" / "reproduction.md"

VERDICTS = ("confirmed", "refuted", "open", "not run")

_TABLES = runpy.run_path(str(HERE / "tables.py"))
_FIGURE = re.compile(r"\{([^{}:]+):([^{}]*)\}")
_MARKED = re.compile(r"<!-- claims: ([\w-]+) -->\n.*?<!-- end -->", re.DOTALL)

Claim = dict[str, Any]


def read() -> list[dict[str, Any]]:
    """Read the papers, each with its claims."""
    papers: list[dict[str, Any]] = json.loads(CLAIMS.read_text())["papers"]
    return papers


def ours(claim: Claim, words: str = "ours") -> str:
    """Say what was measured here, or other words of a claim, their figures filled in."""
    known = _TABLES["figures"](_TABLES["read"]())
    return _FIGURE.sub(lambda match: format(known[match[1]]["value"], match[2]), claim[words])


def sources(claim: Claim) -> list[dict[str, Any]]:
    """Return the measurements that a claim's figures are from."""
    return [m for m in _TABLES["read"]() if m["name"] in claim.get("from", ())]


def folders(claim: Claim) -> list[str]:
    """Return the folders beside this file that hold the runs behind a claim's figures."""
    return list(
        dict.fromkeys(
            name for each in sources(claim) for name in each.get("folders", [each["name"]])
        )
    )


def cost(claim: Claim) -> str:
    """Say what going further costs on two cores."""
    from colonnade.experiments.launch.sweep import plan_sweep
    from colonnade.experiments.plans.plan import SuiteOptions
    from colonnade.experiments.plans.sweep import Sweep
    from colonnade.experiments.suites import suite_from_name
    from colonnade.experiments.words import duration

    if "sweep" in claim:
        name, jobs = claim["sweep"]
        suite = suite_from_name(name)
        plan = plan_sweep(suite, Sweep(jobs=jobs, top=jobs), SuiteOptions())
        command = f"colonnade sweep {name} --jobs {jobs} --top {jobs}"
    else:
        suite = suite_from_name(claim["whole"])
        plan, command = suite.plan(SuiteOptions()), f"colonnade run {suite.name} --out DIR"
    much = "up to" if plan.may_end_early else "about"
    time = duration(plan.steps / suite.steps_per_second)
    return f"`{command}`: {len(plan.runs)} runs, {much} {time} on two cores"


def summary(papers: list[dict[str, Any]]) -> str:
    """Write the table of verdicts."""
    lines = ["| paper | claim | verdict | on |", "|---|---|---|---|"]
    for paper in papers:
        short = paper["title"].split(" (")[0]
        lines += [
            f"| {short} | {claim['item']} | {claim['verdict']} | {claim.get('on', '')} |"
            for claim in paper["claims"]
        ]
    given = [claim["verdict"] for paper in papers for claim in paper["claims"]]
    counts = ", ".join(f"{given.count(verdict)} {verdict}" for verdict in VERDICTS)
    return "\n".join([*lines, "", f"{counts}."]) + "\n"


def section(paper: dict[str, Any]) -> str:
    """Write a paper's claims."""
    return "\n".join(_paragraphs(claim) for claim in paper["claims"])


def _paragraphs(claim: Claim) -> str:
    rows = [("the paper", claim["theirs"])]
    if "ours" in claim:
        rows.append(("here", ours(claim)))
        rows.append(("how far", ours(claim, "budget")))
        behind = sources(claim)
        rows += [
            (
                "seeds, hardware" + (f" of {source['name']}" if len(behind) > 1 else ""),
                f"{_words(source['seeds'])}; {source['hardware']}",
            )
            for source in behind
        ]
    rows.append(("command", f"`{claim['command']}`"))
    if kept := folders(claim):
        links = (f"[results/{name}](../results/{name})" for name in kept)
        rows.append(("every run", ", ".join(links)))
    if "whole" in claim or "sweep" in claim:
        rows.append(("further", cost(claim)))
    table = "\n".join(["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in rows)])
    verdict = f"**{claim['verdict'].capitalize()}.** {ours(claim, 'why')}".strip()
    return f"### {claim['item']}\n\n{claim['claim']}\n\n{table}\n\n{verdict}\n"


def _words(seeds: list[int]) -> str:
    if len(seeds) > 2 and seeds == list(range(seeds[0], seeds[-1] + 1)):
        return f"{seeds[0]} to {seeds[-1]}"
    return ", ".join(map(str, seeds))


def filled(page: str, papers: list[dict[str, Any]]) -> str:
    """Write every part of a page anew."""
    parts = {paper["name"]: section(paper) for paper in papers} | {"all": summary(papers)}
    return _MARKED.sub(
        lambda match: f"<!-- claims: {match[1]} -->\n{parts[match[1]]}<!-- end -->", page
    )


def shown(page: str) -> set[str]:
    """Names of the parts that a page has markers for."""
    return {match[1] for match in _MARKED.finditer(page)}


def main() -> None:
    """Write the page, or check it."""
    page = PAGE.read_text()
    should = filled(page, read())
    if "--check" in sys.argv:
        sys.exit(0 if page == should else f"{PAGE} differs; run python results/reproduction.py.")
    PAGE.write_text(should)


if __name__ == "__main__":
    main()
