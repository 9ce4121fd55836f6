"""PathNet's suites from a plan to a page, and the numbers of its section."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from finished import AROUND
from markupsafe import Markup
from reading import charts_of, table_of, without_scripts

from colonnade.analysis.intervals import mean_interval
from colonnade.cli.networks import print_networks
from colonnade.errors import UsageError
from colonnade.experiments.execution.run import train_run
from colonnade.experiments.plans.build import build_method
from colonnade.experiments.plans.builder import PlanBuilder
from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.experiments.plans.spec import RunSpec, TaskBudget
from colonnade.experiments.plans.sweep import Sweep
from colonnade.experiments.results.pathnet.generations import (
    GenerationRow,
    generation_rows,
    generation_title,
)
from colonnade.experiments.results.pathnet.paths import Paths, chance_overlap, moments
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.suites.pathnet.atari import PATHNET_ATARI
from colonnade.experiments.suites.pathnet.labels import DIGITS, random_pairs
from colonnade.experiments.suites.pathnet.pong_soup import MINI, PATHNET_PONG_SOUP_MINI
from colonnade.methods.pathnet.evolution import GenotypeShape, draw_genotype, overlap, path_of
from colonnade.networks import ModularSpec, atari_modules
from colonnade.reports.pathnet import section as section_module
from colonnade.reports.pathnet.chart import generations_chart
from colonnade.reports.pathnet.charts import draw_generations
from colonnade.reports.pathnet.section import AGAINST, PATHS, PathSection
from colonnade.reports.suite import write_report

TINY = replace(
    MINI,
    targets=("noisy",),
    source_steps=1500,
    target_steps=1500,
    seeds=1,
    pathnet={"population": 4, "episodes": 1, "rivals": 2},
    training_options={"curve_steps": 300, "segment_steps": 600, "num_envs": 4},
    evaluation_episodes=2,
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> SuiteFolder:
    plan = TINY.plan(SuiteOptions(device="cpu"))
    suite = SuiteFolder(tmp_path_factory.mktemp("pathnet") / "out", "pathnet-mini", {}, plan)
    suite.begin()
    for spec in plan.runs:
        train_run(suite.path, spec)
    return suite


def test_the_plan_compares_three_methods_and_trains_a_source_once() -> None:
    plan = MINI.plan(SuiteOptions())
    rows = {entry.method for entry in plan.comparisons}
    assert rows == {"scratch", "path-finetune", "pathnet", "pathnet-alone"}
    assert len(plan.runs) == 3 * (3 + 3 + 2 + 3 + 3)
    parents = {spec.id: spec for spec in plan.runs}
    for entry in plan.comparisons:
        spec = parents[entry.run]
        if entry.source is not None:
            origin = parents[spec.parent or ""]
            assert origin.method == {"path-finetune": "path-de-novo"}.get(entry.method, "pathnet")
            assert origin.target == "mini-pong/pong"
            assert origin.seed == spec.seed


def test_a_page_shows_paths_and_what_was_reused(trained: SuiteFolder) -> None:
    page = write_report(trained).read_text()
    (data,) = re.findall(r'id="paths-data">(.*?)</script>', page, re.DOTALL)
    entries = json.loads(data)
    chain = [entry for entry in entries if "to noisy" in entry["label"]]
    assert [entry["task"] for entry in chain] == ["Pong", "Noisy"]
    assert chain[0]["frozen"] == [[]] * 3
    assert chain[1]["frozen"] == chain[0]["best"]  # the first task's best path, frozen
    for entry in entries:
        genotypes = np.array(entry["snapshots"][-1]["genotypes"])
        assert genotypes.shape == (4, 3, 3)
    assert "Reuse of modules" in page
    assert {"pathnet-paths.png"} <= {path.name for path in (trained.path / "figures").iterdir()}
    assert not re.search(r'(src|href)="(?!data:|#)', without_scripts(page)), (
        "nothing is loaded from elsewhere"
    )


def test_reuse_is_counted_from_the_stored_paths(trained: SuiteFolder) -> None:
    results = Results(trained)
    (reuse,) = Paths(results).reuse()
    weights, meta = reuse.run.folder.weights()
    first, second = (meta["paths"][task]["path"] for task in ("mini-pong/pong", "mini-pong/noisy"))
    for (shared, of), old, new in zip(reuse.shared, first, second, strict=True):
        assert (shared, of) == (len(set(old) & set(new)), len(new))
    both = [tuple(map(tuple, path)) for path in (first, second)]
    assert reuse.overlap == pytest.approx(overlap(*both))
    assert any(name.startswith("0.heads.1") for name in weights)


def test_chance_overlap_against_drawn_paths() -> None:
    shape, rng = GenotypeShape(1, 5, 3), np.random.default_rng(0)
    drawn = [
        overlap(path_of(draw_genotype(shape, rng)), path_of(draw_genotype(shape, rng)))
        for _ in range(4000)
    ]
    assert chance_overlap(5, 3) == pytest.approx(np.mean(drawn), abs=0.02)


def test_networks_are_described(capsys: pytest.CaptureFixture[str]) -> None:
    print_networks(PATHNET_PONG_SOUP_MINI.name)
    shown = capsys.readouterr().out
    assert "PathNet" in shown
    assert "active along one path" in shown


def test_a_column_of_a_path_method_is_a_modular_network(tmp_path: Path) -> None:
    spec = TINY.plan(SuiteOptions()).runs[0]
    other = {**atari_modules().to_dict(), "modules": 7}
    for column, expected in (("atari", atari_modules()), (other, ModularSpec.from_dict(other))):
        task = build_method(replace(spec, column=column))
        assert task.spec_for(None) == expected  # type: ignore[union-attr, arg-type]
    with pytest.raises(UsageError, match="did you mean 'atari'"):
        build_method(replace(spec, column="atary"))
    with pytest.raises(UsageError, match=r"can't use 9 distinct modules .* has 5"):
        build_method(replace(spec, column={"preset": "mini", "modules": 5, "active": 9}))
    with pytest.raises(UsageError, match="field of ModularSpec: 'moduls'"):
        build_method(replace(spec, column={"preset": "mini", "moduls": 5}))


def test_the_atari_suite_has_one_genotype_per_environment() -> None:
    for spec in PATHNET_ATARI.plan(SuiteOptions()).runs:
        if spec.method == "pathnet":
            assert spec.method_options["population"] == spec.training_options["num_envs"] == 64


def test_generations_are_counted_up_to_the_goal(tmp_path: Path) -> None:
    design = replace(DIGITS, generations=12, learning_rate=0.02)
    suite = SuiteFolder(tmp_path / "out", "pathnet-mnist", {}, design.plan(SuiteOptions(seeds=1)))
    suite.begin()
    for spec in suite.plan.runs:
        train_run(suite.path, spec)
    results = Results(suite)
    rows = {row.method: row for row in generation_rows(results)}
    assert set(rows) == {"scratch", "path-finetune", "pathnet", "pathnet-alone"}
    for entry in results.comparisons:
        run = results.runs[entry.run]
        last = [r for r in run.folder.metrics() if r["kind"] == "goal"][-1]
        assert last["task"] == run.spec.target
        if last["reached"]:
            assert last["return_mean"] >= 0.998
            assert last["episodes"] % 50 == 0
        generations = last["episodes"] / (100 if run.spec.method == "pathnet" else 50)
        assert rows[entry.method].generations.tolist() == [generations]
        assert rows[entry.method].reached == int(last["reached"])
    assert rows["scratch"].reached == 1
    page = write_report(suite).read_text()
    assert "Generations to the goal" in page
    assert ">195<" not in page, "the paper's digits are MNIST's"
    known = replace(suite, basis=replace(suite.basis, paper="binary MNIST"))
    section = PathSection(Results(known)).html({PATHS: Markup()})
    assert ">195<" in section


CHAIN = ("gym/Task_a-v1", "gym/Task_b-v1", "gym/Task_c-v1")
BEST = ([[0, 1], [2, 3]], [[1, 2], [2, 3]], [[2, 3], [2, 3]])
FROZEN = ([[], []], [[0, 1], [2, 3]], [[0, 1, 2], [2, 3]])
OVERLAPS: tuple[list[float], ...] = ([], [(1 / 3 + 1) / 2], [(0 + 1) / 2, (1 / 3 + 1) / 2])
"""Best paths of three tasks, what was frozen before each, and overlaps with the paths before."""

CONTROLS, OWN, ALONE = (500, 1000, 3000), (500, 1500, 4000), (400, 1800, 3000)
"""Minibatches that runs took for the last task; those after the last task's first visit."""


def goals(
    path: Path,
    episodes: int | None = 50,
    sweep: Sweep | None = None,
    *,
    alone: bool = False,
    turn: int = 0,
) -> SuiteFolder:
    """Three seeds of the de novo path and of PathNet through three tasks, to a goal.

    Args:
        path: Of the folder.
        episodes: T of PathNet; None leaves it out.
        sweep: What the runs are jobs of.
        alone: Whether there are runs of PathNet without a first task, too.
        turn: The tasks are learned in their order from this one on.
    """
    builder = PlanBuilder()
    written = []
    for method, row, tasks, counts in (
        ("path-de-novo", "scratch", CHAIN[-1:], CONTROLS),
        ("pathnet", "pathnet", CHAIN, OWN),
        *([("pathnet", "pathnet-alone", CHAIN[-1:], ALONE)] if alone else []),
    ):
        for seed, minibatches in enumerate(counts):
            spec = RunSpec(
                label=f"{method}, seed {seed}", method=method, seed=seed,
                tasks=tuple(TaskBudget(name, 1000) for name in tasks),
                learner="supervised", column="mnist",
                training_options={"goal_episodes": 50, "goal_return": 0.9},
                method_options={"episodes": episodes} if episodes and method == "pathnet" else {},
            )  # fmt: skip
            builder.add(spec, row, None if len(tasks) == 1 else "others")
            written.append((spec, minibatches))
    suite = SuiteFolder(path, "mine.json", {}, builder.build(), sweep).begin()
    for spec, minibatches in written:
        folder, last = suite.run(spec.id).path, len(spec.tasks) - 1
        folder.mkdir(parents=True)
        (folder / "spec.json").write_text(json.dumps(spec.to_json()))
        # A task that was visited before, and others, have rows of their own.
        rows = [
            {"kind": "goal", "task_index": index, "step": 1, "episodes": episodes,
             "reached": reached}
            for index, episodes, reached in (
                *((task, 50, True) for task in range(last)),
                (last, 150, True),
                (last, minibatches, minibatches < 2000),
            )
        ]  # fmt: skip
        (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        histories = {
            task: {
                "snapshots": [{"genotypes": [best], "evaluations": 0}], "scores": [],
                "best": best, "forced": [[], []], "frozen": frozen, "overlap": overlaps,
            }
            for task, best, frozen, overlaps in zip(
                CHAIN[turn:] + CHAIN[:turn], BEST, FROZEN, OVERLAPS, strict=True
            )
        }  # fmt: skip
        if last == 0:
            histories = {CHAIN[-1]: {**histories[CHAIN[-1]], "overlap": []}}
        modular = {"layers": [{}, {}], "modules": 4, "active": 2}
        network = {
            "network": {"modular": [{"modular": modular}]},
            "tasks": {spec.target: 0},
            "pathnet": {"histories": histories if spec.method == "pathnet" else {}},
        }
        (folder / "network.json").write_text(json.dumps(network))
        (folder / "result.json").write_text(json.dumps({**AROUND, "scores": []}))
        (folder / "DONE").touch()
    return suite


def test_what_tasks_are_called_begins_no_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(section_module, "task_title", lambda _: "<!--<script>")
    section = PathSection(Results(goals(tmp_path / "out"))).html({PATHS: Markup()})
    (data,) = re.findall(r'id="paths-data">(.*?)</script>', section, re.DOTALL)
    assert "<" not in data
    assert {entry["task"] for entry in json.loads(data)} == {"<!--<script>"}


def test_generations_and_speedups_by_hand(tmp_path: Path) -> None:
    report = PathSection(Results(goals(tmp_path / "out")))
    section = report.html({PATHS: Markup()})
    # One evaluation of 50 minibatches a generation: 10, 20 and 60; two of PathNet: 5, 15 and 40.
    table = table_of(section, "Gradient steps")
    shown = {
        title: [row[name] for name in ("Generations", "Gradient steps", "Reached, of runs")]
        for title, row in table.items()
    }
    assert shown == {
        "De novo path": ["30", "1,500", "2 of 3"],
        "PathNet": ["20", "2,000", "2 of 3"],
    }
    speedups = [30 / 5, 30 / 15, 30 / 40]
    reuse = table_of(section, "Speedup")
    for seed, speedup in enumerate(speedups):
        row = reuse[f"pathnet, seed {seed}"]
        assert (row["Layer 1"], row["Layer 2"]) == ("1 of 2", "2 of 2")
        assert row["Overlap"] == "0.67", "with the task just before, not with the first"
        assert row["Speedup"] == f"{speedup:.2f}"
    (axes,) = report.figures()[AGAINST].axes
    points = np.concatenate([np.asarray(dots.get_offsets()) for dots in axes.collections])
    np.testing.assert_allclose(points, [(2 / 3, speedup) for speedup in speedups])


def test_generations_of_pathnet_have_its_own_episodes(tmp_path: Path) -> None:
    for episodes, counts in ((25, [10, 30, 80]), (None, [25, 75, 200])):  # 10 unless said
        results = Results(goals(tmp_path / str(episodes), episodes))
        rows = {row.method: row.generations.tolist() for row in generation_rows(results)}
        assert rows == {"scratch": [10, 20, 60], "pathnet": counts}


def test_what_the_first_task_gave_is_measured_against_pathnet_without_one(tmp_path: Path) -> None:
    with_them = PathSection(Results(goals(tmp_path / "with", alone=True))).html({PATHS: Markup()})
    rows = table_of(with_them, "Speedup")
    assert [rows[f"pathnet, seed {n}"]["By the first task"] for n in range(3)] == [
        f"{ratio:.2f}" for ratio in (400 / 500, 1800 / 1500, 3000 / 4000)
    ]
    without = PathSection(Results(goals(tmp_path / "without"))).html({PATHS: Markup()})
    assert "By the first task" not in without
    for page, told in ((with_them, True), (without, False)):
        words = " ".join(page.split())
        assert "Above 1 PathNet took fewer generations; but its generation is two" in words
        assert ("Above 1 PathNet did better after the first task" in words) is told
        assert ("there are none to compare with" in words) is not told
    report = PathSection(Results(goals(tmp_path / "drawn")))
    (axes,) = report.figures()[AGAINST].axes
    assert axes.get_ylabel() == "speedup over the de novo path"
    (level,) = report.charts()[AGAINST].to_json()["panels"][0]["levels"]
    assert level["title"] == "as the de novo path"


def test_a_sweeps_jobs_are_measured_by_their_own_controls(tmp_path: Path) -> None:
    suite = goals(tmp_path / "out", sweep=Sweep(jobs=3, top=2))
    rows = generation_rows(Results(suite))
    assert [(row.method, row.generations.tolist(), row.reached) for row in rows] == [
        ("scratch", [10, 20], 2),
        ("pathnet", [5, 15], 2),
    ]
    assert not any(row.interval.known for row in rows)
    reuse = Paths(Results(suite)).reuse()
    assert [row.speedup for row in reuse] == pytest.approx([10 / 5, 20 / 15, 60 / 40])
    page = " ".join(PathSection(Results(suite)).html({PATHS: Markup()}).split())
    assert "the 2 of 3 jobs that took the fewest generations" in page
    assert "Student" not in page
    control = next(r for r in suite.plan.runs if (r.method, r.seed) == ("path-de-novo", 0))
    (suite.run(control.id).path / "DONE").unlink()
    partly = {row.method: row.generations.tolist() for row in generation_rows(Results(suite))}
    assert partly == {"scratch": [20, 60], "pathnet": [15, 40]}, "job 0 is to come at the control"


def test_what_is_reused_is_told_of_the_task_that_was_learned_last(tmp_path: Path) -> None:
    results = Results(goals(tmp_path / "out", turn=2))
    reuse = Paths(results).reuse()
    assert [row.overlap for row in reuse] == pytest.approx([2 / 3] * 3)
    assert [row.shared for row in reuse] == [((1, 2), (2, 2))] * 3
    assert np.isnan([row.speedup for row in reuse]).all(), "of a task learned before the others"
    section = PathSection(results)
    assert AGAINST not in section.figures()
    assert table_of(section.html({PATHS: Markup()}), "Speedup")["pathnet, seed 0"]["Speedup"] == ""


def test_generations_are_drawn_where_they_were_counted(tmp_path: Path) -> None:
    rows = generation_rows(Results(goals(tmp_path / "out")))
    (axes,) = draw_generations(rows).axes
    titles = [label.get_text() for label in axes.get_yticklabels()]
    for title, counted in (("De novo path", [10, 20, 60]), ("PathNet", [5, 15, 40])):
        place = titles.index(title)
        level = [
            [x for x, y in np.asarray(dots.get_offsets()) if abs(y - place) < 0.5]
            for dots in axes.collections
        ]
        runs, mean = (found for found in level if found)
        assert (runs, mean) == (counted, [pytest.approx(np.mean(counted))])
        (bar,) = (line for line in axes.lines if set(np.asarray(line.get_ydata())) == {place})
        assert list(np.asarray(bar.get_xdata())) == pytest.approx([*mean_interval(counted)])
    ((panel,), names) = (
        (shown := generations_chart(rows).to_json())["panels"],
        {series["key"]: series["title"] for series in shown["series"]},
    )
    for title, counted in (("De novo path", [10, 20, 60]), ("PathNet", [5, 15, 40])):
        bar, dots, mean = (line for line in panel["lines"] if names[line["series"]] == title)
        interval = mean_interval(counted)
        assert bar["x"] == pytest.approx([interval.low, interval.high], rel=1e-5)
        assert (dots["x"], mean["x"]) == (counted, [pytest.approx(np.mean(counted), rel=1e-5)])
        assert {round(y) for line in (bar, dots, mean) for y in line["y"]} == {
            panel["yNames"].index(title)
        }
        assert "mean of 3 runs, 95 %" in mean["labels"][0]


def test_moments_count_the_paths_that_use_a_module(trained: SuiteFolder) -> None:
    paths = Paths(Results(trained))
    run = paths.example
    rows = moments(paths, run)
    page = charts_of(write_report(trained).read_text())
    panels = page["pathnet-paths"]["panels"]
    assert len(panels) == sum(map(len, rows)) == 2 * 4
    for row, history in zip(rows, paths.histories(run).values(), strict=True):
        for moment, shot in ((row[0], history["snapshots"][0]), (row[3], history["snapshots"][-1])):
            for (layer, module), share in np.ndenumerate(moment.uses):
                using = [module in genotype[layer] for genotype in shot["genotypes"]]
                assert share == np.mean(using)
            for (layer, a, b), share in moment.edges.items():
                using = [a in g[layer] and b in g[layer + 1] for g in shot["genotypes"]]
                assert share == np.mean(using) > 0
        assert row[0].best is None
        assert row[3].best == history["best"]
        panel = panels.pop(0)
        dots = next(line for line in panel["lines"] if line.get("labels"))
        places = [(x, y) for x in range(row[0].uses.shape[0]) for y in range(row[0].uses.shape[1])]
        assert list(zip(dots["x"], dots["y"], strict=True)) == places
        assert dots["look"]["opacity"] == pytest.approx(row[0].uses.ravel().tolist(), rel=1e-5)
        del panels[:3]


def test_pairs_of_tasks_differ_and_stay_the_same() -> None:
    pairs = random_pairs("digits", 24)
    assert pairs == random_pairs("digits", 24)
    assert all(first != second for first, second in pairs)
    assert len(set(pairs)) > 20
    assert pairs[:5] == random_pairs("digits", 5)


def test_generations_have_the_folders_titles(trained: SuiteFolder, tmp_path: Path) -> None:
    results = Results(trained)
    assert generation_title(results, "scratch") == "De novo path"
    assert generation_title(results, "pathnet") == "PathNet"
    assert generation_title(results, "progressive-5") == "Progressive, 5 columns"
    titles = {"scratch": "From nothing", "pathnet": "Paths"}
    renamed = Results(replace(trained, basis=replace(trained.basis, methods=titles)))
    assert generation_title(renamed, "scratch") == "From nothing"
    rows = [
        GenerationRow(method, generation_title(renamed, method), np.ones(3), np.ones(3), 3,
                      mean_interval(np.arange(3.0)), "#112233")
        for method in ("scratch", "pathnet", "progressive-5")
    ]  # fmt: skip
    (axes,) = draw_generations(rows).axes
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert shown == ["Progressive, 5 columns", "Paths", "From nothing"]
    report = PathSection(renamed)
    report._generations = rows
    section = report.html({PATHS: Markup()})
    assert all(row.title in section for row in rows)
