"""Analysing the network of one complete run: loading, playing, measuring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from functools import partial
from pathlib import Path

import torch

from colonnade.analysis.activations import Change, changed
from colonnade.analysis.noise import perturbation_curves
from colonnade.analysis.sensitivity import ActivationFisher, activation_fisher
from colonnade.analysis.states import joined, policy_states
from colonnade.errors import ColonnadeError, UsageError, unknown_name
from colonnade.experiments.plans.build import build_learner, build_method, build_task
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.trained.analysis import AnalysisOptions, FeaturePictures, RunAnalysis
from colonnade.learners import Acting
from colonnade.methods import ColumnMethod
from colonnade.networks import (
    LSTM,
    Column,
    ColumnView,
    Conv,
    Custom,
    Dense,
    Feature,
    ProgressiveNetwork,
    Site,
    custom_factories,
)
from colonnade.networks.progressive.stages import ConvStage
from colonnade.seeding import derive
from colonnade.types import OBSERVATION, EnvironmentTask, environments_of

_FRAMES_PER_TASK = 2
_STEPS_WATCHED = 200
_MAPS_SHOWN = 4


def find_runs(path: Path) -> tuple[SuiteFolder, list[RunFolder], bool]:
    """Find what a path on the command line means.

    Args:
        path: An output folder of `colonnade run --out`, or the folder of one run inside it.

    Returns:
        The output folder; the runs; whether one was asked for.

    Raises:
        UsageError: It is neither.
    """
    if (path / "suite.json").exists():
        suite = SuiteFolder.read(path)
        return suite, list(suite.runs), False
    outer = path.resolve().parent.parent
    if path.resolve().parent.name == "runs" and (outer / "suite.json").exists():
        suite = SuiteFolder.read(outer)
        name = path.resolve().name
        names = [spec.id for spec in suite.plan.runs]
        if name not in names:
            raise unknown_name(f"run in {outer}:", name, names)
        return suite, [suite.run(name)], True
    raise UsageError(
        f"{path} is neither a folder that `colonnade run --out` made (with a suite.json) nor one "
        "run's folder inside it (DIR/runs/ID)."
    )


def load_network(folder: RunFolder) -> tuple[ProgressiveNetwork, dict[str, int]]:
    """Load the network of a complete run, and which column plays which task.

    Raises:
        ColonnadeError: The run is not complete, or has no progressive network.
    """
    if not folder.done:
        raise ColonnadeError(
            f"Run {folder.id} isn't complete; `colonnade run` with the same --out completes it."
        )
    spec = folder.spec
    with custom_factories("import"):
        method = build_method(spec)
    if not isinstance(method, ColumnMethod):
        raise ColonnadeError(
            f"Run {folder.id} has no progressive network: its method is {spec.method!r}; give a "
            "run of the method 'progressive'."
        )
    with custom_factories("import"):
        method.load_state(*folder.weights())
    network = method.network
    return network, dict(method.columns)


def is_progressive(folder: RunFolder) -> bool:
    """Whether a complete run trained a column beside others."""
    return folder.done and folder.spec.method == "progressive" and _columns(folder) > 1


def check_progressive(network: ColumnView, folder: RunFolder) -> None:
    """Refuse a column that reads no other.

    Raises:
        ColonnadeError: There is nothing that could have been reused.
    """
    newest = network.newest
    if not any((*newest.reads, newest.output_reads)):
        count = len(network.columns)
        raise ColonnadeError(
            f"Run {folder.id} has no progressive network to analyse: its column reads no other "
            f"({'it is the only one' if count == 1 else 'it has no laterals'}); give a run of the "
            "method 'progressive' with a source."
        )


def column_of(columns: Mapping[str, int], folder: RunFolder, task: str | None) -> tuple[str, int]:
    """Choose the column that plays a task; None takes the run's last task.

    Raises:
        UsageError: No column plays it.
    """
    name = task or folder.spec.tasks[-1].id_among(columns)
    if name not in columns:
        raise unknown_name(f"task of run {folder.id}:", name, columns)
    return name, columns[name]


def analyse_run(
    suite: SuiteFolder,
    folder: RunFolder,
    task: str | None,
    options: AnalysisOptions,
    pool: Executor | None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> RunAnalysis:
    """Analyse the column of a run that plays a task, by default its last.

    Raises:
        UsageError: No column plays the task.
        ColonnadeError: The run is not complete, or has nothing to analyse.
    """
    network, columns = load_network(folder)
    name, index = column_of(columns, folder, task)
    view = network.view(index)
    check_progressive(view, folder)
    spec, learner = folder.spec, build_learner(folder.spec)

    def stage_of(task: str) -> EnvironmentTask:
        return environments_of(build_task(suite.plan.task(spec, task)))

    stage = stage_of(name)
    seed = derive(options.seed, "analysis", folder.id, name)
    fisher = activation_fisher(
        view,
        policy_states(stage, view, options.states, learner=learner, seed=seed),
        partial(learner.likelihood, spec=stage.spec),
    )
    curves = None
    if options.episodes:
        curves = perturbation_curves(
            stage,
            view,
            fisher,
            learner=learner,
            noise=options.noise,
            episodes=options.episodes,
            seed=seed,
            shared=options.normalisation == "map-shift",
            pool=pool,
            progress=progress,
        )
    played = {column: other for other, column in columns.items()}
    return RunAnalysis(
        run=folder.id,
        label=folder.spec.label,
        task=name,
        columns=tuple(played.get(i, "untrained") for i in range(index + 1)),
        level_names=_level_names(view.newest, len(fisher.levels)),
        levels=tuple(fisher.levels),
        sensitivity={
            feature: fisher.sensitivity(feature, options.normalisation)
            for level in fisher.levels
            for feature in level
        },
        states=fisher.states,
        options=options,
        curves=curves,
        pictures=_pictures(network, view, learner, fisher, columns, name, stage_of, seed),
    )


def _columns(folder: RunFolder) -> int:
    return len(folder.network()["network"].get("columns", ()))


def _level_names(column: Column, count: int) -> tuple[str, ...]:
    """Name the levels after the newest column's stages, the lowest first."""
    kinds = {Conv: "conv", Dense: "dense", LSTM: "LSTM", Custom: "custom"}
    stages = [kinds[type(stage)] for stage in column.spec.stages if type(stage) in kinds]
    names = []
    for place, kind in enumerate(stages):
        several = stages.count(kind) > 1
        names.append(f"{kind} {stages[: place + 1].count(kind)}" if several else kind)
    return (*(f"below {names[0]}" for _ in range(count - len(names))), *names)


def _pictures(
    network: ProgressiveNetwork,
    view: ColumnView,
    learner: Acting,
    fisher: ActivationFisher,
    columns: Mapping[str, int],
    task: str,
    stage_of: Callable[[str], EnvironmentTask],
    seed: int,
) -> FeaturePictures | None:
    lowest = fisher.levels[0]
    layers = {feature: view.column(feature.column).stage(feature.stage) for feature in lowest}
    if not all(isinstance(layer, ConvStage) for layer in layers.values()):
        return None
    frames: list[torch.Tensor] = []
    tasks: list[str] = []
    others = [name for name in columns if name != task and columns[name] < view.newest.index]
    for name in (*others, task):
        player = network.view(columns[name])
        found = _frames(stage_of(name), player, learner, seed)
        if found is None or (frames and found.shape[1:] != frames[0].shape[1:]):
            return None
        frames.append(found)
        tasks += [name] * len(found)
    observations = torch.cat(frames)
    ranked = sorted(
        (
            (-value, feature, m)
            for feature, values in fisher.afs().items()
            if feature in layers
            for m, value in enumerate(values)
        ),
    )
    seen: dict[Feature, torch.Tensor] = {}

    def keep(feature: Feature, values: torch.Tensor) -> torch.Tensor:
        seen[feature] = values
        return values

    changes: dict[Site, Change] = {feature: partial(keep, feature) for feature in lowest}
    with torch.no_grad(), changed(view, changes):
        view({OBSERVATION: observations})
    return FeaturePictures(
        filters={
            feature: layer.get_parameter("weight").detach().double().numpy()
            for feature, layer in layers.items()
        },
        frames=observations[:, -1].contiguous().numpy(),
        frame_tasks=tasks,
        maps={
            (feature, m): seen[feature][:, m].double().numpy()
            for _, feature, m in ranked[:_MAPS_SHOWN]
            if feature in seen
        },
    )


def _frames(
    task: EnvironmentTask, player: ColumnView, learner: Acting, seed: int
) -> torch.Tensor | None:
    """Take a few observations [F, C, H, W] from well into a column's play, if they are images."""
    shape = task.spec.input_shapes.get(OBSERVATION, ())
    if len(shape) != 3 or len(task.spec.input_shapes) > 1:
        return None
    count = _STEPS_WATCHED * _FRAMES_PER_TASK
    states = policy_states(
        task, player, count, learner=learner, seed=seed, num_envs=_FRAMES_PER_TASK
    )
    played = joined(states)
    observations = played.inputs[OBSERVATION].unflatten(0, (-1, _FRAMES_PER_TASK))
    return _most_lively(observations)


def _most_lively(observations: torch.Tensor) -> torch.Tensor:
    """Of each environment's steps [T, F, C, H, W], take the one that differs most from the mean.

    In Pong that is one with a ball and paddles away from their places.
    """
    newest = observations[:, :, -1].float()
    distance = (newest - newest.mean(0)).square().sum((-2, -1))
    best = distance.argmax(0)
    return torch.stack([observations[t, f] for f, t in enumerate(best.tolist())])
