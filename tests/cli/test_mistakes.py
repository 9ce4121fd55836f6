"""A hundred and fifty mistakes in the command line: one sentence each, before any work."""

import json
import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import pytest
from finished import poles

from colonnade.cli.main import _NAMES, Command, main
from colonnade.cli.mistakes import parsed, sentence_of
from colonnade.experiments.plans.plan import Plan
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import SuiteFolder

MISTAKES = [
    line.rsplit("  ->  ", 1)
    for line in """
  ->  A command is missing; give one of: suites, run
rum demo  ->  Unknown command 'rum'; did you mean 'run'?
help  ->  Unknown command 'help'; choose one of:
version  ->  Unknown command 'version'; choose one of:
--hlep  ->  Unknown option --hlep
--version extra  ->  Unknown option --version
-x  ->  Unknown option -x
suites extra  ->  There is nothing that 'extra' could stand for; see `colonnade suites --help`
suites --verbose  ->  Unknown option --verbose
run  ->  `colonnade run` needs: name of a suite
run demo  ->  `colonnade run` needs: --out (folder for everything
run demo --dry-run  ->  Unknown option --dry-run; see `colonnade run --help`.
run --out x  ->  needs: name of a suite
run demo --out  ->  --out needs a value behind it, but none came
run demo run demo --out x  ->  There is nothing that 'run' could stand for
run demo --out x --sedes 3  ->  Unknown option --sedes; did you mean --seeds?
run demo --out x --filsm  ->  Unknown option --filsm; did you mean --films?
run demo --out x --retry  ->  --retry is an option of `colonnade sweep`, not of `colonnade run`; see
run demo --workers 2  ->  --workers is an option of `colonnade sweep`, not of `colonnade run`; see
run demo --out x --dir y  ->  Unknown option --dir; see `colonnade run --help`.
run demo --out x --workers=2  ->  --workers is an option of `colonnade sweep`, not of
--films run demo --out x  ->  of `colonnade run` and `colonnade report`, not of `colonnade`; see
run nosuch --out x  ->  Unknown suite 'nosuch'; choose one of:
run demmo --out x  ->  Unknown suite 'demmo'; did you mean 'demo'?
run file.txt --out x  ->  Unknown suite 'file.txt'
run empty --out x  ->  Unknown suite 'empty'
run demo --out file.txt  ->  file.txt exists but holds no suite.json
run demo --out file.txt/sub  ->  cannot be read as a folder: Not a directory; choose another
run demo --out done  ->  done belongs to suite 'by hand'
run demo --out ""  ->  holds no suite.json
run demo --out LONG  ->  File name too long
run demo --out x --jobs 0  ->  --jobs is a number of processes from 1 on, but 0 came
run demo --out x --jobs -1  ->  --jobs is a number of processes from 1 on, but -1 came
run demo --out x --jobs 1.5  ->  --jobs is a whole number, but '1.5' came
run demo --out x --jobs many  ->  --jobs is a whole number, but 'many' came
run demo --out x --seeds abc  ->  --seeds is a whole number, but 'abc' came
run demo --out x --seeds 0  ->  needs at least 1 seed, but --seeds 0 came
run demo --out x --seeds -2  ->  needs at least 1 seed, but --seeds -2 came
run demo --out x --seeds 1.5  ->  --seeds is a whole number, but '1.5' came
run ewc-permuted-tuning --out x --seeds 3  ->  each on one seed, but --seeds 3 came; leave it out
run ewc-permuted-search --out x --seeds 2  ->  each on one seed, but --seeds 2 came; leave it out
run pathnet-mnist --out x --seeds 25  ->  has 24 pairs of tasks, one for each seed, but --seeds 25
run demo --out x --games 3  ->  draws its tasks from no pool, but --games 3 came; leave it out
run ewc-permuted --out x --games 10  ->  draws its tasks from no pool, but --games 10 came
run ewc-stream --out x --games 0  ->  A stream needs at least 2 tasks, but --games 0 came
run ewc-stream --out x --games 6  ->  from 2 tasks to the 5 that it can have, but --games 6 came
run ewc-stream --out x --games 2.5  ->  --games is a whole number, but '2.5' came
run demo --out x --budget 0  ->  --budget is a factor above 0, but 0.0 came
run demo --out x --budget -1  ->  --budget is a factor above 0, but -1.0 came
run demo --out x --budget nan  ->  --budget is a factor above 0, but nan came
run demo --out x --budget 1e400  ->  --budget is a factor above 0, but inf came
run demo --out x --budget abc  ->  --budget is a number, but 'abc' came
run demo --out x --recorder wand  ->  Unknown recorder 'wand'; did you mean 'wandb'?
run demo --out x --recorder none --recorder tensorboard  ->  --recorder none stands for no recorder
sweep demo --out x --recorder nosuch  ->  Unknown recorder 'nosuch'; choose one of:
run demo --out x --learner ppoo  ->  Unknown learner 'ppoo'; did you mean 'ppo'?
run demo --out x --learner supervised  ->  is no data set, as the learner 'supervised' needs
run ewc-permuted --out x --learner ppo  ->  always learned with 'supervised', but --learner ppo came
run demo --out x --device meta  ->  Device 'meta' can't be used
run demo --out x --device gpu  ->  Device 'gpu' can't be used
run demo --out x --device cuda:99  ->  Device 'cuda:99' can't be used
run demo --out x --methods  ->  --methods needs a value behind it, but none came; see `colonnade run
run demo --tasks --out x  ->  --tasks needs a value behind it, but none came
run demo --out x --tasks nosuch  ->  Unknown task of the suite 'nosuch'; choose one of: h-flip
run demo --out x --methods nosuch  ->  Unknown method of the suite 'nosuch'; choose one of:
run ewc-stream-mini --out x --tasks nosuch  ->  of the suite 'nosuch'; choose one of: black, pong.
run ewc-stream-mini --out x --methods nosuch  ->  choose one of: ewc, finetune, replay, scratch.
run ewc-permuted --out x --methods l2 --tasks 8x8-0  ->  has the method l2 and the task 8x8-0; leave
run pong-soup-mini --out x --tasks atari/zoom  ->  'atari/zoom'; did you mean 'mini-pong/zoom'?
run pong-soup-mini --out x --methods progressive-3 --tasks noisy  ->  progressive-3 and the task
run pong-soup-mini --out x --tasks zom  ->  did you mean 'zoom'?
run pong-soup-mini --out x --methods progresive  ->  did you mean 'progressive'?
run demo --out x --set learning_rate=1  ->  --set is KIND.NAME=VALUE, as in
run demo --out x --set learner.learning_rate  ->  --set is KIND.NAME=VALUE, as in
run demo --out x --set learner.=1  ->  --set is KIND.NAME=VALUE, as in
run demo --out x --set learner.learning_rat=1  ->  did you mean 'learning_rate'?
run demo --out x --set learner.learning_rate=abc  ->  learning_rate of PPO must be a number
run demo --out x --set learner.learning_rate=-1  ->  must be a number above 0; got -1
run demo --out x --set learner.learning_rate=nan  ->  must be a number
run demo --out x --set learner.learning_rate=1e999  ->  'learner_options' holds what JSON cannot
run demo --out x --set training.num_envs=0  ->  must be a whole number at least 1; got 0
run demo --out x --set training.num_envs=2.5  ->  must be a whole number
run demo --out x --set training.threds=2  ->  did you mean 'threads'?
run demo --out x --set training.device=meta  ->  Device 'meta' can't be used
run demo --out x --set training.precision=fp8  ->  Unknown value for precision
run demo --out x --set training.segment_steps=0  ->  must be a whole number at least 1; got 0
run demo --out x --set column.alpa=1  ->  did you mean 'alpha'?
run demo --out x --set column.alpha=abc  ->  alpha of
run demo --out x --set colum.alpha=1  ->  did you mean 'column'?
run demo --out x --set ewc.lam=-1  ->  Unknown kind of option in --set 'ewc'; choose one of:
run demo --out x --only nosuch  ->  No run matches --only nosuch; ids look like
run demo --out x --only scratch --only nosuch  ->  No run matches --only nosuch; ids look like
run demo --out x --only  ->  --only needs a value behind it, but none came
run nosuch.json --out x  ->  The spec can't be read: nosuch.json is missing
run pipe.json --out x  ->  pipe.json is a pipe, where a file belongs; move it away
run folder.json --out x  ->  folder.json is a directory, where a file belongs; move it away
run spec.json --out x --seeds 3  ->  a spec file states them itself, so edit it
run spec.json --out x --budget 2  ->  a spec file states them itself, so edit it
run spec.json --out x --set learner.gamma=1  ->  a spec file states them itself, so edit it
run spec.json --out done  ->  done belongs to suite 'by hand'
run spec.json --out file.txt  ->  holds no suite.json
run spec.json --out half  ->  half belongs to suite 'half.json'
sweep  ->  `colonnade sweep` needs: name of a suite
sweep nosuch  ->  Unknown suite 'nosuch'; choose one of:
sweep spec.json  ->  spec.json is a file; see `colonnade suites`
sweep demo --jobs 0  ->  A sweep needs at least 1 job, but --jobs 0 came
sweep demo --jobs two  ->  --jobs is a whole number, but 'two' came
sweep demo --jobs 5 --top 6  ->  from 1 to 5, but 6 came
sweep demo --jobs 2000  ->  A sweep has at most 1000 jobs, but 2000 were asked for
sweep demo --top 0  ->  from 1 to 25, but 0 came
sweep demo --seed -1  ->  --seed is 0 or more, but -1 came
sweep demo --add-jobs -1  ->  --add-jobs is 0 or more, but -1 came
sweep demo --workers 0  ->  --workers is a number from 1 on, but 0 came
sweep demo --seeds 3  ->  leave --seeds out, give --jobs
sweep demo --games 3  ->  draws its tasks from no pool, but --games 3 came; leave it out
sweep demo --only x  ->  --only is an option of `colonnade run`, not of `colonnade sweep`; see
sweep demo --early-stop 3  ->  There is nothing that '3' could stand for
sweep demo --range x  ->  --range is NAME=LOW:HIGH or NAME=A,B,C with numbers, but 'x' came
sweep demo --range learning_rat=1,2  ->  did you mean 'learning_rate'?
sweep demo --range learning_rate=1:0  ->  from a number above 0 to a larger one, but 1:0 came
sweep demo --range learning_rate=0:1  ->  from a number above 0 to a larger one, but 0:1 came
sweep demo --range learning_rate=1,1  ->  names each value once, but 1,1 came
sweep demo --range learning_rate=a,b  ->  with numbers, but 'learning_rate=a,b' came
sweep demo --range learning_rate=1:2:3  ->  with numbers, but 'learning_rate=1:2:3' came
sweep demo --range learning_rate=nan  ->  finite ones only, but nan came
sweep demo --set learner.learning_rate=1  ->  is drawn for each job; instead of --set give --range
sweep demo --out file.txt  ->  holds no suite.json
sweep demo --out done  ->  done belongs to suite 'by hand'
report  ->  `colonnade report` needs: a folder that
report a b  ->  There is nothing that 'b' could stand for
report done --port 8000  ->  --port is where --watch serves its page; give --watch, too.
report done --watch --films  ->  --watch shows no films; leave --films or --watch out.
report nosuch  ->  nosuch holds no suite.json; give a folder that `colonnade run --out` made
report file.txt  ->  file.txt holds no suite.json; give a folder
report empty  ->  empty holds no suite.json; give a folder
report pipe.json  ->  pipe.json holds no suite.json; give a folder
report done/runs  ->  done/runs holds no suite.json; give a folder
report LONG  ->  holds no suite.json; give a folder
describe  ->  `colonnade describe` needs: name of a suite, or a folder
describe nosuch  ->  Unknown suite 'nosuch'; choose one of:
describe file.txt  ->  Unknown suite 'file.txt'
describe empty  ->  empty holds no suite.json; give a folder
describe missing.safetensors  ->  There is no file missing.safetensors; give one that
describe LONG  ->  Unknown suite 'aaaa
play  ->  `colonnade play` needs: a folder that
play nosuch  ->  nosuch holds no suite.json; give a folder
play empty  ->  empty holds no suite.json; give a folder
play half  ->  No run in half is complete; `colonnade run` completes them
play done --run nosuch  ->  Unknown complete run 'nosuch'; choose one of:
play done --run p --task nosuch  ->  'nosuch'; choose one of: gym/CartPole-v1
play done --task gym/CartPol-v1  ->  did you mean 'gym/CartPole-v1'?
play done --episodes 0  ->  --episodes is at least 1, but 0 came
play done --episodes one  ->  --episodes is a whole number, but 'one' came
play done --film x.avi  ->  A film's name ends in .webp, .gif or .mp4, but 'x.avi' came
play done --film film  ->  A film's name ends in .webp, .gif or .mp4, but 'film' came
play done --film file.txt/film.gif  ->  file.txt/film.gif could not be written: Not a directory
play done --film folder.gif  ->  folder.gif could not be written: Is a directory
play done --film /proc/film.gif  ->  /proc/film.gif could not be written
play done --seed abc  ->  --seed is a whole number, but 'abc' came
analyze  ->  `colonnade analyze` needs: a folder that
analyze nosuch  ->  nosuch is neither a folder that `colonnade run --out` made
analyze half  ->  half holds no complete run of the method 'progressive' with several columns
analyze done --only x  ->  --only is an option of `colonnade run`, not of `colonnade analyze`; see
analyze done --jobs 0  ->  --jobs is a number of processes from 1 on, but 0 came
analyze done --jobs x  ->  --jobs is a whole number, but 'x' came
analyze done --states 0  ->  must be a whole number at least 1; got 0
analyze done --states 1.5  ->  --states is a whole number, but '1.5' came
analyze done --episodes -1  ->  must be a whole number at least 0; got -1
analyze done --noise  ->  --noise needs a value behind it, but none came
analyze done --noise nan  ->  must be a number above 0; got nan
analyze done --noise abc  ->  --noise is a number, but 'abc' came
analyze done --noise 0  ->  must be a number above 0; got 0.0
analyze done --noise inf  ->  must be a number above 0; got inf
analyze done --noise 1 1  ->  must be one or more different numbers; got (1.0, 1.0)
analyze done --normalisation maps  ->  one of 'map', 'map-shift', 'pixel', but 'maps' came
analyze done --task nosuch  ->  'nosuch'; choose one of: gym/CartPole-v1
analyze done --seed 1.5  ->  --seed is a whole number, but '1.5' came
analyze done/runs/nosuch  ->  'nosuch'; choose one of: progressive-pole
weight-noise done --sizes 0  ->  A size must be a number above 0; got 0.0
weight-noise done --sizes 1 1  ->  Sizes must be one or more different numbers; got (1.0, 1.0)
prune  ->  `colonnade prune` needs: one run's folder
prune nosuch  ->  nosuch is neither a folder that `colonnade run --out` made
prune half  ->  should hold one complete progressive run to prune, but holds 0 (none)
prune done --out file.txt  ->  file.txt exists but holds no suite.json
prune done --out done  ->  done belongs to suite 'by hand'; choose another --out
prune done --keep 0  ->  must be a number from above 0 to 1; got 0.0
prune done --keep 1.5  ->  must be a number from above 0 to 1; got 1.5
prune done --keep nan  ->  must be a number from above 0 to 1; got nan
prune done --bound 1  ->  must be a number from 0 to below 1; got 1.0
prune done --bound -0.1  ->  must be a number from 0 to below 1; got -0.1
prune done --tasks nosuch  ->  'nosuch'; choose one of: gym/CartPole-v1
prune done --tasks gym/CartPole-v1 --tasks nosuch  ->  'nosuch'; choose one of: gym/CartPole-v1
prune done --tasks gym/CartPole-v1 nosuch  ->  'nosuch'; choose one of: gym/CartPole-v1
prune done --columns 5  ->  There is no column 5; the network has 2
prune done --columns -1  ->  must be a whole number at least 0; got -1
prune done --columns x  ->  --columns is a whole number, but 'x' came
prune done --states 0  ->  must be a whole number at least 1; got 0
prune done --episodes 0  ->  must be a whole number at least 1; got 0
prune done --seed x  ->  --seed is a whole number, but 'x' came
prune done/runs/nosuch  ->  'nosuch'; choose one of: progressive-pole
""".strip("\n").splitlines()
]
"""What is typed, and a part of the sentence that comes."""

LIGHT = (
    "run demo --out x --seeds abc", "run demmo --out x", "report nosuch", "play nosuch", "play",
    "rum", "analyze x --noise nan", "sweep demmo", "sweep demo --jobs 0",
)  # fmt: skip
"""Mistakes for which nothing heavy is needed."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders and files to be mistaken about."""
    folder = tmp_path_factory.mktemp("mistakes")
    poles(folder / "done")
    for name in ("empty", "folder.json", "folder.gif"):
        (folder / name).mkdir()
    (folder / "file.txt").write_text("a text")
    os.mkfifo(folder / "pipe.json")
    spec = RunSpec("one", "scratch", (TaskBudget("mini-pong/pong", 400),), "a2c", "tiny")
    SuiteFolder(folder / "half", "half.json", {}, Plan((spec,))).begin()
    (folder / "spec.json").write_text(json.dumps(spec.to_json()))
    return folder


def _train_nothing(*_: object, **__: object) -> None:
    raise AssertionError("it began to train")


@pytest.mark.parametrize(("typed", "said"), MISTAKES)
def test_a_mistake_has_one_sentence(
    place: Path,
    typed: str,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(place)
    # What is no mistake any more must not train for hours.
    monkeypatch.setattr("colonnade.experiments.execution.execute.execute", _train_nothing)
    before = sorted(place.rglob("*"))
    started = time.process_time()
    status = main(shlex.split(typed.replace("LONG", "a" * 300)))
    spent = time.process_time() - started
    out, err = capsys.readouterr()
    assert said in err
    assert status in (1, 2)
    assert not out
    assert err.startswith("colonnade: ")
    assert err.count("\n") == 1
    assert err.endswith((".\n", "?\n"))
    assert len(err) < 800
    assert "unforeseen" not in err
    assert sorted(place.rglob("*")) == before, "it did something before it saw the mistake"
    assert spent < 10, "seconds of work before the mistake was seen"


def test_there_are_a_hundred_and_fifty() -> None:
    assert len({typed for typed, _ in MISTAKES}) == len(MISTAKES) >= 150


@pytest.mark.parametrize(
    ("typed", "taken"),
    [
        ("run demo --out x --tasks zoom h-flip", {"tasks": ("zoom", "h-flip")}),
        ("run --tasks zoom --out x demo --tasks h-flip", {"tasks": ("zoom", "h-flip")}),
        ("run --tasks=zoom --tasks=h-flip demo --out x", {"tasks": ("zoom", "h-flip")}),
        ("run --tasks=zoom demo --out x", {"tasks": ("zoom",), "set": ()}),
        ("sweep demo --methods ewc --set a.b=1 --methods l2 --set c.d=2",
         {"methods": ("ewc", "l2"), "set": ("a.b=1", "c.d=2")}),
        ("prune x --tasks a b --columns 1 0 --tasks c",
         {"tasks": ("a", "b", "c"), "columns": (1, 0)}),
        ("prune x --columns 1 --tasks a --columns 0", {"tasks": ("a",), "columns": (1, 0)}),
        ("analyze x --noise 0.1 --noise 0.2 0.3", {"noise": (0.1, 0.2, 0.3)}),
        ("weight-noise x --sizes 1 --sizes 2", {"sizes": (1.0, 2.0)}),
        ("weight-noise x", {"sizes": (0.03, 0.1, 0.3, 1.0, 3.0)}),
    ],
)  # fmt: skip
def test_several_values_stand_together_or_apart(typed: str, taken: dict[str, object]) -> None:
    options = parsed(Command, _NAMES, "", shlex.split(typed)).options
    assert {name: getattr(options, name) for name in taken} == taken


def test_mistakes_that_need_nothing_heavy_load_nothing_heavy(tmp_path: Path) -> None:
    """In a process of its own, in less than a second of processor time."""
    check = (
        "import sys, time, shlex\n"
        "from colonnade.cli.main import main\n"
        f"for typed in {LIGHT!r}: assert main(shlex.split(typed)) == 2\n"
        "print('torch' in sys.modules, time.process_time())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", check], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    loaded, seconds = done.stdout.split()
    assert loaded == "False"
    assert float(seconds) < 2.5  # all of them, and Python itself; on a busy machine


def test_a_box_of_an_unknown_form_still_gives_a_sentence() -> None:
    assert sentence_of("", ["run"]).startswith("The command line can't be read: ")
    box = "╭─ Something new ─╮\n│ The moon is wrong. │\n╰───╯\n"
    assert sentence_of(box, ["run", "x"]) == (
        "The command line can't be read: The moon is wrong; see `colonnade run --help`."
    )
