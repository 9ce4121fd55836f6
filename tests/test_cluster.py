"""Whole commands on a Ray cluster of several nodes on this machine; each takes minutes."""

import os
import re
import signal
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import colonnade
import stress
from colonnade.experiments.store.folders import SuiteFolder
from harness.nodes import (
    SimulatedCluster,
    SimulatedNode,
    at_work_in,
    command,
    different,
    steps,
    until,
    write_specs,
)
from harness.orphans import endless
from harness.runs import PAIR, SPECS, content

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

WITHIN_SECONDS = 10.0
ENDLESS = (endless("one", "mini-pong/pong", "ppo"), endless("two", "mini-pong/zoom", "a2c"))


@pytest.fixture(scope="module")
def cluster() -> Iterator[SimulatedCluster]:
    with SimulatedCluster() as made:
        yield made


def call(said: Path, *arguments: object, folder: Path | None = None) -> tuple[int, str]:
    with command(*arguments, said=said, folder=folder) as process:
        status = process.wait(900)
    return status, said.read_text(errors="replace")


def gone(out: Path) -> bool:
    limit = time.monotonic() + WITHIN_SECONDS
    while at_work_in(out) and time.monotonic() < limit:
        time.sleep(0.05)
    return not at_work_in(out)


def test_runs_come_to_the_same_on_a_cluster_as_here(
    cluster: SimulatedCluster, tmp_path: Path
) -> None:
    specs = (*PAIR, SPECS[1], SPECS[3], SPECS[5])
    file, on = write_specs(tmp_path / "specs.json", specs), f"ray:{cluster.address}"
    status, said = call(tmp_path / "said", "run", file, "--out", tmp_path / "ray", "--on", on)
    assert status == 0, said
    assert call(tmp_path / "said", "run", file, "--out", tmp_path / "here")[0] == 0
    assert different(specs, tmp_path / "ray", tmp_path / "here") == ""
    assert at_work_in(tmp_path / "ray") == {}
    assert not list((tmp_path / "ray").glob("workers-*")), "logs that nobody needs"


def test_sweeps_come_to_the_same_on_a_cluster_as_here(
    cluster: SimulatedCluster, tmp_path: Path
) -> None:
    sweep = ["sweep", "pong-soup-mini", "--jobs", "2", "--top", "1", "--budget", "0.002"]
    sweep += ["--tasks", "zoom", "--methods", "progressive-2", "--early-stop"]
    for name, on in (("ray", f"ray:{cluster.address}"), ("here", "here")):
        status, said = call(tmp_path / "said", *sweep, "--on", on, "--out", tmp_path / name)
        assert status == 0, said
    one, other = (SuiteFolder.read(tmp_path / name) for name in ("ray", "here"))
    assert len(one.runs) > 3
    for run, same in zip(one.runs, other.runs, strict=True):
        assert content(run)[:4] == content(same)[:4]


def test_parts_of_ones_own_reach_the_nodes(cluster: SimulatedCluster, tmp_path: Path) -> None:
    """A suite in a file at hand, and a module of the folder where the command is given."""
    page = (Path(__file__).parents[1] / "docs" / "plugins.md").read_text()
    suite = page.partition("```python\n")[2].partition("```")[0]
    assert "PARTS" in suite
    (tmp_path / "my_suite.py").write_text(suite)
    (tmp_path / "my_parts.py").write_text("PARTS = []")
    given = ["run", "my_suite.py", "--plugin", "my_parts", "--out", "mine", "--seeds", "1"]
    given += ["--budget", "0.05", "--methods", "shrink", "--tasks", "left"]
    given += ["--on", f"ray:{cluster.address}"]
    status, said = call(tmp_path / "said", *given, folder=tmp_path)
    assert status == 0, said
    assert all(run.done for run in SuiteFolder.read(tmp_path / "mine").runs)


def test_a_killed_node_is_survived(capsys: pytest.CaptureFixture[str]) -> None:
    assert stress.main(["--nodes", "1"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "1 of 1"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_nothing_outlives_a_command(
    cluster: SimulatedCluster, tmp_path: Path, number: signal.Signals
) -> None:
    file, out = write_specs(tmp_path / "specs.json", ENDLESS), tmp_path / "out"
    arguments = ("run", file, "--out", out, "--on", f"ray:{cluster.address}")
    with command(*arguments, said=tmp_path / "said") as process:
        assert until(lambda: steps(out) and len(at_work_in(out)) == 4, process)
        process.send_signal(number)
        status = process.wait(60)
    assert gone(out)
    if number == signal.SIGINT:
        assert status == 130
        assert "the same command goes on from them" in (tmp_path / "said").read_text()
    reached = steps(out)
    with command(*arguments, said=tmp_path / "said") as process:
        assert until(lambda: steps(out) > reached, process)


@pytest.mark.parametrize("who", ["run", "agent"])
def test_who_hangs_on_a_node_is_noticed_and_replaced(
    cluster: SimulatedCluster, tmp_path: Path, who: str
) -> None:
    file, out = write_specs(tmp_path / "specs.json", ENDLESS[:1]), tmp_path / "out"
    arguments = ("run", file, "--out", out, "--on", f"ray:{cluster.address}")
    said = tmp_path / "said"
    with command(*arguments, "--hang-seconds", 20, said=said) as process:
        assert until(lambda: steps(out), process)
        run = max(at_work_in(out))
        stopped = run if who == "run" else parent(parent(run))
        os.kill(stopped, signal.SIGSTOP)
        assert until(lambda: " gave no sign of life " in said.read_text(), process)
        reached = steps(out)
        assert until(lambda: steps(out) > reached, process), "it goes on"
        assert run not in at_work_in(out)
        assert not Path(f"/proc/{stopped}").exists()
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 130
    (note,) = re.findall(r"Note: (.* gave no sign of life .*)", said.read_text())
    assert note.startswith({"run": "Its process", "agent": "What Colonnade has on node "}[who])
    assert gone(out)


def parent(process: int) -> int:
    stat = Path(f"/proc/{process}/stat").read_text()
    return int(stat.rpartition(")")[2].split()[1])


@pytest.fixture
def odd(cluster: SimulatedCluster) -> Iterator[list[SimulatedNode]]:
    """Nodes that are of no use, for a test."""
    made: list[SimulatedNode] = []
    yield made
    for node in made:
        node.kill()
    time.sleep(5.0)


@pytest.mark.parametrize("what", ["none", "version", "source", "plugin"])
def test_a_node_of_no_use_is_named_before_work_is_spent(
    cluster: SimulatedCluster, odd: list[SimulatedNode], tmp_path: Path, what: str
) -> None:
    there = tmp_path / "there"
    ours = Path(colonnade.__file__).parent
    plugin = tmp_path / "plugins" / "nudged.py"
    plugin.parent.mkdir()
    plugin.write_text("PARTS = []")
    path = [str(there), str(ours.parent)]
    if what == "none":
        (there / "colonnade").mkdir(parents=True)
        (there / "sitecustomize.py").write_text(
            textwrap.dedent("""
                import importlib.metadata, sys
                class Hidden:
                    def find_spec(self, name, path=None, target=None):
                        if name == "colonnade":
                            raise ModuleNotFoundError(name=name)
                sys.meta_path.insert(0, Hidden())
            """)
        )
    if what == "version":
        info = there / "colonnade-0.0.9.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: colonnade\nVersion: 0.0.9\n")
    if what == "source":
        (there / "colonnade").mkdir(parents=True)
        for each in ours.iterdir():
            (there / "colonnade" / each.name).symlink_to(each)
        (there / "colonnade" / "added.py").touch()
    odd.append(cluster.add(env_vars={"PYTHONPATH": os.pathsep.join(path)}))
    time.sleep(15.0)
    file, out = write_specs(tmp_path / "specs.json", PAIR), tmp_path / "out"
    on = ("--on", f"ray:{cluster.address}")
    given = ("--plugin", "nudged") if what == "plugin" else ()
    if what == "plugin":
        os.environ["PYTHONPATH"] += os.pathsep + str(plugin.parent)
    try:
        status, said = call(tmp_path / "said", "run", file, "--out", out, *on, *given)
    finally:
        os.environ["PYTHONPATH"] = os.environ["PYTHONPATH"].replace(
            os.pathsep + str(plugin.parent), ""
        )
    last = said.splitlines()[-1]
    assert status == 1
    assert last.startswith("colonnade: Node "), said
    words = {
        "none": " has no colonnade (",
        "version": " has colonnade 0.0.9, but this machine has ",
        "source": " has another state of colonnade ",
        "plugin": "Plugin 'nudged' cannot be imported (ModuleNotFoundError: No module named",
    }
    assert words[what] in last
    assert not list(out.glob("runs/*/metrics.jsonl"))
