"""What a modular network is made of, as frozen data; and those of the PathNet paper.

atari = ModularSpec((Conv(8, 8, 4), Conv(8, 4, 2), Conv(8, 3, 1), Dense(50)), modules=10, active=4)
assert ModularSpec.from_dict(atari.to_dict()) == atari
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from colonnade.checks import AT_LEAST_0, AT_LEAST_1, check_fields
from colonnade.errors import UsageError
from colonnade.networks.stage import (
    LSTM,
    Activation,
    Conv,
    Custom,
    Dense,
    check_zero_sum,
    with_factories_of,
)
from colonnade.parts.finding import find_preset
from colonnade.records import read, write

ModuleSpec = Conv | Dense | LSTM | Custom
"""Form of the modules of a layer; one that flattens its input may follow one that gives maps."""

Path = tuple[tuple[int, ...], ...]
"""For each layer the distinct modules that are active, in ascending order."""


_MODULES = (1, 10_000)


@dataclass(frozen=True)
class ModularSpec:
    """L layers of M alike modules, at most N of which are active; after Fernando et al. 2017.

    Attributes:
        layers: Form of the modules of each layer, lowest first. Their `laterals` mean nothing.
        modules: M, in every layer.
        active: N, the most distinct modules a path uses in a layer.
        last: How the outputs of the last layer's active modules join: by "sum", as between all
            layers, or by "average", which the first author is reported to have used.
        input: Name of the input the first layer reads; None is the only one, or "observation".
        activation: Of conv, dense and custom modules alike.
        init: "default", PyTorch's own; or "orthogonal" with the gain that keeps the mean square of
            the features as it is where N modules are active, and biases zero; or "zero-sum", the
            same but that the kernels of first convolutions sum to zero, as in `ColumnSpec`.
        output_gain: Gain of the heads, but under "default".

    Raises:
        UsageError: There is no layer, a number is out of range, or a path would need more distinct
            modules than a layer has.
    """

    layers: tuple[ModuleSpec, ...]
    modules: int = 10
    active: int = 4
    last: Literal["sum", "average"] = "sum"
    input: str | None = None
    activation: Activation = "relu"
    init: Literal["default", "orthogonal", "zero-sum"] = "default"
    output_gain: float = 0.01

    def __post_init__(self) -> None:
        """Refuse what can't be built."""
        check_fields(self, {"modules": _MODULES, "active": AT_LEAST_1, "output_gain": AT_LEAST_0})
        if not self.layers:
            raise UsageError("A modular network needs at least one layer, but `layers` is empty.")
        if self.active > self.modules:
            raise UsageError(
                f"A path can't use {self.active} distinct modules of a layer that has "
                f"{self.modules}; lower `active` (N) or raise `modules` (M)."
            )
        if self.init == "zero-sum":
            check_zero_sum(self.layers[0])

    def check_path(self, path: Path) -> None:
        """Refuse a path that this network can't follow.

        Raises:
            UsageError: It has another number of layers, an empty one, or names missing modules.
        """
        if len(path) != len(self.layers):
            raise UsageError(
                f"A path of this network names modules for {len(self.layers)} layers, but one for "
                f"{len(path)} came."
            )
        for number, layer in enumerate(path):
            missing = [m for m in layer if not 0 <= m < self.modules]
            if missing:
                raise UsageError(
                    f"The path names modules {missing} of layer {number}, which has "
                    f"{self.modules}, counted from 0; use a path of this network."
                )
            if not layer:
                raise UsageError(f"The path names no module of layer {number}; name at least one.")

    def with_factories_of(self, own: Iterable[ModularSpec]) -> ModularSpec:
        """Return the spec with the factories of the user's own specs; see `with_factories_of`."""
        layers = with_factories_of(self.layers, [spec.layers for spec in own])
        return replace(self, layers=cast("tuple[ModuleSpec, ...]", layers))

    def to_dict(self) -> dict[str, Any]:
        """Return the spec as plain JSON data; see `factories` for what is written of `Custom`."""
        return write(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> ModularSpec:
        """Make the spec that `to_dict` described.

        Raises:
            UsageError: A field or a kind of module is unknown, or `layers` is missing.
        """
        return read(cls, data)


def mnist_modules() -> ModularSpec:
    """Binary MNIST (Fernando et al. 2017): L 3, M 10, N 3, 20 units a module, averaged last."""
    return ModularSpec((Dense(20),) * 3, modules=10, active=3, last="average")


def cifar_svhn_modules() -> ModularSpec:
    """CIFAR-10 and cropped SVHN (Fernando et al. 2017): L 3, M 20, N 5, 20 units a module."""
    return ModularSpec((Dense(20),) * 3, modules=20, active=5, last="average")


def atari_modules() -> ModularSpec:
    """Atari (Fernando et al. 2017): L 4, M 10, N 4; 8 kernels or 50 units a module.

    That first kernels sum to zero is chosen here; see `ColumnSpec.init`.
    """
    convs = Conv(8, 8, 4), Conv(8, 4, 2), Conv(8, 3, 1)
    return ModularSpec((*convs, Dense(50)), modules=10, active=4, init="zero-sum")


def labyrinth_modules() -> ModularSpec:
    """Labyrinth's views of 84 x 84: the modules for Atari; the paper does not say what it took."""
    return atari_modules()


def labyrinth_recurrent_modules() -> ModularSpec:
    """The modules for Labyrinth with LSTM modules of 32 cells on top; their size is chosen here."""
    modules = atari_modules()
    return replace(modules, layers=(*modules.layers, LSTM(32)))


def mini_modules() -> ModularSpec:
    """Small modules for images of 16 to 24 pixels a side: L 3, M 8, N 3."""
    return ModularSpec(
        (Conv(4, 4, 2), Conv(8, 3, 2), Dense(32)), modules=8, active=3, init="orthogonal"
    )


def vector_modules() -> ModularSpec:
    """Small modules for vector observations: L 2, M 8, N 3, 32 tanh units a module."""
    return ModularSpec(
        (Dense(32), Dense(32)), modules=8, active=3, activation="tanh", init="orthogonal"
    )


MODULAR_PRESETS: dict[str, Callable[[], ModularSpec]] = {
    "mnist": mnist_modules,
    "cifar-svhn": cifar_svhn_modules,
    "atari": atari_modules,
    "labyrinth": labyrinth_modules,
    "labyrinth-lstm": labyrinth_recurrent_modules,
    "mini": mini_modules,
    "vector": vector_modules,
}


def modular_preset(name: str) -> ModularSpec:
    """Return the modular network of a preset.

    Raises:
        UsageError: There is no preset of that name, or one of a user's own is no such spec.
    """
    return find_preset(name, MODULAR_PRESETS, ModularSpec, "modular network preset")
