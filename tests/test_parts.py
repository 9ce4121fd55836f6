"""Parts of one's own by name: from a plugin, from a package, refused in one sentence."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from colonnade.analysis.policies.players import player_pool
from colonnade.cli.main import main
from colonnade.errors import UsageError
from colonnade.experiments import suites
from colonnade.experiments.launch.rehearsal import Rehearsal
from colonnade.experiments.method_titles import in_order, method_of, sequence_title
from colonnade.experiments.plans.build import build_column, build_method
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites import suite_from_name
from colonnade.experiments.suites.progressive.pong_soup import SHORT
from colonnade.experiments.titles import learner_title
from colonnade.experiments.trained.films.kept import make_films
from colonnade.experiments.words import run_count
from colonnade.learners import learner_from_name
from colonnade.methods import ColumnMethod, method_from_name
from colonnade.networks import column_preset, custom_factories, modular_preset
from colonnade.networks.factories import MissingFactory, factory_from_data
from colonnade.parts import Part, finding, load_plugin, plugins
from colonnade.parts.part import Said
from colonnade.recognition import recogniser_from_name
from colonnade.tasks import task_from_name

PAGE = Path(__file__).parents[1] / "docs" / "plugins.md"
(SUITE,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)

HEAD = """
from dataclasses import dataclass
from colonnade.learners import A2C
from colonnade.methods import Finetune
from colonnade.networks import ColumnSpec, Dense
from colonnade.parts import Part
from colonnade.tasks import MiniPongTask

class Mine(Finetune):
    def __init__(self, column=None, strength=1.0):
        super().__init__(column)
        self.strength = strength

@dataclass(frozen=True)
class Slow(A2C):
    learning_rate: float = 1e-5

@dataclass(frozen=True)
class Plain:
    pass

def wall(look, *, steps=100, name=None):
    return MiniPongTask(look, steps=steps, name=name or f"wall/{look}")

COLUMN = ColumnSpec((Dense(3),))
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for plugins that forgets them afterwards."""
    before = set(sys.modules)
    monkeypatch.setattr(plugins, "_loaded", {})
    monkeypatch.setattr(finding, "_presets", {})
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    finding._points.cache_clear()
    yield tmp_path
    finding._points.cache_clear()
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def plugin(place: Path, listed: str, name: str = "own_parts") -> str:
    (place / f"{name}.py").write_text(f"{HEAD}\nPARTS = [{listed}]\n")
    return f"{name}.py"


def package(place: Path, **groups: str) -> None:
    """Install a distribution of entry points, as pip writes them down."""
    info = place / "their_parts-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-parts\nVersion: 1.0\n")
    lines = [f"[colonnade.{kind}]\n{line}\n" for kind, line in groups.items()]
    (info / "entry_points.txt").write_text("\n".join(lines))


def test_the_page_has_a_suite_of_ones_own_in_sixty_lines() -> None:
    assert len(SUITE.splitlines()) <= 60


def test_a_suite_of_ones_own_is_trained_in_workers_and_read_without_it(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "my_suite.py").write_text(SUITE)
    less = ["--seeds=1", "--budget=0.05", "--methods=shrink", "--tasks=left"]
    assert main(["run", "my_suite.py", "--out=mine", *less, "--set=shrink.factor=0.25"]) == 0
    suite = SuiteFolder.read(place / "mine")
    assert [run.done for run in suite.runs] == [True] * 3
    shrunk = [run for run in suite.runs if run.spec.method == "shrink"]
    assert [run.result()["spec"]["method_options"] for run in shrunk] == [{"factor": 0.25}]
    # From here on nobody has loaded it: what pages say stands in the folder.
    monkeypatch.setattr(plugins, "_loaded", {})
    del sys.modules["my_suite"]
    page = place / "mine" / "report.html"
    page.unlink()
    assert main(["report", "mine"]) == 0
    for words in ("Shrunk weights", "#117733", "Lines"):
        assert words in page.read_text()
    assert main(["describe", "mine"]) == 0
    capsys.readouterr()
    for command in (["play", "mine"], ["play", "mine", "--trust"]):
        assert main(command) == 2
        said = capsys.readouterr().err
        assert "the plugin my_suite.py, which is only imported where you name it; add" in said
    assert "my_suite" not in sys.modules
    assert main(["play", "mine", "--plugin=my_suite.py"]) == 0
    assert "plays line/left" in capsys.readouterr().out
    (place / "my_suite.py").write_text(SUITE.replace('"shrink"', '"shrunk"'))
    monkeypatch.setattr(plugins, "_loaded", {})
    del sys.modules["my_suite"]
    assert main(["play", "mine", "--plugin=my_suite.py"]) == 2
    said = capsys.readouterr().err
    assert "has the method 'shrink' of the plugin my_suite.py, which is loaded but has none" in said


def test_a_plugin_that_was_changed_between_commands_is_told_of(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "my_suite.py").write_text(SUITE)
    command = ["run", "my_suite.py", "--out=mine", "--budget=0.05", "--methods=scratch"]
    assert main([*command, "--tasks=left", "--seeds=1"]) == 0
    assert "has changed" not in capsys.readouterr().out
    page = place / "mine" / "report.html"
    assert "Changed meanwhile" not in page.read_text()
    (place / "my_suite.py").write_text(SUITE + "# another state\n")
    monkeypatch.setattr(plugins, "_loaded", {})
    del sys.modules["my_suite"]
    assert main([*command, "--tasks=left", "--seeds=1"]) == 0
    assert "has changed" not in capsys.readouterr().out  # nothing is left to train
    assert main([*command, "--tasks=left", "--seeds=2"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    states = {
        run.result()["versions"]["plugin my_suite.py"]
        for run in SuiteFolder.read(place / "mine").runs
    }
    text = SUITE.encode(), (SUITE + "# another state\n").encode()
    assert states == {sha256(content).hexdigest()[:12] for content in text}
    found = re.search(r"The plugin my_suite.py has changed since (\d+) of the runs in mine", said)
    assert found is not None
    first = int(found[1])
    told = " ".join(page.read_text().split())
    assert "Changed meanwhile" in told
    for content in text:
        assert f"{sha256(content).hexdigest()[:12]} in {run_count(first)}" in told


def test_a_sweep_tells_of_a_plugin_that_was_changed_too(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "my_suite.py").write_text(SUITE)
    sweep = ["sweep", "my_suite.py", "--out=mine", "--jobs=1", "--top=1", "--budget=0.05"]
    less = ["--methods=scratch", "--tasks=left"]
    assert main([*sweep, *less]) == 0
    (place / "my_suite.py").write_text(SUITE + "# another state\n")
    monkeypatch.setattr(plugins, "_loaded", {})
    del sys.modules["my_suite"]
    capsys.readouterr()
    assert main([*sweep, *less, "--add-jobs=1"]) == 0
    assert "The plugin my_suite.py has changed since" in " ".join(capsys.readouterr().out.split())


def test_processes_that_play_know_the_plugins_of_the_command(place: Path) -> None:
    load_plugin(plugin(place, 'Part("tasks", "wall", wall)'))
    with player_pool(2) as pool:
        assert pool is not None
        task = pool.submit(task_from_name, "wall/noisy", steps=10).result()
    assert (task.spec.id, task.steps) == ("wall/noisy", 10)


def test_a_recorder_in_the_suites_own_file_is_known(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = 'PARTS = [Part("recorders", "mine", lambda folder, spec: None), '
    (place / "my_suite.py").write_text(SUITE.replace("PARTS = [", own))
    for command in ("run", "sweep"):
        assert main([command, "my_suite.py", "--out=mine", "--recorder=other"]) == 2
        assert "Unknown recorder 'other'; choose one of: mine" in capsys.readouterr().err
        assert main([command, "my_suite.py", "--out=mine", "--recorder=mine", "--tasks=no"]) == 2
        assert "recorder" not in capsys.readouterr().err
    assert not (place / "mine").exists()


def test_a_suite_that_cannot_be_planned_hides_no_other(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "bad.py").write_text(
        f"{HEAD}\nfrom colonnade.errors import UsageError\n"
        "from colonnade.experiments.suites import Suite\n"
        "def plan(options):\n    raise UsageError('My data is not mounted.')\n"
        'PARTS = [Part("suites", "bad", Suite("bad", "Bad", "", plan))]\n'
    )
    assert main(["suites", "--plugin=bad.py"]) == 0
    printed, errors = capsys.readouterr()
    assert "pong-soup-mini" in printed
    assert "My data is not mounted." in errors
    with pytest.raises(UsageError, match=r"plan of suite 'mine' must be a function.*its `plan`"):
        suites.Suite("mine", "Mine", "", SHORT)  # type: ignore[arg-type]


def test_every_kind_of_part_is_found_by_its_name(place: Path) -> None:
    load_plugin(
        plugin(
            place,
            'Part("methods", "mine", Mine), Part("learners", "slow", Slow, title="Slow A2C"),'
            'Part("columns", "three", COLUMN), Part("columns", "made", lambda: COLUMN),'
            'Part("tasks", "wall", wall)',
        )
    )
    assert type(method_from_name("mine", strength=2.0)).__name__ == "Mine"
    assert learner_from_name("slow", gamma=0.5).learning_rate == 1e-5  # type: ignore[attr-defined]
    assert column_preset("three") == column_preset("made")
    assert task_from_name("wall/zoom", steps=7).spec.id == "wall/zoom"
    assert task_from_name("wall/zoom", name="far", steps=7).spec.id == "far"
    spec = RunSpec("x", "mine", (TaskBudget("wall/zoom", 7),), "slow", "three")
    method = build_method(spec)
    method.begin_task(task_from_name("wall/zoom").spec)
    assert isinstance(method, ColumnMethod)
    assert method.network.column(0).spec == column_preset("three")
    with pytest.raises(UsageError, match="Unknown mine option 'strengt'; did you mean 'strength'"):
        method_from_name("mine", strengt=2.0)
    with pytest.raises(UsageError, match="Unknown option of 'wall' tasks 'loo'; did you mean"):
        task_from_name("wall/zoom", loo=2)
    with pytest.raises(UsageError, match="Unknown method 'min'; did you mean 'mine'"):
        method_from_name("min")
    assert load_plugin("own_parts.py") == load_plugin(str(place / "own_parts.py"))


def test_packages_are_imported_when_their_names_are_asked_for(place: Path) -> None:
    plugin(place, "", "their_code")
    (place / "theirs.py").write_text(
        'from their_code import Mine, Part\nMINE = Part("methods", "said", Mine, title="Theirs")\n'
    )
    package(place, methods="plain = their_code:Mine\nsaid = theirs:MINE\nlost = nowhere:Mine")
    assert method_from_name("ewc")
    assert not {"their_code", "theirs"} & set(sys.modules)
    assert finding.own_names("methods") == ["plain", "said", "lost"]
    assert type(method_from_name("plain")).__name__ == "Mine"
    assert "theirs" not in sys.modules
    assert finding.said_of([("methods", "said"), ("methods", "ewc"), ("methods", "said")]) == (
        Said("methods", "said", "Theirs", origin="package their-parts"),
    )
    with pytest.raises(
        UsageError,
        match="^Method 'lost' of package their-parts cannot be imported from 'nowhere:Mine' "
        r"\(ModuleNotFoundError: No module named 'nowhere'\)\.$",
    ):
        method_from_name("lost")


def test_a_package_that_fails_hides_no_other_suite(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    package(place, suites="broken = nowhere:SUITE")
    monkeypatch.setattr(suites, "SUITES", suites.SUITES[:1])
    assert main(["suites"]) == 0
    shown = capsys.readouterr()
    assert "demo" in shown.out
    assert shown.err.startswith("colonnade: Suite 'broken' of package their-parts cannot be")


@pytest.mark.parametrize(
    ("listed", "sentence"),
    [
        ('Part("methods", "ewc", Mine)', "has a method 'ewc', but so has Colonnade; rename it."),
        (
            'Part("methods", "a", Mine), Part("methods", "a", Mine)',
            "plugin own_parts.py has a method 'a', but so has plugin own_parts.py; rename it.",
        ),
        ("Mine", "PARTS of plugin .* holds <class 'own_parts.Mine'>, no Part."),
        ('Part("method", "a", Mine)', "Unknown kind of part 'method'; did you mean 'methods'?"),
        ('Part("methods", "a b", Mine)', "must be letters, digits .*, but 'a b' came."),
        ('Part("methods", "a", Mine, colour="red")', "of method 'a' must be as '#117733', but"),
        ('Part("methods", "a", Mine, title=3)', "title of part 'a' must be a text; got 3."),
        ("1 / 0", r"cannot be imported \(ZeroDivisionError: division by zero\)."),
    ],
)
def test_plugins_that_will_not_do_are_refused(place: Path, listed: str, sentence: str) -> None:
    def use() -> None:
        load_plugin(plugin(place, listed))
        method_from_name("ewc")

    with pytest.raises(UsageError, match=sentence) as caught:
        use()
    assert "\n" not in str(caught.value)


def test_a_file_imports_what_lies_beside_it(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = place / "elsewhere"
    folder.mkdir()
    (folder / "beside_it.py").write_text("STRENGTH = 7.0\n")
    listed = "PARTS = [Part('methods', 'mine', Mine, title=str(beside_it.STRENGTH))]\n"
    text = HEAD + "import beside_it\n" + listed
    (folder / "with_neighbours.py").write_text(text)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (part,) = load_plugin("elsewhere/with_neighbours.py")
    assert part.title == "7.0"
    with player_pool(2) as pool:  # in other processes too
        assert pool is not None
        assert pool.submit(method_from_name, "mine").result().strength == 1.0


def test_files_that_will_not_do_are_refused(place: Path) -> None:
    with pytest.raises(UsageError, match=r"no file .*missing.py to take parts from"):
        load_plugin("missing.py")
    (place / "gymnasium.py").write_text("raise SystemExit")
    with pytest.raises(UsageError, match="another module is called 'gymnasium'; rename the file"):
        load_plugin("gymnasium.py")
    (place / "forgot.py").write_text("PART = []")
    with pytest.raises(UsageError, match=r"Plugin .*forgot.py' has no PARTS; list its parts"):
        load_plugin("forgot.py")
    with pytest.raises(UsageError, match=r"Plugin 'no_such' cannot be imported \(ModuleNotFound"):
        load_plugin("no_such")


def test_two_origins_never_share_a_name(place: Path) -> None:
    load_plugin(plugin(place, 'Part("methods", "mine", Mine)'))
    with pytest.raises(UsageError, match=r"^plugin more.py has a method 'mine', but so has plugin"):
        load_plugin(plugin(place, 'Part("methods", "mine", Mine)', "more"))
    package(place, methods="mine = own_parts:Mine")
    finding._points.cache_clear()
    with pytest.raises(UsageError, match=r"own_parts.py and package their-parts both have a meth"):
        method_from_name("mine")


@pytest.mark.parametrize(
    ("part", "use", "sentence"),
    [
        ('"methods", "x", Plain', lambda: method_from_name("x"), "must be a colonnade.methods.Col"),
        (
            '"methods", "x", Mine.__mro__[1].begin_task',
            lambda: method_from_name("x"),
            r"Method 'x' must take what its networks look like, as 'column' .* takes self, spec",
        ),
        (
            '"methods", "x", type("Eager", (Mine,), {"__init__": lambda self, column, much: None})',
            lambda: method_from_name("x", column=None),
            r"Method 'x' needs a value for its option 'much', .*\(--set x.much=\.\.\.\)",
        ),
        ('"methods", "x", 3', lambda: method_from_name("x"), "must be a class or a function, but"),
        ('"methods", "x", dict', lambda: method_from_name("x"), "must be a class or a function"),
        ('"learners", "x", dict', lambda: learner_from_name("x"), "must be a dataclass, whose"),
        (
            '"recognisers", "x", Plain',
            lambda: recogniser_from_name("x"),
            r"Kind of labels 'x' \(Plain\) has no method 'build'",
        ),
        ('"columns", "x", COLUMN', lambda: modular_preset("x"), "must be a ModularSpec, but is"),
        ('"suites", "x", COLUMN', lambda: suite_from_name("x"), "Suite 'x' must be a Suite, but"),
        ('"tasks", "x", Plain', lambda: task_from_name("x"), "must have a TaskSpec as its 'spec'"),
        (
            '"tasks", "x", wall',
            lambda: task_from_name("x/zoom"),
            "Task 'x/zoom' must have the id 'x/zoom', which .*, but has 'wall/zoom'",
        ),
        (
            '"tasks", "x", wall',
            lambda: task_from_name("x"),
            "Task 'x' cannot be made with {}: wall",
        ),
        (
            '"tasks", "x", lambda where: {"short": 2}[where]',
            lambda: task_from_name("x/middle"),
            "Task 'x/middle' cannot be made with {}: KeyError: 'middle'",
        ),
    ],
)
def test_parts_that_miss_their_contract_are_refused(
    place: Path, part: str, use: Any, sentence: str
) -> None:
    load_plugin(plugin(place, f"Part({part})"))
    with pytest.raises(UsageError, match=sentence):
        use()


def test_a_file_in_a_suites_place_has_one(place: Path) -> None:
    with pytest.raises(UsageError, match=r"own_parts.py has 0 suites, where one is to be run"):
        suite_from_name(plugin(place, 'Part("methods", "mine", Mine)'))


def test_the_command_line_takes_plugins_anywhere(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plugin(place, 'Part("methods", "mine", Mine)')
    assert main(["--plugin", "own_parts", "describe", "nothing"]) == 2
    assert plugins.loaded_plugins() == ("own_parts",)
    assert "Unknown suite 'nothing'" in capsys.readouterr().err
    for given in (["suites", "--plugin"], ["--plugin=", "suites"], ["--plugin", "--debug"]):
        assert main(given) == 2
        assert "--plugin needs a module or a file behind it" in capsys.readouterr().err


def test_what_a_folder_says_of_parts_decides_titles_colours_and_order() -> None:
    own = (
        Said("methods", "mine", "My own", "#010203", "finetune"),
        Said("learners", "slow", "Slow A2C"),
    )
    assert (method_of("mine", own).title, method_of("mine", own).colour) == ("My own", "#010203")
    assert sequence_title("mine", own, labelled=True) == "My own"
    keys = ["other", "mine", "progressive-2", "finetune", "scratch"]
    expected = ["scratch", "finetune", "mine", "progressive-2", "other"]
    assert in_order(keys, own) == expected
    assert in_order(keys)[-2:] == ["other", "mine"]
    assert [learner_title(name, own) for name in ("slow", "ppo", "x")] == ["Slow A2C", "PPO", "x"]


def test_methods_stand_behind_those_that_they_name_in_any_order() -> None:
    own = [Said("methods", "c", after="b"), Said("methods", "b", after="ewc")]
    assert in_order(["c", "l2", "b", "ewc"], own) == ["ewc", "b", "c", "l2"]


def test_a_method_behind_one_that_nobody_knows_is_refused(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "my_suite.py").write_text(SUITE.replace('after="finetune"', 'after="scrach"'))
    assert main(["run", "my_suite.py", "--out=mine"]) == 2
    said = " ".join(capsys.readouterr().err.split())
    assert "Unknown method that the method 'shrink' of plugin my_suite.py stands after" in said
    assert "'scrach'; did you mean 'scratch'?" in said
    assert not (place / "mine").exists()


def test_colours_of_folders_are_checked() -> None:
    with pytest.raises(UsageError, match="colour of method 'x' must be as '#117733', but 'url"):
        Said("methods", "x", colour="url(http://x)")
    assert Part("methods", "x", SimpleNamespace, colour="#AAbb09").said.colour == "#AAbb09"


OWN_STAGE = """
from torch import nn
from colonnade.networks import LSTM, Custom

def made(shape):
    return nn.Linear(shape[0], 6)

OWN = ColumnSpec((Custom(made, (6,)), LSTM(4)), activation="tanh")
NAMELESS = ColumnSpec((Custom(lambda shape: made(shape), (6,)),), activation="tanh")
"""


def test_the_module_of_ones_own_column_is_known_where_its_plugin_is(place: Path) -> None:
    listed = 'Part("columns", "own", OWN), Part("columns", "nameless", NAMELESS)'
    (place / "nets.py").write_text(f"{HEAD}{OWN_STAGE}\nPARTS = [{listed}]\n")
    data = {"kind": "custom", "factory": "nets:made", "out_shape": [6]}
    assert isinstance(factory_from_data(data["factory"]), MissingFactory)
    load_plugin("nets.py")
    own, made = column_preset("own"), sys.modules["nets"].made
    # Nothing that data names is imported, in or out of such a block: the part holds it.
    assert factory_from_data("nets:made") is made
    with custom_factories("import", only=()):
        assert factory_from_data("nets:made") is made
        assert isinstance(factory_from_data("os:system"), MissingFactory)
    changed = build_column({"preset": "own", "alpha": 0.5})
    assert changed is not None
    assert (changed.alpha, changed.stages) == (0.5, own.stages)
    nameless = build_column({"preset": "nameless", "alpha": 0.5})
    assert nameless is not None
    assert nameless.stages == column_preset("nameless").stages


def test_runs_of_ones_own_column_are_changed_extended_and_played(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "nets.py").write_text(f'{HEAD}{OWN_STAGE}\nPARTS = [Part("columns", "own", OWN)]\n')
    common = {
        "learner": "a2c",
        "training_options": {"num_envs": 2, "segment_steps": 40, "device": "cpu"},
        "evaluation_episodes": 1,
    }
    first = RunSpec(
        label="plain", method="progressive", tasks=(TaskBudget("t-maze/2", 40),), column="own",
        **common,  # type: ignore[arg-type]
    )  # fmt: skip
    second = replace(
        first, label="after", tasks=(TaskBudget("t-maze/3", 40),), parent=first.id,
        column={"preset": "own", "alpha": 0.1},
    )  # fmt: skip
    (place / "runs.json").write_text(json.dumps([first.to_json(), second.to_json()]))
    assert main(["--plugin", "nets.py", "run", "runs.json", "--out", "out"]) == 0
    assert [run.done for run in SuiteFolder.read(place / "out").runs] == [True, True]
    assert main(["play", "out", "--run", "after"]) == 0
    assert "plays t-maze/3" in capsys.readouterr().out


def test_what_a_learner_holds_must_fit_into_a_file(place: Path) -> None:
    shaped = 'type("Shaped", (A2C,), {"__annotations__": {"shaping": object}, "shaping": abs})'
    load_plugin(plugin(place, f'Part("learners", "shaped", dataclass(frozen=True)({shaped}))'))
    spec = RunSpec("x", "finetune", (TaskBudget("t-maze/2", 40),), "shaped", "default")
    with pytest.raises(UsageError, match=r"'shaping' of learner 'shaped' is .*no file can keep"):
        Rehearsal().check(spec)


def test_labels_are_learned_by_a_learner_of_ones_own(place: Path) -> None:
    (place / "own_parts.py").write_text(
        f"{HEAD}\nfrom colonnade.learners import Supervised\nclass Own(Supervised):\n    pass\n"
        'PARTS = [Part("learners", "own", Own)]\n'
    )
    load_plugin("own_parts.py")
    spec = RunSpec("x", "finetune", (TaskBudget("digits/pair-3-5", 40),), "own", "default")
    Rehearsal().check(spec)
    with pytest.raises(UsageError, match="t-maze/2"):
        Rehearsal().check(replace(spec, tasks=(TaskBudget("t-maze/2", 40),)))


def test_pages_know_labels_by_the_tasks_and_not_by_the_learners_name(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "own_parts.py").write_text(
        f"{HEAD}\nfrom colonnade.learners import Supervised\nclass Own(Supervised):\n    pass\n"
        'PARTS = [Part("learners", "own", Own)]\n'
    )
    spec = RunSpec(
        "x", "finetune", (TaskBudget("digits/pair-3-5", 40),), "own", "tiny",
        training_options={"device": "cpu"},
    )  # fmt: skip
    (place / "runs.json").write_text(json.dumps([spec.to_json()]))
    assert main(["--plugin", "own_parts.py", "run", "runs.json", "--out", "out"]) == 0
    assert main(["report", "out"]) == 0
    page = (place / "out" / "report.html").read_text()
    assert "What is learned from" in page
    assert "training examples/s in a run" in page
    assert "agent steps" not in page
    # There is nothing to film of them, and nobody says that it failed.
    suite = SuiteFolder.read(place / "out")
    assert list(make_films(suite, trust=True)) == []
    # While it's not complete nothing says so.
    (suite.runs[0].path / "DONE").unlink()
    assert not suite.runs[0].labelled


def test_a_method_of_ones_own_brings_its_stages_to_what_starts_from_it(place: Path) -> None:
    (place / "own_parts.py").write_text(
        f"{HEAD}{OWN_STAGE}\nfrom colonnade.methods import Progressive\n"
        "class Grown(Progressive):\n    def __init__(self, column=None):\n"
        "        super().__init__(column or OWN)\n"
        'PARTS = [Part("methods", "grown", Grown)]\n'
    )
    common = {
        "method": "grown",
        "learner": "a2c",
        "column": "default",
        "training_options": {"num_envs": 2, "segment_steps": 40, "device": "cpu"},
        "evaluation_episodes": 1,
    }
    first = RunSpec(label="first", tasks=(TaskBudget("t-maze/2", 40),), **common)  # type: ignore[arg-type]
    second = replace(
        first,
        label="after",
        method="finetune",
        tasks=(TaskBudget("t-maze/3", 40),),
        parent=first.id,
    )
    (place / "runs.json").write_text(json.dumps([first.to_json(), second.to_json()]))
    assert main(["--plugin", "own_parts.py", "run", "runs.json", "--out", "out"]) == 0
    assert [run.done for run in SuiteFolder.read(place / "out").runs] == [True, True]
