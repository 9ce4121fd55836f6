"""The arm's tasks: `jaco/reach`, `jaco/conveyor`, `jaco/robot` and others."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_args

from gymnasium.spaces import MultiDiscrete

from colonnade.checks import AT_LEAST_1, check_fields
from colonnade.errors import UsageError, unknown_name
from colonnade.tasks.arm.domains import DOMAINS, domain
from colonnade.tasks.arm.dynamics import Dynamics, check_latency
from colonnade.tasks.arm.look import Look
from colonnade.tasks.arm.rules import Rules
from colonnade.tasks.arm.views import Drawing, View, check_view, view_space
from colonnade.tasks.task_ids import task_id
from colonnade.types import TaskSpec

if TYPE_CHECKING:
    from colonnade.tasks.arm.reacher import ArmVectorEnv

_JOINTS = 9  # Jaco's


@dataclass(frozen=True)
class JacoTask:
    """An arm that reaches for a target; `ArmVectorEnv` has the rules.

    Attributes:
        domain: One of `colonnade.tasks.arm.domains.DOMAINS`, as in "reach" or "robot-mild".
        steps: Budget in agent steps.
        view: "pixels" [3, 64, 64]; "proprioception", angles and velocities; "both"; or "state",
            which shows where palm and target truly are.
        look: Other values of some of the domain's `Look`, as in {"noise": 4.0}; or a whole Look.
        dynamics: The same of its `Dynamics`.
        rules: The same of its `Rules`.
        renderer: "rays", or "mujoco" for MuJoCo's own, which needs a graphics library.
        mjcf: A file with another arm; see `colonnade.tasks.arm.scene.compile_scene`.
        name: What the task is called in a sequence instead of "jaco/" and the domain.

    Raises:
        UsageError: The domain, the view, the renderer or a field is unknown (the nearest name is
            suggested), or a number out of range.
    """

    domain: str = "reach"
    steps: int = 2_000_000
    view: View = "pixels"
    look: Look | dict[str, Any] | None = None
    dynamics: Dynamics | dict[str, Any] | None = None
    rules: Rules | dict[str, Any] | None = None
    renderer: Drawing = "rays"
    mjcf: str | None = None
    name: str | None = None

    def __post_init__(self) -> None:
        made = domain(self.domain)
        check_fields(self, {"steps": AT_LEAST_1})
        check_view(self.view)
        if self.renderer not in get_args(Drawing):
            raise unknown_name("renderer of the arm", str(self.renderer), get_args(Drawing))
        if self.mjcf is not None and not Path(self.mjcf).is_file():
            raise UsageError(f"mjcf of JacoTask must be a file with an arm; got {self.mjcf!r}.")
        task_id(self.name, self.domain)
        dynamics, rules = _changed(made.dynamics, self.dynamics), _changed(made.rules, self.rules)
        check_latency(dynamics, rules)
        object.__setattr__(self, "look", _changed(made.look, self.look))
        object.__setattr__(self, "dynamics", dynamics)
        object.__setattr__(self, "rules", rules)

    @property
    def spec(self) -> TaskSpec:
        """What methods and learners need to know; another arm than Jaco is compiled to ask it."""
        joints = _JOINTS if self.mjcf is None else self._joints()
        return TaskSpec(
            id=task_id(self.name, f"jaco/{self.domain}"),
            observation_space=view_space(self.view, joints),
            action_space=MultiDiscrete([3] * joints),
            steps=self.steps,
        )

    def check_installed(self) -> None:
        """Look for MuJoCo, and for what its pictures take.

        Raises:
            UsageError: Something is missing, or of another version.
        """
        from colonnade.tasks.arm import extra
        from colonnade.tasks.arm.renderer import choose_platform

        pictured = self.view in ("pixels", "both")
        if pictured and self.renderer == "mujoco":
            choose_platform()
        extra.mujoco()
        assert isinstance(self.look, Look)
        if pictured and (self.renderer == "rays" or self.look.noise):
            extra.numba()

    def make_vec(self, num_envs: int, threads: int = 1) -> ArmVectorEnv:
        """Make `num_envs` arms on `threads` threads, whose number changes nothing."""
        from colonnade.tasks.arm.reacher import ArmVectorEnv

        assert isinstance(self.look, Look)
        assert isinstance(self.dynamics, Dynamics)
        assert isinstance(self.rules, Rules)
        return ArmVectorEnv(
            num_envs,
            self.look,
            self.dynamics,
            self.rules,
            view=self.view,
            renderer=self.renderer,
            mjcf=self.mjcf,
            threads=threads,
            render_mode="rgb_array",
        )

    def _joints(self) -> int:
        from colonnade.tasks.arm.scene import compile_scene

        assert isinstance(self.look, Look)
        assert isinstance(self.dynamics, Dynamics)
        return len(compile_scene(self.look, self.dynamics, 0.1, self.mjcf).joints)


def in_every_domain(task: JacoTask) -> list[JacoTask]:
    """Return the same task in each of `DOMAINS`, as the domain is, under the domain's name."""
    return [
        replace(task, domain=name, look=None, dynamics=None, rules=None, name=None)
        for name in DOMAINS
    ]


_T = TypeVar("_T", Look, Dynamics, Rules)


def _changed(made: _T, given: _T | dict[str, Any] | None) -> _T:
    """Return a domain's part with what a user gave instead."""
    if given is None:
        return made
    kind = type(made).__name__
    if isinstance(given, type(made)):
        return given
    if not isinstance(given, dict):
        raise UsageError(f"{kind.lower()} of JacoTask must be a {kind} or a dict; got {given!r}.")
    known = [field.name for field in fields(made)]
    for name in given:
        if name not in known:
            raise unknown_name(f"field of {kind}", str(name), known)
    return replace(made, **given)
