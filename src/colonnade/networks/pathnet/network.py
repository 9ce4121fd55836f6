"""Modular networks with paths through them (PathNet: Fernando et al. 2017, arXiv 1701.08734).

    network = ModularNetwork(atari_modules(), {"observation": (4, 84, 84)})
    network.add_head(7)
    logits_and_value = network(frames, path=((0, 3), (1, 2), (5,), (0, 9)))

A layer's active modules are summed and handed to the next layer; each task has a head of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from colonnade.checks import having
from colonnade.errors import UsageError
from colonnade.networks.factories import FactoryError
from colonnade.networks.pathnet.bank import ModularLayer
from colonnade.networks.pathnet.layers import ConvLayer, CustomLayer, DenseLayer, Head
from colonnade.networks.pathnet.recurrent import LSTMLayer
from colonnade.networks.pathnet.spec import ModularSpec, Path
from colonnade.networks.pathnet.views import PathView, PopulationView
from colonnade.networks.stage import LSTM, Conv, Custom, Dense, check_shapes
from colonnade.types import OBSERVATION, Inputs, Shape


class ModularNetwork(nn.Module):
    """L layers of M modules, and a head for each task; only what a path names is computed.

    Attributes:
        spec: What it is made of.
        input: Name of the input it reads.
        input_shape: Of that input, without the batch axis.
        layers: The `ModularLayer`s, lowest first.
        heads: Output layers, oldest first.
    """

    def __init__(self, spec: ModularSpec, input_shapes: Mapping[str, Shape]) -> None:
        """Draw all modules from PyTorch's global generator; there is no head yet.

        Raises:
            UsageError: What came is no spec or are no shapes, or the input is missing or too small
                for the layers.
        """
        super().__init__()
        having("spec of ModularNetwork", spec, "a ModularSpec, such as mini_modules()", "layers")
        check_shapes("ModularNetwork", input_shapes)
        self.spec = spec
        self.input = _choose_input(spec, input_shapes)
        self.input_shape = tuple(input_shapes[self.input])
        shape = self.input_shape
        layers = []
        for position in range(len(spec.layers)):
            layers.append(_build_layer(position, shape, spec))
            shape = layers[-1].out_shape
        self.layers = nn.ModuleList(layers)
        self.heads = nn.ModuleList()

    def layer(self, index: int) -> ModularLayer:
        """Return a layer."""
        layer = self.layers[index]
        assert isinstance(layer, ModularLayer)
        return layer

    @property
    def frozen(self) -> Path:
        """For each layer the modules that no longer learn; a layer without any has ()."""
        return tuple(tuple(sorted(self.layer(i).frozen)) for i in range(len(self.layers)))

    @property
    def full(self) -> bool:
        """Whether every module of every layer is frozen."""
        return all(len(layer) == self.spec.modules for layer in self.frozen)

    def add_head(self, outputs: int) -> int:
        """Add an output layer, freezing the earlier ones, and return its index."""
        head = Head(self.layer(-1).out_shape, outputs, self.spec)
        weight = next(self.parameters(), head.weight)
        self.heads.append(head.to(weight.device, weight.dtype).train(self.training))
        self.learn_head(len(self.heads) - 1)
        return len(self.heads) - 1

    def learn_head(self, index: int) -> None:
        """Let one head learn, and no other."""
        for place, head in enumerate(self.heads):
            head.requires_grad_(place == index)

    def freeze(self, path: Path) -> None:
        """Freeze a path's modules for good.

        Raises:
            UsageError: The path names modules that are not there.
        """
        self.spec.check_path(path)
        for index, modules in enumerate(path):
            self.layer(index).freeze(modules)

    def unfreeze(self) -> None:
        """Let all modules learn again; heads of earlier tasks stay as they are."""
        for index in range(len(self.layers)):
            self.layer(index).unfreeze()

    def reinitialise(self) -> None:
        """Draw new weights for every module that is not frozen."""
        for index in range(len(self.layers)):
            layer = self.layer(index)
            for module in range(self.spec.modules):
                if module not in layer.frozen:
                    layer.reinitialise(module)

    @torch.no_grad()
    def duplicate(self, layer: int, source: int, target: int) -> None:
        """Copy a module's weights into another slot of its layer.

        Raises:
            UsageError: The slot is frozen.
        """
        bank = self.layer(layer)
        if target in bank.frozen:
            raise UsageError(
                f"Module {target} of layer {layer} is frozen, so nothing can be copied into it."
            )
        bank.bank[target].load_state_dict(bank.bank[source].state_dict())

    def view(self, path: Path, head: int = -1, forced: Path | None = None) -> PathView:
        """Return the `Network` of one path and head.

        Args:
            path: Its modules.
            head: Index of the head.
            forced: Modules that are active whatever the path, such as `frozen`.

        Raises:
            UsageError: The path does not fit, or there is no such head.
        """
        return PathView(self.spec, self.input, self.input_shape, self.layers, self._head(head),
                        path, forced)  # fmt: skip

    def population_view(
        self, paths: Sequence[Path], head: int = -1, forced: Path | None = None
    ) -> PopulationView:
        """Return the `Network` whose n-th environment follows the n-th path.

        Raises:
            UsageError: A path does not fit, or there is no such head.
        """
        return PopulationView(self.spec, self.input, self.input_shape, self.layers,
                              self._head(head), paths, forced)  # fmt: skip

    def forward(self, inputs: Inputs | Tensor, path: Path, head: int = -1) -> Tensor:
        """Map inputs [N, ...] along one path to [N, outputs]."""
        output: Tensor = self.view(path, head)(inputs)[0]
        return output

    def spec_dict(self) -> dict[str, Any]:
        """Return all but the weights as plain JSON data."""
        return {
            "modular": self.spec.to_dict(),
            "input_shapes": {self.input: list(self.input_shape)},
            "heads": [head.bias.numel() for head in self.heads if isinstance(head, Head)],
            "frozen": [list(layer) for layer in self.frozen],
        }

    @classmethod
    def from_spec(cls, data: Mapping[str, Any], own: Iterable[ModularSpec] = ()) -> ModularNetwork:
        """Build the network that `spec_dict` described; its weights come by `load_state_dict`.

        Args:
            data: As `spec_dict` gave it.
            own: Specs of the user's own, from which `Custom` layers take their factories; see
                `factories`.

        Raises:
            UsageError: The data is not what `spec_dict` gives, or a factory is missing.
        """
        try:
            spec, heads, frozen = data["modular"], data["heads"], data["frozen"]
            shapes = {name: tuple(shape) for name, shape in data["input_shapes"].items()}
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"A modular network's spec should be as `spec_dict` writes it, but came as "
                f"{data!r}."
            ) from error
        network = cls(ModularSpec.from_dict(spec).with_factories_of(own), shapes)
        for outputs in heads:
            network.add_head(outputs)
        for index, modules in enumerate(frozen):
            network.layer(index).freeze(modules)
        return network

    def _head(self, index: int) -> Head:
        if not -len(self.heads) <= index < len(self.heads):
            raise UsageError(
                f"There is no head {index}; the network has {len(self.heads)}, and `add_head` adds "
                "one."
            )
        head = self.heads[index]
        assert isinstance(head, Head)
        return head


def _build_layer(position: int, in_shape: Shape, spec: ModularSpec) -> ModularLayer:
    """Make the layer of M modules that a spec describes, the lowest being at position 0."""
    stage = spec.layers[position]
    match stage:
        case Conv():
            return ConvLayer(stage, in_shape, spec, first=position == 0)
        case Dense():
            return DenseLayer(stage, in_shape, spec)
        case LSTM():
            return LSTMLayer(stage, in_shape, spec)
        case Custom():
            try:
                return CustomLayer(stage, in_shape, spec)
            except FactoryError as error:
                place = f"Layer {position} (Custom)"
                raise UsageError(f"{place}: {str(error).rstrip('.')}.") from error.__cause__


def _choose_input(spec: ModularSpec, shapes: Mapping[str, Shape]) -> str:
    if spec.input is None and len(shapes) == 1:
        return next(iter(shapes))
    if spec.input is None and len(shapes) > 1:
        raise UsageError(
            f"The modular network reads one input, but the task gives several: "
            f"{', '.join(map(repr, shapes))}; name one as `input`, or choose a method of columns, "
            "whose default reads them all."
        )
    name = spec.input or OBSERVATION
    if name not in shapes:
        raise UsageError(
            f"The modular network reads the input {name!r}, but the task gives "
            f"{', '.join(map(repr, shapes)) or 'none'}; name one of them as `input`."
        )
    return name
