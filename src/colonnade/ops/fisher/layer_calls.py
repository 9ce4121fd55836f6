"""Which layers use which parameters: found by watching the functions that a module calls."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map


class Source(NamedTuple):
    """A parameter, or what a fixed scale and a transposition make of it."""

    name: str
    scale: float = 1.0
    transposed: bool = False


@dataclass(frozen=True)
class LayerCall:
    """A linear map or a convolution of the features by a parameter.

    Attributes:
        weight: The parameter that is the map, if it is one of those watched.
        bias: Name of the parameter that is added, if it is one of those watched.
        features: What is mapped, as the call had it; of a call that was noted, its shape alone.
        weight_rows_are_outputs: Whether the parameter is [outputs, inputs], as in `nn.Linear`.
        convolution: Stride, padding and dilation, each (height, width); None for linear maps.
        kernel: Size of the convolution's kernel (height, width).
        out_shape: Shape of the result for a batch of one.
        out_dtype: Its type.
    """

    weight: Source | None
    bias: str | None
    features: Tensor
    weight_rows_are_outputs: bool = True
    convolution: tuple[tuple[int, int], tuple[int, int], tuple[int, int]] | None = None
    kernel: tuple[int, int] = (1, 1)
    out_shape: tuple[int, ...] = ()
    out_dtype: torch.dtype = torch.float32

    def without(self, names: set[str]) -> LayerCall:
        """Forget the parameters in `names`."""
        weight = None if self.weight is not None and self.weight.name in names else self.weight
        return replace(self, weight=weight, bias=None if self.bias in names else self.bias)

    @property
    def watched(self) -> bool:
        """Whether a watched parameter takes part."""
        return self.weight is not None or self.bias is not None


class _Watch(TorchFunctionMode, ABC):
    """Sees every torch function that a module calls; rewrites what can't be taken apart."""

    def __init__(self, parameters: dict[str, Tensor]) -> None:
        super().__init__()
        self._sources = {id(tensor): Source(name) for name, tensor in parameters.items()}
        self._kept: list[Tensor] = list(parameters.values())  # an id is good while its tensor lives

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is torch._VF.lstm and isinstance(args[3], bool):
            with self:
                return _lstm_by_steps(*args)
        if func is torch.Tensor.contiguous and "memory_format" in kwargs:
            return args[0]  # vmap knows no memory formats, and values do not depend on them
        if torch.is_grad_enabled():
            call = self._layer_call(func, args, kwargs)
            if call is not None:
                return self.on_layer(call, func, args, kwargs)
        result = func(*args, **kwargs)
        if not (isinstance(result, Tensor) and self._derive(func, args, kwargs, result)):
            self.on_other(result, args, kwargs)
        return result

    @abstractmethod
    def on_layer(
        self,
        call: LayerCall,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Tensor:
        """Compute a layer call."""

    def on_other(self, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Take note of any other call."""

    def sources_in(self, values: Any) -> list[Source]:
        """List the watched parameters among some arguments."""
        found = (self._source(leaf) for leaf in tree_leaves(values))
        return [source for source in found if source is not None]

    def _source(self, value: Any) -> Source | None:
        return self._sources.get(id(value)) if isinstance(value, Tensor) else None

    def _derive(
        self,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Tensor,
    ) -> bool:
        """Follow a parameter through a transposition or a multiplication by a number."""
        source = self._source(args[0]) if args else None
        if source is None or kwargs:
            return False
        if func in _TRANSPOSE and result.dim() == 2:
            source = source._replace(transposed=not source.transposed)
        elif func in _SCALE and isinstance(args[1], (int, float)):
            source = source._replace(scale=source.scale * args[1])
        else:
            return False
        self._sources[id(result)] = source
        self._kept.append(result)
        return True

    def _layer_call(
        self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> LayerCall | None:
        """Take a call apart, if it is a layer that a watched parameter takes part in."""
        parsed: LayerCall | None = None
        if func in _LINEAR:
            parsed = self._linear(*args, **kwargs)
        elif func in _MATMUL and len(args) == 2 and not kwargs:
            parsed = self._product(None, *args)
        elif func in _ADDMM and len(args) == 3 and not kwargs:
            parsed = self._product(*args)
        elif func in _CONVOLUTION:
            parsed = self._convolution(*args, **kwargs)
        if parsed is None or not parsed.watched or self._source(parsed.features) is not None:
            return None
        return parsed

    def _linear(self, input: Tensor, weight: Tensor, bias: Tensor | None = None) -> LayerCall:
        source = self._source(weight)
        return LayerCall(
            source,
            self._bias(bias, weight.shape[0]),
            input,
            weight_rows_are_outputs=source is None or not source.transposed,
        )

    def _product(self, added: Tensor | None, left: Tensor, right: Tensor) -> LayerCall | None:
        if left.dim() < 2 or right.dim() != 2:
            return None
        source, bias = self._source(right), self._bias(added, right.shape[1])
        if bias is None and self._source(added) is not None:
            return None
        return LayerCall(
            source, bias, left, weight_rows_are_outputs=source is not None and source.transposed
        )

    def _convolution(
        self,
        input: Tensor,
        weight: Tensor,
        bias: Tensor | None = None,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
    ) -> LayerCall | None:
        if groups != 1 or isinstance(padding, str) or input.dim() != weight.dim():
            return None
        planar = weight.dim() == 4
        return LayerCall(
            self._source(weight),
            self._bias(bias, weight.shape[0]),
            input,
            convolution=(
                _pair(stride, 1, planar),
                _pair(padding, 0, planar),
                _pair(dilation, 1, planar),
            ),
            kernel=_pair(tuple(weight.shape[2:]), 1, planar),
        )

    def _bias(self, bias: Tensor | None, width: int) -> str | None:
        source = self._source(bias)
        if source is None or bias is None:
            return None
        plain = source == Source(source.name) and bias.shape == (width,)
        return source.name if plain else None


class Discovery(_Watch):
    """Notes each layer call, and which parameters are used in any other way.

    Attributes:
        calls: In the order of calling.
        elsewhere: Names of parameters that anything but a layer call uses.
        other_results: Numbers that all other functions returned, which autograd may keep.
    """

    def __init__(self, parameters: dict[str, Tensor]) -> None:
        super().__init__(parameters)
        self.calls: list[LayerCall] = []
        self.elsewhere: set[str] = set()
        self.other_results = 0

    def on_layer(
        self,
        call: LayerCall,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Tensor:
        """Note the call, and parameters that have no part in it as weight or bias."""
        result: Tensor = func(*args, **kwargs)
        parts = {call.weight.name if call.weight else None, call.bias}
        self.elsewhere.update(
            s.name for s in self.sources_in((args, kwargs)) if s.name not in parts
        )
        self.calls.append(
            replace(
                call,
                features=torch.empty_like(call.features, device="meta"),
                out_shape=tuple(result.shape),
                out_dtype=result.dtype,
            )
        )
        return result

    def on_other(self, result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Note parameters that a differentiable function uses."""
        used = self.sources_in((args, kwargs))
        if used and any(isinstance(v, Tensor) and v.requires_grad for v in tree_leaves(result)):
            self.elsewhere.update(source.name for source in used)
        if isinstance(result, Tensor) and result.is_floating_point() and result._base is None:
            self.other_results += result.numel()


class CallsDiffer(RuntimeError):
    """A module called other layers than it did when they were noted."""


class Perturbation(_Watch):
    """Adds a perturbation to the result of each layer call, and keeps what the call read.

    The call's parameters are detached, so that a gradient that still reaches them shows that they
    are used in another way.

    Attributes:
        features: What each call mapped, in the order of calling.
    """

    def __init__(self, parameters: dict[str, Tensor], perturbations: Iterable[Tensor]) -> None:
        super().__init__(parameters)
        self._perturbations = iter(perturbations)
        self.features: list[Tensor] = []

    def on_layer(
        self,
        call: LayerCall,
        func: Callable[..., Any],
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Tensor:
        """Compute the call, perturbed.

        Raises:
            CallsDiffer: It is not the call that was noted.
        """
        perturbation = next(self._perturbations, None)
        args, kwargs = tree_map(self._detached, (args, kwargs))
        result: Tensor = func(*args, **kwargs)
        if perturbation is None or perturbation.shape != result.shape:
            raise CallsDiffer("its layers depend on more than the shapes of its inputs")
        self.features.append(call.features)
        return result + perturbation

    def check_end(self) -> None:
        """Check that all calls came.

        Raises:
            CallsDiffer: One did not.
        """
        if next(self._perturbations, None) is not None:
            raise CallsDiffer("its layers depend on more than the shapes of its inputs")

    def _detached(self, value: Any) -> Any:
        return value if self._source(value) is None else value.detach()


def _pair(value: Any, filler: int, planar: bool) -> tuple[int, int]:
    """Bring a size of a one- or two-dimensional convolution to (height, width)."""
    if isinstance(value, int):
        return (value, value) if planar else (filler, value)
    if len(value) == 1:
        return (int(value[0]), int(value[0])) if planar else (filler, int(value[0]))
    return int(value[0]), int(value[1])


def _lstm_by_steps(
    input: Tensor,
    state: tuple[Tensor, Tensor],
    weights: list[Tensor],
    has_biases: bool,
    num_layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Compute what `torch.nn.LSTM` does, with a linear map for each of its weights.

    Arguments are those of `torch.lstm` in evaluation mode; projections are understood.
    """
    features = input.transpose(0, 1) if batch_first else input
    directions = 2 if bidirectional else 1
    size = len(weights) // (num_layers * directions)
    last_hidden, last_cell = [], []
    for layer in range(num_layers):
        outputs = []
        for direction in range(directions):
            place = layer * directions + direction
            own = weights[place * size : (place + 1) * size]
            biases = own[2:4] if has_biases else [None, None]
            projection = own[-1] if math.fmod(size, 2) else None
            hidden, cell = state[0][place], state[1][place]
            from_below = F.linear(features, own[0], biases[0])
            steps = list(from_below.unbind(0))
            found = []
            for step in reversed(steps) if direction else steps:
                gates = step + F.linear(hidden, own[1], biases[1])
                write, keep, candidate, show = gates.chunk(4, -1)
                cell = keep.sigmoid() * cell + write.sigmoid() * candidate.tanh()
                hidden = show.sigmoid() * cell.tanh()
                hidden = hidden if projection is None else F.linear(hidden, projection)
                found.append(hidden)
            last_hidden.append(hidden)
            last_cell.append(cell)
            outputs.append(torch.stack(found[::-1] if direction else found))
        features = torch.cat(outputs, -1)
    output = features.transpose(0, 1) if batch_first else features
    return output, torch.stack(last_hidden), torch.stack(last_cell)


_TRANSPOSE: tuple[Any, ...] = (torch.t, torch.Tensor.t, torch.Tensor.T.__get__)  # type: ignore[attr-defined]
_SCALE: tuple[Any, ...] = (torch.mul, torch.Tensor.mul, torch.Tensor.__rmul__)
_LINEAR: tuple[Any, ...] = (F.linear,)
_MATMUL: tuple[Any, ...] = (
    torch.matmul,
    torch.mm,
    torch.Tensor.matmul,
    torch.Tensor.mm,
    torch.Tensor.__matmul__,
)
_ADDMM: tuple[Any, ...] = (torch.addmm, torch.Tensor.addmm)
_CONVOLUTION: tuple[Any, ...] = (torch.conv1d, torch.conv2d)
