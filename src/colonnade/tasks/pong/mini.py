"""MiniPong: a small Pong in numpy that a network learns in seconds, for tests and first steps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from colonnade.checks import AT_LEAST_1, check_fields
from colonnade.tasks.pong.variants import DEFAULT_LOOK, Look, check_variant, make_transform
from colonnade.tasks.random_streams import RandomStreams
from colonnade.tasks.task_ids import task_id
from colonnade.tasks.vector import AnyVectorEnv, Frames, StepResult, TransformedVectorEnv
from colonnade.types import TaskSpec

SIZE = 16
"""Height and width of the picture; its first and last rows are walls."""

FRAMES = (2, SIZE, SIZE)
"""Shape of an observation: the previous frame and the newest one."""

BACKGROUND, PADDLE, BRIGHT = 87, 147, 236
"""Grey levels of the field, of the paddles, and of ball and walls: those of Atari's Pong."""

_BALL = 2  # the ball's height and width
_PADDLE = 4  # a paddle's height
_OPPONENT_COLUMN, _AGENT_COLUMN = 1, SIZE - 2
_TOP = 1.0  # the first row of the field
_LOWEST_BALL = float(SIZE - 1 - _BALL)
_LOWEST_PADDLE = float(SIZE - 1 - _PADDLE)
_CENTRED = (_PADDLE - _BALL) / 2  # from a paddle's top row to that of a ball at its centre
_REACH = (_PADDLE + _BALL - 1) / 2  # between their centres, where ball and paddle still meet
_MOVES = np.array([0.0, -1.0, 1.0])  # stay, up, down

_EMPTY = np.full((SIZE, SIZE), BACKGROUND, np.uint8)
_EMPTY[[0, -1]] = BRIGHT
# Row t is a picture's column with a paddle whose top row is t.
_PADDLE_COLUMNS = np.repeat(_EMPTY[None, :, 0], SIZE - _PADDLE, axis=0)
for _row in range(_PADDLE):
    np.fill_diagonal(_PADDLE_COLUMNS[:, _row:], PADDLE)
_STATE = ("x", "y", "vx", "vy", "agent", "opponent", "age", "frame")
_BALL_PIXELS = np.add.outer(SIZE * np.arange(_BALL), np.arange(_BALL)).ravel()


class MiniPongVectorEnv(VectorEnv[Frames, NDArray[np.int64], NDArray[Any]]):
    """N games of MiniPong, stepped together without a loop over games.

    The agent has the right paddle and moves it a row up or down a step. The ball flies a column a
    step and bounces off the walls. Where it meets the agent's paddle decides its angle: flat at
    the centre, `STEEPEST` rows a column at the edges. The opponent follows it at `OPPONENT_SPEED`
    rows a step, so that flat balls come back and steep ones often do not. Serves and the
    opponent's returns climb or fall at most `SPREAD` rows a column.

    Where the opponent misses, the agent scores 1 and the next ball is served towards it at once.
    Where the agent misses, it scores -1 and the episode terminates; it is truncated after
    `MAX_STEPS` steps. A random player scores -0.6 an episode, one that just follows the ball
    1.4, and one that foresees where it lands and aims away from the opponent 4.2.

    Observations are freshly allocated uint8 [N, 2, 16, 16]. Environments reset in the same step,
    and `info["final_obs"]`, of the same shape, holds the last observation of each episode that
    ended in a step. After `reset(seed=s)`, game i depends on s + i and its own actions only.

    Args:
        num_envs: The number of games, N.
        swapped: Whether actions 1 and 2 go down and up instead of up and down.
    """

    OPPONENT_SPEED = 0.1
    STEEPEST = 2.0
    SPREAD = 0.7
    MAX_STEPS = 100

    def __init__(self, num_envs: int = 1, swapped: bool = False) -> None:
        self.num_envs = num_envs
        self._moves = -_MOVES if swapped else _MOVES
        self.metadata = {"autoreset_mode": AutoresetMode.SAME_STEP, "render_fps": 15}
        self.single_observation_space = gymnasium.spaces.Box(0, 255, FRAMES, np.uint8)
        self.single_action_space = gymnasium.spaces.Discrete(len(_MOVES))
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)

        self._random = RandomStreams(num_envs)
        self._x, self._y, self._vx, self._vy = np.zeros((4, num_envs))  # the ball's top left
        self._agent, self._opponent = np.zeros((2, num_envs))  # the paddles' top rows
        self._age = np.zeros(num_envs, np.int64)
        self._frame = np.zeros((num_envs, SIZE, SIZE), np.uint8)
        self._first_pixels = np.arange(num_envs) * SIZE * SIZE

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Frames, dict[str, Any]]:
        """Begin an episode in every game.

        Args:
            seed: One whole number, or one for each game; None goes on with the present streams,
                which a new environment seeds from the operating system.
            options: None are understood.
        """
        if seed is not None:
            self._random.seed(seed)
        self._begin(np.ones(self.num_envs, np.bool_))
        self._frame = self._draw()
        return np.stack((self._frame, self._frame), axis=1), {}

    def step(self, actions: Any) -> StepResult:
        """Play one step of every game with actions [N]: 0 stays, 1 goes up, 2 goes down."""
        self._move_paddles(np.asarray(actions))
        self._move_ball()
        self._age += 1
        scored = self._x <= 0
        terminated = self._x >= SIZE - _BALL
        truncated = (self._age >= self.MAX_STEPS) & ~terminated
        rewards = scored.astype(np.float32) - terminated.astype(np.float32)

        if scored.any():
            self._serve(scored)
        before, self._frame = self._frame, self._draw()
        observations = np.stack((before, self._frame), axis=1)
        info: dict[str, Any] = {}
        ended = terminated | truncated
        if ended.any():
            info["final_obs"] = observations.copy()
            self._begin(ended)
            self._frame = self._draw()
            observations[ended] = self._frame[ended, None]
        return observations, rewards, terminated, truncated, info

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that the games are, fresh arrays [N, ...] by name."""
        arrays = {name: getattr(self, f"_{name}").copy() for name in _STATE}
        return {**arrays, "random": self._random.state}

    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Return to a state that `state` gave, of an environment of as many games."""
        for name in _STATE:
            getattr(self, f"_{name}")[...] = state[name]
        self._random.state = state["random"]

    def _begin(self, games: NDArray[np.bool_]) -> None:
        """Put the chosen games at the start of an episode, paddles in the middle."""
        self._agent[games] = self._opponent[games] = (SIZE - _PADDLE) // 2
        self._age[games] = 0
        self._serve(games)

    def _serve(self, games: NDArray[np.bool_]) -> None:
        """Serve from the middle column towards the agent, at a random height and angle."""
        height, angle = self._random.uniform(games), self._random.uniform(games)
        self._x[games] = (SIZE - _BALL) // 2
        self._y[games] = _TOP + height * (_LOWEST_BALL - _TOP)
        self._vx[games] = 1.0
        self._vy[games] = self.SPREAD * (2.0 * angle - 1.0)

    def _move_paddles(self, actions: NDArray[Any]) -> None:
        self._agent += self._moves[actions]
        np.clip(self._agent, _TOP, _LOWEST_PADDLE, out=self._agent)
        behind = self._y - self._opponent - _CENTRED
        self._opponent += np.clip(behind, -self.OPPONENT_SPEED, self.OPPONENT_SPEED)
        np.clip(self._opponent, _TOP, _LOWEST_PADDLE, out=self._opponent)

    def _move_ball(self) -> None:
        self._x += self._vx
        self._y += self._vy
        # A bounce mirrors the height at the wall that was crossed.
        inside = np.clip(self._y, _TOP, _LOWEST_BALL)
        self._vy[inside != self._y] *= -1.0
        self._y = 2.0 * inside - self._y

        offset = self._y - self._agent - _CENTRED
        hit = (self._x == _AGENT_COLUMN - _BALL) & (self._vx > 0) & (np.abs(offset) <= _REACH)
        self._vx[hit] = -1.0
        self._vy[hit] = self.STEEPEST * offset[hit] / _REACH

        offset = self._y - self._opponent - _CENTRED
        hit = (self._x == _OPPONENT_COLUMN + 1) & (self._vx < 0) & (np.abs(offset) <= _REACH)
        if hit.any():
            self._vx[hit] = 1.0
            self._vy[hit] = self.SPREAD * (2.0 * self._random.uniform(hit) - 1.0)

    def _draw(self) -> Frames:
        """Draw the games as they are, [N, 16, 16]."""
        frame = np.empty((self.num_envs, SIZE, SIZE), np.uint8)
        frame[:] = _EMPTY
        for column, tops in ((_OPPONENT_COLUMN, self._opponent), (_AGENT_COLUMN, self._agent)):
            frame[:, :, column] = _PADDLE_COLUMNS[np.rint(tops).astype(np.int64)]
        corner = SIZE * np.rint(self._y) + self._x
        corners = self._first_pixels + corner.astype(np.int64)
        frame.reshape(-1)[np.add.outer(corners, _BALL_PIXELS)] = BRIGHT
        return frame


@dataclass(frozen=True)
class MiniPongTask:
    """MiniPong in one of Pong Soup's looks; `MiniPongVectorEnv` has the rules.

    Attributes:
        variant: One of `colonnade.tasks.pong.variants.VARIANTS`.
        steps: Budget in agent steps.
        look: The constants of the variants.
        name: What the task is called in a sequence instead of "mini-pong/" and the variant,
            so that one may hold it twice with other options.
        swapped: Whether up and down are swapped, so that what plays another look well plays this
            one badly.

    Raises:
        UsageError: The variant is unknown (the nearest name is suggested), or `steps` no whole
            number of 1 or more.
    """

    variant: str = "pong"
    steps: int = 200_000
    look: Look = DEFAULT_LOOK
    name: str | None = None
    swapped: bool = False

    def __post_init__(self) -> None:
        check_variant(self.variant)
        check_fields(self, {"steps": AT_LEAST_1})
        task_id(self.name, self.variant)

    @property
    def spec(self) -> TaskSpec:
        """What methods and learners need to know."""
        return TaskSpec(
            id=task_id(self.name, f"mini-pong/{self.variant}"),
            observation_space=gymnasium.spaces.Box(0, 255, FRAMES, np.uint8),
            action_space=gymnasium.spaces.Discrete(len(_MOVES)),
            steps=self.steps,
        )

    def make_vec(self, num_envs: int, threads: int = 1) -> AnyVectorEnv:
        """Make `num_envs` copies; one thread steps them all, whatever `threads` says."""
        transform = make_transform(self.variant, FRAMES, self.look)
        return TransformedVectorEnv(MiniPongVectorEnv(num_envs, self.swapped), transform)
