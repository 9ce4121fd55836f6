"""What a method promises: what moves, what is kept, and that it goes on where it was stopped."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from colonnade.errors import UsageError
from colonnade.learners import A2C, LearnerConfig
from colonnade.records import shown
from colonnade.testing.contract import (
    OPTIONS,
    TASKS,
    ContractError,
    Interrupting,
    as_json,
    copied,
    demand,
    differing,
    timeless,
)
from colonnade.training import (
    MemoryRecorder,
    TrainingOptions,
    Visit,
    evaluate,
    read_tensors,
    train_sequence,
    write_tensors,
)
from colonnade.types import Method, Revisiting, Task


def check_method(
    make: Callable[[], Method],
    *,
    tasks: Sequence[Task] = TASKS,
    learner: LearnerConfig | None = None,
    options: TrainingOptions = OPTIONS,
) -> None:
    """Check that a method can learn a sequence, be stopped anywhere, kept in a file and played.

    Args:
        make: Makes a new one.
        tasks: Two that differ, short: everything is learned about ten times over. By default two
            looks of MiniPong.
        learner: How each is learned; by default a small A2C.
        options: How training runs; several segments a task.

    Raises:
        UsageError: `make` makes nothing.
        ContractError: It can't.
    """
    if not callable(make):
        raise UsageError(
            "make of check_method must be a function that makes a new method, as in "
            f"check_method(lambda: EWC(lam=10)); got {shown(make)}."
        )
    config = learner or A2C(rollout_steps=20)

    def train(method: Method, recorder: MemoryRecorder | None = None, **more: Any) -> Method:
        train_sequence(tasks, method, config, seed=3, options=options, recorder=recorder, **more)
        return method

    whole = MemoryRecorder()
    method = train(make(), whole)
    ids = [task.spec.id for task in tasks]
    weights = copied(method.state()[0])
    torch.rand(7)  # the caller's use of the global stream must not matter
    demand(
        not (names := differing(weights, train(make()).state()[0])),
        f"The same seed should give the same weights, but {_some(names)} differ.",
    )
    _check_playing(method, tasks, config)
    _check_unknown(method)
    _check_file(make, method, ids)
    stopped, others = Interrupting(), make
    made: list[Method] = []

    def life(recorder: Interrupting) -> None:
        made.append(others())
        train(made[-1], recorder)

    stopped.go_on(life)
    names = differing(weights, made[-1].state()[0])
    demand(not names, f"Training that was cut off should go on exactly, but {_some(names)} differ.")
    demand(
        timeless(stopped.history) == timeless(whole.history),
        "Training that was cut off should write the same curve as training that was not.",
    )
    if isinstance(method, Revisiting):
        train(
            make(), schedule=[Visit(name, tasks[0].spec.steps) for name in (*ids, ids[0], ids[-1])]
        )


def _check_playing(method: Method, tasks: Sequence[Task], learner: LearnerConfig) -> None:
    before = copied(method.state()[0])
    for task in tasks:
        network = method.network_for(task.spec.id)
        evaluate(task, network, episodes=2, device="cpu", learner=learner)
    names = differing(before, method.state()[0])
    demand(not names, f"Playing should change nothing, but {_some(names)} changed.")


def _check_unknown(method: Method) -> None:
    try:
        method.network_for("a task that nobody has learned")
    except UsageError:
        return
    except Exception as error:
        raise ContractError(
            "network_for of a task that was never begun should raise a UsageError, but raised "
            f"{type(error).__name__}: {error}."
        ) from error
    raise ContractError("network_for of a task that was never begun should raise a UsageError.")


def _check_file(make: Callable[[], Method], method: Method, ids: Sequence[str]) -> None:
    import tempfile
    from pathlib import Path

    tensors, meta = method.state()
    as_json(meta)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "method.safetensors"
        write_tensors(path, tensors, meta)
        loaded = make()
        loaded.load_state(*read_tensors(path))
    again, said = loaded.state()
    names = [
        *differing(tensors, again),
        *(key for key in meta if as_json(said.get(key)) != as_json(meta[key])),
    ]
    demand(not names, f"A state should come back from its file, but {_some(names)} differ.")
    for name in ids:
        one, other = (dict(m.network_for(name).named_parameters()) for m in (method, loaded))
        demand(
            not differing(one, other),
            f"A state that comes back from its file should play task {name!r} as before.",
        )


def _some(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
