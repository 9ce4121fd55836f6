"""Training on remembered experience: act, remember, and learn from what is drawn of it."""

from __future__ import annotations

from collections.abc import Generator
from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor

from colonnade.errors import UsageError
from colonnade.learners.acting.action_values import epsilon_greedy
from colonnade.learners.acting.remembering import (
    RememberingCollector,
    observed_inputs,
    remembered_inputs,
)
from colonnade.learners.acting.replay import Replay
from colonnade.learners.acting.replay_size import FEWER, FEWER_OR_ANEW
from colonnade.learners.acting.sampling import whole_episodes
from colonnade.learners.acting.timing import crossings
from colonnade.learners.acting.transitions import Transitions
from colonnade.learners.descent.optimisation import Optimisation
from colonnade.learners.trainer import Acting, Advance, Lesson, Streams, prefixed, under
from colonnade.seeding import MOVED, restore
from colonnade.types import Batch, Metrics, Penalty, environments_of

_ADVANCE = 64
"""Steps between two looks at what training came to."""

_MOSTLY = 0.5
"""Chance of random actions at a task's end from which on a user is told of it."""

_MOST = 0.9
"""Share of the steps asked for that a replay may hold without a word."""

_SAMPLES = 256
"""Remembered steps that are yielded at a time, for estimates."""


class ReplayConfig(Acting, Protocol):
    """A learner from remembered transitions of an epsilon-greedy policy."""

    @property
    def batch_size(self) -> int:
        """Transitions of a minibatch."""
        ...

    @property
    def update_every(self) -> int:
        """Agent steps between updates."""
        ...

    @property
    def target_every(self) -> int:
        """Agent steps between copies of the network to the target network."""
        ...

    @property
    def replay(self) -> int:
        """Steps that are remembered."""
        ...

    @property
    def warm_up(self) -> int:
        """Steps before learning starts."""
        ...

    @property
    def n(self) -> int:
        """Steps of a transition."""
        ...

    @property
    def gamma(self) -> float:
        """Discount of a step."""
        ...

    @property
    def keep_features(self) -> bool:
        """Whether the replay keeps what frozen parts compute."""
        ...

    def exploration(self, steps: int) -> float:
        """Return the chance of a random action after so many steps of the task."""
        ...

    def memory(self, lesson: Lesson) -> Replay:
        """Make an empty replay."""
        ...


def make_replay(config: ReplayConfig, lesson: Lesson) -> Replay:
    """Make an empty replay for a task, as its network and environments need it.

    Raises:
        UsageError: It is too small for so many environments, all visits to the task end before
            learning starts, or memory will not do for it.
    """
    spec = lesson.spec
    check_start(config, spec.id, lesson.all_steps or spec.steps)
    check_share(config, lesson.num_envs)
    inputs = remembered_inputs(
        lesson.network,
        spec,
        lesson.num_envs,
        lesson.compute,
        keep_features=config.keep_features,
    )
    return Replay(
        config.replay,
        lesson.num_envs,
        inputs,
        name=f"task {spec.id!r}",
        advice=FEWER if inputs.keys() <= observed_inputs(spec).keys() else FEWER_OR_ANEW,
    )


def check_start(config: ReplayConfig, task: str, steps: int) -> None:
    """Refuse to learn a task that ends before learning starts.

    Args:
        config: Says when it starts.
        task: The task's id.
        steps: Of all visits to it together.

    Raises:
        UsageError: It ends before; the message says what to set.
    """
    if config.warm_up >= steps:
        target = f", target_every={max(1, steps // 20)}" if config.target_every > steps else ""
        raise UsageError(
            f"Learning starts after {config.warm_up:,} steps (warm_up), but task {task!r} has only "
            f"{steps:,}; give it more, or let learning start and exploring end sooner, as with "
            f"warm_up={steps // 20}{target} and explore_steps={max(1, steps // 4)}."
        )


def check_share(config: ReplayConfig, num_envs: int) -> None:
    """Refuse a replay in which an environment's share holds no transition.

    Raises:
        UsageError: It is too small.
    """
    if config.replay // num_envs <= config.n:
        raise UsageError(
            f"A replay of {config.replay:,} steps of {num_envs} environments holds no transition "
            f"of {config.n} steps; let it hold more (replay)."
        )


class OffPolicyLearner(Protocol):
    """Learns from transitions, beside a target network."""

    optimisation: Optimisation
    target: dict[str, Tensor]

    def update(self, batch: Transitions, penalty: Penalty) -> Metrics:
        """Learn from a minibatch."""
        ...

    def refresh(self) -> None:
        """Make the target network equal to the network."""
        ...

    def load_target(self, values: dict[str, Tensor]) -> None:
        """Take up the values of a target network that was saved."""
        ...


class OffPolicyTrainer:
    """A learner, the environments that it acts in, and what it remembers of them.

    Attributes:
        replay: What it remembers, the lesson's memory if it has one; `replay.seen` is the task's
            clock, for exploration, warm-up, updates and target networks.
    """

    may_lose_workers = False

    def __init__(self, config: ReplayConfig, lesson: Lesson, learner: OffPolicyLearner) -> None:
        """Make the environments and the replay; call `begin` before use.

        Raises:
            UsageError: The task ends before learning starts, the replay is too small for so many
                environments, or memory will not do for it.
        """
        self._config, self._lesson, self._learner = config, lesson, learner
        self._task, spec = environments_of(lesson.task), lesson.spec
        memory = config.memory(lesson) if lesson.memory is None else lesson.memory
        assert isinstance(memory, Replay)
        self.replay = memory
        # Not before it holds a batch, and a transition of each environment.
        self._enough = max(config.batch_size, config.n * lesson.num_envs)
        self._start = max(config.warm_up, self._enough)
        self._steps = max(1, config.update_every // lesson.num_envs)
        self._actions = torch.Generator(lesson.compute.device)
        self._draws = torch.Generator()
        self._streams: Streams
        self._crowded = self._whole = self._waited = False
        self._collector = RememberingCollector(
            self._task,
            lesson.network,
            epsilon_greedy(
                lesson.network,
                spec,
                lesson.compute,
                self._actions,
                lambda: config.exploration(self.replay.seen),
            ),
            lesson.compute,
            self.replay,
            num_envs=lesson.num_envs,
            threads=lesson.threads,
            watch=lesson.watch,
            keep_features=config.keep_features,
        )
        self.likelihood = partial(config.likelihood, spec=spec)

    def __enter__(self) -> OffPolicyTrainer:
        """Return the trainer."""
        return self

    def __exit__(self, *exception: Any) -> None:
        """Close the environments."""
        self._collector.__exit__(*exception)

    def begin(self, streams: Streams) -> None:
        """Begin episodes with seeded random streams."""
        self._streams = streams
        self._actions.manual_seed(streams("actions"))
        self._draws.manual_seed(streams("replay"))
        self._collector.begin(streams("environments"))

    def advance(self) -> Advance:
        """Act and learn for some steps, in turns: from one update to the next, one step at least.

        Updates and copies of the target network are due at the multiples of their periods, of
        which a step of many environments may pass several. The metrics are means over updates.
        """
        begun, learned = self.replay.seen, list[Metrics]()
        while self.replay.seen < begun + _ADVANCE:
            before = self.replay.seen
            self._collector.remember(self._steps)
            learned += self._learn(before, self.replay.seen)
        metrics: Metrics = {
            name: torch.stack([one[name] for one in learned]).mean()
            for name in (learned[0] if learned else ())
        }
        metrics["exploration"] = torch.tensor(
            self._config.exploration(self.replay.seen), device=self._lesson.compute.device
        )
        episodes, self._collector.episodes = self._collector.episodes, []
        notes, self._collector.notes = self._collector.notes, []
        if not begun:
            notes = [*notes, *self._caution()]
        if self.replay.crowded and self.replay.seen > self._start and not self._crowded:
            self._crowded = True
            notes = [*notes, *self._room()]
        return Advance(self.replay.seen - begun, metrics, episodes, notes)

    def _caution(self) -> list[str]:
        """Say so where the network will hardly ever have its way, or has one target for good."""
        spec, steps = self._lesson.spec, self._lesson.all_steps or self._lesson.spec.steps
        # Where contexts are recognised, nobody knows how many of these steps are one's own.
        end = f"At the end of its {steps:,} steps task {spec.id!r}"
        if not self._lesson.told:
            end = f"A context that lasted all {steps:,} steps"
        cautions = []
        if (chance := self._config.exploration(steps)) > _MOSTLY:
            cautions.append(
                f"{end} is still explored at random with a chance of {chance:.2f}; let that fall "
                "sooner (explore_steps)."
            )
        if self._config.target_every > steps:
            cautions.append(
                f"{end} still has the target network that it began with; renew it sooner "
                f"(target_every, now {self._config.target_every:,})."
            )
        return cautions

    def _room(self) -> list[str]:
        """Say so where the replay holds far fewer steps than it was asked to.

        Raises:
            UsageError: They are too few to learn from.
        """
        held, asked, task = len(self.replay), self._config.replay, self._lesson.spec.id
        why = (
            "stacks of images whose channels are no frames, each the one before moved on by one, "
            "or very short episodes, take more room than was made for a step"
        )
        if held < self._enough:
            raise UsageError(
                f"The replay of task {task!r} can hold some {held} of its {asked:,} steps, too few "
                f"for updates from {self._enough}: {why}; give it more steps (replay)."
            )
        if held > _MOST * asked:
            return []
        return [f"The replay of task {task!r} holds some {held:,} of its {asked:,} steps: {why}."]

    def _learn(self, before: int, after: int) -> list[Metrics]:
        """Take the updates that are due between two times, and copy the target network if it is."""
        config, learner = self._config, self._learner
        due = 0
        if after > self._start and len(self.replay) >= self._enough:
            due = crossings(max(before, self._start), after, config.update_every)
        if due and not self._whole:
            due *= self._has_transitions()
        metrics = [learner.update(self._draw(), self._lesson.penalty) for _ in range(due)]
        if crossings(before, after, config.target_every):
            learner.refresh()
        return metrics

    def _has_transitions(self) -> bool:
        """Look for a whole transition: visits of fewer than n steps of an environment give none."""
        n = self._config.n
        self._whole = bool(len(self.replay.places(n)))
        if not self._whole and not self._waited:
            self._waited = True
            self._collector.notes.append(
                f"Task {self._lesson.spec.id!r} learns nothing yet: its visits so far gave no "
                f"environment {n} steps in a row (n); give longer visits, fewer environments "
                "(num_envs) or a smaller n."
            )
        return self._whole

    def _draw(self) -> Transitions:
        config = self._config
        batch = self.replay.sample(config.batch_size, self._draws, n=config.n, gamma=config.gamma)
        return batch.to(self._lesson.compute.device)

    def samples(self) -> Generator[Batch]:
        """Yield what is remembered, drawn anew each time (Kirkpatrick et al. 2017, supplement).

        A recurrent network's steps hang on those before them: for it, whole episodes are played.
        """
        lesson = self._lesson
        if lesson.network.initial_state(lesson.num_envs):
            stream = torch.Generator(lesson.compute.device)
            stream.manual_seed(self._streams("actions of samples"))
            network, spec = lesson.network, lesson.task.spec
            yield from whole_episodes(
                self._task,
                network,
                self._config.policy(network, spec, lesson.compute, stream),
                lesson.compute,
                seed=self._streams("environments of samples"),
                num_envs=lesson.num_envs,
            )
            return
        draws = torch.Generator()
        draws.manual_seed(self._streams("samples of the replay"))
        while True:
            yield self.replay.sample(
                min(_SAMPLES, len(self.replay)), draws, n=1, gamma=self._config.gamma
            ).to(lesson.compute.device)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the optimiser's state, the target network, streams and episodes."""
        tensors, meta = self._learner.optimisation.state()
        experience, place = self._collector.state()
        return (
            prefixed("optimisation/", tensors)
            | prefixed("target/", self._learner.target)
            | prefixed("experience/", experience)
            | {"actions": self._actions.get_state(), "draws": self._draws.get_state()},
            {"optimisation": meta, "experience": place},
        )

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Go on from a state that `state` gave."""
        self._learner.optimisation.load_state(under("optimisation/", tensors), meta["optimisation"])
        self._learner.load_target(under("target/", tensors))
        # The replay came back before: environments that can't do so begin anew there.
        self._collector.load_state(under("experience/", tensors), meta["experience"])
        if not restore(self._actions, tensors["actions"]):
            self._collector.notes.append(MOVED)
        self._draws.set_state(tensors["draws"])
