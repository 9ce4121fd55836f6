"""What a folder's numbers and words hang on, beside its runs: written when the folder is begun.

A report reads it from suite.json, so that it comes out the same when suites, defaults or titles of
the code have changed since. Folders from before they were written down are read with what held when
they were made, which stands here as constants.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from colonnade.errors import UsageError, unknown_name
from colonnade.experiments.method_titles import (
    ATARI,
    METHODS,
    PAIRS,
    PERMUTED,
    PONG_SOUP,
    in_order,
    method_of,
)
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.search_space import Choice, SearchSpace, parse_ranges
from colonnade.experiments.plans.spec import RunSpec
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.store.measures import FIRST_TRAINING, MEASURES
from colonnade.parts.finding import own_names, said_of
from colonnade.parts.part import Kind, Said
from colonnade.parts.plugins import is_loaded
from colonnade.records import LATER, as_data, field_kinds, read, write

if TYPE_CHECKING:
    from colonnade.experiments.suites import Suite

_FIRST_PAPERS = {
    "pong-soup": PONG_SOUP,
    "pong-soup-short": PONG_SOUP,
    "atari-transfer": ATARI,
    "pathnet-mnist-full": PAIRS,
    **dict.fromkeys(
        ("ewc-permuted-mnist", "ewc-permuted-mnist-tuning", "ewc-overlap-mnist"), PERMUTED
    ),
}

_RATES = Choice((1e-3, 5e-4, 1e-4))
_FIRST_RATES = {
    ("pong-soup-mini", "ppo"): Choice((1e-2, 3e-3, 1e-3)),
    ("pong-soup-mini", "a2c"): Choice((6e-3, 2e-3, 6e-4)),
}


@dataclass(frozen=True)
class Basis:
    """What is the same for all runs of a folder.

    Attributes:
        measures: Version of the measures; see `measures`.
        training: Options of training where a spec names none.
        methods: Keys of the methods compared, in the order of tables, and their titles.
        title: Heading of the report.
        summary: What the suite shows, in one line.
        figure: The paper and figure it follows.
        paper: The paper's experiment that it repeats, whose numbers stand beside; empty if none.
        space: What a sweep draws; None where there is no sweep.
        steps_per_second: As in `Suite`; 0 where it is not known.
        parts: What pages say of the parts that are a user's own.
    """

    measures: int
    training: Mapping[str, Any] = field(default_factory=dict)
    methods: Mapping[str, str] = field(
        default_factory=dict, metadata=as_data(dict, lambda titles: list(map(list, titles.items())))
    )
    title: str = ""
    summary: str = ""
    figure: str = ""
    paper: str = ""
    space: SearchSpace | None = None
    steps_per_second: int = field(default=0, metadata=LATER)
    parts: tuple[Said, ...] = field(default=(), metadata=LATER)

    @classmethod
    def now(cls, suite: Suite | None, plan: Plan, sweep: Sweep | None) -> Basis:
        """Take what holds for a folder that is begun now.

        Args:
            suite: What is run; None for a user's own specs.
            plan: What is run.
            sweep: What is drawn; None if nothing.

        Raises:
            UsageError: A method of the user's own stands behind one that nobody knows.
        """
        from colonnade.training import TrainingOptions

        space = None
        if suite is not None and sweep is not None and plan.runs:
            space = suite.drawn(plan).with_ranges(parse_ranges(sweep.ranges))
        own = said_of(_names(suite, plan))
        _check_places(own)
        return cls(
            measures=MEASURES,
            training=asdict(TrainingOptions()),
            methods=_methods(plan, own),
            paper=suite.paper if suite else "",
            space=space,
            **_words(suite),
            steps_per_second=suite.steps_per_second if suite else 0,
            parts=own,
        )

    @classmethod
    def first(cls, name: str, plan: Plan, sweep: Sweep | None) -> Basis:
        """Return what held for a folder that was begun before it said so.

        Title and summary are words of today's suite of that name; every number is of that time.
        """
        space = None
        if sweep is not None and plan.runs:
            learner = plan.runs[0].learner
            space = _first_space(name, learner).with_ranges(parse_ranges(sweep.ranges))
        return cls(
            measures=1,
            training=FIRST_TRAINING,
            methods=_methods(plan),
            **_words(suite_called(name)),
            paper=_FIRST_PAPERS.get(name, ""),
            space=space,
        )

    def to_json(self) -> dict[str, Any]:
        """Write it as a JSON object that `from_json` reads back."""
        values = write(self)
        del values["measures"]
        return values

    @classmethod
    def from_json(cls, measures: int, value: object, where: str) -> Basis:
        """Read it.

        Raises:
            UsageError: It is not what `to_json` writes.
        """
        try:
            if not isinstance(value, Mapping):
                raise TypeError(f"it should be a JSON object, but is {value!r}")
            given = {"measures": measures, **value}
            if missing := field_kinds(cls).keys() - {"steps_per_second", "parts"} - given.keys():
                raise UsageError(f"it lacks {min(missing)!r}.")
            return read(cls, given, "it")
        except (TypeError, ValueError) as error:
            raise UsageError(
                f"{where} does not say what its numbers are measured by (its 'basis' is damaged: "
                f"{error}); restore it."
            ) from None


def suite_called(name: str) -> Suite | None:
    """Find the suite of a folder that does not say what its suite said; None for a file's."""
    from colonnade.experiments.suites import SUITES

    return next((suite for suite in SUITES if suite.name == name), None)


def _words(suite: Suite | None) -> dict[str, Any]:
    return {name: getattr(suite, name, "") for name in ("title", "summary", "figure")}


def _methods(plan: Plan, own: Sequence[Said] = ()) -> dict[str, str]:
    present = in_order((entry.method for entry in plan.comparisons), own)
    return {method: method_of(method, own).title for method in present}


def _names(suite: Suite | None, plan: Plan) -> Iterator[tuple[Kind, str]]:
    """List by which names a plan's runs know their parts."""
    if suite is not None:
        yield "suites", suite.name
    for entry in plan.comparisons:
        yield "methods", entry.method
    for spec in plan.runs:
        yield from parts_in(spec)


def _check_places(own: Iterable[Said]) -> None:
    for said in own:
        known = [*METHODS, *own_names("methods")]
        if said.kind == "methods" and said.after and said.after not in known:
            what = f"method that the {said.words} of {said.origin} stands after"
            raise unknown_name(what, said.after, known)


def parts_in(spec: RunSpec) -> Iterator[tuple[Kind, str]]:
    """List by which names a run knows its parts."""
    yield "methods", spec.method
    yield "learners", spec.learner
    column = spec.column if isinstance(spec.column, str) else spec.column.get("preset")
    if isinstance(column, str):
        yield "columns", column
    if isinstance(kind := spec.labels.get("kind"), str):
        yield "recognisers", kind
    for task in spec.tasks:
        yield "tasks", task.name.partition("/")[0]


def check_parts(parts: Iterable[Said], folder: Path) -> None:
    """Refuse to go on with a folder whose parts are not all here; import none for it.

    Args:
        parts: What the folder says of them.
        folder: As messages call it.

    Raises:
        UsageError: One is of a plugin that was not named, or of a package that is not installed.
    """
    for said in parts:
        if said.name in own_names(said.kind):
            continue
        if is_loaded(said.origin):
            raise UsageError(
                f"{folder} has the {said.words} of the {said.origin}, which is loaded but has none "
                "of that name any more; restore it, or choose another folder."
            )
        plugin = said.origin.removeprefix("plugin ")
        if plugin == said.origin:
            raise UsageError(
                f"{folder} has the {said.words} of {said.origin}, which is not installed here; "
                "install it."
            )
        raise UsageError(
            f"{folder} has the {said.words} of the plugin {plugin}, which is only imported where "
            f"you name it; add --plugin {plugin} (in Python: colonnade.parts.load_plugin)."
        )


def _first_space(name: str, learner: str) -> SearchSpace:
    """Return the ranges of sweeps from before folders held them."""
    norms = Choice((0.5, 1.0)) if learner == "ppo" else Choice((20.0, 40.0))
    return SearchSpace(
        learner={
            "learning_rate": _FIRST_RATES.get((name, learner), _RATES),
            "entropy_cost": Choice((1e-2, 1e-3, 1e-4)),
            "clip_norm": norms,
        },
        column={"alpha": Choice((1.0, 0.1, 0.01))},
    )
