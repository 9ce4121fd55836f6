"""The package of examples, installed by pip: its own tests, and its parts under their names."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from colonnade.cli.main import main
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.launch.suite import begin
from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites import suite_from_name
from colonnade.parts import finding
from colonnade.reports.suite import write_report

PACKAGE = Path(__file__).parents[1] / "examples" / "corridors"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Install it for the tests of this file alone."""
    place = tmp_path_factory.mktemp("installed")
    copy = shutil.copytree(PACKAGE, place / "corridors", ignore=shutil.ignore_patterns("build"))
    into = place / "site"
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    alone = ["--no-deps", "--no-build-isolation", "--no-index", "--target", str(into)]
    done = subprocess.run([*pip, *alone, str(copy)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(into)
        patch.setenv("PYTHONPATH", os.pathsep.join([str(into), os.environ.get("PYTHONPATH", "")]))
        finding._points.cache_clear()
        yield into
    finding._points.cache_clear()
    for name in [name for name in sys.modules if name.partition(".")[0] == "corridors"]:
        del sys.modules[name]


def test_its_own_tests_pass(installed: Path) -> None:
    file = PACKAGE / "tests" / "test_corridors.py"
    spec = importlib.util.spec_from_file_location("corridors_tests", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tests = [value for name, value in vars(module).items() if name.startswith("test_")]
    assert len(tests) == 6
    for test in tests:
        test()


def test_its_suite_is_trained_and_shown_by_its_names(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = SuiteOptions(
        seeds=1,
        budget=0.01,
        methods=("tethered",),
        tasks=("south",),
        set=("training.num_envs=4", "training.curve_steps=50", "tethered.strength=0.5"),
    )
    folder = begin(suite_from_name("corridors"), tmp_path / "out", options)
    runs = {spec.label: spec for spec in folder.plan.runs}
    assert sorted(runs) == sorted(
        ["scratch south, seed 0", "scratch north, seed 0", "scratch east, seed 0"]
        + [f"tethered {source} to south, seed 0" for source in ("north", "east")]
    )
    for label in ("scratch north, seed 0", "tethered north to south, seed 0"):
        train_run(folder.path, runs[label])
    tethered = folder.run(runs["tethered north to south, seed 0"].id)
    assert tethered.spec.method_options == {"strength": 0.5}
    assert any(name.startswith("began/") for name in tethered.weights()[0])
    origins = {part.origin for part in SuiteFolder.read(folder.path).basis.parts}
    assert origins == {"package corridors"}
    page = write_report(SuiteFolder.read(folder.path)).read_text()
    assert "Tethered" in page
    assert "#117733" in page


def test_a_folder_of_it_needs_it(
    installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    begin(suite_from_name("corridors"), tmp_path / "out", SuiteOptions(seeds=1))
    monkeypatch.setattr(finding, "_points", lambda kind: ())
    assert main(["report", str(tmp_path / "out")]) == 0
    capsys.readouterr()
    assert main(["describe", str(tmp_path / "out")]) == 2
    assert "of package corridors, which is not installed here; install it" in (
        capsys.readouterr().err
    )
