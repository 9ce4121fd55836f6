"""Runs that are cut off and go on, for the tests of everything that must go on exactly."""

import json

from colonnade.training import MemoryRecorder


class Interrupting(MemoryRecorder):
    """Keeps checkpoints as bytes would be kept, and asks to stop at given rollouts."""

    def __init__(self, stop_at):
        super().__init__()
        self.kept = None
        self._left = stop_at

    def save_checkpoint(self, tensors, meta):
        # In the order of names, as files keep them.
        self.kept = (
            {k: tensors[k].clone() for k in sorted(tensors)},
            json.dumps(meta, sort_keys=True),
        )

    def load_checkpoint(self):
        if self.kept is None:
            return None
        tensors, meta = self.kept
        return {k: v.clone() for k, v in tensors.items()}, json.loads(meta)

    def should_stop(self):
        self._left -= 1
        return self._left < 0

    def resume_for(self, rollouts):
        self._left = rollouts


def without_clock(rows):
    """The rows without what no two runs share."""
    return [{k: v for k, v in row.items() if k != "steps_per_second"} for row in rows]
