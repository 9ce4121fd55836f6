"""The lowest features that a policy leans on: how much, what they look for, what they see."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from colonnade.experiments.method_titles import METHODS
from colonnade.experiments.trained.analysis import RunAnalysis
from colonnade.experiments.trained.comparison import column_title
from colonnade.networks import Feature
from colonnade.reports.style import FAINT, INK, plain

_SIGNED = LinearSegmentedColormap.from_list("signed", ["#2166ac", "#f7f7f7", "#b2182b"])
"""Blue for negative weights, red for positive ones, as in the paper's Fig. 5b."""

_NEW = METHODS["progressive-2"].colour


def feature_shares(analysis: RunAnalysis) -> Figure:
    """Draw the AFS of every map of the lowest level, column by column (Fig. 5b, top)."""
    level = analysis.levels[0]
    total = sum(analysis.sensitivity[feature].sum() for feature in level)
    widths = [analysis.sensitivity[feature].size for feature in level]
    figure = Figure(figsize=(min(9.4, 1.6 + 0.24 * sum(widths)), 2.1), layout="constrained")
    panels = figure.subplots(1, len(level), sharey=True, width_ratios=widths, squeeze=False)[0]
    for axes, feature in zip(panels, level, strict=True):
        new = feature.column == analysis.newest
        shares = analysis.sensitivity[feature] / (total or 1)
        axes.bar(range(len(shares)), shares, color=_NEW if new else FAINT)
        title = column_title(analysis.columns[feature.column])
        axes.set_title(plain(f"{title} ({'new' if new else 'frozen'})"))
        axes.set_xticks(range(0, len(shares), 1 if len(shares) <= 16 else 8))
        axes.set_xlabel(f"{analysis.level_names[0]} map")
    panels[0].set_ylabel("AFS")
    return figure


def feature_maps(analysis: RunAnalysis) -> Figure | None:
    """Draw the most used features: filters beside activations on each task's frames (5b, 5c)."""
    pictures = analysis.pictures
    if pictures is None or not pictures.maps:
        return None
    total = sum(analysis.sensitivity[feature].sum() for feature in analysis.levels[0])
    channels = next(iter(pictures.filters.values())).shape[1]
    frames = len(pictures.frames)
    rows = 1 + len(pictures.maps)
    figure = Figure(figsize=(1.25 + 0.62 * channels + 1.02 * frames, 1.02 * rows + 0.3))
    grid = figure.subplots(
        rows, channels + 1 + frames, squeeze=False,
        width_ratios=[0.62] * channels + [0.18] + [1.0] * frames,
    )  # fmt: skip
    for axes in grid.ravel():
        axes.set_axis_off()
    for place, (frame, task) in enumerate(zip(pictures.frames, pictures.frame_tasks, strict=True)):
        axes = grid[0, channels + 1 + place]
        axes.imshow(frame, cmap="gray", vmin=0, vmax=255)
        axes.set_title(plain(column_title(task)), fontsize=8.5, loc="center")
    for row, ((feature, m), seen) in enumerate(pictures.maps.items(), start=1):
        kernel = pictures.filters[feature][m]
        limit = float(np.abs(kernel).max()) or 1.0
        for channel in range(channels):
            axes = grid[row, channel]
            axes.imshow(kernel[channel], cmap=_SIGNED, vmin=-limit, vmax=limit)
            if row == 1:
                name = _channel_name(channel, channels, colour=pictures.in_colour)
                axes.set_title(name, fontsize=7.5, loc="center", fontweight="normal")
        share = analysis.sensitivity[feature][m] / (total or 1)
        where = plain(column_title(analysis.columns[feature.column]))
        grid[row, 0].text(
            -0.15, 0.5, f"{where} map {m}\nAFS {share:.0%}", transform=grid[row, 0].transAxes,
            ha="right", va="center", fontsize=8.5, color=_colour(analysis, feature),
        )  # fmt: skip
        for place in range(frames):
            axes = grid[row, channels + 1 + place]
            axes.imshow(seen[place], cmap="magma", vmin=0, vmax=float(seen.max()) or 1.0)
    figure.subplots_adjust(wspace=0.08, hspace=0.1)
    return figure


def _channel_name(channel: int, channels: int, *, colour: bool) -> str:
    """Name a channel of a stack of frames, the newest last, by its age and its colour."""
    each = 3 if colour else 1
    back = (channels - 1 - channel) // each
    age = "now" if back == 0 else f"t - {back}"
    if not colour:
        return age
    name = ("red", "green", "blue")[channel % 3]
    return name if channels == each else f"{age}\n{name}"


def _colour(analysis: RunAnalysis, feature: Feature) -> str:
    return _NEW if feature.column == analysis.newest else INK
