"""The controls PathNet is measured against: one fixed path as large as a path can be."""

from __future__ import annotations

from dataclasses import replace

from colonnade.methods.pathnet.paths import PathMethod, TaskPath, check_inputs
from colonnade.networks import Path
from colonnade.types import Network, TaskSpec


class PathDeNovo(PathMethod):
    """A new path of N modules a layer for each task, all of it new (de novo)."""

    def begin_task(self, spec: TaskSpec, outputs: int | None = None) -> Network:
        """Add a network that is one path."""
        return self._begin_on_new_path(spec, outputs)

    def revisit(self, spec: TaskSpec) -> Network | None:
        """Go on with the task's own network, which no other task has touched."""
        return self.network_for(spec.id)

    def _begin_on_new_path(self, spec: TaskSpec, outputs: int | None) -> Network:
        modular = self.spec_for(spec)
        index = self._add_network(spec, replace(modular, modules=modular.active))
        path: Path = (tuple(range(modular.active)),) * len(modular.layers)
        head = self.networks[index].add_head(outputs or spec.outputs)
        self.tasks.pop(spec.id, None)  # one that begins again is the last
        self.tasks[spec.id] = TaskPath(index, head, path, ((),) * len(path))
        return self.network_for(spec.id)


class PathFinetune(PathDeNovo):
    """One path that moves from task to task, with a new head each (finetuning).

    Earlier tasks keep their heads and lose their features. From a state of another path method it
    takes over the path of the last task, and what was forced besides. A PathNet can't go on from a
    control's own network, which has no module beyond its one path.
    """

    def begin_task(self, spec: TaskSpec, outputs: int | None = None) -> Network:
        """Take over the last task's path, or add the first.

        Raises:
            UsageError: The task's inputs are others than the path's.
        """
        if not self.tasks:
            return self._begin_on_new_path(spec, outputs)
        last = self.last_play()
        network = self.networks[last.network]
        check_inputs(spec, network)
        network.unfreeze()
        head = network.add_head(outputs or spec.outputs)
        self.tasks.pop(spec.id, None)  # one that begins again is the last
        self.tasks[spec.id] = replace(last, head=head)
        return self.network_for(spec.id)

    def revisit(self, spec: TaskSpec) -> Network | None:
        """Take the path back to a task, with the head that it had."""
        last = replace(self.last_play(), head=self.tasks.pop(spec.id).head)
        self.tasks[spec.id] = last  # behind all others
        self.networks[last.network].learn_head(last.head)
        return self.network_for(spec.id)
