"""Filming an episode: what is seen or rendered, and in a maze the way walked."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gymnasium
from gymnasium.vector import VectorEnv, VectorWrapper

from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.trained.films.ways import Tracker, Way
from colonnade.learners import LearnerConfig
from colonnade.tasks.frames import Image, first_of, frame_of, in_colour
from colonnade.tasks.gym.real_time import in_real_time
from colonnade.tasks.gym.task import GymTask
from colonnade.tasks.normalization import Normalization
from colonnade.tasks.vector import episodes_ended
from colonnade.training import evaluate
from colonnade.training.normalizing import normalization_of
from colonnade.types import EnvironmentTask, Network, TaskSpec


@dataclass(frozen=True)
class Footage:
    """What was filmed.

    Attributes:
        frames: [H, W, 3] each; none of a task that shows no images.
        way: The way walked, in a maze.
    """

    frames: list[Image]
    way: Way | None


def shoot(
    task: EnvironmentTask, network: Network | None, learner: LearnerConfig, spec: RunSpec, most: int
) -> Footage:
    """Film the beginning of an episode.

    Args:
        task: What is played.
        network: What plays; None plays at random.
        learner: How it acts.
        spec: Of the run.
        most: After how many frames the film ends.
    """
    stage = FilmedTask(drawn_task(task), 1, most)
    with suppress(_FilmOver):
        evaluate(
            stage, network, learner=learner, episodes=1, num_envs=1, limit=spec.evaluation_limit
        )
    return Footage(stage.frames, stage.way)


def drawn_task(task: EnvironmentTask) -> EnvironmentTask:
    """Let a task of Gymnasium that shows no images render, where its environment can."""
    if not isinstance(task, GymTask) or "render_mode" in task.options:
        return task
    if frame_of(first_of(task.spec.observation_space.sample())) is not None:
        return task
    drawn = task.drawn()
    try:
        _ = drawn.spec
    except UsageError:  # it takes no such option
        return task
    return drawn


class FilmedTask:
    """A task whose environments note what the first of them shows, for some episodes."""

    def __init__(self, task: EnvironmentTask, episodes: int, most: float = math.inf) -> None:
        self._task = task
        self._episodes = episodes
        self._most = most
        self.frames: list[Image] = []
        self._tracker: Tracker | None = None

    @property
    def way(self) -> Way | None:
        """The way walked in the episode filmed last, in a maze."""
        return self._tracker.way if self._tracker else None

    @property
    def spec(self) -> TaskSpec:
        """The task's."""
        return self._task.spec

    @property
    def normalization(self) -> Normalization | None:
        """What the task has seen, where it normalises."""
        return normalization_of(self._task)

    @property
    def real_time(self) -> bool:
        """Whether it is a robot's, which plays one episode after another."""
        return in_real_time(self._task)

    def make_vec(self, num_envs: int, threads: int = 1) -> VectorEnv[Any, Any, Any]:
        """Make the task's environments, before a camera."""
        envs = self._task.make_vec(num_envs, threads)
        self._tracker = Tracker(envs)
        colour = in_colour(self._task)
        return _Camera(envs, self.frames, self._episodes, self._most, self._tracker, colour=colour)


class _FilmOver(Exception):
    """As many frames as were asked for are there."""


class _Camera(VectorWrapper):
    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        frames: list[Image],
        episodes: int,
        most: float,
        tracker: Tracker,
        *,
        colour: bool,
    ) -> None:
        super().__init__(env)
        self._colour = colour
        self._tracker = tracker
        self._frames = frames
        self._most = most
        self._looks = 0
        self._left = episodes
        # Some draw larger than they show, or what they do not show at all.
        self._renders = env.render_mode == "rgb_array"

    def reset(self, **options: Any) -> tuple[Any, dict[str, Any]]:
        observations, info = self.env.reset(**options)
        self._tracker.begin()
        self._shoot(first_of(observations))
        return observations, info

    def step(self, actions: Any) -> Any:
        observations, rewards, terminated, truncated, info = self.env.step(actions)
        over = bool(episodes_ended(terminated, truncated, info)[0])
        if self._left > 0:
            self._tracker.note(over=over, terminated=bool(terminated[0]))
        if self._renders:  # what ended is gone, and can't be rendered any more
            self._left -= over
        self._shoot(first_of(info["final_obs"] if over else observations))
        self._left -= over and not self._renders
        return observations, rewards, terminated, truncated, info

    def _shoot(self, observation: Any) -> None:
        if self._left <= 0:
            return
        try:
            rendered: Any = self.env.render() if self._renders else None
        except Exception as error:  # the environment is a user's, or asks for what is not there
            missing = isinstance(error, gymnasium.error.DependencyNotInstalled)
            kind = "" if missing else f"{type(error).__name__}: "
            raise ColonnadeError(f"this task can't be drawn here: {kind}{error}") from error
        frame = frame_of(observation, colour=self._colour) if rendered is None else rendered[0]
        if frame is not None:
            self._frames.append(frame)
        self._looks += 1
        if self._looks >= self._most:
            raise _FilmOver
