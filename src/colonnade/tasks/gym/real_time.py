"""A real robot's place: an environment that stands alone and runs in real time.

Such an environment is a `gymnasium.Env` whose metadata say `{"real_time": True}`. There is one of
it; it can neither be seeded nor reset in the middle of an episode, nobody plays with it to find out
what it is, and it may fail to answer. Its side of the bargain:

- `step` sends an action, waits for the end of the time step (a `Pacer` helps) and returns. It may
  take as long as it likes where a person has to see to something.
- `reset` is called when an episode has ended, and at the beginning. It brings the robot to where
  episodes begin, and may wait for a person who moves a target. No seed is given.
- Either raises `TimeoutError` where the robot does not answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from colonnade.checks import ABOVE_0, real
from colonnade.errors import ColonnadeError
from colonnade.tasks.observations import present, presented_space
from colonnade.tasks.vector import StepResult
from colonnade.types import OBSERVATION

SILENT = 3
"""How often in a row a robot may fail to answer before training stops; a reset alone is no
answer."""


def is_real_time(env: gymnasium.Env[Any, Any]) -> bool:
    """Whether an environment says that it runs in real time."""
    return bool((env.metadata or {}).get("real_time", False))


def in_real_time(task: object) -> bool:
    """Whether a task is such an environment, with which nobody plays but who learns it."""
    return bool(getattr(task, "real_time", False))


class Robot:
    """The one environment that those who play with it take from one another.

    Who scores a policy while another one is learned interrupts an episode that nobody can go on
    with: the environment is closed and made anew, as after a command that was stopped.

    Args:
        make: Makes it.
    """

    def __init__(self, make: Callable[[], gymnasium.Env[Any, Any]]) -> None:
        self._make = make
        self._env: gymnasium.Env[Any, Any] | None = None
        self._player: RealTimeVectorEnv | None = None

    def __reduce__(self) -> tuple[type[Robot], tuple[Any]]:
        """Take only how it is made to other processes."""
        return Robot, (self._make,)

    def taken_by(self, player: RealTimeVectorEnv) -> gymnasium.Env[Any, Any]:
        """Return the environment, which is nobody else's from now on."""
        if self._player is not None and self._player is not player:
            self._player.interrupted()
            self.left_by(self._player)
        if self._env is None:
            self._env, self._player = self._make(), player
        return self._env

    def left_by(self, player: RealTimeVectorEnv) -> None:
        """Let go of the environment, if it is this player's."""
        if self._player is player and self._env is not None:
            self._env.close()
            self._env = self._player = None


class RealTimeVectorEnv(VectorEnv[Any, Any, NDArray[Any]]):
    """A vector environment of one that runs in real time.

    Where it does not answer, the episode is cut off: `truncated`, with the last observation as the
    final one, no reward and `info["lost"]`, and the next begins.

    Its `state` is what was seen last. After `load_state`, the first step takes no action: it cuts
    off the episode that was under way when the state was saved, which can't be gone on with, and
    begins another. So a learner goes on exactly, and values the last state that it saw. The same
    happens after somebody else has played with the robot.

    Args:
        robot: Whose environment it takes, when it is made and whenever somebody else has had it.
    """

    def __init__(self, robot: Robot) -> None:
        self._robot = robot
        env = robot.taken_by(self)
        self.num_envs = 1
        self.metadata = {**(env.metadata or {}), "autoreset_mode": AutoresetMode.SAME_STEP}
        self.render_mode = env.render_mode
        self._space = env.observation_space
        self.single_observation_space = presented_space("", env.observation_space)
        self.single_action_space = env.action_space
        self.observation_space = batch_space(self.single_observation_space, 1)
        self.action_space = batch_space(env.action_space, 1)
        self._seen: Any = None
        self._gone = False  # the episode under way is one that nobody can go on with
        self._silent = 0
        self._taken: int | None = None  # steps of the episode under way, if there is one

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode, whatever the seed, unless one has just begun.

        Raises:
            ColonnadeError: The robot does not answer.
        """
        self._gone = False
        if self._taken == 0:
            return self._seen, {}
        if self._taken:
            self._robot.left_by(self)  # it can't be reset in the middle of an episode
        return self._begin(), {}

    def step(self, actions: Any) -> StepResult:
        """Take a step with actions [1] or [1, A], or cut the episode off; see above.

        Raises:
            ColonnadeError: The robot does not answer again and again.
        """
        reward, terminated, truncated, info = 0.0, False, True, {}
        if self._gone:
            self._gone = False
        else:
            try:
                env = self._robot.taken_by(self)
                self._taken = (self._taken or 0) + 1
                seen, value, terminated, truncated, _ = env.step(actions[0])
                reward = float(value)
                self._seen = self._present(seen)
                self._silent = 0
            except TimeoutError as error:
                info["lost"] = np.ones(1, np.bool_)
                self._note(error)
        observations = self._seen
        if terminated or truncated:
            info["final_obs"] = self._seen
            observations = self._begin()
        return (
            observations,
            np.array([reward], np.float32),
            np.array([terminated], np.bool_),
            np.array([truncated], np.bool_),
            info,
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """Return what was seen last, [1, ...] by name."""
        seen = self._seen if isinstance(self._seen, dict) else {OBSERVATION: self._seen}
        return {name: part.copy() for name, part in seen.items()}

    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Go on where only the learner can; see above."""
        kept = {name: part.copy() for name, part in state.items()}
        if self._taken:
            self._robot.left_by(self)
        self._taken = None
        dicts = isinstance(self._space, gymnasium.spaces.Dict)
        self._seen, self._gone = (kept if dicts else kept[OBSERVATION]), True

    def render(self) -> Any:
        """Return a picture, where the environment draws one."""
        picture: Any = self._robot.taken_by(self).render()
        return None if picture is None else (picture,)

    def close_extras(self, **kwargs: Any) -> None:
        """Let go of the robot."""
        self._robot.left_by(self)

    def interrupted(self) -> None:
        """Know that somebody else has taken the robot, in the middle of an episode."""
        self._gone, self._taken = True, None

    def _begin(self) -> Any:
        while True:
            try:
                self._seen = self._present(self._robot.taken_by(self).reset()[0])
            except TimeoutError as error:
                self._note(error)
            else:
                self._taken = 0
                return self._seen

    def _note(self, error: TimeoutError) -> None:
        """Count that the robot was silent, and end training where it stays so."""
        self._silent += 1
        if self._silent < SILENT:
            return
        reason = " ".join(str(error).split())
        raise ColonnadeError(
            f"The robot did not answer {SILENT} times in a row{reason and f' ({reason})'}; see to "
            "it and give the same command again, which goes on from the last checkpoint."
        )

    def _present(self, observation: Any) -> Any:
        """Make a fresh batch of one, as networks take it."""
        if isinstance(observation, dict):
            batch: Any = {name: np.array(part)[None] for name, part in observation.items()}
        else:
            batch = np.array(observation)[None]
        return present(self._space, batch)


class Pacer:
    """Keeps the time of an environment that acts once in so many seconds.

    Args:
        step_seconds: The time of a step.

    Attributes:
        late: How often the next action came after its time.
    """

    def __init__(self, step_seconds: float) -> None:
        self._seconds = float(real("step_seconds of Pacer", step_seconds, ABOVE_0))
        self._due: float | None = None
        self.late = 0

    def start(self) -> None:
        """Begin an episode now."""
        self._due = time.monotonic() + self._seconds

    def wait(self) -> None:
        """Wait for the end of the time step under way; what came late is not made up for."""
        now = time.monotonic()
        if self._due is None or now > self._due:
            self.late += self._due is not None
            self._due = now
        time.sleep(self._due - now)
        self._due += self._seconds
