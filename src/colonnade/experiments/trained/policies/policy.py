"""A trained network as a policy, for a loop of one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from colonnade.checks import text
from colonnade.errors import UsageError, unknown_name
from colonnade.experiments.plans.build import build_learner, build_method, build_task
from colonnade.experiments.store.files import check_place, disk_errors
from colonnade.experiments.store.kept import About, Kept, Score
from colonnade.experiments.store.parents import read_trained
from colonnade.experiments.trained.load import trusting
from colonnade.experiments.trained.policies.alone import kept_alone, read_alone
from colonnade.learners import Acting, Compute
from colonnade.ops import evaluation
from colonnade.records import shown
from colonnade.seeding import generator
from colonnade.tasks.normalization import Normalization, NormalizedBox
from colonnade.training.normalizing import (
    normalization_of,
    restore_normalization,
    taken_apart,
)
from colonnade.types import OBSERVATION, Inputs, Network, State, TaskSpec


class TrainedPolicy:
    """Says what a trained network does.

    In a loop of one's own::

        policy = colonnade.load("runs/mine/runs/ID")
        observation, _ = env.reset()
        while not over:
            observation, reward, over, _, _ = env.step(policy(observation))
        policy.reset()

    It takes observations as the task's environments give them, alone or in batches, and remembers
    from one to the next what a recurrent network remembers.

    Attributes:
        spec: The task: its spaces, and the budget it was learned in.
        network: What acts; a `torch.nn.Module`.
    """

    def __init__(
        self,
        network: Network,
        spec: TaskSpec,
        acting: Acting,
        *,
        greedy: bool = False,
        seed: int = 0,
        device: str = "cpu",
        kept: Kept | None = None,
        normalization: Normalization | None = None,
    ) -> None:
        """Make a policy of a network.

        Args:
            network: Trained on the task; moved to the device.
            spec: The task.
            acting: Whose networks these are: how they act, and what their output means. Any
                `LearnerConfig` is one.
            greedy: Take the best action instead of sampling.
            seed: Of the sampled actions.
            device: A torch device name, or "auto".
            kept: What `save` writes; `colonnade.load` gives it.
            normalization: What the network's task has seen, `task.normalization`, where it
                normalises; the policy itself takes observations as they come.

        Raises:
            UsageError: The task normalises, and what it has seen is not given.
        """
        self.spec = spec
        self._acting = acting
        self._compute = Compute.choose(spec, device)
        self.network = network.to(self._compute.device)
        chance = generator(seed, "actions", device=self._compute.device)
        self._decide = acting.policy(self.network, spec, self._compute, chance, greedy)
        space = spec.observation_space
        parts = space.spaces if isinstance(space, gymnasium.spaces.Dict) else {OBSERVATION: space}
        normalizes = any(isinstance(part, NormalizedBox) for part in parts.values())
        if normalizes and normalization is None:
            raise UsageError(
                f"Task {spec.id!r} normalises what it shows, so its network can't read "
                "observations as they come; give what the task has seen: "
                "normalization=task.normalization."
            )
        self._dtypes = {name: part.dtype or np.dtype(np.float32) for name, part in parts.items()}
        self._form = spec.actions
        self._flat = isinstance(spec.action_space, gymnasium.spaces.Discrete)
        self._state: State = {}
        self._envs = 0
        self._kept = kept
        self._normalization = normalization

    @torch.no_grad()
    def __call__(self, observation: Any) -> Any:
        """Choose an action.

        Args:
            observation: As an environment of the task gives it, a dict where there are several
                inputs; or a batch of N, as a vector environment gives it. Where the network is
                recurrent, N stays the same until `reset`.

        Returns:
            An action that the environment takes: an int where actions are Discrete, else an array;
            of a batch an array [N, ...].

        Raises:
            UsageError: It has another shape than the task's observations, or numbers that theirs
                can't be: floats for bytes, for example.
        """
        raw, single = self._batch(observation)
        count = len(next(iter(raw.values())))
        if not self._state:  # nothing is remembered, at an episode's start or by any network
            self._state, self._envs = self._initial(count), count
        if count != self._envs:
            raise UsageError(
                f"The policy has acted in {self._envs} environments, but got observations of "
                f"{count}; call reset() before others."
            )
        with evaluation(self.network):
            with self._compute.autocast():
                inputs, state = self.network.precompute(raw, self._state)
            decision = self._decide(inputs, state)
        self._state = decision.state
        actions = self._form.sent(decision.actions.cpu().numpy())
        if not single:
            return actions
        return int(actions[0]) if self._flat else actions[0]

    def reset(self, ended: Any = None) -> None:
        """Forget what was seen, as an episode begins.

        Args:
            ended: [N] bool, the environments of a batch in which one begins; None for all.

        Raises:
            UsageError: It has another length than the last batch of observations.
        """
        if ended is None or not self._state:
            self._state = {}
            return
        mask = torch.as_tensor(np.asarray(ended, np.bool_), device=self._compute.device)
        if mask.shape != (self._envs,):
            raise UsageError(
                f"reset takes one bool for each of {self._envs} environments, but got an array of "
                f"shape {list(mask.shape)}."
            )
        fresh = self._initial(self._envs)
        self._state = {
            name: torch.where(mask.view(-1, *[1] * (part.dim() - 1)), fresh[name], part)
            for name, part in self._state.items()
        }

    @property
    def about(self) -> About:
        """What the network says of itself: its score, its licence, what it was made with."""
        return self._kept.about if self._kept else About()

    def save(
        self, path: str | Path, *, licence: str = "", note: str = "", returns: ArrayLike = ()
    ) -> None:
        """Write the network to one file, which `colonnade.load` reads wherever it is.

        It holds the weights of the whole network, the spec of its run or else of its task, what it
        says of itself (`about`), and nothing that executes. A run may start from it: `parent` is
        "file:PATH". `colonnade describe PATH` prints all but the weights.

        Args:
            path: Of the file.
            licence: Under which others may use it: an SPDX name, as "CC-BY-4.0"; what was said
                before if not given.
            note: Whatever else they should know; what was said before if not given.
            returns: [E] of episodes that it has played, as `colonnade.training.evaluate` gives
                them; the scores of its run if not given.

        Raises:
            UsageError: The network is of no run, and has no columns or no learner with a name; or
                what is said of it is of another kind.
            ColonnadeError: Writing failed.
        """
        check_place(Path(path))
        kept = self._kept or kept_alone(self.network, self.spec, self._acting, self._normalization)
        about = replace(
            kept.about,
            licence=text("licence of save", licence) or kept.about.licence,
            note=text("note of save", note) or kept.about.note,
        )
        scores = np.asarray(returns, np.float64)
        if scores.ndim != 1 or not np.isfinite(scores).all():
            raise UsageError(
                "returns of save are one number for each episode, as evaluate gives them; got "
                f"{shown(returns)}."
            )
        if len(scores):
            mean, std = float(scores.mean()), float(scores.std())
            about = replace(about, score=Score(self.spec.id, len(scores), mean, std))
        with disk_errors(Path(path)):
            kept._replace(about=about).write(Path(path))

    def export(self, path: str | Path) -> None:
        """Write what it does as a program of its own, which needs no Colonnade.

        It takes a batch of any size and gives the best actions, whatever `greedy` says; see
        `colonnade.experiments.trained.policies.export` for the names of what goes in and comes out.

        Args:
            path: "policy.pt2" for `torch.export.load`, or "policy.onnx", which takes what is in
                colonnade[onnx].

        Raises:
            UsageError: The name ends otherwise, or the network can't be exported.
            ColonnadeError: A package is missing, or writing failed.
        """
        from colonnade.experiments.trained.policies.export import export

        network, normalization = self.network.cpu(), self._normalization
        try:
            export(Path(path), network, self.spec, self._acting, self._dtypes, normalization)
        finally:
            self.network.to(self._compute.device)

    def _initial(self, count: int) -> State:
        state = self.network.initial_state(count)
        return {name: part.to(self._compute.device) for name, part in state.items()}

    def _batch(self, observation: Any) -> tuple[Inputs, bool]:
        """Give an observation the axis N that networks want, and say whether it had none."""
        given = observation if isinstance(observation, Mapping) else {OBSERVATION: observation}
        raw: dict[str, Tensor] = {}
        counts: dict[str, int | None] = {}
        for name, shape in self.spec.input_shapes.items():
            if name not in given:
                raise UsageError(
                    f"Task {self.spec.id!r} shows {', '.join(map(repr, self._dtypes))}, but the "
                    f"observation has only {', '.join(map(repr, given)) or 'nothing'}."
                )
            value = self._numbers(name, given[name])
            single = value.shape == shape
            if not single and value.shape[1:] != shape:
                raise UsageError(
                    f"{name!r} of task {self.spec.id!r} has the shape {list(shape)}, or "
                    f"[N, {', '.join(map(str, shape))}] in batches, but {list(value.shape)} came."
                )
            counts[name] = None if single else len(value)
            if self._normalization is not None:
                value = self._normalization.of(name, value)
            tensor = torch.from_numpy(np.ascontiguousarray(value[None] if single else value))
            tensor = tensor.float() if tensor.dtype == torch.float64 else tensor
            raw[name] = tensor.to(self._compute.device)
        if len(set(counts.values())) > 1:
            came = ", ".join(f"{n!r} {'one' if c is None else c}" for n, c in counts.items())
            raise UsageError(
                f"The parts of an observation of task {self.spec.id!r} are of one environment, or "
                f"of as many each, but came: {came}."
            )
        return raw, None in counts.values()

    def _numbers(self, name: str, given: Any) -> np.ndarray[Any, Any]:
        """Give a part of an observation the type that it has in the task, if no number changes."""
        dtype = self._dtypes[name]
        try:
            value = np.asarray(given)
        except ValueError:  # lists of several lengths
            value = np.asarray(None)
        wanted = f"{name!r} of task {self.spec.id!r} is {dtype}"
        if value.dtype.kind not in "biuf":
            raise UsageError(f"{wanted}, but {shown(given)} came; give what environments give.")
        if dtype.kind in "iu" and value.dtype != dtype:
            low, high = np.iinfo(dtype).min, np.iinfo(dtype).max
            if value.dtype.kind == "f":
                raise UsageError(
                    f"{wanted}, {low} to {high}, but {value.dtype} came; give it as environments "
                    "of the task do, not scaled."
                )
            if value.size and not low <= value.min() <= value.max() <= high:
                raise UsageError(
                    f"{wanted}, {low} to {high}, but numbers from {value.min()} to {value.max()} "
                    "came; give it as environments of the task do."
                )
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise UsageError(f"{wanted}, but NaN or infinity came; look at the environment.")
        seen = self._normalization
        # In full, as it was seen in training: what is normalised is narrowed afterwards.
        return value if seen and name in seen.observations else value.astype(dtype, copy=False)


def load(
    source: str | Path,
    task: str | None = None,
    *,
    greedy: bool = False,
    seed: int = 0,
    device: str = "cpu",
    trust: bool = False,
) -> TrainedPolicy:
    """Load a trained network as a policy.

    Args:
        source: A run's folder (`DIR/runs/ID`); a folder that `colonnade run --out` made, for its
            last complete run; a file that `TrainedPolicy.save` wrote; or "bundled:NAME" for a
            column that ships with Colonnade.
        task: Name of a task that the network has learned; None takes its last.
        greedy: Take the best action instead of sampling.
        seed: Of the sampled actions.
        device: A torch device name, or "auto".
        trust: Whether modules that the folder names may be imported: they are code, which runs.

    Raises:
        UsageError: There is no such run or task, or it names a module and is not trusted.
        ColonnadeError: The run is not complete, or its weights are damaged.
    """
    if not isinstance(source, str | Path):
        raise UsageError(f"source of load must be a path, or 'bundled:NAME'; got {shown(source)}.")
    kept = read_trained(source)
    options: dict[str, Any] = {"greedy": greedy, "seed": seed, "device": device, "kept": kept}
    if kept.spec is None:
        with trusting(Path(source), trust=trust):
            network, alone, learner, seen = read_alone(kept)
        options["normalization"] = seen
        if task not in (None, alone.id):
            raise unknown_name(f"task of {source}:", str(task), [alone.id])
        return TrainedPolicy(network, alone, learner, **options)
    name = task or next(reversed(kept.tasks))
    if name not in kept.tasks:
        raise unknown_name(f"task of {source}:", name, kept.tasks)
    budget = kept.tasks[name]
    with trusting(Path(source), trust=trust):
        method = build_method(kept.spec)
        tensors, beside = taken_apart(kept.tensors)
        method.load_state(tensors, kept.meta)
        learned, learner = build_task(budget), build_learner(kept.spec)
        restore_normalization(learned, beside)
    spec, options["normalization"] = learned.spec, normalization_of(learned)
    network = method.network_for(kept.contexts.get(name, name))
    return TrainedPolicy(network, spec, learner, **options)
