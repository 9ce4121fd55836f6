"""What methods that keep their columns in one progressive network have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from colonnade.errors import UsageError
from colonnade.networks import ColumnSpec, ProgressiveNetwork, default_column, load_weights
from colonnade.networks.progressive.spec import column_spec
from colonnade.records import shown
from colonnade.types import Batch, Episode, Likelihood, Network, TaskSpec

ColumnChoice = ColumnSpec | Callable[[TaskSpec, int], ColumnSpec] | None
"""A column for every task; or a function of the task and the column's index; or None for a
default that suits the task's observations."""


class ColumnMethod(ABC):
    """A progressive network, and which of its columns plays which task.

    Attributes:
        network: All columns so far.
        columns: Index of the column that plays each task, by task id.
        trained: By what tasks each column was trained, by task id and in order; none of a random
            one, and None where an older state does not say.
        rows: Number of each task's gains and biases, where columns have some of each task.
        heads: Widths of the heads into which the newest column's output layer is divided.
        choices: Numbers of choices of the actions that the newest column was made for, none of
            actions that are numbers; None where an older state does not say.
    """

    def __init__(self, column: ColumnChoice = None) -> None:
        """Begin with no column; `column` says what later ones look like.

        Raises:
            UsageError: It is neither a `ColumnSpec` nor a function that gives one.
        """
        module = isinstance(column, nn.Module | type)
        spec = column is None or isinstance(column, ColumnSpec)
        if not spec and (module or not callable(column)):
            own = "; put a module of your own into a Custom stage of one" if module else ""
            raise UsageError(
                "column of a method must be a ColumnSpec, such as column_preset('tiny'), or a "
                f"function of a task and an index that gives one; got {shown(column)}{own}."
            )
        self.network = ProgressiveNetwork()
        self.columns: dict[str, int] = {}
        self.trained: list[list[str] | None] = []
        self.rows: dict[str, int] = {}
        self.heads: tuple[int, ...] = ()
        self.choices: tuple[int, ...] | None = None
        self._column = column
        self._expected: tuple[TaskSpec, ...] = ()

    @abstractmethod
    def begin_task(self, spec: TaskSpec, outputs: int | None = None) -> Network:
        """Prepare for a task and return the network to train on it."""

    def revisit(self, spec: TaskSpec) -> Network | None:
        """Go on with a task's column if it is the newest; an earlier one is frozen, and played."""
        if self.columns[spec.id] < len(self.network.columns) - 1:
            return None
        self.network.learn_row(self.rows.get(spec.id, 0))
        return self.network_for(spec.id)

    def column_for(self, spec: TaskSpec) -> ColumnSpec:
        """Say what the next column looks like, if it is for this task.

        Raises:
            UsageError: The function that says it gives something else.
        """
        if callable(self._column):
            return self._asked(self._column, spec, len(self.network.columns))
        return self._column or default_column(spec.input_shapes)

    def add_column(self, spec: TaskSpec, column: ColumnSpec, outputs: int | None) -> Network:
        """Add a column for a task, freezing all earlier ones."""
        if column.output_init == "copy":
            self._check_actions(spec, "whose output layer is copied")
        index = self.network.add_column(column, spec.input_shapes, outputs or spec.outputs)
        self.heads, self.choices = spec.head_widths, spec.action_sizes
        return self.assign(spec, index)

    def move_on(self, spec: TaskSpec, outputs: int | None) -> Network:
        """Take the newest column on to a task, all of it unfrozen, or add the first column.

        Where a data set brings more heads, or more labels for the last one, the output layer is
        widened for them; what it has stays as it is.

        Raises:
            UsageError: The task needs another output width than the column has, or other heads.
        """
        if not self.network.columns:
            return self.add_column(spec, self.column_for(spec), outputs)
        index = len(self.network.columns) - 1
        column = self.network.column(index)
        outputs = outputs or spec.outputs
        labels_alone = spec.labelled and sum(self.heads) in (0, column.outputs)
        if labels_alone:
            self._widen(spec)
        elif column.outputs != outputs:
            value = " and a value" if outputs > sum(spec.head_widths) else ""
            what = "one for each label" if spec.labelled else f"its actions{value}"
            raise UsageError(
                f"Task {spec.id!r} needs {outputs} outputs ({what}) but the column that moves "
                f"on has {column.outputs}; give all tasks the same actions (Atari: "
                "full_action_space), or use the progressive method, whose columns may differ."
            )
        if not spec.labelled:
            self._check_actions(spec, "that moves on")
        for name, shape in self.network.raw_inputs().items():
            if (came := spec.input_shapes.get(name)) != shape:
                lacks = "none" if came is None else f"one of shape {came}"
                raise UsageError(
                    f"The column that moves on to task {spec.id!r} was made for the input {name!r} "
                    f"of shape {shape}, but this task has {lacks}; give all tasks the same inputs, "
                    "or use the progressive method, whose columns may differ."
                )
        self.network.unfreeze()
        if column.spec.task_gains and self.columns.get(spec.id) != index:
            self.rows[spec.id] = self.network.add_row()
        return self.assign(spec, index)

    def _check_actions(self, spec: TaskSpec, which: str) -> None:
        """Refuse outputs that would mean other actions than they were made for."""
        if self.choices is not None and self.choices != spec.action_sizes:
            raise UsageError(
                f"Task {spec.id!r} has actions {spec.action_space}, but the column {which} was "
                f"made for {_worded(self.choices)}; give all tasks the same actions, or use the "
                "progressive method with output layers of their own, whose columns may differ."
            )

    def assign(self, spec: TaskSpec, index: int) -> Network:
        """Let a column play a task, with gains and biases of its own if the column has those."""
        self.columns.pop(spec.id, None)  # one that begins again is the last
        self.columns[spec.id] = index
        self.trained += [[] for _ in self.network.columns[len(self.trained) :]]
        earlier = [task for task in self.trained[index] or () if task != spec.id]
        self.trained[index] = [*earlier, spec.id]
        if self.network.column(index).spec.task_gains:
            self.network.learn_row(self.rows.setdefault(spec.id, 0))
        return self.network.view(index, self.rows.get(spec.id, 0))

    def _widen(self, spec: TaskSpec) -> None:
        """Make room for a data set's heads behind those that there are."""
        outputs, theirs = self.network.newest.outputs, spec.head_widths
        ours = self.heads
        if not ours:  # a state from before heads were kept: its heads came first, if they fit
            firsts = (theirs[:count] for count in range(1, len(theirs) + 1))
            ours = next((each for each in firsts if sum(each) == outputs), (outputs,))
        longer, shorter = (ours, theirs) if len(ours) >= len(theirs) else (theirs, ours)
        last = len(shorter) - 1
        grown = len(ours) == len(theirs)  # the last head of both may be wider in one of them
        if longer[:last] != shorter[:last] or not (grown or longer[last] == shorter[last]):
            raise UsageError(
                f"Task {spec.id!r} has heads of widths {list(theirs)}, but the column that moves "
                f"on has {list(ours)}; name the earlier heads first, as they were, as in "
                f"head={len(ours)}, heads={(*ours, theirs[spec.head])}, or use the progressive "
                "method, whose columns may differ."
            )
        self.heads = (*longer[:last], max(longer[last], shorter[last]), *longer[last + 1 :])
        if sum(self.heads) > outputs:
            self.network.widen_output(sum(self.heads))

    def penalty(self) -> Tensor | None:
        """Return None: columns are kept apart by structure, not by a penalty."""
        return None

    def on_segment(self, episodes: list[Episode]) -> None:
        """Ignore the episodes."""

    def end_task(self, samples: Iterator[Batch], likelihood: Likelihood) -> None:
        """Do nothing: the next `begin_task` freezes what must not move."""

    def network_for(self, task: str) -> Network:
        """Return the network that plays `task`; never adds or changes a parameter.

        Raises:
            UsageError: The task, by its id, has not begun.
        """
        if task not in self.columns:
            known = ", ".join(self.columns) or "none yet"
            raise UsageError(f"No column plays task {task!r}; tasks begun so far: {known}.")
        return self.network.view(self.columns[task], self.rows.get(task, 0))

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the network's weights, its layout and which column plays which task."""
        newest = self.network.newest
        meta = {
            "network": self.network.spec_dict(),
            "tasks": self.columns,
            "trained": self.trained,
            "heads": list(self.heads),
            "frozen": [i for i in range(len(newest.stages)) if newest.stage(i).frozen],
            "output_frozen": newest.output.frozen,
            **({} if self.choices is None else {"choices": list(self.choices)}),
            **({"rows": self.rows, "row": self.network.row} if self.rows else {}),
        }
        return dict(self.network.state_dict()), meta

    def expect(self, specs: Sequence[TaskSpec]) -> None:
        """Take note of the tasks to come, before `load_state`.

        Where a function says what columns look like, it is asked for these tasks' columns: the
        factories of `Custom` stages are found in them, which no checkpoint holds.
        """
        self._expected = tuple(specs)

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` of any column method gave.

        Raises:
            UsageError: A `Custom` stage's factory is missing, or makes modules with other weights.
        """
        self.network = ProgressiveNetwork.from_spec(
            meta["network"], lambda index: self._own_columns(index, meta["tasks"])
        )
        # All else is what other methods keep beside the network.
        weights = {name: value for name, value in tensors.items() if name.startswith("columns.")}
        load_weights(self.network, weights)
        # In the order of the columns, which files do not keep.
        self.columns = dict(sorted(meta["tasks"].items(), key=lambda entry: entry[1]))
        self.trained = trained_by(meta)
        self.heads = tuple(meta.get("heads", ()))
        self.choices = tuple(meta["choices"]) if "choices" in meta else None
        self.rows = dict(meta.get("rows", {}))
        self.network.learn_row(meta.get("row", 0))
        newest = self.network.newest
        whole = range(len(newest.stages)) if meta.get("features_frozen") else ()  # as it once was
        for position in meta.get("frozen", whole):
            newest.stage(position).freeze()
        if meta.get("output_frozen"):
            newest.output.freeze()

    def load_states(self, states: Sequence[tuple[dict[str, Tensor], dict[str, Any]]]) -> None:
        """Begin with the columns of several networks, which were trained independently.

        They stand side by side, as in `ProgressiveNetwork.stand_beside`; the next column reads all
        of them. A task that several have learned stays with the first.

        Args:
            states: As `state` of any column method gave them.

        Raises:
            UsageError: As for `load_state`.
        """
        self.load_state(*states[0])
        columns, rows, trained = dict(self.columns), dict(self.rows), self.trained
        network = self.network
        for tensors, meta in states[1:]:
            self.load_state(tensors, meta)
            begin = network.stand_beside(self.network)
            columns = {task: begin + at for task, at in self.columns.items()} | columns
            rows = self.rows | rows
            trained = [*trained, *self.trained]
        self.network, self.trained = network, trained
        self.columns = dict(sorted(columns.items(), key=lambda entry: entry[1]))
        self.rows = rows
        self.network.learn_row(0)

    def _own_columns(self, index: int, tasks: Mapping[str, int]) -> list[ColumnSpec]:
        """List columns of the user's own that column `index` may have been made by, likely first.

        They may hold code, which no state does.
        """
        own = [self.network.column(i).spec for i in range(len(self.network.columns))]
        if isinstance(self._column, ColumnSpec):
            return [self._column, *own]
        if self._column is None:
            return own
        likely = sorted(self._expected, key=lambda spec: tasks.get(spec.id) != index)
        return [*(self._asked(self._column, spec, index) for spec in likely), *own]

    @staticmethod
    def _asked(
        choose: Callable[[TaskSpec, int], ColumnSpec], spec: TaskSpec, index: int
    ) -> ColumnSpec:
        """Return what a user's function gives, if that is a column."""
        name = f"What column of a method gives for task {spec.id!r}"
        return column_spec(name, choose(spec, index))


def _worded(choices: Sequence[int]) -> str:
    return f"choices among {' x '.join(map(str, choices))}" if choices else "numbers (a Box)"


def trained_by(meta: Mapping[str, Any]) -> list[list[str] | None]:
    """Say by what tasks each column was trained; see `ColumnMethod.trained`.

    Args:
        meta: Of a method's state. One of an earlier version knows only which task each column
            plays.
    """
    if "trained" in meta:
        return [tasks and list(tasks) for tasks in meta["trained"]]
    columns = range(len(meta["network"]["columns"]))
    return [[task for task, at in meta["tasks"].items() if at == i] or None for i in columns]
