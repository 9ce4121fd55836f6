"""Films for reports: which runs are filmed, what the films hold, what a page shows of them."""

import io
from pathlib import Path
from typing import Any, ClassVar

import gymnasium
import numpy as np
import pytest
from finished import balancing_network, images, poles, run_spec, write_suite
from PIL import Image as Picture

from colonnade.cli.main import main
from colonnade.errors import UsageError
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.trained.film import animated, check_kind, first_frame
from colonnade.experiments.trained.films import AFTER, BEFORE, films_of, make_films
from colonnade.experiments.trained.play import play
from colonnade.reports.films.section import FilmsSection
from colonnade.tasks import GymTask


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
        frames_of((suite.runs[0].path / name).read_bytes()) for name in (BEFORE, AFTER)
    )
    assert before[0].shape == (16, 16, 3)
    assert len(before) > 2, "frames that are alike are one, shown longer"
    assert any((a != b).any() for a, b in zip(before, after, strict=False)), "others play"
    # What has been filmed is not filmed again.
    assert list(make_films(suite)) == []
    (suite.runs[0].path / AFTER).write_bytes(b"damaged")
    assert FilmsSection(Results(suite)).html({}).count("data:image/webp") == 2


def test_what_shows_nothing_has_no_film(tmp_path: Path) -> None:
    suite: SuiteFolder = poles(tmp_path / "out")
    ((label, problem),) = make_films(suite)
    assert label in ("source pole", "progressive pole")
    assert "no images" in problem
    assert films_of(suite) == []
    assert not FilmsSection(Results(suite)).applies


class Counting(gymnasium.Env[Any, Any]):
    """Shows numbers alone; its pictures are as bright as the step is late."""

    observation_space = gymnasium.spaces.Box(0, 9, (4,), np.float32)
    action_space = gymnasium.spaces.Discrete(2)
    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 15}
    drawn = 0

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        self.step_number = 0
        return np.zeros(4, np.float32), {}

    def step(self, action: Any) -> Any:
        self.step_number += 1
        over = self.step_number == 5
        return np.full(4, self.step_number, np.float32), 1.0, False, over, {}

    def render(self) -> Any:
        Counting.drawn += 1
        return np.full((16, 16, 3), 40 * self.step_number, np.uint8)


def test_an_environment_that_draws_itself_is_filmed_by_its_drawings(tmp_path: Path) -> None:
    gymnasium.register("Counting-v0", Counting)
    try:
        spec = run_spec("counting", "scratch", "gym/Counting-v0")
        network = balancing_network(1)
        suite = write_suite(tmp_path / "out", [(spec, network, {"gym/Counting-v0": 0})])
        Counting.drawn = 0
        played = play(suite, None, None, 1, None, 0)
        assert played.returns.tolist() == [5.0]
        assert Counting.drawn == 0, "nobody draws what nobody films"
        played = play(suite, None, None, 1, tmp_path / "film.webp", 0)
        assert played.task == "gym/Counting-v0"
        frames = frames_of((tmp_path / "film.webp").read_bytes())
        assert [frame[0, 0, 0] // 40 for frame in frames] == [0, 1, 2, 3, 4]
        task = GymTask("Counting-v0")
        assert task.drawn().spec == task.spec
        assert task.make_vec(1).render_mode is None
    finally:
        del gymnasium.registry["Counting-v0"]


def test_a_film_in_mp4_without_ffmpeg_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    check_kind(Path("film.webp"))
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(UsageError, match=r"install colonnade\[film\]"):
        check_kind(Path("film.mp4"))
