"""What the JSON files of a run hold: the kinds of their values, checked as they are read.

A checksum says that a file is as it was written, not that who wrote it meant well; and files from
before there were checksums have none. So whoever reads one meets what stands here, or a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade.experiments.store.rows import is_count, is_number, is_text, misfits
from colonnade.records import shown

_Form = Any
"""A function that says whether a value fits, with words; a list of one form, for all elements; or a
dict of forms by key, where "key?" may be missing and "*" stands for all others."""

_TEXT = (is_text, "a text")
_COUNT = (is_count, "a whole number")
_NUMBER = (is_number, "a number")
_MAYBE_TEXT = (lambda value: value is None or is_text(value), "a text or null")
_MAYBE_TEXTS = (
    lambda value: value is None or (isinstance(value, list) and all(map(is_text, value))),
    "a list of texts or null",
)
_MAYBE_NUMBER = (lambda value: value is None or is_number(value), "a number or null")
_ANYTHING = (lambda _: True, "")
_OBJECT: _Form = {"*": _ANYTHING}

_RESULT: _Form = {
    "spec?": _OBJECT,
    "measures?": _COUNT,
    "learner?": _OBJECT,
    "training?": {"curve_steps?": (lambda value: is_count(value) and value > 0, "a whole number"),
                  "test_episodes?": _COUNT, "goal_episodes?": _COUNT, "*": _ANYTHING},
    "labelled?": (lambda value: isinstance(value, bool), "true or false"),
    "scores": _ANYTHING,
    "versions": {"*": _TEXT},
    "hardware": {"cpu": _TEXT, "cores": _COUNT, "threads": _COUNT, "gpu": _MAYBE_TEXT,
                 "*": _ANYTHING},
    "timing": {"training_seconds": _NUMBER, "started": _NUMBER, "finished": _NUMBER,
               "*": _ANYTHING},
    "notes": [_TEXT],
    "files?": {"*": _TEXT},
    "pruning?": _OBJECT,
    "contexts?": {"*": _TEXT},
    "*": _ANYTHING,
}  # fmt: skip

_SHAPE = (lambda value: isinstance(value, list) and all(map(is_count, value)), "a list of counts")
_STAGE: _Form = {"kind": _TEXT, "laterals?": _MAYBE_TEXT, "units?": _COUNT, "maps?": _COUNT,
                 "kernel?": _COUNT, "stride?": _COUNT, "input?": _TEXT, "out_shape?": _SHAPE,
                 "*": _ANYTHING}  # fmt: skip
_STAGES = {
    "conv": ("kernel", "maps", "stride"),
    "custom": ("out_shape",),
    "join": ("input", "units"),
    "dense": ("units",),
    "lstm": ("units",),
}
"""What a picture of a network says of a stage, by its kind."""

_COLUMN: _Form = {
    "spec": {"stages": [_STAGE], "laterals": _TEXT, "output_laterals?": _MAYBE_TEXT,
             "*": _ANYTHING},
    "input_shapes": {"*": _SHAPE},
    "outputs": _COUNT,
    "*": _ANYTHING,
}  # fmt: skip
_MODULAR: _Form = {
    "modular": {"modules?": _COUNT, "active?": _COUNT, "*": _ANYTHING},
    "*": _ANYTHING,
}
_PATHS: _Form = [[_COUNT]]
_HISTORY: _Form = {
    "best": _PATHS,
    "frozen": _PATHS,
    "overlap": [_MAYBE_NUMBER],
    "*": _ANYTHING,
}
_NETWORK: _Form = {
    "network": {"columns?": [_COLUMN], "modular?": [_MODULAR], "*": _ANYTHING},
    "tasks": {"*": _COUNT},
    "trained?": [_MAYBE_TEXTS],
    "pathnet?": {"histories?": {"*": _HISTORY}, "*": _ANYTHING},
    "*": _ANYTHING,
}

_STATUS: _Form = {
    "pid?": _COUNT,
    "progress?": (lambda value: value is None or isinstance(value, dict), "an object or null"),
    "notes?": [_TEXT],
    "error?": _MAYBE_TEXT,
    "kind?": _MAYBE_TEXT,
    "*": _ANYTHING,
}
_PROGRESS: _Form = {
    "run_step": _COUNT,
    "steps_per_second": _NUMBER,
    "recent_return": _MAYBE_NUMBER,
    "*": _ANYTHING,
}

SESSION: _Form = {
    "started?": _NUMBER,
    "seconds": _NUMBER,
    "workers": _COUNT,
    "cpu_seconds": _NUMBER,
    "*": _ANYTHING,
}
"""A line of sessions.jsonl."""

POLICY: _Form = {"contexts?": {"*": _TEXT}, "*": _ANYTHING}
"""What a file of one trained network says of it, as far as nobody else reads it."""

CHOICE: _Form = {"run": _TEXT, "*": _ANYTHING}
"""What choices.json says of a selection."""


def misfit_of_result(value: Mapping[str, Any]) -> str:
    """Say what is wrong with what result.json holds; nothing where it is as it should be."""
    if wrong := misfit(value, _RESULT):
        return wrong
    wrong = misfits(value["scores"])
    return f"has 'scores' where the list {wrong}" if wrong else ""


def misfit_of_network(value: Mapping[str, Any]) -> str:
    """Say what is wrong with what network.json holds; nothing where it is as it should be."""
    if wrong := misfit(value, _NETWORK):
        return wrong
    network, tasks = value["network"], value["tasks"]
    if "columns" not in network and not network.get("modular"):
        return "has neither columns nor modules as 'network'"
    if not tasks:
        return "has no task among its 'tasks'"
    columns = network.get("columns")
    if columns is not None and (wrong := _misfit_of_columns(columns, tasks)):
        return wrong
    if len(trained := value.get("trained", columns or ())) != len(columns or ()):
        return f"says by what {len(trained)} columns were trained, where there are {len(columns)}"
    return ""


def _misfit_of_columns(columns: list[Any], tasks: Mapping[str, int]) -> str:
    if not columns:
        return "has no column among its 'network.columns'"
    for task, column in tasks.items():
        if column >= len(columns):
            return f"has {task!r} played by column {column}, where there are {len(columns)}"
    for number, column in enumerate(columns):
        place = f"'network.columns[{number}]'"
        if not column["input_shapes"]:
            return f"has no input shapes in {place}"
        for stage in column["spec"]["stages"]:
            needed = _STAGES.get(stage["kind"])
            if needed is None:
                return f"has a stage of the unknown kind {shown(stage['kind'])} in {place}"
            if lacking := [name for name in needed if name not in stage]:
                return f"has a stage that lacks {lacking[0]!r} in {place}"
    return ""


def fitting_status(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return what status.json says as far as it makes sense; it may be lost without harm."""
    if misfit(value, _STATUS):
        return {}
    progress = value.get("progress")
    sound = progress is not None and not misfit(progress, _PROGRESS)
    return {**value, "progress": progress if sound else None}


def misfit(value: Any, form: _Form, place: str = "") -> str:
    """Say where a value does not fit a form, and how; nothing where it does."""
    if isinstance(form, tuple):
        test, words = form
        return "" if test(value) else f"should have {words} as '{place}', but has {shown(value)}"
    if isinstance(form, list):
        if not isinstance(value, list):
            return f"should have a list as '{place}', but has {shown(value)}"
        found = (misfit(each, form[0], f"{place}[{n}]") for n, each in enumerate(value))
        return next(filter(None, found), "")
    if not isinstance(value, dict):
        return f"should have an object as '{place}', but has {shown(value)}"
    for key in form:
        if key != "*" and not key.endswith("?") and key not in value:
            return f"lacks {f'{place}.{key}'.lstrip('.')!r}"
    for key, each in value.items():
        inner = form.get(key, form.get(f"{key}?", form.get("*", _ANYTHING)))
        if wrong := misfit(each, inner, f"{place}.{key}".lstrip(".")):
            return wrong
    return ""
