"""Modular networks as learners see them: along one path, or along one path per environment."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from colonnade.errors import UsageError
from colonnade.networks.pathnet.bank import ModularLayer, Routes
from colonnade.networks.pathnet.descent import PathDescent
from colonnade.networks.pathnet.layers import DenseLayer, Head
from colonnade.networks.pathnet.recurrent import LSTMLayer, memory_keys
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
        value = value if self.input_shape else value.unsqueeze(-1)  # a lone number is a feature
        if value.dim() == 4:
            value = value.contiguous(memory_format=torch.channels_last)
        return to_compute_dtype(value, self.head.weight.dtype), scale

    def _memories(self, batch: int) -> State:
        """Make what LSTM modules remember at the start of an episode; nothing without any."""
        state: State = {}
        for index, layer in enumerate(self.layers):
            if isinstance(layer, LSTMLayer):
                state |= {key: layer.initial_memory(batch) for key in memory_keys(index)}
        return state

    def _through(
        self,
        index: int,
        features: Tensor,
        routes: Routes | Sequence[int],
        scale: float | None,
        state: State,
        starts: Tensor | None,
    ) -> Tensor:
        """Map features [R, ...] through a layer; what it remembers is moved on within `state`."""
        layer = self._layer(index)
        features = layer.flat(features)
        if isinstance(layer, LSTMLayer):
            hidden, cell = memory_keys(index)
            if hidden not in state or cell not in state:
                raise UsageError(
                    f"The network's state lacks {hidden!r} or {cell!r}; start from "
                    "`initial_state(batch)`."
                )
            features, state[hidden], state[cell] = layer.remember(
                features, routes, scale, state[hidden], state[cell], starts
            )
            return features
        if isinstance(routes, Routes):
            output: Tensor = layer(features, routes, scale)
            return output
        return layer.along(features, routes, scale)

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
        """Make what LSTM modules remember, [batch, M, H]; empty without any."""
        return self._memories(batch)

    def precompute(self, inputs: Inputs, state: State) -> tuple[Inputs, State]:
        """Return the one input that is read, and the state as it is."""
        return {self.input: inputs[self.input]} if self.input in inputs else {}, state

    def forward(self, inputs: Inputs | Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Map inputs [N, ...] to [N, outputs].

        Raises:
            UsageError: The input is missing or has another shape than the network was made for.
        """
        features, scale = self.prepared(inputs, 1)
        return self._along(features, scale, state or self._memories(len(features)), None)

    def unroll(self, inputs: Inputs, state: State, starts: Tensor) -> tuple[Tensor, State]:
        """Map inputs [T, N, ...] to [T, N, outputs].

        Raises:
            UsageError: The input is missing or has another shape than the network was made for.
        """
        output, state = self._along(*self.prepared(inputs, 2), state, starts)
        return output.unflatten(0, starts.shape), state

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

    def _along(
        self, features: Tensor, scale: float | None, state: State, starts: Tensor | None
    ) -> tuple[Tensor, State]:
        state = dict(state)
        for index, modules in enumerate(self._active):
            features = self._through(index, features, modules, scale, state, starts)
            scale = None
        return self._output(features, float(len(self._active[-1]))), state


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
        """Return the environments' present routes, and what LSTM modules remember.

        Raises:
            UsageError: There are not as many environments as paths.
        """
        if batch != len(self.routes):
            raise UsageError(
                f"{batch} environments can't follow {len(self.routes)} paths, one each; make the "
                "population as large as the number of environments (num_envs)."
            )
        return {ROUTE: self.routes.clone(), **self._memories(batch)}

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
        return self._mixed(features, scale, state[ROUTE] if route is None else route, state, None)

    def unroll(self, inputs: Inputs, state: State, starts: Tensor) -> tuple[Tensor, State]:
        """Map inputs [T, N, ...] to [T, N, outputs], and return the last step's state.

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
        output, state = self._mixed(features, scale, route.flatten(0, 1), state, starts)
        return output.unflatten(0, starts.shape), {**state, ROUTE: route[-1]}

    def _mixed(
        self,
        features: Tensor,
        scale: float | None,
        route: Tensor,
        state: State,
        starts: Tensor | None,
    ) -> tuple[Tensor, State]:
        routes, state = self._routes(route), dict(state)
        for index, layer_routes in enumerate(routes):
            features = self._through(index, features, layer_routes, scale, state, starts)
            scale = None
        return self._output(features, routes[-1].mask.sum(1)), state

    def _routes(self, route: Tensor) -> list[Routes]:
        """Sort rows by module, once for as long as the routes stay the same."""
        if self._last is None or not torch.equal(self._last[0], route):
            own = route.clone()
            self._last = own, [Routes(own[:, index]) for index in range(own.shape[1])]
        return self._last[1]
