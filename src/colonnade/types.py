"""The seams: what tasks, networks, methods and learners pass to one another.

The loop that joins them, in `colonnade.training`, is in outline::

    network = method.begin_task(task.spec)                 # a Network, new parameters unfrozen
    with config.trainer(task, network, method.penalty) as trainer:  # environments and a learner
        trainer.begin(streams)                             # first episodes, seeded
        while steps < task.spec.steps:
            steps, metrics, episodes = trainer.advance()   # act or read, loss, backward, step
            method.on_segment(episodes)
        method.end_task(trainer.samples(), trainer.likelihood)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

import gymnasium
import torch
from torch import Tensor

from colonnade.errors import UsageError
from colonnade.layout import take

Shape = tuple[int, ...]

Inputs = dict[str, Tensor]
"""What a network sees, by name. A leading axis N runs over environments. A task whose observation
space is a plain Box appears under the one name `OBSERVATION`; a Dict space keeps its own names.
`Network.precompute` adds entries of its own."""

State = dict[str, Tensor]
"""What a network carries per environment from step to step (LSTM cores, routes), each [N, ...].
Empty for a feed-forward network."""

OBSERVATION = "observation"


@dataclass(frozen=True)
class TaskSpec:
    """What a method and a learner need to know of a task.

    Attributes:
        id: A name that is unique within a sequence of tasks.
        observation_space: A Box, or a Dict of Boxes; images are channels-first (C, H, W) uint8.
        action_space: Discrete or MultiDiscrete; of a data set, its labels.
        steps: The budget in agent steps (an agent step is one action; Atari repeats it 4 frames),
            or in examples.
        reward_clip: Rewards are clipped to [-reward_clip, reward_clip] for learning, never for
            reporting; None leaves them as they are.
        value: Whether a network's output ends with a value, as actor-critics need it.
        head: Which part of the output layer is this task's own, counted from 0.
        heads: Into how many such parts of equal width the output layer is divided; 1 where tasks
            share it.
    """

    id: str
    observation_space: gymnasium.Space[object]
    action_space: gymnasium.Space[object]
    steps: int
    reward_clip: float | None = None
    value: bool = True
    head: int = 0
    heads: int = 1

    @property
    def input_shapes(self) -> dict[str, Shape]:
        """Shape of each named input of a network for this task."""
        space = self.observation_space
        if isinstance(space, gymnasium.spaces.Dict):
            return {name: tuple(sub.shape or ()) for name, sub in space.items()}
        return {OBSERVATION: tuple(space.shape or ())}

    @property
    def action_sizes(self) -> tuple[int, ...]:
        """Number of choices of each action component; Discrete(n) is (n,)."""
        space = self.action_space
        if isinstance(space, gymnasium.spaces.MultiDiscrete):
            return tuple(int(n) for n in space.nvec.ravel())
        if isinstance(space, gymnasium.spaces.Discrete):
            return (int(space.n),)
        raise TypeError(
            f"Task {self.id!r} has action space {space}; Colonnade's policies need Discrete or "
            "MultiDiscrete actions, so wrap the environment to discretise them."
        )

    @property
    def outputs(self) -> int:
        """Width of a network's output: all heads' logits, then the value if there is one."""
        return self.heads * sum(self.action_sizes) + self.value


class Task(Protocol):
    """Something to learn."""

    @property
    def spec(self) -> TaskSpec:
        """What methods and learners need to know."""
        ...


@runtime_checkable
class EnvironmentTask(Task, Protocol):
    """A task to learn by acting in its environments."""

    def make_vec(self, num_envs: int, threads: int = 1) -> gymnasium.vector.VectorEnv:
        """Make `num_envs` copies that reset in the same step (`AutoresetMode.SAME_STEP`).

        Seeds are given at `reset(seed=...)`. `info["final_obs"]` holds the last observation of
        every episode that ended in a step. Where `info["lives_on"]` [N] is True, a step that
        terminated ended something to learn from, a life, but no episode: there was no reset.

        Training that was cut off goes on in the middle of the episodes under way. What comes back
        here may help with that, in one of two ways; without either, everything since the task's
        beginning is played again, which is exact wherever environments follow from their seeds:

        - `StatefulEnvironments`: its state can be had and given back.
        - `SeededEpisodes`: each episode follows from a seed of its own and its actions.
        """
        ...


@runtime_checkable
class StatefulEnvironments(Protocol):
    """A vector environment whose state can be saved."""

    def state(self) -> dict[str, Any]:
        """Return all that the environments are, as arrays by name."""
        ...

    def load_state(self, state: dict[str, Any]) -> None:
        """Return to what `state` gave."""
        ...


@runtime_checkable
class SeededEpisodes(Protocol):
    """A vector environment of which an episode follows from its seed and its actions alone.

    Attributes:
        episode_seeds: [N] int64, the seed of each environment's episode under way.
    """

    @property
    def episode_seeds(self) -> Any:
        """[N] int64, the seed of each environment's episode under way."""
        ...

    def reset(self, *, seed: Any = None, options: dict[str, Any] | None = None) -> tuple[Any, Any]:
        """Begin episodes.

        Args:
            seed: [N], those of the episodes; one number seeds all environments differently.
            options: `{"reset_mask": mask}`, a bool array [N], leaves the others as they are; their
                observations come back too.
        """
        ...


def environments_of(task: Task) -> EnvironmentTask:
    """Return the task if it has environments.

    Raises:
        UsageError: It has none.
    """
    if isinstance(task, EnvironmentTask):
        return task
    raise UsageError(
        f"Task {task.spec.id!r} has no environments to act in; a data set is learned with the "
        "learner 'supervised'."
    )


Split = Literal["train", "validation", "test"]


@runtime_checkable
class DatasetTask(Task, Protocol):
    """A task to learn from labelled examples."""

    def examples(self, split: Split) -> Examples:
        """Return a part of the data set, always in the same order."""
        ...


class Network(Protocol):
    """What a learner trains and an actor runs; a `torch.nn.Module` that has these methods.

    Output is [N, outputs]: policy logits followed by one value for actor-critics, plain scores
    for classifiers and Q-networks.
    """

    def initial_state(self, batch: int) -> State:
        """Make the state at the start of an episode, for `batch` environments."""
        ...

    def precompute(self, inputs: Inputs, state: State) -> tuple[Inputs, State]:
        """Extend `inputs` by whatever frozen parts compute from them, so that it is done once.

        `forward` and `unroll` accept inputs with and without these entries. The returned state has
        the frozen parts' entries moved on by one step.
        """
        ...

    def forward(self, inputs: Inputs | Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Take one step: [N, ...] inputs to [N, outputs] and the next state."""
        ...

    def unroll(self, inputs: Inputs, state: State, starts: Tensor) -> tuple[Tensor, State]:
        """Take T steps: [T, N, ...] inputs to [T, N, outputs] and the last state.

        Args:
            inputs: As returned by `precompute` at each step, stacked over time.
            state: The state before the first step.
            starts: [T, N] bool; True where a step is the first of an episode, before which that
                environment's state returns to `initial_state`.
        """
        ...

    def __call__(self, inputs: Inputs | Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Call `forward`, as in `torch.nn.Module`."""
        ...

    def named_parameters(self) -> Iterator[tuple[str, torch.nn.Parameter]]:
        """As in `torch.nn.Module`."""
        ...

    def to(self, device: torch.device) -> Any:
        """As in `torch.nn.Module`."""
        ...

    def train(self, mode: bool = True) -> Any:
        """As in `torch.nn.Module`."""
        ...


class Distribution(Protocol):
    """What a network's output says of actions or labels [..., A]."""

    def log_prob(self, actions: Tensor) -> Tensor:
        """Log-probability [...] of actions."""
        ...

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw actions [..., A]."""
        ...

    def mode(self) -> Tensor:
        """Most likely actions [..., A]."""
        ...


Likelihood = Callable[[Tensor], Distribution]
"""What a network's output [..., outputs] means; policies leave out the value."""


class Batch(Protocol):
    """Experience to learn from or to estimate with: a `Rollout`, or `Examples`."""

    @property
    def inputs(self) -> Inputs:
        """What the network sees."""
        ...

    @property
    def actions(self) -> Tensor:
        """What was done, or what would be right: [..., A] int64."""
        ...

    @property
    def steps(self) -> int:
        """Number of agent steps or of examples."""
        ...

    def outputs(self, network: Network) -> Tensor:
        """Run a network over the batch: [..., outputs]."""
        ...


@dataclass(frozen=True)
class Examples:
    """B labelled examples.

    Attributes:
        inputs: Each [B, ...].
        targets: [B] int64 labels.
    """

    inputs: Inputs
    targets: Tensor

    @property
    def actions(self) -> Tensor:
        """The labels as the one component of an action: [B, 1]."""
        return self.targets.unsqueeze(-1)

    @property
    def steps(self) -> int:
        """Number of examples, B."""
        return len(self.targets)

    def outputs(self, network: Network) -> Tensor:
        """Run a network over the examples: [B, outputs]."""
        return network(self.inputs)[0]


class Episode(NamedTuple):
    """A finished episode; of a data set, a minibatch and the share of it that was right.

    Attributes:
        total_return: Undiscounted, unclipped.
        length: Agent steps, or examples.
        environment: Which of the N environments it was in.
        step: Agent steps, or examples, that the task had been learned for when it ended.
    """

    total_return: float
    length: int
    environment: int
    step: int = 0


@dataclass
class Rollout:
    """T steps of N environments, as collected; `terminated` and `truncated` stay apart.

    Attributes:
        inputs: Each [T, N, ...], as `Network.precompute` returned them.
        actions: [T, N, A] int64, one column per action component.
        rewards: [T, N] float32, clipped if the task says so.
        terminated: [T, N] bool; the episode ended in this step and nothing follows.
        truncated: [T, N] bool; the episode was cut off, and its value continues.
        starts: [T, N] bool; this step is the first of an episode.
        log_probs: [T, N] of the actions taken, under the policy that took them.
        values: [T, N] predicted at each step.
        final_values: [T, N] value of the final observation where truncated, else 0.
        last_value: [N] value of the observation after the last step.
        state: The network's state before the first step.
    """

    inputs: Inputs
    actions: Tensor
    rewards: Tensor
    terminated: Tensor
    truncated: Tensor
    starts: Tensor
    log_probs: Tensor
    values: Tensor
    final_values: Tensor
    last_value: Tensor
    state: State

    @property
    def steps(self) -> int:
        """Number of agent steps, T x N."""
        return self.rewards.numel()

    def outputs(self, network: Network) -> Tensor:
        """Run a network over the rollout: [T, N, outputs]."""
        return network.unroll(self.inputs, self.state, self.starts)[0]

    def at_times(self, index: Tensor) -> Rollout:
        """Select steps [B] of all environments; only where no state links the steps."""
        return self._select(0, index)

    def of_environments(self, index: Tensor) -> Rollout:
        """Select environments [B] with all their steps, in order."""
        return self._select(1, index)

    def map(
        self, steps: Callable[[Tensor], Tensor], environments: Callable[[Tensor], Tensor]
    ) -> Rollout:
        """Apply one function to what is [T, N, ...], and another to what is [N, ...]."""
        return Rollout(
            inputs={name: steps(value) for name, value in self.inputs.items()},
            actions=steps(self.actions),
            rewards=steps(self.rewards),
            terminated=steps(self.terminated),
            truncated=steps(self.truncated),
            starts=steps(self.starts),
            log_probs=steps(self.log_probs),
            values=steps(self.values),
            final_values=steps(self.final_values),
            last_value=environments(self.last_value),
            state={name: environments(value) for name, value in self.state.items()},
        )

    def _select(self, axis: int, index: Tensor) -> Rollout:
        def pick(value: Tensor) -> Tensor:
            return take(value, axis, index)

        def pick_environments(value: Tensor) -> Tensor:
            return value if axis == 0 else value.index_select(0, index)

        return self.map(pick, pick_environments)

    @property
    def recurrent(self) -> bool:
        """Whether the order of steps matters to the network: it carries a state."""
        return bool(self.state)


Metrics = dict[str, Tensor]
"""Named scalars of an update, left on their device so that reading them is the caller's choice."""

Penalty = Callable[[], Tensor | None]
"""What a method adds to a learner's mean loss of a step or an example, or None for nothing."""


class Method(Protocol):
    """How a sequence of tasks is learned: which parameters exist, which move, what holds them."""

    def begin_task(self, spec: TaskSpec) -> Network:
        """Prepare for a task and return the `Network` to train on it."""
        ...

    def penalty(self) -> Tensor | None:
        """Return what to add to the mean loss of a step or example now, or None for nothing."""
        ...

    def on_segment(self, episodes: list[Episode]) -> None:
        """Take note of the episodes that ended since the last call, between two updates."""
        ...

    def end_task(self, samples: Iterator[Batch], likelihood: Likelihood) -> None:
        """Consolidate what was learned.

        Args:
            samples: Endless fresh experience of the task just ended, collected as it is asked
                for; of a data set, its training examples again and again. A batch is valid until
                the next one is asked for.
            likelihood: What the output of the task's network means.
        """
        ...

    def network_for(self, task: str) -> Network:
        """Return the `Network` that plays `task`; never adds or changes a parameter."""
        ...

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return all that a checkpoint must keep: tensors by name, and JSON data."""
        ...

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` gave."""
        ...
