"""Elastic weight consolidation of any PyTorch module, in a training loop of one's own.

consolidation = Consolidation(model, lam=100.0)
for loader in tasks:
    for x, y in loader:
        loss = F.cross_entropy(model(x), y)
        if consolidation.tasks:
            loss = loss + consolidation.penalty()
        ...
    consolidation.consolidate(loader)
"""

from __future__ import annotations

import fnmatch
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from colonnade.errors import UsageError, unknown_name
from colonnade.ops import (
    MAX_BYTES,
    FisherKind,
    How,
    Quadratic,
    categorical,
    check_fisher_options,
    parameter_fisher,
)
from colonnade.ops.quadratic import check_not_lazy, check_shapes
from colonnade.types import Likelihood

Anchors = Literal["each", "latest"]
"""Where penalties pull: "each" task's Fisher to where that task ended (Kirkpatrick et al. 2017);
or the sum of all Fishers to where the "latest" one ended (Huszar 2018)."""


class Consolidation:
    """Holds a module near what it has learned, each parameter as firmly as it matters.

    The penalty is (lambda / 2) sum_k sum_i F_ki (theta_i - theta_ki)^2 over the tasks k that have
    ended (Kirkpatrick et al. 2017, Eq. 3). F is an average over samples, so lambda is in units of
    a loss that is a mean over samples, and does not depend on the batch size. Memory and time do
    not grow with the number of tasks.

    Attributes:
        network: The module.
        quadratic: The penalties of all tasks as one, without lambda.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        lam: float,
        anchors: Anchors = "each",
        decay: float = 1.0,
        kind: FisherKind = "exact",
        samples: int | None = None,
        exclude: Sequence[str] = (),
        forward: Callable[[nn.Module, Any], Tensor] | None = None,
        how: How = "auto",
        max_bytes: int = MAX_BYTES,
    ) -> None:
        """Begin with no task.

        Args:
            network: The module, which may go on changing its training mode and device.
            lam: Lambda, the weight of the penalty.
            anchors: See `Anchors`.
            decay: What earlier Fishers are multiplied by when a task ends; below 1 only with one
                anchor (online EWC, Schwarz et al. 2018, Eq. 9).
            kind: Whose labels the Fisher takes; see `FisherKind`.
            samples: How many the Fisher takes of each task; None is all there are.
            exclude: Patterns of parameter names that are left free, as in "*.bias" or "head.*".
            forward: How to call the module on inputs; see `parameter_fisher`.
            how: How per-sample gradients are computed; see `parameter_fisher`.
            max_bytes: About how much memory the Fisher uses beyond the parameters and a batch.

        Raises:
            UsageError: An option is unknown or out of range, a pattern fits no parameter, or
                nothing is left to hold.
        """
        check_options(lam, anchors, decay)
        check_fisher_options(kind, how, samples, max_bytes, forward)
        check_exclude(exclude, "patterns")
        self.network = network
        self.quadratic = Quadratic()
        self._lam = lam
        self._anchors: Anchors = anchors
        self._decay = decay
        self._kind: FisherKind = kind
        self._samples = samples
        self._exclude = tuple(exclude)
        self._forward = forward
        self._how: How = how
        self._max_bytes = max_bytes
        every = [name for name, _ in network.named_parameters()]
        for pattern in self._exclude:
            if not fnmatch.filter(every, pattern):
                raise unknown_name("pattern of parameters to exclude", pattern, every)
        self.held()

    @property
    def tasks(self) -> int:
        """How many tasks have ended."""
        return self.quadratic.merged

    def penalty(self) -> Tensor:
        """Return what to add to a loss that is a mean over samples.

        Raises:
            UsageError: No task has ended yet, or the module has changed.
        """
        if not self.tasks:
            raise UsageError(
                "The penalty was asked for before any task has ended; call `consolidate` with the "
                "first task's data when it has been learned, and leave the penalty out until then "
                "(`tasks` is 0)."
            )
        return self.quadratic(dict(self.network.named_parameters()), self._lam)

    def add_gradient(self) -> None:
        """Add the penalty's gradient to the parameters' `grad`; nothing before a task has ended.

        Called between `backward` and the optimiser's step, this does what adding `penalty()` to
        the loss would have done, in half the time.

        Raises:
            UsageError: The module has changed.
        """
        self.quadratic.add_gradient(dict(self.network.named_parameters()), self._lam)

    def attach(self) -> Callable[[], None]:
        """Add the penalty's gradient within every `backward`, for loops that are somebody else's.

        Each parameter's `grad` then holds, as soon as it is there, what the loss and `penalty()`
        together would have given it, so that clipping counts both. The loop must call `backward`
        once a step, and scale no loss: unscaling (`GradScaler`) would divide the penalty with the
        rest. Add `penalty()` to the loss before it is scaled, or call `add_gradient` after
        `unscale_`, or compute in bfloat16, which takes no scaler.

        Returns:
            A function that ends it.

        Raises:
            UsageError: No task has ended yet, or the module has changed.
        """
        self.penalty()  # which says what is wrong
        hooks = [
            parameter.register_post_accumulate_grad_hook(partial(self._pull, name))
            for name, parameter in self.network.named_parameters()
            if name in self.quadratic.curvature and parameter.requires_grad
        ]

        def let_go() -> None:
            for hook in hooks:
                hook.remove()

        return let_go

    def _pull(self, name: str, parameter: Tensor) -> None:
        assert parameter.grad is not None
        if parameter.grad.is_sparse:  # as of an embedding; what holds it is not
            parameter.grad = parameter.grad.to_dense()
        parameter.grad.add_(self.quadratic.gradient(name, parameter.detach(), self._lam))

    def consolidate(
        self,
        batches: Iterable[Any],
        likelihood: Likelihood = categorical,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """End a task: estimate the Fisher on its data and hold the parameters where they are.

        Args:
            batches: As for `parameter_fisher`, such as the task's `DataLoader`.
            likelihood: What the module's output means; by default class logits.
            generator: Draws labels of the kind "sampled".

        Returns:
            The task's Fisher by parameter name.

        Raises:
            UsageError: See `parameter_fisher`.
        """
        fisher = self.fisher(batches, likelihood, generator)
        self.hold(fisher)
        return fisher

    def fisher(
        self,
        batches: Iterable[Any],
        likelihood: Likelihood = categorical,
        generator: torch.Generator | None = None,
    ) -> dict[str, Tensor]:
        """Estimate the Fisher of what is held, as `consolidate` does, and hold nothing by it."""
        return parameter_fisher(
            self.network,
            batches,
            likelihood,
            kind=self._kind,
            samples=self._samples,
            parameters=self.held(),
            forward=self._forward,
            generator=generator,
            how=self._how,
            max_bytes=self._max_bytes,
        )

    def hold(self, curvature: Mapping[str, Tensor]) -> None:
        """End a task with a curvature that is given, in place of an estimated Fisher.

        Args:
            curvature: 0 or above, by parameter name, shaped as the parameter; of one at least.

        Raises:
            UsageError: It is not that, or is of a parameter that is excluded, or the module has
                changed.
        """
        if not curvature:
            raise UsageError(
                "The curvature to hold by is of no parameter; give that of one at least, as `held` "
                "names them."
            )
        place = dict(self.network.named_parameters())
        check_shapes(self.quadratic.centre, place)
        for name, value in curvature.items():
            if name not in place:
                raise unknown_name("parameter to hold", name, place)
            check_not_lazy({name: place[name]})
            if not isinstance(value, Tensor) or value.shape != place[name].shape:
                found = f"shape {list(value.shape)}" if isinstance(value, Tensor) else repr(value)
                raise UsageError(
                    f"The curvature of {name!r} must be a tensor of the parameter's shape "
                    f"{list(place[name].shape)}; got {found}."
                )
        self._check_held(curvature, "curvature")
        if self._anchors == "each":
            self.quadratic.merge(curvature, place)
            return
        self.quadratic.follow(place)
        old = {name: self._decay * value for name, value in self.quadratic.curvature.items()}
        total = {name: value + old[name] for name, value in curvature.items() if name in old}
        self.quadratic.replace({**old, **curvature, **total}, place)

    def held(self) -> list[str]:
        """Names of the parameters that require gradients and are not excluded.

        Raises:
            UsageError: None is left.
        """
        found = [
            name
            for name, parameter in self.network.named_parameters()
            if parameter.requires_grad and not self._excludes(name)
        ]
        if not found:
            raise UsageError(
                f"{type(self.network).__name__} has no parameter to hold: all are frozen or "
                f"excluded ({', '.join(self._exclude) or 'no patterns'}); unfreeze what is to "
                "be learned, or exclude less."
            )
        return found

    def state_dict(self) -> dict[str, Tensor]:
        """Return the penalties of all tasks that have ended, as tensors by name.

        They go beside the module's own state. Options such as lambda are no part of them: those
        are given again when the object is made anew.
        """
        return {"tasks": torch.tensor(self.tasks), **self.quadratic.state("")}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Return to what `state_dict` gave, on any device.

        Raises:
            UsageError: It is not the state of a consolidation, or is that of another module, or
                holds what is excluded here.
        """
        missing = {"tasks", "constant"} - set(state)
        if missing:
            raise UsageError(
                f"This is not the state of a consolidation, for it lacks {sorted(missing)}; give "
                "what `state_dict` of a Consolidation returned."
            )
        quadratic = Quadratic()
        quadratic.load_state(state, "", int(state["tasks"]))
        names = set(quadratic.curvature)
        if not names == set(quadratic.centre) == set(quadratic.remainder):
            raise UsageError(
                "The state of the consolidation lacks some of a parameter's curvature, centre and "
                "remainder; save and load it whole."
            )
        place = dict(self.network.named_parameters())
        for part in (quadratic.curvature, quadratic.centre, quadratic.remainder):
            check_shapes(part, place)
        self._check_held(quadratic.curvature, "state's curvature")
        others = {"constant": quadratic.constant}
        others |= {f"centre of {name}": value for name, value in quadratic.centre.items()}
        others |= {f"remainder of {name}": value for name, value in quadratic.remainder.items()}
        for name, value in others.items():
            if not bool(value.isfinite().all()):
                raise UsageError(
                    f"The state of the consolidation is not finite at {name!r}; load one that was "
                    "saved before the network diverged."
                )
        self.quadratic = quadratic

    def _check_held(self, curvature: Mapping[str, Tensor], what: str) -> None:
        """Refuse curvatures that no penalty can have.

        Raises:
            UsageError: One is below 0 or not finite, or of a parameter that is excluded.
        """
        for name, value in curvature.items():
            if not bool((value.isfinite() & (value >= 0)).all()):
                raise UsageError(
                    f"The {what} of {name!r} must be finite and 0 or above everywhere; look at how "
                    "it was estimated."
                )
            if self._excludes(name):
                raise UsageError(
                    f"The {what} is also of {name!r}, which exclude={list(self._exclude)} leaves "
                    "free; leave it out, or exclude less."
                )

    def _excludes(self, name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in self._exclude)


def check_options(lam: float, anchors: str, decay: float) -> None:
    """Check the options of a penalty.

    Raises:
        UsageError: One is out of range.
    """
    if not (_is_number(lam) and math.isfinite(lam) and lam >= 0):
        raise UsageError(f"lam, the penalty's weight, must be 0 or more; got {lam!r}.")
    if anchors not in get_args(Anchors):
        raise unknown_name("kind of anchors", str(anchors), get_args(Anchors))
    if not (_is_number(decay) and 0 <= decay <= 1):
        raise UsageError(f"decay must be from 0 to 1; got {decay!r}.")
    if decay < 1 and anchors == "each":
        raise UsageError(
            f'A decay of {decay} needs anchors="latest" (online EWC); with an anchor for each task '
            "nothing decays."
        )


def check_exclude(exclude: object, what: str) -> None:
    """Check that what to exclude is a list of texts.

    Args:
        exclude: What came.
        what: What the texts are.

    Raises:
        UsageError: It is not.
    """
    if isinstance(exclude, str):
        raise UsageError(
            f"exclude must be a list of {what}, but came as the text {exclude!r}; write "
            f"[{exclude!r}]."
        )
    if not isinstance(exclude, Sequence) or not all(isinstance(each, str) for each in exclude):
        raise UsageError(f"exclude must be a list of {what}, each a text; got {exclude!r}.")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
