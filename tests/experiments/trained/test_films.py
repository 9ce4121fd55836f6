"""Films for reports: which runs are filmed, what the films hold, what a page shows of them."""

import io
from pathlib import Path

import numpy as np
import pytest
from finished import images, poles
from PIL import Image as Picture

from colonnade.cli.main import main
from colonnade.errors import UsageError
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.trained.film import animated, check_kind, first_frame
from colonnade.experiments.trained.films import AFTER, BEFORE, films_of, make_films
from colonnade.reports.films.section import FilmsSection


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


def test_a_film_in_mp4_without_ffmpeg_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    check_kind(Path("film.webp"))
    monkeypatch.setitem(__import__("sys").modules, "imageio_ffmpeg", None)
    with pytest.raises(UsageError, match=r"install colonnade\[film\]"):
        check_kind(Path("film.mp4"))
