"""A wheel and a source archive, installed outside of the tree: all is in them, and it runs."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

PIP = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
ALONE = ["--quiet", "--no-deps", "--no-index"]
SDIST = "import sys, setuptools.build_meta as b; print(b.build_sdist(sys.argv[1]))"


def called(*command: object, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, env={**os.environ, **env}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def wheel_of(source: Path, into: Path) -> Path:
    called(*PIP, "wheel", *ALONE, "--no-build-isolation", "-w", into, source, cwd=into.parent)
    return next(into.glob("*.whl"))


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A wheel of the tree, and a source archive of it."""
    place = tmp_path_factory.mktemp("archives")
    tree = place / "tree"
    left_out = shutil.ignore_patterns("*.egg-info", "__pycache__")
    shutil.copytree(ROOT / "src", tree / "src", ignore=left_out)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    (place / "sdist").mkdir()
    name = called(sys.executable, "-c", SDIST, place / "sdist", cwd=tree).splitlines()[-1]
    return wheel_of(tree, place / "wheel"), place / "sdist" / name


@pytest.fixture(scope="module")
def installed(archives: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the wheel of the source archive lies, as pip installs it."""
    place = tmp_path_factory.mktemp("installed")
    wheel = wheel_of(archives[1], place / "wheel")
    called(*PIP, "install", *ALONE, "--target", place / "site", wheel, cwd=place)
    return place / "site"


def files_of_the_tree() -> set[str]:
    sources = ROOT / "src"
    found = (path for path in (sources / "colonnade").rglob("*") if path.is_file())
    return {p.relative_to(sources).as_posix() for p in found if "__pycache__" not in p.parts}


def test_every_file_is_in_the_wheel_and_in_the_archive(archives: tuple[Path, Path]) -> None:
    wheel, archive = archives
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    tree = files_of_the_tree()
    assert {name.rpartition(".")[2] for name in tree} >= {
        "safetensors",
        "json",
        "jinja",
        "js",
        "css",
    }
    with zipfile.ZipFile(wheel) as opened:
        names = set(opened.namelist())
        about = f"colonnade-{version}.dist-info"
        assert {name for name in names if not name.startswith(about)} == tree
        assert f"{about}/licenses/LICENSE" in names
        assert (
            "colonnade = colonnade.__main__:main"
            in opened.read(f"{about}/entry_points.txt").decode()
        )
        said = opened.read(f"{about}/METADATA").decode()
        assert f"\nVersion: {version}\n" in said
        assert "\nLicense-Expression: Apache-2.0\n" in said
    with tarfile.open(archive) as opened_tar:
        inside = {name.partition("/")[2] for name in opened_tar.getnames()}
    assert {f"src/{name}" for name in tree} | {"README.md", "LICENSE", "pyproject.toml"} <= inside


def colonnade(installed: Path, cwd: Path, *args: object) -> str:
    paths = {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
    return called(sys.executable, installed / "bin" / "colonnade", *args, cwd=cwd, **paths)


def test_commands_run_from_it(installed: Path, tmp_path: Path) -> None:
    where = called(
        sys.executable, "-c", "import colonnade; print(colonnade.__file__)",
        cwd=tmp_path, PYTHONPATH=str(installed),
    )  # fmt: skip
    assert Path(where.strip()).is_relative_to(installed)
    assert "pong-soup-mini" in colonnade(installed, tmp_path, "suites")
    assert "620,620" in colonnade(installed, tmp_path, "describe", "sim-to-real")
    assert "Apache-2.0" in colonnade(installed, tmp_path, "describe", "bundled:pong-source")


def test_a_stranger_gets_the_matrix_the_film_and_the_policy(
    installed: Path, tmp_path: Path
) -> None:
    """By what the pages print alone, with two environments and a method of one's own."""
    pages = ROOT / "docs"
    block = re.findall(r"```python\n(.*?)```", (pages / "plugins.md").read_text(), re.DOTALL)[0]
    assert len(block.splitlines()) <= 60
    drawn = block.replace(
        "    def __init__(self, goal):\n        self.goal = goal\n",
        '    metadata = {"render_modes": ["rgb_array"]}\n\n'
        "    def __init__(self, goal, render_mode=None):\n"
        "        self.goal, self.render_mode = goal, render_mode\n\n"
        "    def render(self):\n"
        "        picture = np.zeros((16, 66, 3), np.uint8)\n"
        "        picture[4:12, int(32 + 32 * self.place)] = 255\n"
        "        return picture\n",
    )
    assert drawn != block
    (tmp_path / "my_suite.py").write_text(drawn)
    few = ["--seeds", "1", "--budget", "0.2"]
    colonnade(installed, tmp_path, "run", "my_suite.py", *few, "--out", "runs/mine")
    report = (tmp_path / "runs" / "mine" / "report.html").read_text()
    assert "Shrunk weights" in report
    plugin = ["--plugin", "my_suite.py"]
    played = colonnade(installed, tmp_path, *plugin, "play", "runs/mine", "--film", "line.gif")
    assert "plays line/" in played
    assert (tmp_path / "line.gif").stat().st_size > 1000
    script = (
        "import colonnade, numpy\n"
        "from colonnade.parts import load_plugin\n"
        "load_plugin('my_suite.py')\n"
        "policy = colonnade.load('runs/mine', greedy=True)\n"
        "policy.save('line.safetensors', licence='MIT')\n"
        "policy.export('line.pt2')\n"
        "print(policy(numpy.float32([0.5])))\n"
    )
    printed = called(
        sys.executable, "-c", script, cwd=tmp_path, PYTHONPATH=str(installed), OMP_NUM_THREADS="1"
    )
    assert printed.splitlines()[-1] in "01"
    described = colonnade(installed, tmp_path, *plugin, "describe", "line.safetensors")
    assert "MIT" in described
