"""Analysing the network of one complete run: playing, measuring."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial

import torch

from colonnade.analysis.policies.activations import Change, changed
from colonnade.analysis.policies.noise import perturbation_curves
from colonnade.analysis.policies.sensitivity import ActivationFisher, activation_fisher
from colonnade.analysis.policies.states import joined, policy_states
from colonnade.experiments.plans.build import build_learner
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.trained.analysis import (
    ANOTHER,
    UNTRAINED,
    FeaturePictures,
    RunAnalysis,
    stored_analysis,
    told_apart,
)
from colonnade.experiments.trained.analysis_options import AnalysisOptions
from colonnade.experiments.trained.load import (
    check_progressive,
    columns_of,
    task_as_learned,
    task_of,
    trusting,
)
from colonnade.learners import Acting
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
)
from colonnade.networks.progressive.stages import ConvStage
from colonnade.seeding import derive
from colonnade.tasks.frames import in_colour
from colonnade.types import OBSERVATION, EnvironmentTask, environments_of

_FRAMES_PER_TASK = 2
_STEPS_WATCHED = 200
_MAPS_SHOWN = 4


def known_analysis(
    folder: RunFolder, task: str | None, options: AnalysisOptions
) -> RunAnalysis | None:
    """What an earlier call measured, if it is what is asked for now."""
    if not folder.done:
        return None
    found = stored_analysis(folder)
    asked = task or folder.last_task
    fits = found is not None and found.options == options and found.task == asked
    if found is None or not fits:
        return None
    # Earlier versions knew less of what columns were trained on.
    return replace(found, columns=_column_names(folder, found.newest, asked))


def analyse_run(
    suite: SuiteFolder,
    folder: RunFolder,
    task: str | None,
    options: AnalysisOptions,
    pool: Executor | None,
    progress: Callable[[int, int], None] = lambda done, total: None,
    *,
    trust: bool = False,
) -> RunAnalysis:
    """Analyse the column of a run that plays a task, by default its last.

    Args:
        suite: The output folder.
        folder: The run's.
        task: Which task's column.
        options: How.
        pool: What plays; None plays here.
        progress: Is told how many plays of how many are done.
        trust: Whether code that the folder names, such as an environment's module, is imported.

    Raises:
        UsageError: The network plays no such task.
        ColonnadeError: The run is not complete, or has nothing to analyse.
    """
    with trusting(suite.path, trust=trust):
        return _analysed(suite, folder, task, options, pool, progress)


def _analysed(
    suite: SuiteFolder,
    folder: RunFolder,
    task: str | None,
    options: AnalysisOptions,
    pool: Executor | None,
    progress: Callable[[int, int], None],
) -> RunAnalysis:
    network, columns = columns_of(folder)
    name, _ = task_of(folder, task)
    index = columns[name]
    view = network.view(index)
    check_progressive(view, folder)
    spec, learner = folder.spec, build_learner(folder.spec)

    def stage_of(task: str) -> EnvironmentTask:
        return environments_of(task_as_learned(suite, folder, task))

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
            error=options.error,
            seed=seed,
            shared=options.normalisation == "map-shift",
            pool=pool,
            limit=spec.evaluation_limit,
            progress=progress,
        )
    return RunAnalysis(
        run=folder.id,
        label=folder.spec.label,
        task=name,
        columns=_column_names(folder, index, name),
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


def _column_names(folder: RunFolder, index: int, task: str) -> tuple[str, ...]:
    """Name columns up to the one that plays a task by what they were trained on last."""
    earlier = folder.trained[:index]
    return (*(ANOTHER if tasks is None else [UNTRAINED, *tasks][-1] for tasks in earlier), task)


def _level_names(column: Column, count: int) -> tuple[str, ...]:
    """Name the levels after the newest column's stages, the lowest first."""
    kinds = {Conv: "conv", Dense: "dense", LSTM: "LSTM", Custom: "custom"}
    stages = [kinds[type(stage)] for stage in column.spec.stages if type(stage) in kinds]
    names = []
    for place, kind in enumerate(stages):
        several = stages.count(kind) > 1
        names.append(f"{kind} {stages[: place + 1].count(kind)}" if several else kind)
    return told_apart([*[f"below {names[0]}"] * (count - len(names)), *names])


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
    newest = observations[:, -1]
    if in_colour(stage_of(task)):
        newest = observations[:, -3:].permute(0, 2, 3, 1)
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
        frames=newest.contiguous().numpy(),
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
    return _most_lively(observations, 3 if in_colour(task) else 1)


def _most_lively(observations: torch.Tensor, channels: int) -> torch.Tensor:
    """Of each environment's steps [T, F, C, H, W], take the one that differs most from the mean.

    In Pong that is one with a ball and paddles away from their places.

    Args:
        observations: What was seen.
        channels: How many of a step's last channels are its newest frame.
    """
    newest = observations[:, :, -channels:].float()
    distance = (newest - newest.mean(0)).square().sum((-3, -2, -1))
    best = distance.argmax(0)
    return torch.stack([observations[t, f] for f, t in enumerate(best.tolist())])
