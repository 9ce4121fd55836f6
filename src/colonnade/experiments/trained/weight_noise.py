"""Disturbing the weights of one complete run's network: playing, and keeping what came of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from colonnade.analysis.policies.noise import check_sendable
from colonnade.analysis.policies.perturbation import Floats, check_skill
from colonnade.analysis.policies.weight_noise import (
    SHAPES,
    NoiseShape,
    deviations,
    disturbed,
    null_share,
    root_mean_square,
)
from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.plans.build import build_learner
from colonnade.experiments.store.files import disk_errors, write_json
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.store.reading import read_json
from colonnade.experiments.trained.load import (
    column_method,
    task_as_learned,
    task_of,
    trusting,
)
from colonnade.experiments.trained.weight_noise_options import WeightNoiseOptions
from colonnade.learners import Acting, Compute, whole_episodes
from colonnade.networks import ColumnView
from colonnade.networks.progressive.task_gains import TaskGains
from colonnade.ops import parameter_fisher
from colonnade.records import shown
from colonnade.seeding import derive, generator
from colonnade.training import evaluate
from colonnade.types import EnvironmentTask, environments_of

logger = logging.getLogger(__name__)

FILE = "weight_noise.json"
_FORMAT = 1
_SIDE_BY_SIDE = 16
"""Most environments that one process steps at once."""


@dataclass(frozen=True)
class WeightNoise:
    """What became of one policy's score.

    Attributes:
        run: Id of the run.
        label: What a person calls the run.
        task: Name of the task that was played.
        options: How.
        weight: Root mean square of the weights, the unit of `options.sizes`.
        null_share: Share of the weights in the null space.
        floor: The random policy's mean return.
        clean: [E] returns without noise.
        returns: [S, E] returns at each size of each shape; a null space that is empty is left out.
    """

    run: str
    label: str
    task: str
    options: WeightNoiseOptions
    weight: float
    null_share: float
    floor: float
    clean: Floats
    returns: Mapping[NoiseShape, Floats]

    def kept(self, shape: NoiseShape) -> Floats:
        """Return the share [S] of the score above the random policy's that is left."""
        left = (self.returns[shape].mean(1) - self.floor) / (self.clean.mean() - self.floor)
        return np.asarray(left, dtype=np.float64)

    def save(self, folder: Path) -> None:
        """Write it into a folder.

        Raises:
            ColonnadeError: Writing failed.
        """
        content: dict[str, Any] = asdict(self) | {
            "format": _FORMAT,
            "clean": self.clean.tolist(),
            "returns": {shape: values.tolist() for shape, values in self.returns.items()},
        }
        with disk_errors(folder / FILE):
            write_json(folder / FILE, content)

    @classmethod
    def load(cls, folder: Path) -> WeightNoise | None:
        """Read what `save` wrote; None where there is nothing, or something of another version.

        Raises:
            ColonnadeError: The file is damaged.
        """
        if not (folder / FILE).exists():
            return None
        content = read_json(folder / FILE)
        if content.get("format") != _FORMAT:
            return None
        try:
            given = content["options"]
            returns = {shape: np.array(content["returns"][shape]) for shape in content["returns"]}
            plain = ("run", "label", "task", "weight", "null_share", "floor")
            return cls(
                **{name: content[name] for name in plain},
                options=WeightNoiseOptions(**given | {"sizes": tuple(given["sizes"])}),
                clean=np.array(content["clean"]),
                returns=returns,
            )
        except UsageError:  # options that are not accepted now, so that nobody can ask for them
            return None
        except (KeyError, TypeError, ValueError) as error:
            raise ColonnadeError(
                f"{folder / FILE} is damaged ({error!r}); remove it, and it is measured anew."
            ) from error


def known_weight_noise(
    folder: RunFolder, task: str | None, options: WeightNoiseOptions
) -> WeightNoise | None:
    """What an earlier call measured, if it is what is asked for now."""
    if not folder.done:
        return None
    try:
        found = WeightNoise.load(folder.path)
        if found is not None and found.run != folder.id:
            raise ColonnadeError(f"{folder.path} holds the weight noise of run {shown(found.run)}.")
    except ColonnadeError as error:  # it costs no more than to measure it anew
        logger.warning("A measurement of weight noise is passed over: %s", error)
        return None
    asked = task or folder.last_task
    fits = found is not None and found.options == options and found.task == asked
    return found if fits else None


def disturb_run(
    suite: SuiteFolder,
    folder: RunFolder,
    task: str | None,
    options: WeightNoiseOptions,
    pool: Executor | None,
    *,
    trust: bool = False,
) -> WeightNoise:
    """Disturb the network of a run while it plays a task, by default its last.

    Args:
        suite: Where the run is.
        folder: The run.
        task: Which of its tasks.
        options: How.
        pool: Processes that play at once; see `colonnade.analysis.policies.noise.player_pool`.
        trust: Whether code that the folder names, such as an environment's module, is imported.

    Raises:
        UsageError: The network plays no such task.
        ColonnadeError: The run is not complete, or plays no better than the random policy.
    """
    with trusting(suite.path, trust=trust):
        return _disturbed(suite, folder, task, options, pool)


def _disturbed(
    suite: SuiteFolder,
    folder: RunFolder,
    task: str | None,
    options: WeightNoiseOptions,
    pool: Executor | None,
) -> WeightNoise:
    method, learner = column_method(folder), build_learner(folder.spec)
    name, known = task_of(folder, task)
    view = method.network_for(known)
    assert isinstance(view, ColumnView)
    unfreeze_played(view)
    stage = environments_of(task_as_learned(suite, folder, name))
    seed = derive(options.seed, "weight noise", folder.id, name)
    limit = folder.spec.evaluation_limit
    played = evaluate(stage, None, episodes=max(10, options.episodes), seed=seed, limit=limit)
    floor = float(played.mean())
    fisher = _fisher(stage, view, learner, options.states, seed)
    weight = root_mean_square(view, list(fisher))
    share = null_share(fisher, options.null)
    play = _Play(stage, view, learner, fisher, options, weight, seed, limit)
    clean = play.returns("uniform", 0.0)
    check_skill(clean, floor)
    shapes = [shape for shape in SHAPES if share or shape != "null-space"]
    asked = [(shape, size) for shape in shapes for size in options.sizes]
    if pool is not None:
        check_sendable(play)
    work: Callable[..., Iterable[Floats]] = map if pool is None else pool.map
    found = dict(zip(asked, work(partial(_play, play), asked), strict=True))
    return WeightNoise(
        run=folder.id,
        label=folder.spec.label,
        task=name,
        options=options,
        weight=weight,
        null_share=share,
        floor=floor,
        clean=clean,
        returns={
            shape: np.stack([found[shape, size] for size in options.sizes]) for shape in shapes
        },
    )


@dataclass(frozen=True)
class _Play:
    """What all plays have in common."""

    task: EnvironmentTask
    network: ColumnView
    learner: Acting
    fisher: Mapping[str, Tensor]
    options: WeightNoiseOptions
    weight: float
    seed: int
    limit: int

    def returns(self, shape: NoiseShape, size: float) -> Floats:
        """Play with noise; every play meets the same episodes."""
        given = self.options
        scales = deviations(shape, self.fisher, damping=given.damping, null=given.null)
        stream = generator(self.seed, "weights", shape, str(size))
        with disturbed(self.network, scales, size * self.weight, stream) as player:
            return evaluate(
                self.task,
                player,
                learner=self.learner,
                episodes=given.episodes,
                seed=derive(self.seed, "disturbed episodes"),
                num_envs=min(given.episodes, _SIDE_BY_SIDE),
                device="cpu",
                limit=self.limit,
            )


def _play(play: _Play, asked: tuple[NoiseShape, float]) -> Floats:
    return play.returns(*asked)


def unfreeze_played(view: ColumnView) -> None:
    """Unfreeze all that a column has of its own, but for what it computes other tasks with."""
    view.unfreeze()
    for module in view.modules():
        if isinstance(module, TaskGains):
            module.learn(view.row)


def _fisher(
    task: EnvironmentTask, network: ColumnView, learner: Acting, states: int, seed: int
) -> dict[str, Tensor]:
    """Estimate the Fisher over states of the policy's own play, exactly over its actions."""
    spec, compute = task.spec, Compute.choose(task.spec, "cpu")
    stream = generator(seed, "states of the Fisher")
    policy = learner.policy(network, spec, compute, stream)
    rollouts = whole_episodes(
        task,
        network,
        policy,
        compute,
        seed=derive(seed, "episodes of the Fisher"),
        num_envs=_SIDE_BY_SIDE,
    )
    try:
        return parameter_fisher(
            network, rollouts, partial(learner.likelihood, spec=spec), samples=states
        )
    finally:
        rollouts.close()
