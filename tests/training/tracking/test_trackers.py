"""Rows on their way to trackers: each once and in its place, whatever fails."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from interrupting import Interrupting
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from colonnade.learners import A2C
from colonnade.methods import Finetune
from colonnade.networks import mlp_column
from colonnade.tasks import GymTask
from colonnade.training import Interrupted, MemoryRecorder, TrainingOptions, train_sequence
from colonnade.training.tracking import TensorBoard, TrackedRecorder
from colonnade.training.tracking.trackers import Trackers


class Listing:
    """Lists what it is given; keeps what `lost` says of it when it begins again."""

    name = "Listing"

    def __init__(self, fail_at: int = -1) -> None:
        self.told: list[Any] = []
        self.rows: dict[int, tuple[int, Mapping[str, float]]] = {}
        self.fail_at = fail_at

    def begin(self, number: int, reach: int) -> int:
        self.told.append(("begin", number, reach))
        return min(number, len(self.rows))

    def add(self, number: int, place: int, numbers: Mapping[str, float]) -> None:
        if number == self.fail_at:
            raise ConnectionError("nobody\n answers.")
        self.rows[number] = place, numbers

    def pause(self) -> None:
        self.told.append("pause")

    def close(self, *, failed: bool) -> None:
        self.told.append(("close", failed))


def curve(task: int, step: int, **more: Any) -> dict[str, Any]:
    return {"kind": "curve", "task": "ab"[task], "task_index": task, "step": step, **more}


def test_rows_stand_on_one_axis_and_numbers_have_names() -> None:
    shown = Listing()
    with TrackedRecorder(shown) as recorder:
        recorder.append(curve(0, 50, width=50, return_mean=1.0))
        recorder.append(curve(0, 103, return_mean=2.0))
        recorder.append({**curve(0, 103), "kind": "test", "tested": "b", "tested_index": 1})
        recorder.append(curve(1, 20, return_mean=3.0))
        recorder.append(curve(0, 5, visit=2, return_mean=4.0))  # the first task comes back
        recorder.append(
            {"kind": "evaluation", "task": "a", "policy": "trained", "return_mean": 5.0}
        )
    assert [place for place, _ in shown.rows.values()] == [50, 103, 103, 123, 128, 128]
    assert shown.rows[0][1] == {"curve/a/return_mean": 1.0}
    assert shown.rows[2][1] == {}
    assert shown.rows[5][1] == {"evaluation/a/trained/return_mean": 5.0}
    assert shown.told == [("begin", 0, 0), ("close", False)]


def test_what_a_tracker_lacks_is_shown_again_where_training_goes_on() -> None:
    inner, first, second = MemoryRecorder(), Listing(), Listing()
    for shown in (first, second):
        recorder = TrackedRecorder(shown, recorder=inner)
        for step in (10, 20, 30):
            recorder.append(curve(0, step, return_mean=float(step)))
        recorder.rewind(2)
    # The second had nothing, as where a process was killed before it had sent anything.
    assert second.told[0] == ("begin", 2, 20)
    assert second.rows[0] == first.rows[0] == (10, {"curve/a/return_mean": 10.0})
    assert [place for place, _ in second.rows.values()] == [10, 20, 10, 20, 30]


@pytest.mark.parametrize("steps", [None, (100, 100)])
def test_events_at_one_place_stand_there_once_wherever_training_was_cut_off(
    tmp_path: Path, steps: tuple[int, int] | None
) -> None:
    """A first visit ends 3 steps late; where the second begins, before its first checkpoint."""
    score = {"kind": "test", "tested": "a", "tested_index": 0}
    rows = [
        curve(0, 50, return_mean=1.0),
        curve(0, 103, return_mean=2.0),
        {**curve(0, 103), **score, "return_mean": 3.0},
        {**curve(1, 0), **score, "return_mean": 4.0},
        {**curve(1, 60), **score, "return_mean": 5.0},
        {"kind": "evaluation", "task": "a", "policy": "trained", "return_mean": 6.0},
    ]
    for kept, end in ((0, 3), (3, 5), (3, 6), (5, 6), (5, 6)):
        trackers = Trackers([TensorBoard(tmp_path)], lambda: rows, pytest.fail, steps)
        for number in range(kept, end):
            trackers.append(rows[number], number)
        trackers.close(failed=True)
    begin = 100 if steps else 103
    events = EventAccumulator(str(tmp_path)).Reload()
    shown = {
        name: [(event.step, event.value) for event in events.Scalars(name)]
        for name in events.Tags()["scalars"]
    }
    assert {name: sorted(places) for name, places in shown.items()} == {
        "curve/a/return_mean": [(50, 1.0), (103, 2.0)],
        "test/a/a/return_mean": [(103, 3.0)],
        "test/b/a/return_mean": [(begin, 4.0), (begin + 60, 5.0)],
        "evaluation/a/trained/return_mean": [(begin + 60, 6.0)],
    }


def test_a_folder_without_events_gets_all_rows(tmp_path: Path) -> None:
    inner = MemoryRecorder()
    for trackers in ((), (TensorBoard(tmp_path),)):
        with TrackedRecorder(*trackers, recorder=inner) as recorder:
            for step in (10, 20):
                recorder.append(curve(0, step + 20 * bool(trackers), return_mean=0.0))
    events = EventAccumulator(str(tmp_path)).Reload().Scalars("curve/a/return_mean")
    assert [event.step for event in events] == [10, 20, 30, 40]


@pytest.mark.parametrize("at", [0, 2])
def test_a_tracker_that_fails_is_told_of_and_left_out(at: int) -> None:
    broken, sound = Listing(fail_at=at), Listing()
    with TrackedRecorder(broken, sound) as recorder:
        for step in (10, 20, 30, 40):
            recorder.append(curve(0, step))
    assert len(sound.rows) == recorder.rows == 4
    assert len(broken.rows) == at
    (note,) = recorder.recorder.notes
    assert note == (
        "Listing records no more of this: ConnectionError: nobody answers. Training goes on "
        "without it, and its own metrics lack nothing."
    )


def test_what_went_wrong_is_told_when_it_closes() -> None:
    shown = Listing()
    recorder = TrackedRecorder(shown)
    recorder.append(curve(0, 1))
    with pytest.raises(ZeroDivisionError), recorder:
        _ = 1 / 0
    assert shown.told[-1] == ("close", True)


def test_training_that_was_cut_off_shows_every_row_once(tmp_path: Path) -> None:
    options = TrainingOptions(num_envs=2, segment_steps=40, curve_steps=20, device="cpu")
    inner, shown = Interrupting(3), Listing()
    for _ in range(40):
        with TrackedRecorder(shown, TensorBoard(tmp_path), recorder=inner) as recorder:
            task = GymTask("CartPole-v1", 200, name="pole")
            try:
                train_sequence(
                    [task],
                    Finetune(mlp_column((4,))),
                    A2C(rollout_steps=5),
                    options=options,
                    recorder=recorder,
                )
                break
            except Interrupted:
                inner.resume_for(7)
    curves = [(place, numbers) for place, numbers in shown.rows.values()]
    assert list(shown.rows) == list(range(len(inner.history)))
    expected = [(row["step"], row["episodes"]) for row in inner.history]
    assert [(place, numbers["curve/pole/episodes"]) for place, numbers in curves] == expected
    events = EventAccumulator(str(tmp_path)).Reload().Scalars("curve/pole/episodes")
    assert [(event.step, event.value) for event in events] == expected
