"""What learners keep of tasks that may come back: one memory a task, packed while it rests."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from colonnade.learners import LearnerConfig, Lesson, Memory, Remembering, prefixed, under

Packed = tuple[dict[str, Tensor], dict[str, Any]]


class Memories:
    """One memory for each task id; the one in use lies open, the others as `state` packs them.

    So ten replays take the room of one, and a checkpoint packs one alone.
    """

    def __init__(self, learner: LearnerConfig) -> None:
        """Begin with none."""
        self._learner = learner
        self._open: tuple[str, Memory] | None = None
        self._packed: dict[str, Packed] = {}

    def of(self, task: str, lesson: Lesson) -> Memory | None:
        """Open the memory of a task, or make an empty one; None where the learner keeps none.

        Args:
            task: Its id.
            lesson: What is to be learned; its network decides what is worth keeping.

        Raises:
            UsageError: The computer's memory will not do for it.
        """
        if self._open is not None and self._open[0] == task:
            return self._open[1]
        self.close()
        made = self._learner.memory(lesson) if isinstance(self._learner, Remembering) else None
        if made is None:
            return None
        if task in self._packed:
            made.load_state(*self._packed.pop(task))
        self._open = task, made
        return made

    def close(self, *, keep: bool = True) -> None:
        """Pack the memory in use, or forget it where its task will not come back."""
        if self._open is not None and keep:
            task, memory = self._open
            self._packed[task] = memory.state()
        self._open = None

    def forget(self, steps: int) -> None:
        """Let the memory in use drop its newest steps of each environment, unless it has no more.

        Of a context that lasted no longer, some of another task is better than nothing.
        """
        if self._open is None or not steps:
            return
        _, memory = self._open
        tensors, meta = memory.state()
        memory.drop_newest(steps)
        if not len(memory):
            memory.load_state(tensors, meta)

    def state(self) -> Packed:
        """Return all memories, as checkpoints keep them: nothing where there is none."""
        packed = dict(self._packed)
        if self._open is not None:
            task, memory = self._open
            packed[task] = memory.state()
        tensors: dict[str, Tensor] = {}
        for task, (part, _) in packed.items():
            tensors |= prefixed(f"{task}/", part)
        return tensors, {task: meta for task, (_, meta) in packed.items()}

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` gave."""
        self._open = None
        self._packed = {task: (_own(task, meta, tensors), each) for task, each in meta.items()}


def _own(task: str, tasks: dict[str, Any], tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Choose a task's tensors, where the id of another may begin with its own and a slash."""
    longer = tuple(f"{other}/" for other in tasks if other.startswith(f"{task}/"))
    mine = {name: value for name, value in tensors.items() if not name.startswith(longer)}
    return under(f"{task}/", mine)
