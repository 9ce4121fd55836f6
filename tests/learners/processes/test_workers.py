"""A3C's processes: deaths, errors, and that none is ever left behind."""

import copy
import errno
import faulthandler
import mmap
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from interrupting import without_clock
from worlds import MARK, ClockNetwork, Counting, CountingTask

from colonnade import watching
from colonnade.errors import ColonnadeError, HungError, UsageError
from colonnade.learners import A2C, A3C, PPO, Compute, Lesson, WorkerDiedError, torch_threads
from colonnade.learners.processes.workers import Report, Work, Workers
from colonnade.methods import Progressive, Scratch
from colonnade.networks import LSTM, ColumnSpec, Conv, Dense
from colonnade.tasks import MiniPongTask
from colonnade.training import MemoryRecorder, TrainingOptions, train_sequence
from colonnade.watching import HANG_SECONDS, beat, set_limit

CPU = Compute(torch.device("cpu"))


def alive(pid):
    """Whether a process runs; one that only waits to be read of does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def gone(pids, seconds=5.0):
    """Wait for processes to end."""
    limit = time.monotonic() + seconds
    while any(alive(pid) for pid in pids) and time.monotonic() < limit:
        time.sleep(0.02)
    return not any(alive(pid) for pid in pids)


def budget(count):
    """Give so many orders."""
    left = [count]

    def more():
        left[0] -= 1
        return left[0] >= 0

    return more


@contextmanager
def workers(work, count=2):
    """Workers whose rollouts call `work(worker, attempt)`; its answer is their steps."""

    @contextmanager
    def start(index, attempt):
        def rollout():
            return Report(index, work(index, attempt), {"pid": float(os.getpid())}, [])

        yield Work(rollout, lambda: f"{index}, {attempt}".encode())

    made = Workers(count, start)
    try:
        yield made
    finally:
        made.kill()


def pids(reports):
    return {int(report.metrics["pid"]) for report in reports}


def test_work_is_shared_by_whoever_is_free_and_none_is_left_over():
    def work(index, attempt):
        time.sleep(0.05 if index else 0.0)
        return index

    with workers(work) as made:
        reports = made.run(budget(20))
        assert len(reports) == 20
        quick = sum(report.steps == 0 for report in reports)
        assert quick > 14
        assert len(made.run(budget(3))) == 3
        assert made.run(lambda: False) == []
    assert gone(pids(reports))


def test_a_worker_that_is_killed_is_named_and_replaced(caplog):
    def work(index, attempt):
        if index == 1 and attempt == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return 10 * index + attempt

    with workers(work) as made:
        reports = made.run(budget(12))
    assert len(reports) == 12  # what it left undone was done by others
    assert "Worker 1 (process" in caplog.text
    assert "was ended by signal 9 (SIGKILL); another one takes its place" in caplog.text


def test_the_heir_goes_on_and_knows_how_many_died_before_it():
    def work(index, attempt):
        if attempt < 2:
            os._exit(3)
        return attempt

    with workers(work, count=1) as made:
        assert [report.steps for report in made.run(budget(4))] == [2, 2, 2, 2]


@pytest.fixture
def limit():
    set_limit(0.5)
    yield
    set_limit(HANG_SECONDS)


class Told:
    """Time that is told, by two workers and in the end by the test: a busy machine takes none."""

    def __init__(self):
        self._parts = memoryview(mmap.mmap(-1, 4 * 8)).cast("d")  # the last counts looks

    def monotonic(self):
        self._parts[3] += 1
        return sum(self._parts[:3])

    def pass_by(self, place, seconds):
        self._parts[place] += seconds

    def pass_by_and_wait(self, place, seconds):
        """Let both workers be looked at, twice if need be, before anything else happens."""
        self.pass_by(place, seconds)
        looks = self._parts[3]
        while self._parts[3] < looks + 4:
            time.sleep(0.001)


@pytest.fixture
def told(monkeypatch):
    clock = Told()
    monkeypatch.setattr(watching, "time", clock)
    monkeypatch.setattr("colonnade.learners.processes.workers._WATCH_SECONDS", 0.01)
    set_limit(2)
    yield clock
    set_limit(HANG_SECONDS)


@pytest.mark.usefixtures("limit")
def test_a_worker_that_is_stopped_is_noticed_named_and_replaced(caplog):
    def work(index, attempt):
        beat()
        if index == 1 and attempt == 0:
            os.kill(os.getpid(), signal.SIGSTOP)
        return attempt

    begun = time.monotonic()
    with workers(work) as made:
        reports = made.run(budget(12))
    assert len(reports) == 12
    assert 0.5 < time.monotonic() - begun < 5
    assert "Worker 1 (process" in caplog.text
    assert "gave no sign of life for" in caplog.text
    assert "another one takes its place" in caplog.text
    assert gone(pids(reports))


def test_a_worker_that_takes_its_time_but_gives_signs_is_left_alone(told, caplog):
    def work(index, attempt):
        for _ in range(12):
            told.pass_by_and_wait(index, 0.125)  # one alone can't use up the 2 s of the other
            beat()
        return attempt

    with workers(work) as made:
        assert [report.steps for report in made.run(budget(2))] == [0, 0]
        told.pass_by(2, 2.2)  # at rest they need give none
        assert [report.steps for report in made.run(budget(2))] == [0, 0]
    assert not caplog.text


def test_a_worker_that_takes_its_time_and_gives_no_signs_is_replaced(told, caplog):
    def work(index, attempt):
        while attempt == 0:
            told.pass_by_and_wait(index, 0.125)
        return attempt

    with workers(work) as made:
        assert [report.steps for report in made.run(budget(2))] == [1, 1]
    assert "gave no sign of life for" in caplog.text


@pytest.mark.usefixtures("limit")
def test_a_worker_whose_environment_hangs_is_replaced(caplog):
    def work(index, attempt):
        if index == 1 and attempt == 0:
            raise HungError("Environment 3 gave no sign of life for 600 s and was ended.")
        return attempt

    with workers(work) as made:
        assert len(made.run(budget(12))) == 12
    assert "Environment 3 gave no sign of life for 600 s and was ended; another" in caplog.text


def test_training_ends_when_workers_die_again_and_again():
    def work(index, attempt):
        if index == 1:
            os._exit(3)
        time.sleep(0.01)
        return 0

    with workers(work) as made, pytest.raises(WorkerDiedError) as caught:
        made.run(lambda: True)
    assert "Worker 1" in str(caught.value)
    assert "gone with status 3, the 4th death of a worker since a checkpoint" in str(caught.value)
    assert "the last checkpoint, if there is one, is kept" in str(caught.value)


def test_a_worker_that_dies_between_two_runs_is_noticed_at_the_next():
    with workers(lambda index, attempt: attempt) as made:
        first = made.run(budget(20))
        victim = min(pids(first))
        os.kill(victim, signal.SIGKILL)
        assert gone({victim})
        again = made.run(budget(20))
        assert len(again) == 20
        assert victim not in pids(again)


def test_workers_say_where_they_stand_and_so_do_heirs():
    with workers(lambda index, attempt: attempt) as made:
        assert made.states() == [b"0, 0", b"1, 0"]
        victim = int(next(r for r in made.run(budget(20)) if r.worker == 1).metrics["pid"])
        os.kill(victim, signal.SIGKILL)
        assert made.states() == [b"0, 0", b"1, 1"]
        assert len(made.notes) == 1
        assert "Worker 1 (process" in made.notes[0]


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (UsageError("No such game."), UsageError, r"^No such game\.$"),
        (ValueError("odd"), ColonnadeError, "^Worker 1 failed with ValueError: odd$"),
        (MemoryError("no room"), ColonnadeError, "^Worker 1 failed with MemoryError: no room$"),
    ],
)
def test_what_a_worker_raises_is_raised_here(error, kind, message):
    def work(index, attempt):
        if index == 1:
            raise error
        return 0

    with workers(work) as made, pytest.raises(kind, match=message) as caught:
        made.run(budget(50))
    assert "in work" in str(caught.value.__cause__)  # where it happened


def test_worker_processes_that_there_is_no_room_for_are_told_and_the_others_end(monkeypatch):
    fork, forked = os.fork, []

    def fork_twice():
        if len(forked) == 2:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))
        if pid := fork():
            forked.append(pid)
        return pid

    monkeypatch.setattr(os, "fork", fork_twice)
    sentence = r"Worker 2 can't be started \(Cannot allocate memory\); use fewer workers"
    with pytest.raises(ColonnadeError, match=sentence), workers(lambda *_: 0, count=4):
        raise AssertionError("never begins")
    assert len(forked) == 2
    assert gone(forked)


@dataclass(frozen=True)
class BrokenTask(CountingTask):
    def make_vec(self, num_envs, threads=1):
        raise UsageError("This emulator needs a ROM.")


def test_environments_that_cannot_be_made_are_the_users_error():
    with A3C().trainer(Lesson(BrokenTask(), ClockNetwork(), lambda: None, CPU)) as trainer:
        trainer.begin(lambda name: 0)
        with pytest.raises(UsageError, match="needs a ROM"):
            trainer.advance()


@dataclass(frozen=True)
class DeadlyTask(CountingTask):
    """Whose first environments end their process, as an emulator that crashes does."""

    mark: str = ""

    def make_vec(self, num_envs, threads=1):
        try:
            os.close(os.open(self.mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return super().make_vec(num_envs, threads)
        faulthandler.disable()  # says too much of a crash that is wanted
        os.kill(os.getpid(), signal.SIGSEGV)
        raise AssertionError


def test_training_survives_a_crash(tmp_path, caplog):
    task = DeadlyTask(steps=400, mark=str(tmp_path / "crashed"))
    with A3C().trainer(Lesson(task, ClockNetwork(), lambda: None, CPU, num_envs=4)) as trainer:
        trainer.begin(lambda name: 0)
        steps = 0
        while steps < 400:
            steps += trainer.advance().steps
        assert trainer.state()[1] == {"taken": steps}
    assert steps < 400 + 2 * 5 * 2
    assert "SIGSEGV" in caplog.text


@pytest.mark.parametrize("dies", [False, True])
def test_workers_that_never_had_an_order_have_a_place_to_go_on_from(dies):
    """Orders may be fewer than workers, and who takes a dead one's place has none at rest."""
    task = CountingTask(steps=40)
    learner = A3C(workers=2, rollout_steps=5 if dies else 40)
    with learner.trainer(Lesson(task, ClockNetwork(), lambda: None, CPU, num_envs=2)) as trainer:
        trainer.begin(lambda name: 0)
        assert trainer.advance().steps == 40
        if dies:
            killed = multiprocessing.active_children()[-1]
            os.kill(killed.pid, signal.SIGKILL)
            killed.join()
        tensors, meta = trainer.state()
    assert {"workers/0", "workers/1"} <= set(tensors)
    with learner.trainer(Lesson(task, ClockNetwork(), lambda: None, CPU, num_envs=2)) as trainer:
        trainer.begin(lambda name: 0)
        trainer.load_state(tensors, meta)
        assert trainer.advance().steps > 0


class Doomed(Counting):
    """Ends its process in a step while a file is there."""

    def __init__(self, length, mark):
        super().__init__(length)
        self._mark = Path(mark)

    def step(self, action):
        if self._mark.exists():
            os._exit(1)
        return super().step(action)


@dataclass(frozen=True)
class DoomedTask(CountingTask):
    """Whose environments end their process while a file is there."""

    mark: str = ""

    def make_vec(self, num_envs, threads=1):
        return SyncVectorEnv(
            [lambda n=n: Doomed(3 + n, self.mark) for n in range(num_envs)],
            autoreset_mode=AutoresetMode.SAME_STEP,
        )


class Keeping(MemoryRecorder):
    """Keeps the last checkpoint, and dooms the workers after it."""

    kept = None

    def __init__(self, mark):
        super().__init__()
        self._mark = mark

    def save_checkpoint(self, tensors, meta):
        self.kept = copy.deepcopy((tensors, meta))
        self._mark.touch()

    def load_checkpoint(self):
        return copy.deepcopy(self.kept)


def test_the_run_ends_cleanly_and_goes_on_from_its_last_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setattr("colonnade.learners.a3c._ADVANCE_STEPS", 100)
    mark = tmp_path / "doom"
    task, recorder = DoomedTask(steps=2000, mark=str(mark)), Keeping(mark)
    options = TrainingOptions(num_envs=4, segment_steps=100, curve_steps=100, device="cpu")
    steps = []
    while not steps or steps[-1] < task.steps:
        with suppress(WorkerDiedError):
            train_sequence([task], Scratch(), A3C(), options=options, recorder=recorder)
        mark.unlink()
        tensors, meta = recorder.kept
        assert all(value.isfinite().all() for value in tensors.values())
        assert len(recorder.history) == meta["rows"]
        steps.append(meta["step"])
    assert len(steps) > 1  # it did die
    assert steps == sorted(set(steps))  # and was further each time
    assert recorder.history[-1]["step"] == steps[-1]


class KillingOnce(MemoryRecorder):
    """Ends a worker after some updates, once, in whatever way it is told that training goes on."""

    def __init__(self, updates):
        super().__init__()
        self._left = updates

    def should_stop(self):
        self._left -= 1
        if self._left == 0:
            os.kill(multiprocessing.active_children()[-1].pid, signal.SIGKILL)
        return False


@pytest.mark.parametrize(
    ("learner", "updates"),
    [
        (A2C(workers=2), 2),
        (A2C(workers=2), 25),
        (PPO(workers=2, rollout_steps=5, minibatches=2, epochs=2), 25),
        (A3C(workers=1), 11),
    ],
)
def test_a_lost_worker_changes_no_number(learner, updates):
    task = MiniPongTask("pong", steps=600)
    options = TrainingOptions(num_envs=4, segment_steps=200, curve_steps=100, device="cpu")

    def learn(recorder):
        method = Progressive(ColumnSpec((Conv(4, 4, 2), Dense(8), LSTM(6))))
        train_sequence([task], method, learner, options=options, recorder=recorder)
        return method.network.state_dict()

    undisturbed, disturbed = MemoryRecorder(), KillingOnce(updates)
    expected, found = learn(undisturbed), learn(disturbed)
    assert without_clock(disturbed.history) == without_clock(undisturbed.history)
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
    (note,) = disturbed.notes
    assert "was ended by signal 9 (SIGKILL)" in note
    assert f"Training went back to step {(updates - 1) * 20 // 200 * 200:,}" in note


def test_a_worker_that_always_dies_ends_the_training(tmp_path):
    mark = tmp_path / "doom"
    mark.touch()
    options = TrainingOptions(num_envs=4, device="cpu")
    with pytest.raises(WorkerDiedError, match="4th death of a worker since step 0 of task"):
        train_sequence([DoomedTask(mark=str(mark))], Scratch(), A2C(workers=2), options=options)


def test_a_process_that_computed_with_several_threads_can_have_workers():
    network = ClockNetwork()
    with torch_threads(2):
        weight = torch.randn(64, 64, 3, 3, requires_grad=True)
        torch.nn.functional.conv2d(torch.randn(32, 64, 32, 32), weight).square().sum().backward()

        def penalty():  # large enough for several threads, if a worker had them
            pictures = torch.ones(8, 64, 16, 16)
            return torch.nn.functional.conv2d(pictures, weight).mean() + 0 * network.logits.sum()

        with A3C().trainer(Lesson(CountingTask(), network, penalty, CPU)) as trainer:
            trainer.begin(lambda name: 0)
            assert trainer.advance().steps == 120


def marked(value):
    """Processes that carry a mark in their environment, which children inherit."""
    found = set()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            pid = int(environ.parent.name)
            if f"{MARK}={value}".encode() in environ.read_bytes() and alive(pid):
                found.add(pid)
    return found


SCRIPT = """
import os, sys, time, torch
sys.path.insert(0, {tests!r})
import worlds
from colonnade.learners import A3C, Compute, Lesson
from colonnade.tasks import GymTask
task = GymTask("worlds/Slow-v0", steps=10**9, processes=True)
cpu = Compute(torch.device("cpu"))
trainer = A3C().trainer(Lesson(task, worlds.ClockNetwork(), lambda: None, cpu, num_envs=4))
trainer.__enter__()
trainer.begin(lambda name: 0)
trainer.advance()
print("ready", flush=True)
while {forever}:
    open(os.environ[worlds.MARK], "w").close()
    trainer.advance()
"""


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks at Linux's /proc")
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, marks=pytest.mark.slow),
        signal.SIGKILL,
        None,
    ],
)
def test_nothing_outlives_the_process_that_trains(number, tmp_path):
    tests, mark = str(Path(__file__).parents[2] / "support"), str(tmp_path / "stuck")
    script = SCRIPT.format(tests=tests, forever=number is not None)
    process = subprocess.Popen(
        [sys.executable, "-c", script],
        env=os.environ | {MARK: mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        everyone = marked(mark)
        if number is not None:
            time.sleep(0.3)  # workers now wait for environments that never answer
            assert len(everyone) == 1 + 2 + 4  # it, its workers, and their environments
            process.send_signal(number)
        process.wait(10)
        process.stdout.close()
        assert gone(everyone)
        assert gone(marked(mark))
    finally:
        for pid in marked(mark):
            os.kill(pid, signal.SIGKILL)
