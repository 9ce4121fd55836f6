"""The user's own code in a network: how it is named in data, and when a name is followed.

A `Custom` stage is made by a factory, which is code, and files hold no code. A factory that stands
in a module under a name of its own is written as "my_package.nets:make_stage"; of any other, such
as a lambda, nothing is written. What reads such data imports nothing unasked; the factory comes
from

- the `ColumnSpec` that the user gives again, in which the same factory stands; or
- a column of a plugin that the user has loaded, in which it stands; or
- the import path, where the caller says that what the data names may be imported::

    with custom_factories("import"):
        method.load_state(*read_tensors(path))
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, is_dataclass
from typing import Literal, TypeGuard

import torch
from torch import Tensor, nn

from colonnade.errors import UsageError, unknown_name
from colonnade.parts.finding import own_presets
from colonnade.parts.plugins import is_plugins
from colonnade.records import shown
from colonnade.trust import UntrustedError, import_named
from colonnade.types import Shape

Factory = Callable[[Shape], nn.Module]
"""Makes a module that reads features of a shape, which has no batch axis."""

Following = Literal["refuse", "import", "stand-in"]

_following: ContextVar[Following] = ContextVar("following", default="refuse")
_allowed: ContextVar[frozenset[str] | None] = ContextVar("allowed", default=None)


class FactoryError(UsageError):
    """The user's own code is missing, fails or gives something else than was said."""


@contextmanager
def custom_factories(how: Following, only: Iterable[str] | None = None) -> Iterator[None]:
    """Say within the block what becomes of factories that data, such as a spec's JSON, names.

    Args:
        how: "import" them, where the user's own specification names them; let a "stand-in" that
            computes nothing take their place, where networks are only looked at; or "refuse" to
            build such a stage, as is done outside of all blocks.
        only: Import paths that may be imported, where weights of somebody else may name others; all
            if None.
    """
    token, allowed = _following.set(how), _allowed.set(None if only is None else frozenset(only))
    try:
        yield
    finally:
        _following.reset(token)
        _allowed.reset(allowed)


@dataclass(frozen=True)
class MissingFactory:
    """Stands where data names a factory that was not imported, or could not name it.

    Attributes:
        path: The import path; None where the factory had none.
    """

    path: str | None

    def __call__(self, shape: Shape) -> nn.Module:
        """Make a stand-in where that was asked for.

        Raises:
            FactoryError: It was not.
        """
        if _following.get() == "stand-in":
            return StandIn(self)
        raise FactoryError(self.sentence)

    @property
    def sentence(self) -> str:
        """What is missing and what to do."""
        if self.path is None:
            return (
                "its module was made by a lambda or another function without an import path, so "
                "that only its weights were kept; give the ColumnSpec that made it again (to a "
                "method, as its column), or name the factory as 'my_package.nets:make_stage'"
            )
        return (
            f"its module is made by {self.path!r}, which is code, and code that a file names is "
            "not imported unasked; give the ColumnSpec that holds it again (to a method, as its "
            'column), or load within `custom_factories("import")`'
        )


class StandIn(nn.Module):
    """Has no weights and computes nothing: a stage whose code was not imported."""

    def __init__(self, missing: MissingFactory) -> None:
        super().__init__()
        self.missing = missing

    def forward(self, features: Tensor) -> Tensor:
        """Say what is missing."""
        raise FactoryError(f"A Custom stage can't compute: {self.missing.sentence}.")


def import_path(factory: object) -> str | None:
    """Return the "module:name" that leads to a factory; None where no name does.

    A script's own functions have none: the next process has another `__main__`.
    """
    if isinstance(factory, MissingFactory):
        return factory.path
    module, name = getattr(factory, "__module__", None), getattr(factory, "__qualname__", None)
    if not isinstance(module, str) or not isinstance(name, str) or module == "__main__":
        return None
    found: object = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return f"{module}:{name}" if found is factory else None


def factory_from_data(path: object) -> Factory:
    """Return the factory that data names, imported if `custom_factories` says so.

    Raises:
        UsageError: The path is malformed, or it is to be imported and can't be.
    """
    if path is None:
        return MissingFactory(None)
    checked, allowed = _checked(path), _allowed.get()
    for factory in _factories_of(own_presets()):
        if import_path(factory) == checked:
            return factory  # the user's own part has it: nothing is imported
    if is_plugins(checked.partition(":")[0]) and import_path(own := imported(checked)) == checked:
        return own  # it is of a plugin that was named, and not what that imports from elsewhere
    followed = _following.get() == "import" and (allowed is None or checked in allowed)
    return imported(checked) if followed else MissingFactory(checked)


def _factories_of(value: object) -> Iterator[Factory]:
    """Find the factories in specs of networks."""
    if isinstance(value, list | tuple):
        for each in value:
            yield from _factories_of(each)
    elif is_dataclass(value) and not isinstance(value, type | MissingFactory):
        if callable(factory := getattr(value, "factory", None)):
            yield factory
        for field in fields(value):
            yield from _factories_of(getattr(value, field.name))


def factories_named(data: object) -> set[str]:
    """Find the import paths of factories in JSON data, such as a spec's column."""
    if isinstance(data, Mapping):
        own = {data["factory"]} if isinstance(data.get("factory"), str) else set()
        return own.union(*map(factories_named, data.values()))
    if isinstance(data, list | tuple):
        return set().union(*map(factories_named, data))
    return set()


def imported(path: str) -> Factory:
    """Import the factory of a path.

    Raises:
        FactoryError: The path is malformed, there is no such module, it fails, or lacks the name.
    """
    module, _, name = _checked(path).partition(":")
    try:
        found: object = import_named(module)
    except UntrustedError:
        raise
    except Exception as error:
        raise FactoryError(
            f"The factory {path!r} can't be imported ({described(error)}); install its package or "
            "put its folder on PYTHONPATH."
        ) from error
    for part in name.split("."):
        if not hasattr(found, part):
            raise unknown_name(f"name in {path!r}:", part, dir(found))
        found = getattr(found, part)
    return check_factory(f"The factory {path!r}", found)


def check_factory(name: str, factory: object) -> Factory:
    """Return what makes modules.

    Args:
        name: What it is, as the sentence begins: "factory of Custom".
        factory: What came.

    Raises:
        FactoryError: It is no function, or a module itself.
    """
    if callable(factory) and not isinstance(factory, nn.Module):
        return factory
    made = isinstance(factory, nn.Module)
    came = f"the module {type(factory).__name__} itself" if made else shown(factory)
    raise FactoryError(
        f"{name} must be a function that makes a module, such as lambda shape: "
        f"torch.nn.Linear(shape[0], 16); got {came}."
    )


def make_module(factory: Factory, shape: Shape) -> nn.Module:
    """Let a factory make a module.

    Raises:
        FactoryError: It fails, or what it makes is no module.
    """
    try:
        module = factory(shape)
    except UsageError:
        raise
    except Exception as error:
        raise FactoryError(
            f"its factory fails for features of shape {shape}: {described(error)}"
        ) from error
    if not isinstance(module, nn.Module):
        raise FactoryError(f"its factory should make a torch.nn.Module, but made {module!r}")
    for name, value in module.state_dict().items():
        if not isinstance(value, Tensor):
            raise FactoryError(
                f"its module keeps a {type(value).__name__} as {name!r}, but files of weights hold "
                "tensors alone; keep it as a buffer, or leave get_extra_state away"
            )
    return module


def held(module: nn.Module) -> frozenset[str]:
    """Name the parameters that whoever made a module has kept from learning."""
    return frozenset(n for n, value in module.named_parameters() if not value.requires_grad)


def let_learn(module: nn.Module, but: frozenset[str]) -> None:
    """Let a module's parameters learn, but for some."""
    for name, value in module.named_parameters():
        value.requires_grad_(name not in but)


def check_new(module: nn.Module, others: Iterable[nn.Module]) -> None:
    """Refuse a module of which a part is in use already.

    It would learn for both, also where one is frozen.

    Raises:
        FactoryError: They share a weight, a buffer or a dropout.
    """
    taken = {id(part) for other in others for part in _parts(other)}
    if any(id(part) in taken for part in _parts(module)):
        raise FactoryError(
            "its factory gave a module that is in use already, or one with parts that are; let it "
            "make new ones at each call"
        )


def _parts(module: nn.Module) -> Iterator[object]:
    yield from module.parameters()
    yield from module.buffers()
    # A frozen one rests, one that learns does not: it can't do both.
    dropouts = (part for part in module.modules() if type(part).__module__.endswith(".dropout"))
    yield from dropouts


@torch.no_grad()
def try_out(stage: nn.Module, in_shape: Shape, run: Callable[[Tensor], object]) -> None:
    """Run a user's stage on a batch of two zeros, before any work depends on it.

    It is in evaluation mode meanwhile, so that no statistics move.

    Args:
        stage: Whose parameters say where to run it.
        in_shape: Of what it reads, without the batch axis.
        run: Runs it, and refuses what does not fit.

    Raises:
        FactoryError: It can't read such features, or gives others than it says.
    """
    modules = list(stage.modules())
    if any(isinstance(module, StandIn) for module in modules):
        return
    modes = [(module, module.training) for module in modules]
    stage.eval()
    zeros = torch.zeros(2, *in_shape, device=next((p.device for p in stage.parameters()), None))
    if zeros.dim() == 4:
        zeros = zeros.contiguous(memory_format=torch.channels_last)
    try:
        run(zeros)
    except UsageError:
        raise
    except Exception as error:
        raise FactoryError(
            f"its module can't read features of shape {in_shape} ({described(error)})"
        ) from error
    finally:
        for module, mode in modes:
            module.training = mode


def checked_output(value: object, out_shape: Shape, what: str = "module") -> Tensor:
    """Return what a user's module gave, if it is what the stage states.

    Raises:
        FactoryError: It has another shape, or is no tensor.
    """
    if not isinstance(value, Tensor):
        raise FactoryError(
            f"The {what} of a Custom stage should give a tensor, but gave a "
            f"{type(value).__name__}; let it return its features alone."
        )
    if tuple(value.shape[1:]) != out_shape or not value.dim():
        raise FactoryError(
            f"A Custom stage states out_shape {out_shape}, but its {what} gave "
            f"{tuple(value.shape[1:])}; state the shape that its factory's modules give."
        )
    return value


def load_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Load all weights of a network that was built from data.

    Raises:
        UsageError: They are not those of this network, as where a factory has changed.
    """
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        lines = [" ".join(line.split()) for line in str(error).splitlines()]
        raise UsageError(
            f"The weights are not those of the network that was built ({' '.join(lines[1:2])}); "
            "give the ColumnSpec, and of its Custom stages the factories, that they were trained "
            "with."
        ) from error


def described(error: Exception) -> str:
    """Name an error in one line."""
    lines = str(error).splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _checked(path: object) -> str:
    if _is_path(path):
        return path
    raise UsageError(
        "A Custom stage's factory is a function, or its import path as 'my_package.nets:make_stage'"
        f", but came as {path!r}."
    )


def _is_path(path: object) -> TypeGuard[str]:
    if not isinstance(path, str):
        return False
    module, colon, name = path.partition(":")
    return bool(colon) and all(p.isidentifier() for p in [*module.split("."), *name.split(".")])
