"""What the analysis of a run's network came to, kept beside the run."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colonnade.analysis.policies.perturbation import Floats, PerturbationCurves
from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.store.files import disk_errors
from colonnade.experiments.store.folders import RunFolder
from colonnade.experiments.store.parents import foreign_states
from colonnade.experiments.store.reading import check_kind, is_there
from colonnade.experiments.trained.analysis_options import AnalysisOptions
from colonnade.networks import Feature
from colonnade.records import shown
from colonnade.training import read_tensors, write_tensors

logger = logging.getLogger(__name__)

FILE = "analysis.safetensors"
UNTRAINED, ANOTHER = "untrained", "another"
"""What a column is called that was never trained, and one of which it is not known."""

_PLAIN = ("run", "label", "task", "states")
_FORMAT = 2
"""Of analyses; those of the first saw slices of episodes instead of whole ones."""


@dataclass(frozen=True)
class FeaturePictures:
    """What the lowest maps of a network of images look for and see.

    Attributes:
        filters: [n, C, k, k] kernels of each column's first convolution.
        frames: [F, H, W] newest frames, uint8; [F, H, W, 3] where the network sees colours.
        frame_tasks: Which task each frame is of.
        maps: [F, h, w] activations of the most used features on the frames.
    """

    filters: Mapping[Feature, Floats]
    frames: NDArray[np.uint8]
    frame_tasks: Sequence[str]
    maps: Mapping[tuple[Feature, int], Floats]

    @property
    def in_colour(self) -> bool:
        """Whether channels are the red, green and blue of one or several frames."""
        return self.frames.ndim == 4


@dataclass(frozen=True)
class RunAnalysis:
    """The analysis of one column of one run.

    Attributes:
        run: Id of the run.
        label: What a person calls the run.
        task: Name of the task that the analysed column plays.
        columns: What each column was trained on, oldest first; or `UNTRAINED`, or `ANOTHER`.
        level_names: What the levels are, lowest first; no two are called alike.
        levels: The features of each level, oldest column first.
        sensitivity: [n] Fisher with respect to each normalised feature.
        states: How many states it was averaged over.
        options: How the network was analysed.
        curves: Scores under noise, where it was played.
        pictures: Filters and maps, where the network sees images.
    """

    run: str
    label: str
    task: str
    columns: tuple[str, ...]
    level_names: tuple[str, ...]
    levels: tuple[tuple[Feature, ...], ...]
    sensitivity: Mapping[Feature, Floats]
    states: int
    options: AnalysisOptions
    curves: PerturbationCurves | None = None
    pictures: FeaturePictures | None = None
    layer_afs: Mapping[Feature, float] = field(init=False)

    def __post_init__(self) -> None:
        """Sum the sensitivities up."""
        shares = {}
        for level in self.levels:
            total = sum(float(self.sensitivity[f].sum()) for f in level)
            for f in level:
                share = float(self.sensitivity[f].sum()) / total if total > 0 else float("nan")
                shares[f] = share
        object.__setattr__(self, "layer_afs", shares)

    @property
    def newest(self) -> int:
        """Index of the analysed column."""
        return len(self.columns) - 1

    def new_share(self, level: int) -> float:
        """AFS of the analysed column at a level: how much of it was learned anew."""
        own = [self.layer_afs[f] for f in self.levels[level] if f.column == self.newest]
        return own[0] if own else 0.0

    def save(self, folder: Path) -> None:
        """Write the analysis into a folder.

        Raises:
            ColonnadeError: Writing failed.
        """
        tensors = {f"sensitivity/{f.key}": _tensor(v) for f, v in self.sensitivity.items()}
        meta: dict[str, Any] = {
            "format": _FORMAT,
            **{name: getattr(self, name) for name in (*_PLAIN, "columns", "level_names", "levels")},
            "options": asdict(self.options),
        }
        if self.curves is not None:
            meta["floor"] = self.curves.floor
            tensors["clean"] = _tensor(self.curves.clean)
            tensors |= {f"returns/{f.key}": _tensor(v) for f, v in self.curves.returns.items()}
        if self.pictures is not None:
            meta["in_colour"] = self.pictures.in_colour
            meta["frame_tasks"] = list(self.pictures.frame_tasks)
            meta["mapped"] = [[*feature, m] for feature, m in self.pictures.maps]
            tensors["frames"] = torch.from_numpy(self.pictures.frames)
            filters, maps = self.pictures.filters, self.pictures.maps
            tensors |= {f"filters/{f.key}": _tensor(v) for f, v in filters.items()}
            tensors |= {f"maps/{f.key}/{m}": _tensor(v) for (f, m), v in maps.items()}
        with disk_errors(folder / FILE):
            write_tensors(folder / FILE, tensors, meta)

    @classmethod
    def load(cls, folder: Path) -> RunAnalysis | None:
        """Read what `save` wrote; None where there is nothing, or something of another version.

        Raises:
            ColonnadeError: The file is damaged.
        """
        if not is_there(folder / FILE):
            return None
        check_kind(folder / FILE)
        tensors, meta = read_tensors(folder / FILE)
        if meta.get("format") != _FORMAT:
            return None
        with foreign_states(folder / FILE):
            return cls._of(tensors, meta)

    @classmethod
    def _of(cls, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> RunAnalysis | None:
        levels = tuple(tuple(Feature(*f) for f in level) for level in meta["levels"])
        features = [f for level in levels for f in level]
        given = {**meta["options"], "noise": tuple(meta["options"]["noise"])}
        try:
            options = AnalysisOptions(**given)
        except UsageError:  # not what is accepted now, so that nobody can ask for it
            return None
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        curves = pictures = None
        if "floor" in meta:
            returns = {f: arrays[f"returns/{f.key}"] for f in features}
            curves = PerturbationCurves(
                options.noise, arrays["clean"], meta["floor"], returns, levels
            )
        if "mapped" in meta:
            mapped = [(Feature(column, stage), m) for column, stage, m in meta["mapped"]]
            filters = {
                f: arrays[f"filters/{f.key}"] for f in features if f"filters/{f.key}" in arrays
            }
            if "in_colour" not in meta and any(each.shape[1] % 3 == 0 for each in filters.values()):
                return None  # an earlier version took colours for grey frames
            pictures = FeaturePictures(
                filters,
                arrays["frames"],
                meta["frame_tasks"],
                {(f, m): arrays[f"maps/{f.key}/{m}"] for f, m in mapped},
            )
        return cls(
            **{name: meta[name] for name in _PLAIN},
            columns=tuple(meta["columns"]),
            level_names=told_apart(meta["level_names"]),
            levels=levels,
            sensitivity={f: arrays[f"sensitivity/{f.key}"] for f in features},
            options=options,
            curves=curves,
            pictures=pictures,
        )


def stored_analysis(folder: RunFolder) -> RunAnalysis | None:
    """Read what was kept of a run; None if there is nothing, and, with a warning, if it is no use.

    A page without it is better than none, and it costs no more than to measure it anew.
    """
    try:
        found = RunAnalysis.load(folder.path)
        if found is not None and found.run != folder.id:
            raise ColonnadeError(f"{folder.path} holds the analysis of run {shown(found.run)}.")
    except ColonnadeError as error:
        logger.warning("An analysis is passed over: %s", error)
        return None
    return found


def told_apart(names: Sequence[str]) -> tuple[str, ...]:
    """Name levels that are called alike by how deep they lie: "2 below dense", "below dense"."""
    counts = [names[place:].count(name) for place, name in enumerate(names)]
    return tuple(
        f"{count} {name}" if count > 1 else name for count, name in zip(counts, names, strict=True)
    )


def _tensor(values: Floats) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values))
