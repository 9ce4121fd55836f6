"""Films for reports: which runs are filmed, what the films hold, what a page shows of them."""

import io
import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import gymnasium
import numpy as np
import pytest
from finished import images, poles, run_spec, write_suite
from gymnasium.envs import registration
from PIL import Image as Picture
from reading import charts_of

from colonnade.cli.main import main
from colonnade.errors import ColonnadeError, UsageError
from colonnade.experiments.plans.build import build_learner
from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.experiments.plans.spec import TaskBudget
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites.progressive.labyrinth import MINI
from colonnade.experiments.trained.films.camera import shoot
from colonnade.experiments.trained.films.kept import films_of, make_films
from colonnade.experiments.trained.films.ways import Tracker, Way
from colonnade.experiments.trained.films.writing import animated, check_kind, first_frame
from colonnade.networks import ColumnSpec, Dense, ProgressiveNetwork
from colonnade.reports.films.section import FilmsSection
from colonnade.reports.suite import write_report
from colonnade.tasks import GymTask
from colonnade.tasks.mazes import LEVELS, Item, LabyrinthVectorEnv, Level


def frames_of(film: bytes) -> list[np.ndarray]:
    with Picture.open(io.BytesIO(film)) as picture:
        found = []
        for number in range(picture.n_frames):  # type: ignore[attr-defined]
            picture.seek(number)
            found.append(np.asarray(picture.convert("RGB")))
    return found


@pytest.mark.parametrize("kind", [".webp", ".gif"])
def test_small_frames_are_kept_as_they_are(kind: str) -> None:
    random = np.random.default_rng(0)
    frames = [np.repeat(random.integers(0, 2, (16, 16, 1)), 3, 2).astype(np.uint8) * 255
              for _ in range(5)]  # fmt: skip
    film = animated(frames, kind)
    for shown, frame in zip(frames_of(film), frames, strict=True):
        np.testing.assert_array_equal(shown, frame)
    still = Picture.open(io.BytesIO(first_frame(film)))
    np.testing.assert_array_equal(np.asarray(still), frames[0])


def test_a_report_shows_each_task_before_and_after(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = images(tmp_path / "out")
    assert main(["report", str(suite.path), "--films"]) == 0
    assert "Filmed: progressive pong zoom" in capsys.readouterr().out
    page = (suite.path / "report.html").read_text()
    assert page.count("data:image/webp;base64,") == 4, "two tasks, before and after"
    assert "Before: plays at random" in page
    assert "After 1,000 steps: progressive pong zoom" in page
    before, after = (
        frames_of((suite.runs[0].path / f"film-{when}.webp").read_bytes())
        for when in ("before", "after")
    )
    assert before[0].shape == (16, 16, 3)
    assert len(before) > 2, "frames that are alike are one, shown longer"
    assert any((a != b).any() for a, b in zip(before, after, strict=False)), "others play"
    # What has been filmed is not filmed again.
    assert list(make_films(suite)) == []
    (suite.runs[0].path / "film-after.webp").write_bytes(b"damaged")
    assert FilmsSection(Results(suite)).html({}).count("data:image/webp") == 2


def test_what_cannot_be_drawn_has_no_film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pygame", None)
    suite: SuiteFolder = poles(tmp_path / "out")
    ((label, problem),) = make_films(suite)
    assert label == "progressive pole"
    assert "can't be drawn here: pygame is not installed" in problem
    assert films_of(suite) == []
    assert not FilmsSection(Results(suite)).applies


class Painter(gymnasium.Env[np.ndarray, int]):
    """Shows numbers, and paints its age, as a grey, where it is asked to."""

    metadata: ClassVar = {"render_modes": ["rgb_array"]}

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode
        self.observation_space = gymnasium.spaces.Box(0, 1, (2,), np.float32)
        self.action_space = gymnasium.spaces.Discrete(2)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.age = 0
        return np.zeros(2, np.float32), {}

    def step(self, action):
        self.age += 1
        return np.zeros(2, np.float32), 1.0, self.age == 5, False, {}

    def render(self):
        return np.full((8, 12, 3), 50 * self.age, np.uint8)


def test_what_shows_no_images_is_rendered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gymnasium, "registry", dict(gymnasium.registry))
    monkeypatch.setattr(registration, "registry", gymnasium.registry)
    gymnasium.register("Painter-v0", Painter)
    spec = run_spec("painter", "scratch", "gym/Painter-v0")
    shot = shoot(GymTask("Painter-v0"), None, build_learner(spec), spec, 100)
    assert [frame[0, 0, 0] for frame in shot.frames] == [0, 50, 100, 150, 200]
    assert shot.frames[0].shape == (8, 12, 3)
    assert shot.way is None

    network = ProgressiveNetwork()
    shapes = GymTask("Painter-v0").spec.input_shapes
    network.add_column(ColumnSpec((Dense(4),)), shapes, GymTask("Painter-v0").spec.outputs)
    suite = write_suite(tmp_path / "out", [(spec, network, {"gym/Painter-v0": 0})])
    film = tmp_path / "painter.gif"
    assert main(["play", str(suite.path), "--film", str(film)]) == 0
    assert [frame[0, 0, 0] for frame in frames_of(film.read_bytes())] == [0, 50, 100, 150, 200]


def test_a_film_that_an_environment_cannot_paint_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_context(self):
        raise RuntimeError("no OpenGL context")

    monkeypatch.setattr(gymnasium, "registry", dict(gymnasium.registry))
    monkeypatch.setattr(registration, "registry", gymnasium.registry)
    monkeypatch.setattr(Painter, "render", no_context)
    gymnasium.register("Painter-v0", Painter)
    spec = run_spec("painter", "scratch", "gym/Painter-v0")
    network = ProgressiveNetwork()
    task = GymTask("Painter-v0").spec
    network.add_column(ColumnSpec((Dense(4),)), task.input_shapes, task.outputs)
    suite = write_suite(tmp_path / "out", [(spec, network, {"gym/Painter-v0": 0})])
    ((_, problem),) = make_films(suite)
    assert "can't be drawn here: RuntimeError: no OpenGL context" in problem


def test_each_task_of_a_sequence_is_filmed_with_the_network_that_learned_all(
    tmp_path: Path,
) -> None:
    one = images(tmp_path / "one").runs[0]
    network, meta = ProgressiveNetwork.from_spec(one.network()["network"]), one.network()
    tasks = tuple(TaskBudget(name, 1000) for name in meta["tasks"])
    spec = replace(one.spec, tasks=tasks)
    suite = write_suite(tmp_path / "out", [(spec, network, meta["tasks"])])
    assert [problem for _, problem in make_films(suite)] == ["", ""]
    names = {path.name for path in suite.runs[0].path.glob("film-*")}
    assert names == {f"film-{when}{n}.webp" for when in ("before", "after") for n in ("", "-1")}
    assert [films.task for films in films_of(suite)] == [0, 1]


STRAIGHT = Level(
    "straight",
    ((0.0, 0.0), (9.0, 0.0), (9.0, 2.0), (0.0, 2.0)),
    (1.0, 1.0, 0.0),
    (Item("apple", 3.0, 1.0), Item("lemon", 5.0, 1.0), Item("apple", 7.0, 1.0)),
)
FORWARD = 4


def test_a_way_is_where_the_player_was_and_what_was_eaten_when() -> None:
    env, twin = (LabyrinthVectorEnv(STRAIGHT, 1) for _ in range(2))
    tracker = Tracker(env)
    for each in (env, twin):
        each.reset(seed=3)
    tracker.begin()
    places, earned, over = [twin.poses[0, :2]], [], False
    while not over:
        for each in (env, twin):
            _, rewards, terminated, _, _ = each.step([FORWARD])
        over = bool(terminated[0])
        tracker.note(over=over, terminated=over)
        earned.append(float(rewards[0]))
        places.append(twin.poses[0, :2])
    way = tracker.way
    assert way is not None
    # Of the last step only its end is known: the next episode has begun.
    np.testing.assert_allclose(way.places, places[:-1])
    assert way.headings.tolist() == [0.0] * len(way.places)
    np.testing.assert_allclose(way.items, [[3, 1], [5, 1], [7, 1]])
    assert way.eaten.tolist() == [step for step, value in enumerate(earned, 1) if value]
    read = Way.from_json(json.loads(json.dumps(way.to_json())))
    np.testing.assert_allclose(read.places, way.places, atol=5e-4)
    assert read.eaten.tolist() == way.eaten.tolist()


@pytest.mark.parametrize("change", [
    {"places": []}, {"places": [[0, 1, 2]]}, {"items": "x"}, {"eaten": [1]}, {"headings": None},
    {"places": [[0, float("nan")]] * 2},
])  # fmt: skip
def test_a_damaged_way_says_so(change: dict[str, object]) -> None:
    whole = {"places": [[0, 1], [1, 1]], "headings": [0, 0], "items": [[2, 1], [3, 1]],
             "eaten": [-1, 2]}  # fmt: skip
    assert Way.from_json(whole).eaten.tolist() == [-1, 2]
    with pytest.raises(ColonnadeError, match="film it again"):
        Way.from_json(whole | change)


def test_a_mazes_films_stand_beside_its_curve_with_the_way_from_above(
    fabricate: Callable[..., SuiteFolder],
) -> None:
    suite = fabricate(MINI.plan(SuiteOptions(seeds=1)), name="labyrinth")
    (run,) = [f for f in suite.runs if f.spec.label.startswith("progressive track-1 to track-4")]
    level, film = LEVELS["track-4"], animated([np.zeros((8, 8, 3), np.uint8)] * 2)
    start, items = level.start[:2], [[item.x, item.y] for item in level.items]
    walked = {
        "before": [start, (start[0] + 1.0, start[1])],
        "after": [start, (start[0] + 1.0, start[1]), (start[0] + 1.0, start[1] + 0.25)],
    }
    for when, places in walked.items():
        (run.path / f"film-{when}.webp").write_bytes(film)
        way = Way(np.array(places), np.zeros(len(places)), np.array(items),
                  np.array([1] + [-1] * (len(items) - 1)))  # fmt: skip
        (run.path / f"film-{when}.json").write_text(json.dumps(way.to_json()))
    page = write_report(suite).read_text()
    assert "The agent at play" not in page, "beside the curve, and nowhere else"
    figure = page.partition('id="curves-track-1"')[2].partition("<h2>")[0]
    (beside,) = re.findall(r'class="beside" data-panel="(\d)"', figure)
    panels = charts_of(page)["curves-track-1"]["panels"]
    assert panels[int(beside)]["title"] == "Track 4"
    assert "Before: plays at random, mean return -20.0 over 25 episodes" in figure
    left, top = np.array(level.outline)[:, 0].min() - 0.5, np.array(level.outline)[:, 1].max() + 0.5
    drawn = re.findall(r'<polyline points="([^"]+)"', figure)
    for points, places in zip(drawn, walked.values(), strict=True):
        shown = np.array([[float(n) for n in point.split(",")] for point in points.split()])
        metres = np.stack((left + shown[:, 0] / 16, top - shown[:, 1] / 16), axis=1)
        np.testing.assert_allclose(metres, places, atol=0.01)
    assert f"before: 1.0 m, 1 of {len(items)} items eaten" in figure
    assert f"after: 1.2 m, 1 of {len(items)} items eaten" in figure


def test_a_film_in_mp4_without_ffmpeg_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    check_kind(Path("film.webp"))
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(UsageError, match=r"install colonnade\[film\]"):
        check_kind(Path("film.mp4"))
