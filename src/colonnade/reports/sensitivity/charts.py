"""The pictures of an analysis: shaded columns, noise curves, spectra, and how measures agree."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from colonnade.analysis.intervals import band
from colonnade.analysis.policies.capacity import mean_spectrum
from colonnade.analysis.policies.perturbation import Floats, mean_played, rank_correlation
from colonnade.experiments.method_titles import FALLBACK_COLOURS
from colonnade.experiments.titles import task_title
from colonnade.experiments.trained.analysis import RunAnalysis
from colonnade.experiments.trained.comparison import column_title
from colonnade.reports.style import FAINT, INK, PAPER, SENSITIVITY, plain, text_on_share

_BOX, _TALL, _GAP, _STEP = 1.0, 0.56, 0.42, 0.86


def level_colours(names: Sequence[str]) -> dict[str, str]:
    """One colour for each level."""
    return {name: FALLBACK_COLOURS[i % len(FALLBACK_COLOURS)] for i, name in enumerate(names)}


def count_colours(counts: Sequence[int]) -> dict[int, str]:
    """One colour for each number of columns."""
    return {n: FALLBACK_COLOURS[i % len(FALLBACK_COLOURS)] for i, n in enumerate(counts)}


def shaded_columns(groups: Mapping[str, Sequence[RunAnalysis]], repeats: str = "seeds") -> Figure:
    """Draw each network's columns, as dark as the policy leans on them (Fig. 5a of the paper).

    Args:
        groups: Analyses to average, such as those of several seeds, by the network's name.
        repeats: What the analyses of one group are, in words.
    """
    widest = max(len(group[0].columns) for group in groups.values())
    deepest = max(len(group[0].levels) for group in groups.values())
    across = min(len(groups), 5 if widest <= 2 else 4)
    down = -(-len(groups) // across)
    titles = [
        plain(textwrap.fill(title, 11 * widest))
        + (f"\n{len(group)} {repeats}" if len(group) > 1 else "")
        for title, group in groups.items()
    ]
    lines = max(title.count("\n") for title in titles)
    height = 0.62 * deepest + 1.45 + 0.17 * lines
    figure = Figure(figsize=(max(4.6, 1.95 * across * widest / 2 + 0.5), 0.7 + down * height))
    panels = figure.subplots(down, across, squeeze=False).ravel()
    for axes in panels:
        axes.set_axis_off()
    for axes, title, group in zip(panels, titles, groups.values(), strict=False):
        _shade(axes, title, group)
    figure.subplots_adjust(wspace=0.12, hspace=0.28 + 0.1 * lines)
    return figure


def _shade(axes: Axes, title: str, group: Sequence[RunAnalysis]) -> None:
    first = group[0]
    names = first.level_names
    for level, features in enumerate(first.levels):
        y = level * _STEP
        for feature in features:
            share = float(np.nanmean([each.layer_afs[feature] for each in group]))
            x = feature.column * (_BOX + _GAP)
            axes.add_patch(
                FancyBboxPatch(
                    (x, y), _BOX, _TALL, boxstyle="round,pad=0,rounding_size=0.07",
                    facecolor="none" if math.isnan(share) else SENSITIVITY(share),
                    edgecolor=FAINT, linewidth=0.8,
                )
            )  # fmt: skip
            axes.text(
                x + _BOX / 2, y + _TALL / 2, "?" if math.isnan(share) else f"{share:.0%}",
                ha="center", va="center", fontsize=9, fontweight="bold",
                color=text_on_share(share),
            )  # fmt: skip
            if level:
                _arrow(axes, (x + _BOX / 2, y - _STEP + _TALL), (x + _BOX / 2, y))
        axes.text(-0.12, y + _TALL / 2, names[level], ha="right", va="center", fontsize=8)
    top, target = len(first.levels) * _STEP, first.newest * (_BOX + _GAP)
    axes.text(target + _BOX / 2, top + _TALL / 2, "policy", ha="center", va="center", fontsize=8)
    _arrow(axes, (target + _BOX / 2, top - _STEP + _TALL), (target + _BOX / 2, top + 0.12))
    for level in range(len(first.levels)):
        for source in (f.column for f in first.levels[level] if f.column < first.newest):
            x, y = source * (_BOX + _GAP) + _BOX, level * _STEP + _TALL / 2
            above = (target, y - _TALL / 2 + _STEP + 0.1)
            _arrow(
                axes, (x, y), above if level + 1 < len(first.levels) else (target + 0.2, above[1])
            )
    for column, task in enumerate(first.columns):
        x = column * (_BOX + _GAP) + _BOX / 2
        name = plain(column_title(task))
        words = f"{name}\n{'new' if column == first.newest else 'frozen'}"
        axes.text(x, -0.1, words, ha="center", va="top", fontsize=8, color=INK)
    axes.set_title(title, fontsize=9.5)
    axes.set_xlim(-0.75, len(first.columns) * (_BOX + _GAP) - _GAP + 0.1)
    axes.set_ylim(-0.75, top + _TALL)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.add_patch(
        FancyArrowPatch(
            start, end, arrowstyle="-|>", mutation_scale=6, color=FAINT, linewidth=0.8,
            shrinkA=0, shrinkB=0,
        )
    )  # fmt: skip


def episode_bands(returns: Floats) -> tuple[Floats, Floats]:
    """Return the ends [S] of Student's 95 % intervals of mean returns over episodes, [S, E].

    They are NaN where nothing was played, and where there are too few episodes.
    """
    low, high = np.full((2, len(returns)), math.nan)
    for level, played in enumerate(np.isfinite(returns)):
        low[level], high[level] = np.ravel(band(returns[level, played][:, None]))
    return low, high


def noise_curves(analysis: RunAnalysis) -> Figure:
    """Draw score against noise, a panel per column and a line per level."""
    curves = analysis.curves
    assert curves is not None
    count = len(analysis.columns)
    figure = Figure(figsize=(max(6.2, 3.1 * count), 2.9), layout="constrained")
    panels = figure.subplots(1, count, sharey=True, squeeze=False).ravel()
    colours = level_colours(analysis.level_names)
    half = (curves.clean.mean() + curves.floor) / 2
    for column, axes in enumerate(panels):
        new = "new" if column == analysis.newest else "frozen"
        axes.set_title(plain(f"Noise in {column_title(analysis.columns[column])} ({new})"))
        for name, features in zip(analysis.level_names, analysis.levels, strict=True):
            for feature in features:
                if feature.column != column:
                    continue
                returns = curves.returns[feature]
                low, high = episode_bands(returns)
                # A line for what is known, a point for what was played.
                axes.plot(curves.noise, curves.means(feature), color=colours[name], lw=1.6)
                axes.plot(
                    curves.noise, mean_played(returns), "o", color=colours[name], markersize=3.5
                )
                axes.fill_between(curves.noise, low, high, color=colours[name], alpha=0.16, lw=0)
        for value, style in ((curves.clean.mean(), "-"), (half, "--"), (curves.floor, ":")):
            axes.axhline(value, color=FAINT, lw=0.9, ls=style, zorder=0)
        axes.set_xscale("log", base=2)
        axes.set_xticks(curves.noise, [f"{level:g}" for level in curves.noise])
        axes.set_xlabel("noise, in each feature's standard deviations")
    panels[0].set_ylabel("mean return")
    handles = [Line2D([], [], color=c, marker="o", ms=3.5, label=n) for n, c in colours.items()]
    handles += [
        Line2D([], [], color=FAINT, lw=0.9, ls=style, label=name)
        for name, style in (("no noise", "-"), ("half", "--"), ("random policy", ":"))
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles))
    return figure


def agreement(analyses: Sequence[RunAnalysis]) -> tuple[Figure, float, list[float]] | None:
    """Draw APS against AFS for every layer of every column.

    Returns:
        The figure, the rank correlation over all points, and that of each network; None where no
        noise was played.
    """
    figure = Figure(figsize=(5.0, 4.4))
    axes = figure.subplots()
    names = list(dict.fromkeys(name for each in analyses for name in each.level_names))
    colours = level_colours(names)
    pairs: list[tuple[float, float]] = []
    single: list[float] = []
    axes.plot([0, 1], [0, 1], color=FAINT, lw=0.9, ls="--", zorder=0)
    for each in analyses:
        if each.curves is None:
            continue
        aps = each.curves.aps()
        own: list[tuple[float, float]] = []
        for name, level in zip(each.level_names, each.levels, strict=True):
            for feature in level:
                share, x = aps[feature], each.layer_afs[feature]
                own.append((x, share.value))
                if math.isnan(share.value) or math.isnan(x):
                    continue
                axes.errorbar(
                    x, share.value,
                    [[max(0, share.value - share.low)], [max(0, share.high - share.value)]],
                    color=colours[name], marker="o" if feature.column == each.newest else "s",
                    markersize=5, elinewidth=0.7, alpha=0.75,
                )  # fmt: skip
        pairs += own
        single.append(rank_correlation(*zip(*own, strict=True)))
    if not pairs:
        return None
    axes.set_xlabel("AFS: share of the Fisher sensitivity")
    axes.set_ylabel("APS: share of the noise precision")
    axes.set_xlim(-0.04, 1.04)
    axes.set_ylim(-0.04, 1.04)
    handles = [Line2D([], [], color=colours[n], marker="o", ls="", label=n) for n in names]
    handles += [
        Line2D([], [], color=INK, marker=shape, ls="", label=words, markerfacecolor="none")
        for shape, words in (("s", "earlier columns"), ("o", "new column"))
    ]
    axes.legend(handles=handles, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure, rank_correlation(*zip(*pairs, strict=True)), single


def spectra(analyses: Sequence[RunAnalysis]) -> Figure:
    """Draw sorted sensitivities of single features, per number of columns (paper's appendix)."""
    names = list(dict.fromkeys(name for each in analyses for name in each.level_names))
    counts = sorted({len(each.columns) for each in analyses})
    colours = count_colours(counts)
    figure = Figure(figsize=(max(6.0, 2.35 * len(names)), 4.3), layout="constrained")
    panels = figure.subplots(2, len(names), squeeze=False, sharex=True)
    for row, of_sources in enumerate((True, False)):
        for axes, name in zip(panels[row], names, strict=True):
            for count, drawn in spectrum_lines(analyses, name, of_sources=of_sources):
                axes.plot(np.linspace(0, 100, drawn.size), drawn, color=colours[count])
            axes.set_yscale("symlog", linthresh=1e-3)
            axes.set_ylim(bottom=0)
            if row == 0:
                axes.set_title(name)
        where = "earlier columns" if of_sources else "new column"
        panels[row, 0].set_ylabel(f"{where}\nshare of sensitivity")
    for axes in panels[1]:
        axes.set_xlabel("features, sorted (%)")
    handles = [
        Line2D([], [], color=colours[n], label=f"{n} columns ({_nets(analyses, n)})")
        for n in counts
    ]
    figure.legend(handles=handles, loc="outside lower left", ncols=len(handles))
    return figure


def spectrum_lines(
    analyses: Sequence[RunAnalysis], level: str, *, of_sources: bool
) -> Iterator[tuple[int, Floats]]:
    """Yield, for each number of columns, the mean spectrum of a level's features."""
    for count in sorted({len(each.columns) for each in analyses}):
        values = [
            np.concatenate(found)
            for each in analyses
            if len(each.columns) == count and (found := _of_level(each, level, of_sources))
        ]
        if values:
            yield count, mean_spectrum(values)


def _of_level(analysis: RunAnalysis, name: str, of_sources: bool) -> list[Floats]:
    if name not in analysis.level_names:
        return []
    level = analysis.levels[analysis.level_names.index(name)]
    return [analysis.sensitivity[f] for f in level if (f.column < analysis.newest) == of_sources]


def _nets(analyses: Sequence[RunAnalysis], columns: int) -> str:
    count = sum(len(each.columns) == columns for each in analyses)
    return "1 net" if count == 1 else f"{count} nets"


def sweet_spot(points: Sequence[tuple[float, float, str, int]]) -> Figure:
    """Draw transfer scores against how much new vision was learned (Fig. 7b of the paper).

    Args:
        points: Mean AFS of the new column's convolutions, transfer score, target, columns.
    """
    figure = Figure(figsize=(6.0, 3.8))
    axes = figure.subplots()
    targets = list(dict.fromkeys(target for *_, target, _ in points))
    colours = {t: FALLBACK_COLOURS[i % len(FALLBACK_COLOURS)] for i, t in enumerate(targets)}
    for x, score, target, columns in points:
        axes.plot(
            x, score, color=colours[target], marker="o" if columns == 2 else "^", ls="",
            markersize=6, markeredgecolor=PAPER,
        )  # fmt: skip
    axes.axhline(1, color=FAINT, lw=0.9, ls="--", zorder=0)
    axes.set_xlabel("mean AFS of the new column's convolutions (new vision)")
    axes.set_ylabel("transfer score")
    handles = [
        Line2D([], [], color=c, marker="o", ls="", label=plain(task_title(t)))
        for t, c in colours.items()
    ]
    for count, shape in ((2, "o"), (3, "^")):
        if any((columns == 2) == (count == 2) for *_, columns in points):
            words = "2 columns" if count == 2 else "3 columns or more"
            handles.append(Line2D([], [], color=INK, marker=shape, ls="", label=words))
    axes.legend(handles=handles, fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure
