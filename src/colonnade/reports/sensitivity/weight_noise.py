"""How scores fall with noise in the weights, as a page of its own (Kirkpatrick et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from colonnade.analysis.intervals import STUDENT
from colonnade.analysis.policies.perturbation import Floats
from colonnade.analysis.policies.weight_noise import SHAPES, NoiseShape, sign_test
from colonnade.experiments.results.cautions import caution_of
from colonnade.experiments.titles import task_title
from colonnade.experiments.trained.weight_noise import WeightNoise
from colonnade.reports.interactive.chart import Chart, Line, Panel, Series
from colonnade.reports.page import drawn, write_page
from colonnade.reports.sensitivity.charts import episode_bands
from colonnade.reports.style import FAINT, INK, drawing, plain

PAGE = "weight-noise.html"

TITLES: dict[NoiseShape, str] = {
    "uniform": "uniform",
    "inverse-fisher": "inverse Fisher",
    "null-space": "null space of the Fisher",
}
"""What the shapes are called on a page."""

_COLOURS: dict[NoiseShape, str] = {
    "uniform": INK,
    "inverse-fisher": "#2f6fb7",
    "null-space": "#e08a1e",
}
"""The paper's: black, blue and orange."""

_PANELS = 3
"""Agents in a row."""


def write_weight_noise(folder: Path, found: Sequence[WeightNoise], name: str) -> Path:
    """Write weight-noise.html, which needs nothing else, and its picture under figures/.

    Args:
        folder: Where.
        found: What was measured, an agent each; all with the same options.
        name: Of what they belong to.

    Raises:
        ColonnadeError: Writing failed.
    """
    with drawing():
        pictures = drawn(
            {"weight-noise": weight_noise_curves(found)},
            folder,
            charts={"weight-noise": weight_noise_chart(found)},
        )
    first = found[0]
    return write_page(
        folder / PAGE,
        "sensitivity/weight_noise.html.jinja",
        title="How much noise the weights bear",
        lead=f"{len(found)} trained agent{'s' if len(found) > 1 else ''} of {name}.",
        picture=pictures["weight-noise"],
        verdict=verdict(found),
        bands_caution=caution_of(STUDENT, [first.options.episodes], "episodes"),
        sizes=[f"{size:g}" for size in first.options.sizes],
        rows=[
            (TITLES[shape], [f"{value:.2f}" for value in mean_kept(found, shape)])
            for shape in SHAPES
            if all(shape in each.returns for each in found)
        ],
        agents=[
            (
                each.label,
                task_title(each.task),
                f"{each.floor:.3g}",
                f"{each.clean.mean():.3g}",
                f"{each.weight:.3g}",
                f"{each.null_share:.0%}",
            )
            for each in found
        ],
        options=first.options,
    )


def mean_kept(found: Sequence[WeightNoise], shape: NoiseShape) -> Floats:
    """Average over agents what share of the score is left at each size, [S]."""
    return np.asarray(np.mean([each.kept(shape) for each in found], axis=0), np.float64)


def verdict(found: Sequence[WeightNoise]) -> str:
    """Say at which sizes agents bear the inverse Fisher's noise better than the uniform one."""
    gains = np.array([each.kept("inverse-fisher") - each.kept("uniform") for each in found])
    parts = []
    for size, gain in zip(found[0].options.sizes, gains.T, strict=True):
        words = f"at {size:g} in {int((gain > 0).sum())} of {len(gain)} agents"
        parts.append(f"{words} (by {gain.mean():+.2f} on average, p = {sign_test(gain):.2g})")
    return (
        "More of the score is left with noise shaped by the inverse Fisher than with uniform noise "
        f"{'; '.join(parts)}. p is that of a one-sided sign test over agents."
    )


def weight_noise_curves(found: Sequence[WeightNoise]) -> Figure:
    """Draw score against the size of the noise, a panel for each agent (Fig. 3C)."""
    across = min(_PANELS, len(found))
    down = -(-len(found) // across)
    figure = Figure(figsize=(max(6.4, 3.2 * across), 2.7 * down + 0.5), layout="constrained")
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes, each in zip(panels, found, strict=False):
        _draw(axes, each)
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    for axes in panels[::across]:
        axes.set_ylabel("mean return")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower left", ncols=5)
    return figure


def weight_noise_chart(found: Sequence[WeightNoise]) -> Chart:
    """Show score against the size of the noise, a panel for each agent; see the picture."""
    return Chart(
        title="Score against the size of the noise",
        description="Mean return while all weights are disturbed, by the shape of the noise.",
        x="size, in root mean squares of the weights",
        y="mean return",
        series=[Series(shape, TITLES[shape], _COLOURS[shape]) for shape in SHAPES],
        panels=[
            Panel(
                each.label,
                [
                    Line(
                        shape,
                        np.asarray(each.options.sizes, np.float64),
                        returns.mean(1),
                        *episode_bands(returns),
                        labels=[f"{returns.shape[1]} episodes"] * len(returns),
                        marked=np.ones(len(returns), np.bool_),
                    )
                    for shape, returns in each.returns.items()
                ],
                levels=[(float(each.clean.mean()), "no noise"), (each.floor, "random policy")],
            )
            for each in found
        ],
        log_x=True,
    )


def _draw(axes: Axes, found: WeightNoise) -> None:
    sizes = found.options.sizes
    for value, style, label in (
        (found.clean.mean(), "-", "no noise"),
        (found.floor, ":", "random policy"),
    ):
        axes.axhline(value, color=FAINT, lw=0.9, ls=style, zorder=0, label=label)
    for shape, returns in found.returns.items():
        low, high = episode_bands(returns)
        axes.plot(
            sizes, returns.mean(1), "o-", color=_COLOURS[shape], markersize=3.5, lw=1.6,
            label=TITLES[shape],
        )  # fmt: skip
        axes.fill_between(sizes, low, high, color=_COLOURS[shape], alpha=0.16, lw=0)
    axes.set_xscale("log")
    axes.set_xticks(sizes, [f"{size:g}" for size in sizes])
    axes.minorticks_off()
    axes.set_xlabel("size, in root mean squares of the weights")
    axes.set_title(plain(found.label), fontsize=9)
