"""Change the files of run folders in every way that comes to mind, and see what commands say.

    make fuzz                          1,000 mutations, 200 hostile specs, drawn anew by --seed
    PYTHONPATH=tests:tests/support python tests/fuzz.py --mutations 60 --specs 20 --seed 3

Folders of all kinds (complete and half-way runs, a sweep, analysed and pruned networks) are made
once. Each mutation changes one file of a copy: bits, lengths, lines, files of other runs, values of
other kinds (with the old checksum, with none, and with a new one that fits), directories, pipes and
links in a file's place. Then a command reads it. It must end

- in the numbers of the untouched folder; or
- in one sentence that says what is wrong; or
- having passed over what may be lost, and told so;

never in a traceback or an "unforeseen" error, never in other numbers without a word (unless the
change came with a checksum that fits: then whoever made it meant it), never in more than
`LIMIT` seconds, and never with anything imported that a file names.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import html
import io
import json
import logging
import os
import random
import re
import shutil
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from finished import poles
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text

from colonnade.cli.main import main as command_line
from colonnade.errors import ColonnadeError
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.execution.schedule import Schedule
from colonnade.experiments.launch.suite import begin
from colonnade.experiments.plans.plan import Comparison, Plan, SuiteOptions
from colonnade.experiments.plans.search_space import PAPER_FOR_PPO
from colonnade.experiments.plans.selection import Selection
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.store.basis import Basis
from colonnade.experiments.store.files import write_json
from colonnade.experiments.store.folders import RunFolder, SuiteFolder
from colonnade.experiments.store.metrics import CHECK, MetricsFile, append_line
from colonnade.experiments.store.reading import CHECKSUM
from colonnade.experiments.trained.analysis_options import AnalysisOptions
from colonnade.experiments.trained.prune import prune_run
from colonnade.experiments.trained.prune_options import PruneOptions
from colonnade.experiments.trained.sensitivity import analyse_run
from colonnade.reports import page
from colonnade.training import Interrupted, read_tensors, write_tensors
from harness.tally import Tally

LIMIT = 120
"""Seconds that a command may take, on a busy machine."""

CANARY = "canary_of_the_fuzzer"
"""A module that hostile values name, which notes that it was imported."""

_OPTIONS = {"num_envs": 4, "segment_steps": 100, "curve_steps": 100}
_HOSTILE: list[Any] = [
    None, True, False, 0, -1, 1, 2.5, 10**9, 10**18, -(10**18), 10**400, 1e308, -1e-308, "", "x",
    "[/x]", "[bold", "$\\frac$", "$x_{", "\ud800", "\x00\x1b[2J", "<script>alert(1)</script>",
    "../..", "/etc/passwd", "a" * 5000, [], [[]], [None], {}, {"a": {}}, [0] * 300,
    f"gym/{CANARY}:X-v0", f"{CANARY}:make",
    {"kind": "custom", "factory": f"{CANARY}:make", "out_shape": [3]},
]  # fmt: skip
_RAW = [
    b"", b"\x00" * 64, b"{}", b"[]", b"null", b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe\x00",
    b'{"a": NaN}', b'{"a": 1e999}', b'{"a": ' + b"9" * 5000 + b"}", b"\n\n\n", b"{",
]  # fmt: skip


# --- folders --------------------------------------------------------------------------------------


def spec(label: str, *tasks: str, parent: str | None = None, method: str = "scratch") -> RunSpec:
    return RunSpec(
        label=label,
        method=method,
        tasks=tuple(TaskBudget(name, 200) for name in tasks),
        learner="a2c",
        column="tiny",
        training_options=_OPTIONS,
        evaluation_episodes=2,
        parent=parent,
    )


@dataclass(frozen=True)
class Template:
    """A folder to make copies of, and what may be asked of them."""

    name: str
    path: Path
    commands: tuple[str, ...]


def make_templates(place: Path, quick: bool = False) -> list[Template]:
    """Make a folder of each kind; where it must be quick, only one that needs no training."""
    make_sweep(place / "sweep")
    sweep = Template("sweep", place / "sweep", ("report", "describe", "schedule"))
    if quick:
        return [sweep]
    source = spec("source", "mini-pong/pong")
    target = spec("target", "mini-pong/zoom", parent=source.id, method="progressive")
    half = spec("half", "mini-pong/pong", "mini-pong/white", method="ewc")
    own = place / "runs"
    suite = SuiteFolder(own, "mine.json", {}, Plan((source, target, half))).begin()
    for each in (source, target):
        train_run(own, each)
    asked: list[int] = []

    def stop() -> bool:
        asked.append(0)
        return len(asked) > 14

    with contextlib.suppress(Interrupted):
        train_run(own, half, stop=stop)
    assert list(suite.run(half.id).path.glob("checkpoint-*")), "it was to be cut off in its midst"
    append_line(
        own / "sessions.jsonl",
        {"started": 1.0, "seconds": 2.0, "workers": 1, "runs": 1, "cpu_seconds": 1.0},
    )
    (place / "mine.json").write_text(json.dumps([s.to_json() for s in (source, target, half)]))
    analysis = analyse_run(suite, suite.run(target.id), None, AnalysisOptions(20, 0, seed=0), None)
    analysis.save(suite.run(target.id).path)
    pole = poles(place / "poles")
    for folder in pole.runs:
        seal(folder)
    pruned = prune_run(pole.runs[1].path, PruneOptions(states=200, episodes=3), place / "pruned")
    assert pruned.done
    return [
        Template("runs", own, ("report", "describe", "play", "analyze", "run")),
        Template("pruned", place / "pruned", ("report", "describe", "play")),
        sweep,
    ]


def seal(folder: RunFolder) -> None:
    """Give a folder that was made by hand the checksums that training gives."""
    result = {**folder.result(), "spec": folder.spec.to_json(), "files": folder.checksums()}
    write_json(folder.path / "result.json", result)
    write_json(folder.path / "network.json", json.loads((folder.path / "network.json").read_text()))
    write_json(folder.path / "result.json", {**folder_result(folder), "files": folder.checksums()})


def folder_result(folder: RunFolder) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder.path / "result.json").read_text())
    content.pop(CHECKSUM, None)
    return content


def make_sweep(path: Path) -> None:
    """Make a sweep's folder: complete, half-way, failed and stopped runs, and a choice."""
    sweep = Sweep(jobs=2, top=1)
    column = {"preset": "tiny", "alpha": 0.1}

    def drawn(label: str, job: int, parent: str | None = None) -> RunSpec:
        base = spec(f"{label}, job {job}", "mini-pong/zoom", parent=parent)
        options = {"learning_rate": 1e-3, "entropy_cost": 1e-3, "clip_norm": 0.5}
        return replace(base, learner="ppo", learner_options=options, column=column, seed=job)

    jobs = [drawn("scratch", job) for job in range(2)]
    chosen = Selection(tuple(each.id for each in jobs))
    tuned = [replace(drawn("finetune", job, chosen.name), method="finetune") for job in range(2)]
    compared = [
        *(Comparison(s.id, "scratch", None, s.target, s.seed) for s in jobs),
        *(Comparison(s.id, "finetune", "zoom", s.target, s.seed) for s in tuned),
    ]
    plan = Plan((*jobs, *tuned), tuple(compared), (chosen,))
    basis = replace(Basis.now(None, plan, sweep), space=PAPER_FOR_PPO)
    suite = SuiteFolder(path, "pong-soup-mini", {}, plan, sweep, basis).begin()
    for number, each in enumerate((*jobs, *tuned)):
        folder = suite.run(each.id)
        folder.path.mkdir(parents=True)
        (folder.path / "spec.json").write_text(json.dumps(each.to_json()))
        metrics = MetricsFile(folder.metrics_path)
        for step in (100, 200):
            metrics.append(
                {"kind": "curve", "task": each.target, "task_index": 0, "step": step, "width": 100,
                 "episodes": 40, "return_mean": step / 100 + number, "return_std": 1.0,
                 "length_mean": 9.0, "steps_per_second": 50.0}
            )  # fmt: skip
        metrics.close()
        if number == 3:
            write_json(folder.path / "failed.json", {"reason": "it did not work"})
        if number > 2:
            continue
        scores = [
            {"kind": "evaluation", "task": each.target, "policy": policy, "step": 200,
             "episodes": 2, "return_mean": mean, "return_std": 1.0}
            for policy, mean in (("random", -1.0), ("trained", 2.0 + number))
        ]  # fmt: skip
        network = {"network": {"columns": [COLUMN]}, "tasks": {each.target: 0}}
        write_json(folder.path / "network.json", network)
        write_json(
            folder.path / "result.json",
            {"spec": each.to_json(), "measures": 2, "scores": scores,
             "versions": {"python": "3"}, "notes": ["all went well"],
             "hardware": {"cpu": "A", "cores": 2, "threads": 1, "gpu": None},
             "timing": {"training_seconds": 4.0, "started": 1.0, "finished": 6.0},
             "files": folder.checksums()},
        )  # fmt: skip
        (folder.path / "DONE").touch()
    suite.choose(chosen)


COLUMN = {
    "spec": {
        "stages": [{"kind": "conv", "maps": 8, "kernel": 4, "stride": 2}],
        "laterals": "adapter",
    },
    "input_shapes": {"observation": [2, 16, 16]},
    "outputs": 4,
}


# --- mutations ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Mutation:
    """What was done to which file."""

    file: Path
    words: str
    honest: bool
    """Whether checksums cannot know of it, since they were made anew or taken away."""


def mutate(root: Path, other: Path, stream: random.Random) -> Mutation:
    """Change one file of a folder."""
    files = sorted(path for path in root.rglob("*") if path.is_file())
    file = stream.choice(files)
    kinds: list[Callable[[Path, random.Random], str]] = [_flip, _cut, _raw, _place, _lines, _delete]
    kind = stream.random()
    if kind < 0.1:
        same = [path for path in files if path.name == file.name and path != file]
        same += sorted(path for path in other.rglob(file.name) if path.is_file())
        theirs = stream.choice(same or files)
        shutil.copyfile(theirs, file) if theirs != file else file.write_bytes(b"")
        return Mutation(file, f"taken from {theirs.parent.name}/{theirs.name}", False)
    if kind < 0.5 and file.suffix in (".json", ".jsonl", ".safetensors"):
        mode = stream.choice(("stale", "bare", "sealed"))
        words = _value(file, stream, mode)
        return Mutation(file, f"{words}, checksum {mode}", mode != "stale")
    if kind < 0.53:
        stray = file.with_name(
            stream.choice(("checkpoint-zzz.safetensors", ".x.tmp", "checkpoint-000009.safetensors"))
        )
        if not stray.exists():
            stream.choice((Path.mkdir, Path.touch, os.mkfifo))(stray)
            return Mutation(stray, "a stray one", False)
    change = stream.choice(kinds)
    return Mutation(file, change(file, stream), False)


def _flip(file: Path, stream: random.Random) -> str:
    content = bytearray(file.read_bytes() or b"\0")
    place, bit = stream.randrange(len(content)), stream.randrange(8)
    content[place] ^= 1 << bit
    file.write_bytes(content)
    return f"bit {bit} of byte {place} flipped"


def _cut(file: Path, stream: random.Random) -> str:
    content = file.read_bytes()
    length = stream.randrange(len(content) + 1)
    file.write_bytes(content[:length])
    return f"cut to {length} of {len(content)} bytes"


def _raw(file: Path, stream: random.Random) -> str:
    content = stream.choice(_RAW)
    file.write_bytes(content)
    return f"content {content[:20]!r}"


def _lines(file: Path, stream: random.Random) -> str:
    lines = file.read_bytes().splitlines(keepends=True) or [b"\n"]
    place = stream.randrange(len(lines))
    what = stream.choice(("dropped", "doubled", "moved", "replaced"))
    line = lines.pop(place)
    if what == "doubled":
        lines[place:place] = [line, line]
    elif what == "moved":
        lines.insert(stream.randrange(len(lines) + 1), line)
    elif what == "replaced":
        lines.insert(place, stream.choice(_RAW)[:1000] + b"\n")
    file.write_bytes(b"".join(lines))
    return f"line {place + 1} {what}"


def _delete(file: Path, _: random.Random) -> str:
    file.unlink()
    return "deleted"


def _place(file: Path, stream: random.Random) -> str:
    what = stream.choice(("directory", "pipe", "loop", "nowhere", "zero", "folder"))
    file.unlink()
    if what == "directory":
        file.mkdir()
    elif what == "pipe":
        os.mkfifo(file)
    else:
        goal = {"loop": file.name, "nowhere": "nowhere", "zero": "/dev/zero", "folder": "/etc"}
        file.symlink_to(goal[what])
    return f"replaced by a {what}"


def _value(file: Path, stream: random.Random, mode: str) -> str:
    """Put a hostile value somewhere into JSON data; in `mode` "sealed" with checksums that fit."""
    value = stream.choice(_HOSTILE)
    shown = repr(value)[:30] if not isinstance(value, int) or value < 10**19 else "10**400"
    if file.suffix == ".safetensors":
        tensors, meta = read_tensors(file)
        where = _put(meta, value, stream)
        write_tensors(file, tensors, meta)
        return f"{shown} at {where}"
    if file.suffix == ".json":
        data = json.loads(file.read_bytes())
        sum_before = data.pop(CHECKSUM, None) if isinstance(data, dict) else None
        where = _put(data, value, stream)
        if mode == "sealed" and sum_before is not None:
            write_json(file, data)
        else:
            kept = {CHECKSUM: sum_before} if mode == "stale" and sum_before else {}
            file.write_text(json.dumps({**data, **kept} if isinstance(data, dict) else data))
        return f"{shown} at {where}"
    rows = [json.loads(line) for line in file.read_bytes().splitlines() if line]
    place = stream.randrange(len(rows)) if rows else 0
    where = _put(rows[place], value, stream) if rows else "nothing"
    if mode == "stale":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return f"{shown} at {place}: {where}"
    for row in rows:
        if isinstance(row, dict):
            row.pop(CHECK, None)
    if mode == "bare":
        file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    elif file.name == "metrics.jsonl":
        file.unlink()
        metrics = MetricsFile(file)
        for row in rows:
            metrics.append(row)
        metrics.close()
    else:
        file.unlink()
        for row in rows:
            append_line(file, row)
    return f"{shown} at {place}: {where}"


def _put(data: Any, value: Any, stream: random.Random, depth: int = 0) -> str:
    """Replace, add or remove something in nested data, and say where."""
    keys = list(data) if isinstance(data, dict) else list(range(len(data)))
    if not keys:
        return "nothing"
    key = stream.choice(keys)
    inner = data[key]
    if isinstance(inner, dict | list) and inner and stream.random() < 0.8:
        return f"{key}." + _put(inner, value, stream, depth + 1)
    if isinstance(data, dict) and stream.random() < 0.15:
        del data[key]
        return f"{key} (removed)"
    data[key] = value
    return str(key)


# --- commands -------------------------------------------------------------------------------------


class TooLongError(BaseException):
    """A command went on for more than `LIMIT` seconds."""


@dataclass(frozen=True)
class Said:
    """What a command came to."""

    status: int
    answer: str
    """Its error, or its numbers."""
    told: tuple[str, ...] = ()
    """Warnings."""


class _Told(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextlib.contextmanager
def time_limit(seconds: int) -> Iterator[None]:
    def over(_: int, __: object) -> None:
        raise TooLongError

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def outline(figure: Figure, _: str) -> str:
    """What a picture says, without drawing it: its texts and its lines."""
    texts = [text.get_text() for text in figure.findobj(Text)]
    lines = [np.asarray(line.get_xydata()).tolist() for line in figure.findobj(Line2D)]
    return html.escape(f"{texts} {lines}", quote=False)


@contextlib.contextmanager
def pictures(drawn: bool) -> Iterator[None]:
    """Write no PNG files within the block, and draw the pictures of pages only if asked."""
    svg, png = page.to_svg, page.to_png
    page.to_png = lambda figure: b""
    if not drawn:
        page.to_svg = outline
    try:
        yield
    finally:
        page.to_svg, page.to_png = svg, png


def ask(command: str, root: Path, specs: Path, drawn: bool = True) -> Said:
    """Give a command, in this process."""
    told, out, err = _Told(), io.StringIO(), io.StringIO()
    logging.getLogger().addHandler(told)
    try:
        with (
            time_limit(LIMIT),
            pictures(drawn),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            if command in ("run", "schedule"):
                return _direct(command, root, specs, told)
            extra = {"analyze": ["--states", "20", "--episodes", "0", "--jobs", "1"]}
            status = command_line([command, str(root), *extra.get(command, [])])
    except TooLongError:
        return Said(99, f"it took more than {LIMIT} s")
    except BaseException as error:
        return Said(99, f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
    finally:
        logging.getLogger().removeHandler(told)
    if status:
        return Said(status, err.getvalue().strip(), tuple(told.lines))
    return Said(0, _numbers(command, root, out.getvalue()), tuple(told.lines))


def _direct(command: str, root: Path, specs: Path, told: _Told) -> Said:
    """Do what `run` does, in this process in place of workers."""
    try:
        if command == "schedule":
            suite = SuiteFolder.read(root)
            schedule = Schedule(suite, suite.plan, retry=False)
            states = [view.state for view in schedule.views()]
            return Said(0, f"{states} {schedule.failures}", tuple(told.lines))
        suite = begin(specs, root, SuiteOptions())
        views = Schedule(suite, suite.plan, retry=True).views()
        for view in views:
            if view.state != "done":
                train_run(root, view.spec)
        numbers = [_of_run(suite.run(each.id)) for each in suite.plan.runs]
        notes = [n for r in suite.runs for n in r.result()["notes"]]
        return Said(0, str(numbers), (*told.lines, *notes))
    except ColonnadeError as error:
        return Said(error.exit_status, f"colonnade: {error}", tuple(told.lines))


def _of_run(folder: RunFolder) -> Any:
    rows = [
        {name: v for name, v in row.items() if name != "steps_per_second"}
        for row in folder.metrics()
    ]
    tensors, _ = folder.weights()
    weights = {name: hash(tensor.numpy().tobytes()) for name, tensor in tensors.items()}
    return folder.id, rows, weights, folder.result()["scores"]


_STATES = re.compile(r"at \d+%|not begun")


def _numbers(command: str, root: Path, printed: str) -> str:
    """What a command's pages and words say, less the time and the place."""
    if command in ("report", "analyze"):
        name = "report.html" if command == "report" else "analysis.html"
        printed = (root / name).read_text()
        printed = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", "", printed)
        printed = re.sub(r"<clipPath.*?</clipPath>|#?p[0-9a-f]{10}", "", printed, flags=re.DOTALL)
    return printed.replace(str(root), "").replace(root.name, "")


_HARMLESS = ("status.json", "log.txt", "workers.txt", "lock", "lock-holder.txt", "failed.json")
"""Files whose loss or change may show, and needs no word beside."""


def judge(said: Said, expected: Said, mutation: Mutation) -> str:
    """Say what is wrong with an answer; nothing where it is as it should be."""
    if CANARY in sys.modules:
        sys.modules.pop(CANARY)
        return "it imported what a file names"
    if said.status == 99:
        return said.answer
    if said.status:
        if "unforeseen" in said.answer or "Traceback" in said.answer:
            return said.answer
        lines = [line for line in said.answer.splitlines() if line.startswith("colonnade: ")]
        if len(lines) != 1 or len(lines[0]) > 1500:
            return f"no sentence: {said.answer}"
        return ""
    if said.answer != expected.answer and not said.told and not mutation.honest:
        name = mutation.file.name
        if name in _HARMLESS or "tfevents" in name:
            return ""
        if name == "frames.png" and not mutation.file.exists():
            return ""  # another run's picture of the same task, or none
        begun = (mutation.file.parent / "DONE").exists() or mutation.file.exists()
        if name == "metrics.jsonl" and not begun:
            return ""  # the run is one that has shown nothing yet
        if name == "DONE" and re.search("omplete|waiting", said.answer):
            return ""  # the run counts as one that is to be gone on with, and is shown so
        return f"other numbers, without a word: {difference(expected.answer, said.answer)}"
    return ""


def difference(one: str, other: str) -> str:
    """Show where two texts part."""
    place = next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    around = slice(max(0, place - 40), place + 60)
    return f"{one[around]!r} became {other[around]!r}"


# --- hostile specs --------------------------------------------------------------------------------


def hostile_spec(stream: random.Random) -> bytes:
    """Make a spec file that is none."""
    good = json.loads(json.dumps(spec("a spec", "mini-pong/pong", "gym/CartPole-v1").to_json()))
    good["tasks"][1]["options"] = {"max_episode_steps": 100}
    good["column"] = {"stages": [{"kind": "dense", "units": 4}], "laterals": "adapter"}
    if stream.random() < 0.1:
        return stream.choice(_RAW)
    listed = [good, json.loads(json.dumps(good | {"label": "b", "parent": "a"}))]
    data = good if stream.random() < 0.7 else listed
    value = stream.choice([*_HOSTILE, 10**9, 10**12])
    _put(data, value, stream)
    content = json.dumps(data).encode()
    return content if stream.random() < 0.9 else content[: stream.randrange(len(content))]


def ask_spec(content: bytes, place: Path) -> Said:
    """Give a spec to what `run` does before any work."""
    path, out = place / "hostile.json", place / "hostile-out"
    path.write_bytes(content)
    shutil.rmtree(out, ignore_errors=True)
    errors = io.StringIO()
    try:
        with time_limit(LIMIT), contextlib.redirect_stderr(errors), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            begin(path, out, SuiteOptions())
    except ColonnadeError as error:
        return Said(2, f"colonnade: {error}")
    except TooLongError:
        return Said(99, f"it took more than {LIMIT} s")
    except BaseException as error:
        return Said(99, f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
    return Said(0, "accepted")


# --- the run --------------------------------------------------------------------------------------


def fuzz(
    mutations: int, specs: int, tally: Callable[[str], Tally], place: Path, quick: bool = False
) -> int:
    """Make, change, ask, judge; return how many answers were wrong."""
    os.environ["PYTHONHASHSEED"] = "0"
    (place / f"{CANARY}.py").write_text("def make(shape):\n    raise SystemExit\n")
    sys.path.append(str(place))
    counts: collections.Counter[str] = collections.Counter()
    made = place / "made"
    made.mkdir()
    changes, hostile = tally("mutations"), tally("specs")
    to_do = [number for number in range(1, mutations + 1) if number not in changes]
    templates = make_templates(made, quick) if to_do else []
    expected: dict[tuple[str, str, bool], Said] = {}

    def undisturbed(template: Template, command: str, drawn: bool) -> Said:
        """What a command says of an untouched copy; asked when it is first needed."""
        key = template.name, command, drawn
        if key not in expected:
            copy = place / "copy"
            shutil.copytree(template.path, copy)
            expected[key] = ask(command, copy, made / "mine.json", drawn)
            assert not expected[key].status, expected[key]
            shutil.rmtree(copy)
        return expected[key]

    for number in to_do:
        stream = changes.stream(number)
        template = stream.choices(templates, weights=(6, 2, 3)[: len(templates)])[0]
        other = stream.choice(templates)
        copy = place / "copy"
        shutil.copytree(template.path, copy)
        mutation = mutate(copy, other.path, stream)
        command = stream.choice(template.commands)
        # Drawing takes most of the time, and only texts can fail at it.
        drawn = stream.random() < 0.1 or any(mark in mutation.words for mark in ("$", "\\", "["))
        started = time.monotonic()
        said = ask(command, copy, made / "mine.json", drawn)
        changed = place / "changed"
        copy.rename(changed)
        verdict = judge(said, undisturbed(template, command, drawn), mutation)
        outcome = "refused" if said.status else "told" if said.told else "as before"
        counts[outcome] += 1
        name = mutation.file.relative_to(copy)
        took = f", {time.monotonic() - started:.0f} s"
        words = f"{command} {template.name}, {name}: {mutation.words}{took}"
        changes.tell(number, words, verdict, outcome)
        shutil.rmtree(changed)
    wrong = changes.end(" mutations")
    for number in range(1, specs + 1):
        if number in hostile:
            continue
        content = hostile_spec(hostile.stream(number))
        said = ask_spec(content, place)
        verdict = judge(said, Said(0, "accepted"), Mutation(place, "", True))
        outcome = "refused" if said.status else "accepted"
        counts[f"specs {outcome}"] += 1
        hostile.tell(number, f"spec {content[:100]!r}", verdict, outcome)
    wrong += hostile.end(" specs")
    print(", ".join(f"{count} {what}" for what, count in sorted(counts.items())), flush=True)
    sys.path.remove(str(place))
    return wrong


def main(arguments: list[str]) -> int:
    """Fuzz; 0 where every answer was right."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--mutations", type=int, default=1000)
    parser.add_argument("--specs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", type=Path, help="a file for each answer; gone on from there")
    given = parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING, handlers=[logging.NullHandler()])

    def tally(form: str) -> Tally:
        return Tally(form, given.seed, given.record)

    with tempfile.TemporaryDirectory() as scratch:
        wrong = fuzz(given.mutations, given.specs, tally, Path(scratch))
    total = given.mutations + given.specs
    print(f"{total - wrong} of {total} answers were right", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
