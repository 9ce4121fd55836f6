"""What a user names: suites as data are what the same design is in Python."""

import json
import re
from pathlib import Path

import pytest

from colonnade.cli.main import main
from colonnade.errors import UsageError
from colonnade.experiments.launch.named import named, named_suite
from colonnade.experiments.launch.suite import begin
from colonnade.experiments.launch.sweep import plan_sweep
from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.experiments.plans.search_space import PAPER, Choice, LogUniform
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.results.runs import RunResult
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites import Suite
from colonnade.experiments.suites.designs.transfer import TransferDesign

TOML = """
suite = "mine"
title = "Two looks"
summary = "what one gives to the other"
sources = ["mini-pong/pong", "CartPole-v1"]
targets = ["mini-pong/zoom", "CartPole-v1"]
methods = ["scratch", "ewc", "progressive"]
source_steps = 300
target_steps = 200
seeds = 2
learner = "a2c"
columns = 3
method_options = { ewc = { lam = 7.0 } }
training_options = { num_envs = 4 }

[search]
learner = { learning_rate = [0.003, 0.001], entropy_cost = { low = 1e-4, high = 1e-2 } }
methods = { ewc = { lam = [1.0, 10.0] } }
"""
DATA = {
    "suite": "mine",
    "title": "Two looks",
    "summary": "what one gives to the other",
    "sources": ["mini-pong/pong", "CartPole-v1"],
    "targets": ["mini-pong/zoom", "CartPole-v1"],
    "methods": ["scratch", "ewc", "progressive"],
    "source_steps": 300,
    "target_steps": 200,
    "seeds": 2,
    "learner": "a2c",
    "columns": 3,
    "method_options": {"ewc": {"lam": 7.0}},
    "training_options": {"num_envs": 4},
    "search": {
        "learner": {"learning_rate": [0.003, 0.001], "entropy_cost": {"low": 1e-4, "high": 1e-2}},
        "methods": {"ewc": {"lam": [1.0, 10.0]}},
    },
}
DESIGN = TransferDesign(
    sources=("mini-pong/pong", "CartPole-v1"),
    targets=("mini-pong/zoom", "CartPole-v1"),
    methods=("scratch", "ewc", "progressive"),
    source_steps=300,
    target_steps=200,
    seeds=2,
    learner="a2c",
    columns=3,
    method_options={"ewc": {"lam": 7.0}},
    training_options={"num_envs": 4},
)


def written(tmp_path: Path, **changes: object) -> Path:
    path = tmp_path / "mine.json"
    data = {**DATA, **changes}
    path.write_text(json.dumps({key: value for key, value in data.items() if value is not None}))
    return path


def test_the_suite_of_the_page_is_one(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "plugins.md").read_text()
    (block,) = re.findall(r"```toml\n(suite.*?)```", page, re.DOTALL)
    (tmp_path / "looks.toml").write_text(block)
    suite = named_suite(str(tmp_path / "looks.toml"), "x")
    plan = suite.plan(SuiteOptions())
    places = {entry.place for entry in plan.comparisons}
    assert len(plan.runs) == 3 * (2 + 2 + 3 * 3)
    assert len(places) == 2 + 3 * 3
    assert suite.space("ppo").names == ("learning_rate", "entropy_cost")


def test_the_pages_rounds_try_first_and_reach_the_same_places(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "plugins.md").read_text()
    (block,) = re.findall(r"```toml\n(suite.*?)```", page, re.DOTALL)
    (rounds,) = re.findall(r"```toml\n(rounds.*?)```", page, re.DOTALL)
    (tmp_path / "plain.toml").write_text(block)
    (tmp_path / "halved.toml").write_text(block.replace("[search]", f"{rounds}\n[search]"))
    plain, halved = (
        named_suite(str(tmp_path / f"{name}.toml"), "x").plan(SuiteOptions())
        for name in ("plain", "halved")
    )
    places = {entry.place for entry in plain.comparisons}
    assert {entry.place for entry in halved.comparisons} == places
    assert len(halved.tries) == len(places) * (8 + 2)


def test_json_and_toml_are_the_suite_that_they_describe(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(TOML)
    for path in (written(tmp_path), tmp_path / "mine.toml"):
        suite = named(str(path))
        assert isinstance(suite, Suite)
        assert (suite.name, suite.title) == ("mine", "Two looks")
        assert suite.plan(SuiteOptions()) == DESIGN.plan(SuiteOptions())
        space = suite.space("a2c")
        assert space.learner["learning_rate"] == Choice((0.003, 0.001))
        assert space.learner["entropy_cost"] == LogUniform(1e-4, 1e-2)
        assert space.methods["ewc"]["lam"] == Choice((1.0, 10.0))
    assert named_suite(str(written(tmp_path, search=None)), "x").space("a2c") == PAPER


def test_methods_of_any_name_learn_each_target_after_each_source() -> None:
    """Worked by hand: a source is no target of itself, and its column is trained once a seed."""
    plan = DESIGN.plan(SuiteOptions(seeds=1))
    labels = {spec.label.removesuffix(", seed 0"): spec for spec in plan.runs}
    pong, cart, zoom = "mini-pong/pong", "CartPole-v1", "mini-pong/zoom"
    assert set(labels) == {
        f"scratch {zoom}", f"scratch {cart}", f"source {pong}", f"source {cart}",
        f"ewc {pong} to {zoom}", f"ewc {pong} to {cart}", f"ewc {cart} to {zoom}",
        f"progressive {pong} to {zoom}", f"progressive {pong} to {cart}",
        f"progressive {cart} to {zoom}", f"progressive {pong}, {cart} to {zoom}",
    }  # fmt: skip
    ewc = labels[f"ewc {pong} to {zoom}"]
    assert ewc.method_options == {"lam": 7.0}
    assert (ewc.parent, ewc.steps) == (labels[f"source {pong}"].id, 200)
    assert labels[f"source {pong}"].steps == 300
    assert labels[f"progressive {pong} to {cart}"].method_options == {}
    rows = {(entry.method, entry.source, entry.target) for entry in plan.comparisons}
    assert ("ewc", cart, zoom) in rows
    assert ("progressive-3", f"{pong} + {cart}", zoom) in rows


def test_a_suite_as_data_is_begun_and_swept_as_ours(tmp_path: Path) -> None:
    looks = ["mini-pong/pong", "mini-pong/zoom"]
    path = written(tmp_path, sources=looks, targets=looks, columns=2, column="tiny")
    suite = named_suite(str(path), "x")
    options = SuiteOptions(seeds=1, tasks=("zoom",), set=("ewc.lam=3",))
    folder = begin(suite, tmp_path / "out", options)
    assert (folder.basis.title, folder.name) == ("Two looks", "mine")
    assert {run.method: run.method_options for run in folder.plan.runs}["ewc"] == {"lam": 3}
    swept = plan_sweep(suite, Sweep(jobs=4, top=1), SuiteOptions())
    drawn = {run.method_options["lam"] for run in swept.runs if run.method == "ewc"}
    assert drawn <= {1.0, 10.0}
    assert {run.learner_options["learning_rate"] for run in swept.runs} <= {0.003, 0.001}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"suite": "demo"}, "mine.json calls its suite 'demo', but there is one already; rename"),
        ({"title": 3}, "title of mine.json must be a text; got 3."),
        ({"targets": None}, "mine.json lacks 'targets'; add it."),
        ({"target": []}, "Unknown field of mine.json: 'target'; did you mean 'targets'"),
        ({"targets": []}, "mine.json: 'targets' of a transfer design is empty; name at least one."),
        ({"sources": []}, "mine.json: 'sources' of a transfer design is empty; name at least one."),
        (
            {"methods": ["ewc", "progressive"]},
            "'methods' of mine.json lacks 'scratch', which every transfer",
        ),
        ({"methods": ["scratch"] * 2}, "'methods' of a transfer design has 'scratch' twice; name"),
        ({"seeds": 0}, "seeds of .* must be a whole number at least 1; got 0"),
        ({"columns": 1}, "columns of .* must be a whole number at least 2; got 1"),
        (
            {"search": {"learner": {"gamma": []}}},
            "must be an object; got \\[\\]; a range is a list of numbers",
        ),
        ({"search": 3}, "search of mine.json must be a JSON object; got 3."),
        ({"rounds": []}, "'rounds' of a halving design are one or more, each with at most as many"),
        ({"rounds": [{"tries": 0, "steps": 9}]}, "tries of .* must be a whole number at least 1"),
        ({"rounds": [{"trys": 2, "steps": 9}]}, "'trys'; did you mean 'tries'"),
        ({"rounds": 3}, "rounds of mine.json must be a list; got 3."),
    ],
)
def test_what_is_wrong_with_a_suite_as_data_is_one_sentence(
    tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(UsageError, match=sentence):
        named(str(written(tmp_path, **changes)))


def test_files_that_are_no_suites(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.toml").write_text("suite = ")
    (tmp_path / "none.toml").write_text("seeds = 3")
    (tmp_path / "specs.json").write_text("[]")
    assert named(str(tmp_path / "specs.json")) == tmp_path / "specs.json"
    for name, sentence in (
        ("bad.toml", "bad.toml is no TOML: Invalid value"),
        ("none.toml", "none.toml lacks 'suite', the name of the suite; add it."),
        ("gone.toml", "The spec can't be read: "),
        ("specs.json", "What is described is a suite or a folder, but "),
    ):
        assert main(["describe", str(tmp_path / name)]) == 2
        assert sentence in capsys.readouterr().err


def test_rounds_train_each_cell_with_its_own_best(tmp_path: Path) -> None:
    """The real thing, on a suite so small that it is over in seconds."""
    rates, alphas = [1e-3, 2e-3, 3e-3], [0.4, 0.5, 0.6]
    path = written(
        tmp_path,
        family="mini-pong", sources=["pong"], targets=["zoom"],
        methods=["scratch", "progressive"], columns=2,
        column={"preset": "tiny", "alpha": 0.3}, source_steps=100, target_steps=200, seeds=1,
        learner="ppo", method_options=None, evaluation_episodes=2,
        search={"learner": {"learning_rate": rates}, "column": {"alpha": alphas}},
        rounds=[{"tries": 3, "steps": 100, "episodes": 2}, {"tries": 2, "steps": 150}],
        training_options={"num_envs": 2, "curve_steps": 50, "device": "cpu"},
    )  # fmt: skip
    assert main(["run", str(path), "--out", str(tmp_path / "out")]) == 0
    results = Results(SuiteFolder.read(tmp_path / "out"))
    runs = [*results.runs.values()]
    assert len(runs) == 1 + 2 * (3 + 2 + 1)
    assert all(run.done for run in runs)
    for cell in ("scratch zoom", "progressive pong to zoom"):
        first, second, (last,) = (
            [run for run in runs if run.spec.label.startswith(f"{cell}, {kind}")]
            for kind in ("round 1", "round 2", "seed 0")
        )
        best = sorted(first, key=lambda run: -run.final_score)[:2]
        for run, model in zip(second, best, strict=True):
            assert alpha(run) == alpha(model)
            assert run.result["learner"] == model.result["learner"]
        model = max(second, key=lambda run: run.final_score)
        assert alpha(last) == alpha(model)
        assert last.result["learner"] == model.result["learner"]
        assert last.spec.seed == 0


def alpha(run: RunResult) -> float:
    *_, column = json.loads((run.folder.path / "network.json").read_text())["network"]["columns"]
    return float(column["spec"]["alpha"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"method_options": {"ewcc": {"lam": 7.0}}}, "'method_options'.*did you mean 'ewc'"),
        ({"learner_options": {"pppo": {"gamma": 0.9}}}, "'learner_options'.*did you mean 'ppo'"),
        ({"search": {"methods": {"ewcc": {"lam": [1.0]}}}}, "'search'.*did you mean 'ewc'"),
        ({"bundled": "pong-source"}, "stands for its one source, but it has 2"),
    ],
)
def test_settings_of_nothing_are_refused(
    tmp_path: Path, changes: dict[str, object], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        named(str(written(tmp_path, **changes)))


def test_the_search_of_a_file_is_for_every_learner(tmp_path: Path) -> None:
    suite = named_suite(str(written(tmp_path)), "x")
    plan = plan_sweep(suite, Sweep(jobs=3, top=1), SuiteOptions(learner="ppo"))
    assert {spec.learner_options["learning_rate"] for spec in plan.runs} <= {0.003, 0.001}
    assert not any("clip_norm" in spec.learner_options for spec in plan.runs)


def test_of_the_papers_grids_is_drawn_what_the_runs_have(tmp_path: Path) -> None:
    suite = named_suite(str(written(tmp_path, search=None)), "x")
    plan = plan_sweep(suite, Sweep(jobs=2, top=1), SuiteOptions(learner="dqn"))
    assert {*plan.runs[0].learner_options} == {"learning_rate", "clip_norm"}
    assert all(spec.column == "default" for spec in plan.runs)


def test_what_a_suite_says_of_itself_comes_to_its_runs(tmp_path: Path) -> None:
    training = {"num_envs": 2, "device": "cpu"}
    path = written(
        tmp_path,
        training_options=training, source_options={"goal_episodes": 5, "goal_return": 15.0},
        source_steps=200, target_steps=200, methods=["scratch", "strong", "progressive"],
        method_options=None, variants={"strong": {"method": "ewc", "options": {"lam": 7.0}}},
        search={"methods": {"ewc": {"lam": [1.0, 10.0]}}},
    )  # fmt: skip
    suite = named_suite(str(path), "x")
    runs = suite.plan(SuiteOptions()).runs
    assert {spec.training_options["device"] for spec in runs} == {"cpu"}
    other = suite.plan(SuiteOptions(device="cuda")).runs
    assert {spec.training_options["device"] for spec in other} == {"cuda"}
    # Pong prepares others alone; the pole is a target too, and its run stands in scratch's row.
    ends = {spec.target for spec in runs if "goal_episodes" in spec.training_options}
    assert ends == {"mini-pong/pong"}
    plan = plan_sweep(suite, Sweep(jobs=6, top=2), SuiteOptions())
    drawn = {spec.method_options["lam"] for spec in plan.runs if spec.method == "ewc"}
    assert drawn == {1.0, 10.0}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"variants": {"ewc": {"method": "ewc"}}},
            "'ewc' is in 'variants' and in 'method_options'",
        ),
        (
            {"methods": ["scratch", "ewc"]},
            "3 columns of a transfer design are of progressive networks",
        ),
        ({"columns": 4}, "4 columns of a transfer design ask for 3 sources, but it has 2"),
        (
            {
                "methods": ["scratch", "strong", "progressive"],
                "method_options": None,
                "variants": {"strong": {"method": "ewc"}},
                "search": {"methods": {"strong": {"lam": [1.0]}}},
            },
            "method in 'search' of mine.json 'strong'; choose one of: ewc, progressive, scratch",
        ),
    ],
)
def test_what_would_change_nothing_is_refused(
    tmp_path: Path, changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(UsageError, match=re.escape(sentence)):
        named_suite(str(written(tmp_path, **changes)), "x")
