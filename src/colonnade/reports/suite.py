"""The report of a suite: one HTML file that needs nothing else, from what the folder holds."""

from __future__ import annotations

from pathlib import Path

from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.reports.choices.section import ChoicesSection
from colonnade.reports.continual.section import ContinualSection
from colonnade.reports.domains.section import DomainsSection, RewardsSection
from colonnade.reports.films.section import FilmsSection
from colonnade.reports.findings.section import FindingsSection
from colonnade.reports.mazes.section import MazeSection
from colonnade.reports.page import Section, drawn, write_page
from colonnade.reports.pathnet.section import PathSection
from colonnade.reports.run import RunSection, state_of
from colonnade.reports.stream.section import StreamSection
from colonnade.reports.style import drawing
from colonnade.reports.sweep.section import SweepSection
from colonnade.reports.transfer.section import CurvesSection, MatrixSection, TableSection

SECTIONS: tuple[type[Section], ...] = (
    FindingsSection,
    DomainsSection,
    RewardsSection,
    TableSection,
    StreamSection,
    ContinualSection,
    MatrixSection,
    FilmsSection,
    CurvesSection,
    SweepSection,
    PathSection,
    MazeSection,
    ChoicesSection,
    RunSection,
)
"""In the order of the page."""


def write_report(suite: SuiteFolder) -> Path:
    """Write report.html, and its pictures as PNG files under figures/.

    Args:
        suite: The output folder; runs that are not complete are named as such.

    Returns:
        Path of the report.

    Raises:
        ColonnadeError: A file of a run is damaged, or writing failed.
    """
    results, basis = Results(suite), suite.basis
    sections = [section for make in SECTIONS if (section := make(results)).applies]
    with drawing():
        figures = {name: f for section in sections for name, f in section.figures().items()}
        charts = {name: c for section in sections for name, c in section.charts().items()}
        for section in sections:
            if isinstance(section, FilmsSection):
                charts = section.beside(charts)
        drawings = drawn(figures, suite.path, charts=charts)
    runs, title = list(results.runs.values()), basis.title or suite.name.removesuffix(".json")
    return write_page(
        suite.path / "report.html",
        "suite.html.jinja",
        title=f"{title}: a sweep of {suite.sweep.total} jobs" if suite.sweep else title,
        subtitle=f"{basis.summary[0].upper()}{basis.summary[1:]}." if basis.summary else "",
        figure=basis.figure or (suite.name if suite.name.endswith(".json") else ""),
        complete=sum(run.done for run in runs),
        total=len(runs),
        missing=[(run.spec, state_of(run)) for run in runs if not run.done],
        sections=[section.html(drawings) for section in sections],
    )
