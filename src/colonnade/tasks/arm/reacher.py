"""N arms that reach for targets, stepped together by MuJoCo."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import numpy as np
from gymnasium.spaces import MultiDiscrete
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from colonnade.errors import ColonnadeError, unknown_name
from colonnade.tasks.arm import extra, jaco
from colonnade.tasks.arm.actions import SIGNS, checked_actions
from colonnade.tasks.arm.dynamics import Dynamics, check_latency
from colonnade.tasks.arm.look import Look
from colonnade.tasks.arm.ray_caster import Frames, RayCaster, add_noise
from colonnade.tasks.arm.renderer import Renderer, choose_platform
from colonnade.tasks.arm.rules import Rules
from colonnade.tasks.arm.scene import Floats, compile_scene, degrees
from colonnade.tasks.arm.views import BOUND, SIZE, Drawing, View, view_space
from colonnade.tasks.random_streams import RandomStreams
from colonnade.tasks.vector import StepResult
from colonnade.types import OBSERVATION, PROPRIOCEPTION

FILM_SIDE = 320
"""Height and width of pictures for films."""

_NO_CONTACT = 1 << 4  # mujoco.mjtDisableBit.mjDSBL_CONTACT
_TRIES = 1000
_METRES = 5.0  # by which metres are multiplied in the view "state"
_ROWS = ("qpos", "qvel", "qacc_warmstart", "time", "mocap_pos")
_OWN = ("age", "queue", "velocity", "since")


class ArmVectorEnv(VectorEnv[Any, NDArray[np.int64], NDArray[Any]]):
    """N arms of n joints, each before a table with a target; the rules are `Rules`.

    An action is, for each joint, `STILL`, `FORWARD` or `BACKWARD` at its one speed. The reward of a
    step is 1 where the palm is near the target. Episodes terminate where the arm touches itself or
    the table at the end of a step, or a joint has passed a limit; fingers stop at theirs. They are
    truncated after `Rules.max_steps`. An arm begins at a random place about its home, where it
    touches nothing.

    Observations are fresh arrays, see `views.view_space`. Environments reset in the same step, and
    `info["final_obs"]` is a full batch with the last observations of episodes that ended in it.
    After `reset(seed=s)`, arm i depends on s + i and its own actions only, bit for bit, whatever
    the number of arms or threads.

    Args:
        num_envs: N.
        look: How things look.
        dynamics: How the arm moves.
        rules: What is rewarded.
        view: What is observed.
        renderer: "rays" casts rays at boxes; "mujoco" draws with MuJoCo's renderer, one picture
            after the other, and needs a graphics library.
        mjcf: A file with another arm; see `scene.compile_scene`.
        threads: Threads that step and draw.
        render_mode: None, or "rgb_array".

    Attributes:
        shows_ends: Whether `info["final_render"]` has pictures, as `render` gives them, of a step
            in which episodes ended, from before the next ones begin. False, since each takes time.

    Raises:
        UsageError: MuJoCo or numba is missing; there is no such view or renderer; the file has no
            arm; no graphics library is there where it was asked for; no action would come before
            its episode's end.
    """

    shows_ends: bool = False

    def __init__(
        self,
        num_envs: int = 1,
        look: Look | None = None,
        dynamics: Dynamics | None = None,
        rules: Rules | None = None,
        *,
        view: View = "pixels",
        renderer: Drawing = "rays",
        mjcf: str | Path | None = None,
        threads: int = 1,
        render_mode: str | None = None,
    ) -> None:
        if renderer not in get_args(Drawing):
            raise unknown_name("renderer of the arm", str(renderer), get_args(Drawing))
        check_latency(dynamics or Dynamics(), rules or Rules())
        if renderer == "mujoco":
            choose_platform()
        self.num_envs, self.render_mode = num_envs, render_mode
        self._look, self._dynamics = look or Look(), dynamics or Dynamics()
        self._rules, self._view, self._renderer, self._mjcf = rules or Rules(), view, renderer, mjcf
        side = self._rules.target_side
        self._scene = scene = compile_scene(self._look, self._dynamics, side, mjcf)
        joints = len(scene.joints)
        self.single_observation_space = view_space(view, joints)
        self.single_action_space = MultiDiscrete([3] * joints)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.metadata = {
            "autoreset_mode": AutoresetMode.SAME_STEP,
            "render_modes": ["rgb_array"],
            "render_fps": round(1 / self._dynamics.step_seconds),
        }
        self._place_home()
        self._batch = extra.batch().Batch(scene.model, num_envs, threads)
        bind = self._batch.bind
        self._qpos: Floats = bind("qpos")
        self._qvel: Floats = bind("qvel")
        self._mocap_pos: Floats = bind("mocap_pos")
        self._ctrl: Floats = bind("ctrl")
        self._contacts: NDArray[np.int32] = bind("ncon")
        self._geom_xpos: Floats = bind("geom_xpos")
        self._geom_xmat: Floats = bind("geom_xmat")
        self._site_xpos: Floats = bind("site_xpos")
        self._rows = {name: bind(name) for name in _ROWS}
        self._flags: NDArray[np.int32] = self._batch.expand("opt.disableflags")
        self._caster: RayCaster | None = None
        self._drawer: Renderer | None = None
        self._film: RayCaster | Renderer | None = None
        self._film_side = FILM_SIDE
        if view in ("pixels", "both"):
            if renderer == "mujoco":
                if self._look.noise:
                    extra.numba()
                self._drawer = Renderer(scene, SIZE, SIZE)
            else:
                self._caster = RayCaster(scene, self._look, SIZE, SIZE, threads)
        self._random = RandomStreams(num_envs)
        self._all = np.ones(num_envs, np.bool_)
        self._age = np.zeros(num_envs, np.int64)
        self._queue = np.zeros((num_envs, self._dynamics.latency, joints))
        self._velocity = np.zeros(num_envs)  # of the target, to the arm's left, m/s
        self._since = np.zeros(num_envs, np.int64)  # episodes since the target was moved

    def reset(
        self, *, seed: Any = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode before every arm.

        Args:
            seed: One whole number, or one for each arm; None goes on with the present streams,
                which a new environment seeds from the operating system.
            options: None are understood.
        """
        if seed is not None:
            self._random.seed(seed)
        self._since[:] = 0
        self._begin(self._all)
        return self._observe(self._all), {}

    def step(self, actions: Any) -> StepResult:
        """Take one step with actions [N, n].

        Raises:
            UsageError: They are of another shape, or no whole numbers from 0 to 2; nothing moved.
        """
        self._command(checked_actions(np.asarray(actions), self._ctrl.shape))
        self._move_target()
        # An episode ends where there is contact, so that none has to be found or resolved on the
        # way: that halves the physics' work.
        self._flags[:] = _NO_CONTACT
        self._batch.step(nstep=self._dynamics.substeps)
        self._flags[:] = 0
        self._stop_clamped()
        self._forward(None)
        self._age += 1
        scene, angles = self._scene, self._qpos[:, self._scene.joints]
        beyond = ((angles < scene.low) | (angles > scene.high)).any(1)
        terminated = beyond | (self._contacts > 0)
        truncated = (self._age >= self._rules.max_steps) & ~terminated
        rewards = (self.distances() <= self._rules.radius).astype(np.float32)
        observations = self._observe(self._all)
        info: dict[str, Any] = {}
        if (ended := terminated | truncated).any():
            info["final_obs"] = observations
            if self.shows_ends:
                info["final_render"] = self.render()
            self._begin(ended)
            observations = _merged(observations, self._observe(ended), ended)
        return observations, rewards, terminated, truncated, info

    def distances(self) -> Floats:
        """Return how far each palm is from its target, metres [N]."""
        apart = self._site_xpos[:, self._scene.palm] - self._mocap_pos[:, 0]
        distances: Floats = np.sqrt(np.square(apart).sum(1))
        return distances

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that the arms are, fresh arrays [N, ...] by name."""
        arrays = {**self._rows, **{name: getattr(self, f"_{name}") for name in _OWN}}
        copies = {name: array.copy() for name, array in arrays.items()}
        return {**copies, "random": self._random.state}

    def load_state(self, state: dict[str, NDArray[Any]]) -> None:
        """Return to a state that `state` gave, of an environment of as many arms."""
        for name, row in self._rows.items():
            row[...] = state[name]
        for name in _OWN:
            getattr(self, f"_{name}")[...] = state[name]
        self._random.state = state["random"]
        self._forward(None)

    def render(self) -> tuple[NDArray[np.uint8], ...] | None:
        """Return a picture [320, 320, 3] of each arm as it is now; None without a render mode."""
        if self.render_mode is None:
            return None
        pictures = self.pictures(FILM_SIDE)
        return tuple(np.ascontiguousarray(picture.transpose(1, 2, 0)) for picture in pictures)

    def pictures(self, side: int) -> Frames:
        """Draw the arms as they are now, without noise, uint8 [N, 3, side, side]."""
        if self._film is None or self._film_side != side:
            self._close_film()
            self._film_side = side
            self._film = (
                Renderer(self._scene, side, side)
                if self._renderer == "mujoco"
                else RayCaster(self._scene, self._look, side, side)
            )
        return self._draw(self._film, self._all, None)

    def close_extras(self, **kwargs: Any) -> None:
        """Free the renderers."""
        self._close_film()
        for drawer in (self._caster, self._drawer):
            if drawer is not None:
                drawer.close()

    def _close_film(self) -> None:
        if self._film is not None:
            self._film.close()
        self._film = None

    def _place_home(self) -> None:
        """Say about which angles episodes begin, and how far from them: `_home`, `_spread`."""
        scene, spread = self._scene, self._rules.spread
        if self._mjcf is None:
            fingers = np.full(3, jaco.HOME_FINGERS), np.full(3, jaco.SPREAD_FINGERS)
            self._home = np.concatenate((degrees(jaco.HOME), fingers[0]))
            self._spread = spread * np.concatenate((degrees(jaco.SPREAD), fingers[1]))
        else:
            self._home = scene.home
            self._spread = spread * np.full(len(scene.home), np.radians(15.0))
        self._home = np.clip(self._home, scene.low, scene.high)

    def _begin(self, chosen: NDArray[np.bool_]) -> None:
        """Put the chosen arms at the start of an episode."""
        targets = self._mocap_pos[chosen]
        self._batch.reset(np.flatnonzero(chosen), stage=0)
        self._mocap_pos[chosen] = targets
        self._age[chosen] = 0
        self._queue[chosen] = 0.0
        self._place_targets(chosen & (self._since % self._rules.target_every == 0))
        self._since[chosen] += 1
        scene = self._scene
        low = np.maximum(self._home - self._spread, scene.low)
        high = np.minimum(self._home + self._spread, scene.high)
        left = chosen.copy()
        for _ in range(_TRIES):
            ids = np.flatnonzero(left)
            for place, joint in enumerate(scene.joints):
                draw = self._random.uniform(left)
                self._qpos[ids, joint] = low[place] + draw * (high[place] - low[place])
            self._forward(ids)
            left[ids] = self._contacts[ids] > 0
            if not left.any():
                return
        raise ColonnadeError(
            f"The arm touches something at each of {_TRIES} places about its home; give its MJCF a "
            'keyframe "home" that is free.'
        )

    def _place_targets(self, chosen: NDArray[np.bool_]) -> None:
        """Put the chosen targets anywhere in the area."""
        rules = self._rules
        for axis in range(2):
            draw = self._random.uniform(chosen)
            offset = rules.area[axis] * (draw - 0.5)
            self._mocap_pos[chosen, 0, axis] = rules.area_centre[axis] + offset
        if rules.conveyor_speed:
            left = self._random.uniform(chosen) < 0.5
            self._velocity[chosen] = np.where(left, rules.conveyor_speed, -rules.conveyor_speed)

    def _move_target(self) -> None:
        """Carry moving targets on by a step; they turn at the area's edges, and by chance."""
        rules = self._rules
        if not rules.conveyor_speed:
            return
        self._velocity[self._random.uniform(self._all) < rules.reversal] *= -1.0
        middle, half = rules.area_centre[1], rules.area[1] / 2
        place = self._mocap_pos[:, 0, 1]
        place += self._velocity * self._dynamics.step_seconds
        inside = np.clip(place, middle - half, middle + half)
        self._velocity[inside != place] *= -1.0
        self._mocap_pos[:, 0, 1] = np.clip(2 * inside - place, middle - half, middle + half)

    def _command(self, actions: NDArray[Any]) -> None:
        """Give the servos the velocities that actions ask for, late and noisily."""
        scene, dynamics = self._scene, self._dynamics
        wanted = scene.speeds * SIGNS[actions]
        if dynamics.noise:
            for place in range(wanted.shape[1]):
                draw = self._random.uniform(self._all)
                wanted[:, place] *= 1.0 + dynamics.noise * (2.0 * draw - 1.0)
        if dynamics.latency:
            self._queue = np.concatenate((self._queue, wanted[:, None]), 1)
            wanted, self._queue = self._queue[:, 0], self._queue[:, 1:].copy()
        # What stops at its limits is not driven past them.
        angles = self._qpos[:, scene.joints]
        to_low, to_high = (
            (limit - angles) / dynamics.step_seconds for limit in (scene.low, scene.high)
        )
        stopped = np.clip(wanted, to_low, to_high)
        self._ctrl[:] = np.where(scene.clamped, stopped, wanted)

    def _stop_clamped(self) -> None:
        """Put what has passed a limit where it stops on that limit."""
        scene = self._scene
        joints = scene.joints[scene.clamped]
        angles = self._qpos[:, joints]
        inside = np.clip(angles, scene.low[scene.clamped], scene.high[scene.clamped])
        self._qpos[:, joints] = inside

    def _forward(self, ids: NDArray[np.int64] | None) -> None:
        """Find out where everything is, and what touches."""
        self._batch.forward(ids, stage=1)

    def _observe(self, chosen: NDArray[np.bool_]) -> Any:
        """Return observations of the chosen arms, as many as those."""
        view = self._view
        if view == "proprioception":
            return self._proprioception(chosen)
        if view == "state":
            return self._true_state(chosen)
        pixels = self._pixels(chosen)
        if view == "pixels":
            return pixels
        return {OBSERVATION: pixels, PROPRIOCEPTION: self._proprioception(chosen)}

    def _proprioception(self, chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
        joints = self._scene.joints
        angles = self._qpos[chosen][:, joints] - self._home
        velocities = self._qvel[chosen][:, self._scene.dofs] / self._scene.speeds
        return _bounded(np.concatenate((angles, velocities), 1))

    def _true_state(self, chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
        middle = np.array((*self._rules.area_centre, 0.0))
        palm = self._site_xpos[chosen, self._scene.palm] - middle
        target = self._mocap_pos[chosen, 0] - middle
        velocity = np.zeros((len(palm), 2))
        velocity[:, 1] = self._velocity[chosen]
        world = _bounded(_METRES * np.concatenate((palm, target, velocity), 1))
        return np.concatenate((self._proprioception(chosen), world), 1)

    def _pixels(self, chosen: NDArray[np.bool_]) -> Frames:
        seeds = None
        if self._look.noise:
            seeds = (self._random.uniform(chosen) * 2.0**53).astype(np.uint64)
        drawer = self._caster or self._drawer
        assert drawer is not None
        pictures = self._draw(drawer, chosen, seeds)
        if seeds is not None and drawer is self._drawer:
            add_noise(pictures, seeds, self._look.noise)
        return pictures

    def _draw(
        self,
        drawer: RayCaster | Renderer,
        chosen: NDArray[np.bool_],
        seeds: NDArray[np.uint64] | None,
    ) -> Frames:
        drawn = self._scene.drawn
        if isinstance(drawer, RayCaster):
            positions, frames = self._geom_xpos[chosen], self._geom_xmat[chosen]
            return drawer.draw(positions.take(drawn, 1), frames.take(drawn, 1), seeds)
        mujoco = extra.mujoco()
        pictures = []
        for arm in np.flatnonzero(chosen):
            self._data = self._batch.get_data(int(arm), getattr(self, "_data", None))
            mujoco.mj_fwdPosition(self._scene.model, self._data)
            pictures.append(drawer.draw(self._data))
        return np.stack(pictures)


def _bounded(numbers: Floats) -> NDArray[np.float32]:
    return np.asarray(np.clip(numbers, -BOUND, BOUND), np.float32)


def _merged(all_of: Any, some: Any, chosen: NDArray[np.bool_]) -> Any:
    """Return a copy of a batch of observations with other rows where they were chosen."""
    if isinstance(all_of, dict):
        return {name: _merged(part, some[name], chosen) for name, part in all_of.items()}
    merged = all_of.copy()
    merged[chosen] = some
    return merged
