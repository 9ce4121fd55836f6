"""A trained network in a file of its own, without a run: what is written, and read back."""

from __future__ import annotations

from typing import Any

from colonnade.errors import UsageError
from colonnade.experiments.store.kept import Kept
from colonnade.learners import Acting, LearnerConfig, learner_from_name, name_of_learner
from colonnade.networks import ColumnView, ProgressiveNetwork, load_weights
from colonnade.records import shown, write
from colonnade.tasks.normalization import Normalization
from colonnade.tasks.space_data import space_data, space_from_data
from colonnade.training.normalizing import (
    load_normalization,
    normalizations_by_id,
    taken_apart,
)
from colonnade.types import Network, TaskSpec

_PLAIN = ("id", "steps", "reward_clip", "labelled", "head", "heads")
"""Fields of a task's spec that are JSON data."""


def kept_alone(
    network: Network, spec: TaskSpec, acting: Acting, seen: Normalization | None = None
) -> Kept:
    """Say what is kept of a network that no run has trained.

    It is the state that methods with columns have, so that a run may start from it.

    Args:
        network: The network of a task, as `method.network_for` and `ProgressiveNetwork.view` give
            it.
        spec: The task.
        acting: The learner whose network it is.
        seen: What the task has seen, where it normalises.

    Raises:
        UsageError: The network has no columns, or the learner no name.
    """
    if not isinstance(network, ColumnView):
        raise UsageError(
            f"Only networks of columns can be saved without a run, but this is a "
            f"{type(network).__name__}; keep its state_dict(), or train it by a run."
        )
    learner = name_of_learner(acting)
    if learner is None:
        raise UsageError(
            f"{shown(acting)} is no learner that has a name; give one of Colonnade's, or name your "
            "own (docs/plugins.md)."
        )
    column, heads = network.newest.index, list(spec.head_widths)
    rows = {"rows": {spec.id: network.row}, "row": network.row} if network.newest.rows > 1 else {}
    meta = {
        "network": network.spec_dict(),
        "tasks": {spec.id: column},
        "heads": heads,
        "frozen": [],
        **rows,
    }
    task = {name: getattr(spec, name) for name in _PLAIN}
    task |= {
        "observation_space": space_data(spec.observation_space),
        "action_space": space_data(spec.action_space),
    }
    options = write(acting)
    alone = {"task": task, "learner": {"name": learner, "options": options}}
    tensors = dict(network.state_dict())
    if seen is not None:
        alone["normalization"] = {"inputs": list(seen.observations), "discount": seen.discount}
        tensors |= normalizations_by_id({spec.id: seen})
    return Kept(None, {}, tensors, meta, alone)


def read_alone(
    kept: Kept,
) -> tuple[Network, TaskSpec, LearnerConfig, Normalization | None]:
    """Build the network of a file that `kept_alone` was written to.

    Raises:
        UsageError: It holds something else.
    """
    data: dict[str, Any] = kept.alone or {}
    try:
        task, learner = dict(data["task"]), data["learner"]
        spaces: dict[str, Any] = {
            name: space_from_data(task.pop(name)) for name in ("observation_space", "action_space")
        }
        heads = task["heads"]
        task["heads"] = tuple(heads) if isinstance(heads, list) else heads
        spec = TaskSpec(**task, **spaces)
        name, options = str(learner["name"]), dict(learner["options"])
        column = int(kept.meta["tasks"][spec.id])
        row = int(kept.meta.get("row", 0))
        layout = kept.meta["network"]
    except UsageError:
        raise
    except (KeyError, TypeError, ValueError) as error:
        raise UsageError(
            f"The file says neither task nor learner of its network ({type(error).__name__}: "
            f"{error}); restore it."
        ) from error
    network = ProgressiveNetwork.from_spec(layout)
    tensors, beside = taken_apart(kept.tensors)
    load_weights(network, tensors)
    seen = None
    if "normalization" in data:
        shapes = {name: spec.input_shapes[name] for name in data["normalization"]["inputs"]}
        seen = Normalization(shapes, data["normalization"]["discount"])
        load_normalization(spec.id, seen, beside)
    return network.view(column, row), spec, learner_from_name(name, **options), seen
