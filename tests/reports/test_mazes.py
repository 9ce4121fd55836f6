"""What a report shows of mazes: every level once, as its first episode begins."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from colonnade.experiments.plans.plan import Plan, SuiteOptions
from colonnade.experiments.plans.spec import TaskBudget
from colonnade.experiments.results.mazes import maze_pictures, maze_tasks
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites.progressive.labyrinth import DOOM, LABYRINTH, MINI
from colonnade.experiments.suites.progressive.pong_soup import SHORT
from colonnade.reports.mazes.section import MazeSection
from colonnade.reports.suite import write_report
from colonnade.tasks.mazes import LEVELS, LabyrinthVectorEnv

Fabricate = Callable[..., SuiteFolder]


def test_a_report_shows_each_level_once_and_table_1s_column(
    fabricate: Fabricate, options: SuiteOptions
) -> None:
    suite = fabricate(MINI.plan(options), name="labyrinth")
    assert LABYRINTH.paper == suite.basis.paper
    page = write_report(suite).read_text()
    assert "<h2>Mazes</h2>" in page
    assert "ViZDoom draws the same" not in page
    assert "491 / 115" in page
    assert "Table 1, Labyrinth" in page
    assert (suite.path / "figures" / "mazes.png").is_file()
    found = maze_tasks(Results(suite))
    assert sorted(found) == ["track-1", "track-2", "track-4"]
    for picture in maze_pictures(found):
        level = LEVELS[picture.task.partition("/")[2]]
        views, _ = LabyrinthVectorEnv(level, 1).reset(seed=0)
        assert np.array_equal(picture.view, np.moveaxis(views[0], 0, -1))
        corners = np.array(level.outline)
        wide, tall = (np.ptp(corners, axis=0) + 1.0) * 16
        assert picture.plan.shape == (np.ceil(tall), np.ceil(wide), 3)


def test_a_level_whose_file_is_gone_is_left_out(
    fabricate: Fabricate, options: SuiteOptions, tmp_path: Path
) -> None:
    plan = DOOM.plan(options)
    own = TaskBudget(f"labyrinth/{tmp_path}/gone.json", 1000)
    runs = (plan.runs[0], replace(plan.runs[1], tasks=(own,)))
    section = MazeSection(Results(fabricate(Plan(runs), name="mine.json")))
    assert section.applies
    figure = section.figures()["mazes"]
    assert [axes.get_title() for axes in figure.axes] == ["Track 2", ""]


def test_what_is_no_maze_has_no_such_section(fabricate: Fabricate, options: SuiteOptions) -> None:
    assert not MazeSection(Results(fabricate(SHORT.plan(options)))).applies


@pytest.fixture
def options() -> SuiteOptions:
    return SuiteOptions(seeds=1)
