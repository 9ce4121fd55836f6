"""Progressive networks, feed-forward and recurrent.

Rusu et al. 2016 (arXiv 1606.04671); recurrent and for robots, Rusu et al. 2017 (arXiv 1610.04286).

    network = ProgressiveNetwork()
    network.add_column(atari_column(), {"observation": (4, 84, 84)}, outputs=7)   # train it, then
    network.add_column(atari_column(), {"observation": (4, 84, 84)}, outputs=7)   # the next
    logits_and_value, _ = network({"observation": frames})
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from colonnade.errors import UsageError
from colonnade.networks.progressive.alignment import Feature
from colonnade.networks.progressive.column import Column, check_sources
from colonnade.networks.progressive.forward import (
    Evaluation,
    check_raw_inputs,
    differentiated,
    frontier,
    raw_readers,
    reachable,
    state_keys,
)
from colonnade.networks.progressive.recurrent import LSTMStage
from colonnade.networks.progressive.spec import ColumnSpec, column_spec
from colonnade.networks.stage import check_shapes, lacks_factories, with_factories_of
from colonnade.types import Differentiated, Inputs, Shape, State


class ColumnView(nn.Module):
    """A `colonnade.types.Network` whose output is that of its last column.

    It shares the columns of the `ProgressiveNetwork` that made it, owns nothing, and sees none
    that are newer. Features that frozen stages compute, and the state of frozen LSTMs, may be
    computed once by `precompute`; `forward` and `unroll` then run the other stages only.

    Args:
        columns: The columns, oldest first.
        row: Of which task the last column's gains and biases are, where it has some of each.

    Attributes:
        columns: The columns, oldest first.
        row: See above.
    """

    def __init__(self, columns: Iterable[Column] = (), row: int = 0) -> None:
        super().__init__()
        self._built = [*columns]  # the same; a module's own lists answer slowly
        self.columns = nn.ModuleList(self._built)
        self.row = row
        self._found: tuple[tuple[bool, ...], tuple[list[Feature], list[str]]] | None = None

    def column(self, index: int) -> Column:
        """Return a column.

        Raises:
            UsageError: There is no such column.
        """
        if not 0 <= index < len(self.columns):
            raise UsageError(
                f"There is no column {index}; the network has {len(self.columns)}, "
                "counted from 0, and `add_column` adds one."
            )
        return self._built[index]

    @property
    def newest(self) -> Column:
        """The last column."""
        return (self._built or [self.column(-1)])[-1]

    def initial_state(self, batch: int) -> State:
        """Make the state at the start of an episode: zeros [batch, H] for each LSTM in use."""
        state: State = {}
        for feature in reachable(self._built, self.newest.index):
            stage = self._built[feature.column].stage(feature.stage)
            if isinstance(stage, LSTMStage):
                for key in state_keys(feature):
                    state[key] = stage.weight.new_zeros(batch, stage.units)
        return state

    @torch.no_grad()
    def precompute(self, inputs: Inputs, state: State) -> tuple[Inputs, State]:
        """Compute the frozen features that unfrozen stages, or the output layer, read.

        Args:
            inputs: Each [N, ...].
            state: As before this step.

        Returns:
            What `forward` and `unroll` need: those features under keys such as "column0/stage1",
            maps with channels-last strides, and the raw inputs that unfrozen stages read; and the
            state with the frozen LSTMs' entries moved on by this step.
        """
        cached, names = self._frontier(self._built)
        if not (cached or names):  # a column of silent stages: how many rows there are is all
            names = [self.newest.input]
        evaluation = Evaluation(self._built, inputs, state, row=self.row)
        features = {feature.key: evaluation.feature(feature) for feature in cached}
        return {**{n: inputs[n] for n in names if n in inputs}, **features}, evaluation.state

    def forward(self, inputs: Inputs | Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """Take one step.

        Args:
            inputs: Each [N, ...], with or without what `precompute` adds; a lone tensor is the
                input the newest column starts from. uint8 is scaled to [0, 1], other data is not.
            state: The state before the step; None is the start of an episode.

        Returns:
            [N, outputs] and the state after the step.

        Raises:
            UsageError: An input is missing or has another shape than the column was made for.
        """
        newest = self.newest
        if isinstance(inputs, Tensor):
            inputs = {newest.input: inputs}
        if state is None:
            state = self.initial_state(next(iter(inputs.values())).shape[0]) if inputs else {}
        evaluation = Evaluation(self._built, inputs, state, row=self.row)
        return evaluation.output(newest.index), evaluation.state

    def unroll(self, inputs: Inputs, state: State, starts: Tensor) -> tuple[Tensor, State]:
        """Take T steps, all at once but for the recurrent part of LSTMs.

        Args:
            inputs: Each [T, N, ...], with or without what `precompute` adds.
            state: The state before the first step.
            starts: [T, N] bool; where an episode starts the state returns to zero before the step.

        Returns:
            [T, N, outputs] and the state after the last step; entries of LSTMs whose features were
            precomputed are passed on as they came.

        Raises:
            UsageError: An input is missing or has another shape than the column was made for.
        """
        evaluation = Evaluation(self._built, inputs, state, starts, self.row)
        output = evaluation.output(self.newest.index)
        return output.unflatten(0, starts.shape), evaluation.state

    def differentiated(self) -> Differentiated | None:
        """See `colonnade.types.Differentiating`: dense layers that read no other column can."""
        return differentiated(self._built)

    def twofold(self, inputs: Inputs, others: Mapping[str, Tensor]) -> tuple[Tensor, Tensor] | None:
        """See `colonnade.types.Twofold`: columns that read no other can, on a processor."""
        return Evaluation(self._built, inputs, {}, row=self.row).twofold(others)

    def freeze_features(self) -> None:
        """Freeze the newest column but for its output layer (baseline 2 of Rusu et al. 2016)."""
        self.newest.freeze_features()

    def unfreeze(self) -> None:
        """Let the whole newest column learn, as it does when it is added (baseline 3)."""
        self.newest.unfreeze()

    def spec_dict(self) -> dict[str, Any]:
        """Return all columns' specs, input shapes and output widths as plain JSON data."""
        return {
            "columns": [
                {
                    "spec": column.spec.to_dict(),
                    "input_shapes": {n: list(s) for n, s in column.input_shapes.items()},
                    "outputs": column.outputs,
                    **({"rows": column.rows} if column.rows > 1 else {}),
                    **({} if column.sources is None else {"sources": list(column.sources)}),
                }
                for column in self._built
            ]
        }

    def _frontier(self, columns: Sequence[Column]) -> tuple[list[Feature], list[str]]:
        """Return what `frontier` finds, looked for anew where other stages are frozen."""
        frozen = tuple(stage.frozen for column in columns for stage in column.hidden)
        if self._found is None or self._found[0] != frozen:
            self._found = frozen, frontier(columns, self.newest.index)
        return self._found[1]


class ProgressiveNetwork(ColumnView):
    """Columns that are added one per task, each reading the frozen ones before it."""

    def __init__(self) -> None:
        super().__init__()

    def add_column(
        self,
        spec: ColumnSpec,
        input_shapes: Mapping[str, Shape],
        outputs: int,
        generator: torch.Generator | None = None,
        sources: Sequence[int] | None = None,
    ) -> int:
        """Freeze all columns for good and add one that learns.

        Args:
            spec: What to build.
            input_shapes: Shape of each named input of the task, without the batch axis.
            outputs: Width of the output layer: all policy logits and the value.
            generator: Of the first weights, custom modules' too; None is PyTorch's global one.
            sources: Indices of the columns that it may read; None is all.

        Returns:
            The new column's index.

        Raises:
            UsageError: What came is no spec or are no shapes, the shapes do not fit, a source is
                no column, or one that it reads needs an input that the task lacks. The network is
                then as it was.
        """
        spec = column_spec("spec of add_column", spec)
        check_shapes("add_column", input_shapes)
        earlier = [*self._built]
        check_sources(sources, len(earlier))
        with _random_from(generator):
            column = Column(spec, input_shapes, outputs, earlier, sources)
            check_raw_inputs([*earlier, column])
            read = range(len(earlier)) if sources is None else sources
            if spec.output_init == "copy" and read:
                column.copy_output_of(earlier[read[-1]])
        if earlier:
            weight = earlier[-1].output.weight
            column.to(weight.device, weight.dtype)
        for frozen in earlier:
            frozen.freeze()
        self.columns.append(column.train(self.training))
        self._built.append(column)
        self.learn_row(0)
        return column.index

    def stand_beside(self, other: ProgressiveNetwork) -> int:
        """Take over another network's columns, which go on reading each other alone.

        A column that is added afterwards reads those of both: "lateral connections from multiple,
        independent networks in an ensemble setting" (Rusu et al. 2016, section 2).

        Args:
            other: Trained by itself; it shares nothing with this one afterwards.

        Returns:
            The index that its first column has here.
        """
        begin = len(self.columns)
        for column in [*other._built]:
            sources = range(column.index) if column.sources is None else column.sources
            index = self.add_column(
                column.spec,
                column.input_shapes,
                column.outputs,
                sources=[begin + source for source in sources],
            )
            for _ in range(column.rows - 1):
                self.add_row()
            self.column(index).load_state_dict(column.state_dict())
        return begin

    def add_row(self) -> int:
        """Give another task gains and biases of its own in the newest column (`task_gains`).

        Returns:
            The number of its row; `learn_row` lets it learn.

        Raises:
            UsageError: The column has none.
        """
        return self.newest.add_row()

    def learn_row(self, row: int) -> None:
        """Compute with a task's gains and biases in the newest column, and let them alone learn.

        Where there are none, nothing happens.
        """
        self.row = row
        self.newest.learn_row(row)

    def replace_output(self, outputs: int, generator: torch.Generator | None = None) -> None:
        """Start a new output layer for the newest column, for a task with other actions.

        Args:
            outputs: Its width.
            generator: Where its weights come from; None is PyTorch's global generator.
        """
        with _random_from(generator):
            self.newest.replace_output(outputs, self._built[:-1])

    def widen_output(self, outputs: int, generator: torch.Generator | None = None) -> None:
        """Add outputs at the end of the newest column's output layer; the others stay as they are.

        Args:
            outputs: Its width afterwards.
            generator: Where the new weights come from; None is PyTorch's global generator.

        Raises:
            UsageError: The output layer is wider than that.
        """
        with _random_from(generator):
            self.newest.widen_output(outputs, self._built[:-1])

    def view(self, column: int | None = None, row: int | None = None) -> ColumnView:
        """Return the network of one column and those before it; None is the newest.

        `row` says with which task's gains and biases it computes, where there are some of each;
        None is the one that learns.

        This is what learners train and evaluators play. It shares the network's weights: `unfreeze`
        on a view of an old column would let that column learn.

        Raises:
            UsageError: There is no such column.
        """
        index = self.newest.index if column is None else self.column(column).index
        if row is None:
            row = self.row if index == self.newest.index else 0
        view = ColumnView(self._built[: index + 1], row)
        view.training = self.training
        return view

    def forward(
        self, inputs: Inputs | Tensor, state: State | None = None, column: int | None = None
    ) -> tuple[Tensor, State]:
        """Take one step of a column, the newest by default; see `ColumnView.forward`."""
        if column is None:
            return super().forward(inputs, state)
        return self.view(column).forward(inputs, state)

    @classmethod
    def from_spec(
        cls,
        data: Mapping[str, Any],
        own: Iterable[ColumnSpec] | Callable[[int], Iterable[ColumnSpec]] = (),
    ) -> ProgressiveNetwork:
        """Build the network that `spec_dict` described; its weights come by `load_state_dict`.

        Args:
            data: As `spec_dict` gave it.
            own: Columns of the user's own, from which `Custom` stages take their factories, since
                data holds no code and what it names is not imported unasked (see `factories`). Or
                a function that lists those for the column of an index. The first that fits is
                taken.

        Raises:
            UsageError: The data is not what `spec_dict` gives, or a factory is missing.
        """
        known = own if callable(own) else [*own]
        network = cls()
        for index, entry in enumerate(_field(data, "columns", list)):
            shapes = {
                name: tuple(shape) for name, shape in _field(entry, "input_shapes", dict).items()
            }
            spec = ColumnSpec.from_dict(_field(entry, "spec", dict))
            if lacks_factories(spec.stages):
                columns = known(index) if callable(known) else known
                stages = with_factories_of(spec.stages, [column.stages for column in columns])
                spec = replace(spec, stages=stages)
            sources = _field(entry, "sources", list) if "sources" in entry else None
            network.add_column(spec, shapes, _field(entry, "outputs", int), sources=sources)
            for _ in range(entry.get("rows", 1) - 1):
                network.add_row()
        return network

    def raw_inputs(self) -> dict[str, Shape]:
        """Return the shape of each input that the newest column and what it reads expect."""
        return {
            name: column.input_shapes[name]
            for column, name in raw_readers(self._built, self.newest.index)
        }


def _field(data: object, name: str, kind: type) -> Any:
    if not isinstance(data, Mapping) or not isinstance(data.get(name), kind):
        raise UsageError(
            f"A network's spec should be as `spec_dict` writes it, with {name!r} as "
            f"{kind.__name__}, but came as {data!r}."
        )
    return data[name]


@contextmanager
def _random_from(generator: torch.Generator | None) -> Iterator[None]:
    """Let PyTorch's global CPU generator follow `generator` within the block, and restore it."""
    if generator is None:
        yield
        return
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield
