"""Which features of which column a policy leans on, as a page of figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from colonnade.analysis.intervals import REDRAWN, STUDENT
from colonnade.experiments.results.cautions import caution_of
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.trained.analysis import RunAnalysis
from colonnade.experiments.trained.comparison import (
    groups_of,
    net_title,
    new_vision,
    reuse_words,
    used_shares,
)
from colonnade.reports.page import drawn, write_page
from colonnade.reports.sensitivity.chart import (
    agreement_chart,
    noise_chart,
    spectra_chart,
    sweet_spot_chart,
)
from colonnade.reports.sensitivity.charts import (
    agreement,
    noise_curves,
    shaded_columns,
    spectra,
    sweet_spot,
)
from colonnade.reports.sensitivity.features import feature_maps, feature_shares
from colonnade.reports.style import drawing

PAGE = "analysis.html"
_NETS_IN_DETAIL = 4
"""Of how many networks a suite's page shows features and noise curves."""


def write_analysis(
    folder: Path, analyses: Sequence[RunAnalysis], suite: SuiteFolder, results: Results | None
) -> Path:
    """Write analysis.html, which needs nothing else, and its pictures under figures/.

    Args:
        folder: Where.
        analyses: What was measured.
        suite: Where the runs are.
        results: Of the suite, for transfer scores; None leaves them out.

    Raises:
        ColonnadeError: Writing failed.
    """
    groups = groups_of(analyses, suite)
    points = new_vision(analyses, results) if results else []
    detailed = [group[0] for group in groups.values()][:_NETS_IN_DETAIL]
    with drawing():
        pictures: dict[str, Figure] = {
            "reuse": shaded_columns(groups, "jobs" if suite.sweep else "seeds")
        }
        compared = agreement(analyses)
        if compared:
            pictures["aps-afs"] = compared[0]
        pictures["spectra"] = spectra(analyses)
        if len(points) > 2:
            pictures["transfer-new-vision"] = sweet_spot(points)
        for number, each in enumerate(detailed):
            pictures[f"feature-shares-{number}"] = feature_shares(each)
            if maps := feature_maps(each):
                pictures[f"features-{number}"] = maps
            if each.curves is not None:
                pictures[f"noise-{number}"] = noise_curves(each)
        charts = {"spectra": spectra_chart(analyses)}
        if compared:
            charts["aps-afs"] = agreement_chart(analyses)
        if len(points) > 2:
            charts["transfer-new-vision"] = sweet_spot_chart(points)
        for number, each in enumerate(detailed):
            if each.curves is not None:
                charts[f"noise-{number}"] = noise_chart(each)
        drawings = drawn(pictures, folder, "analysis-", charts)
    single = len(analyses) == 1
    return write_page(
        folder / PAGE,
        "sensitivity/page.html.jinja",
        title=f"What {net_title(analyses[0].columns)} reuses" if single else "What was reused",
        lead=reuse_words(analyses[0]) if single else f"{len(analyses)} networks of {suite.name}.",
        pictures=drawings,
        verdicts=[(title, reuse_words(*group)) for title, group in groups.items()],
        details=[
            {"title": net_title(each.columns), "label": each.label, "number": number}
            for number, each in enumerate(detailed)
        ],
        agreement=_agreement_words(*compared[1:]) if compared else "",
        used=used_shares(analyses),
        single=single,
        networks=len(groups),
        jobs=suite.sweep is not None and any(len(group) > 1 for group in groups.values()),
        bars_caution=_caution(REDRAWN, analyses),
        noise_caution=_caution(STUDENT, detailed),
        options=analyses[0].options,
        states=analyses[0].states,
    )


def _agreement_words(pooled: float, single: Sequence[float]) -> str:
    known = [value for value in single if not math.isnan(value)]
    words = f"Rank correlation over all layers and columns: {pooled:.2f}"
    if len(known) > 1:
        words += (
            f"; network by network {np.mean(known):.2f} on average over {len(known)}, "
            f"{min(known):.2f} at the least"
        )
    return f"{words}."


def _caution(method: str, analyses: Sequence[RunAnalysis]) -> str:
    """What must be said of intervals over episodes: of APS, or of the curves below noise."""
    curves = [each.curves for each in analyses if each.curves is not None]
    fewest = [played.fewest(played.returns) for played in curves]
    return caution_of(method, fewest, "episodes")
