"""Modular networks as learners see them: along one path, or along one path per environment."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from colonnade.errors import UsageError
from colonnade.networks.pathnet.descent import PathDescent
from colonnade.networks.pathnet.layers import DenseLayer, Head, ModularLayer, Routes
from colonnade.networks.pathnet.spec import ModularSpec, Path
from colonnade.networks.precision import to_compute_dtype
from colonnade.types import Descent, Inputs, Shape, State

ROUTE = "route"
"""Name of the state, and of the input that `precompute` adds: [N, L, M] bool, active modules."""


class _View(nn.Module):
    """The layers of a modular network and one of its heads, which it shares and does not own."""

    def __init__(
        self,
        spec: ModularSpec,
        name: str,
        shape: Shape,
        layers: nn.ModuleList,
        head: Head,
        forced: Path | None,
    ) -> None:
        super().__init__()
        self.spec, self.input, self.input_shape = spec, name, shape
        self.layers, self.head = layers, head
        self.forced: Path = forced or ((),) * len(layers)
        self.training = layers.training

    def active(self, path: Path) -> Path:
        """Return the modules that are computed for a path: its own and the forced ones.

        Raises:
            UsageError: The path does not fit the network.
        """
        self.spec.check_path(path)
        joined = zip(path, self.forced, strict=True)
        return tuple(tuple(sorted({*own, *forced})) for own, forced in joined)

    def prepared(self, inputs: Inputs | Tensor, lead: int) -> tuple[Tensor, float | None]:
        """Return the input as [R, ...] in floating point, and what to multiply it by."""
        value = inputs if isinstance(inputs, Tensor) else inputs.get(self.input)
        if value is None:
            given = ", ".join(map(repr, inputs)) or "none"
            raise UsageError(
                f"The network reads the input {self.input!r}, but was given only {given}."
            )
        if value.dim() < lead or tuple(value.shape[lead:]) != self.input_shape:
            axes = ["N"] if lead == 1 else ["T", "N"]
            raise UsageError(
                f"The input {self.input!r} should be "
                f"[{', '.join([*axes, *map(str, self.input_shape)])}], "
                f"but came as {list(value.shape)}."
            )
        scale = 1 / 255 if value.dtype == torch.uint8 else None
        value = value.flatten(0, lead - 1) if lead > 1 else value
        if value.dim() == 4:
            value = value.contiguous(memory_format=torch.channels_last)
        return to_compute_dtype(value, self.head.weight.dtype), scale

    def _output(self, features: Tensor, counts: Tensor | float) -> Tensor:
        """Average, if the spec says so, over the last layer's active modules, and apply the head.

        Args:
            features: [R, ...] sums.
            counts: How many modules entered, [R] or one number.
        """
        if self.spec.last == "average":
            if isinstance(counts, Tensor):
                counts = counts.view(-1, *[1] * (features.dim() - 1)).to(features.dtype)
            features = features / counts
        output: Tensor = self.head(features)
        return output

    def _layer(self, index: int) -> ModularLayer:
        layer = self.layers[index]
        assert isinstance(layer, ModularLayer)
        return layer


class PathView(_View):
    """A `colonnade.types.Network` along one path, which may be set anew between batches."""

    def __init__(
        self,
        spec: ModularSpec,
        name: str,
        shape: Shape,
        layers: nn.ModuleList,
        head: Head,
        path: Path,
        forced: Path | None = None,
    ) -> None:
        super().__init__(spec, name, shape, layers, head, forced)
        self.path = path

    @property
    def path(self) -> Path:
        """The path, without the modules that are forced."""
        return self._path

    @path.setter
    def path(self, path: Path) -> None:
        self._active = self.active(path)
        self.steps = [(self._layer(i), modules) for i, modules in enumerate(self._active)]
        self._path = path

    def initial_state(self, batch: int) -> State:
        """Return an empty state: all environments follow the one path."""
        return {}

    def precompute(self, inputs: Inputs, state: State) -> tuple[Inputs, State]:
        """Return the one input that is read, and the state as it is."""
        return {self.input: inputs[self.input]} if self.input in inputs else {}, state

    def forward(self, inputs: Inputs | Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map inputs [N, ...] to [N, outputs].

        Raises:
            UsageError: The input is missing or has another shape than the network was made for.
        """
        return self._along(*self.prepared(inputs, 1)), state or {}

    def unroll(self, inputs: Inputs, state: State, starts: Tensor) -> tuple[Tensor, State]:
        """Map inputs [T, N, ...] to [T, N, outputs].

        Raises:
            UsageError: The input is missing or has another shape than the network was made for.
        """
        return self._along(*self.prepared(inputs, 2)).unflatten(0, starts.shape), state

    def descent(self, learning_rate: float) -> Descent | None:
        """Return plain gradient descent along whatever path there is at the time, written out.

        There is none but for rectified dense modules on the processor.
        """
        weight = self.head.weight
        if (
            self.spec.activation != "relu"
            or weight.dtype != torch.float32
            or weight.device.type != "cpu"
            or not weight.requires_grad
            or not all(isinstance(layer, DenseLayer) for layer in self.layers)
        ):
            return None
        descent = PathDescent(self.head, self.spec.last == "average", learning_rate)
        return lambda inputs, targets: descent.step(self.steps, *self.prepared(inputs, 1), targets)

    def _along(self, features: Tensor, scale: float | None) -> Tensor:
        for layer, modules in self.steps:
            features = layer.along(layer.flat(features), modules, scale)
            scale = None
        return self._output(features, float(len(self._active[-1])))


class PopulationView(_View):
    """A `colonnade.types.Network` that follows another path in each environment.

    An environment's route lies in its state from the start of an episode, so that a new path
    takes effect with the next episode; `precompute` writes it beside the inputs, so that what is
    learned from is what acted.
    """

    routes: Tensor

    def __init__(
        self,
        spec: ModularSpec,
        name: str,
        shape: Shape,
        layers: nn.ModuleList,
        head: Head,
        paths: Sequence[Path],
        forced: Path | None = None,
    ) -> None:
        super().__init__(spec, name, shape, layers, head, forced)
        device = head.weight.device
        self.register_buffer("routes", torch.empty(0, device=device), persistent=False)
        self._last: tuple[Tensor, list[Routes]] | None = None
        self.set_paths(paths)

    def set_paths(self, paths: Sequence[Path]) -> None:
        """Give the n-th environment the n-th path, from its next episode on.

        Raises:
            UsageError: A path does not fit the network.
        """
        routes = torch.zeros(len(paths), len(self.layers), self.spec.modules, dtype=torch.bool)
        for n, path in enumerate(paths):
            for index, modules in enumerate(self.active(path)):
                routes[n, index, list(modules)] = True
        if routes.shape == self.routes.shape:
            # In place, since other processes may share the memory (A3C).
            self.routes.copy_(routes)
        else:
            self.routes = routes.to(self.routes.device)

    def initial_state(self, batch: int) -> State:
        """Return the environments' present routes.

        Raises:
            UsageError: There are not as many environments as paths.
        """
        if batch != len(self.routes):
            raise UsageError(
                f"{batch} environments can't follow {len(self.routes)} paths, one each; make the "
                "population as large as the number of environments (num_envs)."
            )
        return {ROUTE: self.routes.clone()}

    def precompute(self, inputs: Inputs, state: State) -> tuple[Inputs, State]:
        """Write the environments' routes beside the one input that is read."""
        own = {self.input: inputs[self.input]} if self.input in inputs else {}
        return {**own, ROUTE: state[ROUTE]}, state

    def forward(self, inputs: Inputs | Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map inputs [N, ...], each along its environment's route, to [N, outputs].

        Raises:
            UsageError: The input is missing or has another shape than the network was made for.
        """
        features, scale = self.prepared(inputs, 1)
        if not state:
            state = self.initial_state(len(features))
        route = None if isinstance(inputs, Tensor) else inputs.get(ROUTE)
        return self._mixed(features, scale, state[ROUTE] if route is None else route), state

    def unroll(self, inputs: Inputs, state: State, starts: Tensor) -> tuple[Tensor, State]:
        """Map inputs [T, N, ...] to [T, N, outputs], and return the last step's routes.

        Without `precompute`'s routes, environments change to their present route at each start.

        Raises:
            UsageError: The input is missing or has another shape than the network was made for.
        """
        features, scale = self.prepared(inputs, 2)
        route = inputs.get(ROUTE)
        if route is None:
            begun = starts.cummax(0).values[..., None, None]
            route = torch.where(begun, self.routes, state[ROUTE]) if starts.any() else (
                state[ROUTE].expand(len(starts), *state[ROUTE].shape)
            )  # fmt: skip
        output = self._mixed(features, scale, route.flatten(0, 1))
        return output.unflatten(0, starts.shape), {ROUTE: route[-1]}

    def _mixed(self, features: Tensor, scale: float | None, route: Tensor) -> Tensor:
        routes = self._routes(route)
        for index, layer_routes in enumerate(routes):
            layer = self._layer(index)
            features = layer(layer.flat(features), layer_routes, scale)
            scale = None
        return self._output(features, routes[-1].mask.sum(1))

    def _routes(self, route: Tensor) -> list[Routes]:
        """Sort rows by module, once for as long as the routes stay the same."""
        if self._last is None or not torch.equal(self._last[0], route):
            own = route.clone()
            self._last = own, [Routes(own[:, index]) for index in range(own.shape[1])]
        return self._last[1]
