"""Folders that were recorded before folders stated their measures: read for ever as they were.

The numbers are what the code of that time read from them; results/README.md names most of them.
"""

import csv
import json
import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from colonnade.errors import UsageError
from colonnade.experiments.results.continual import measured, sequences
from colonnade.experiments.results.matrix_and_table import transfer_table
from colonnade.experiments.results.stream import streams
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.experiments.store.reading import read_json
from colonnade.experiments.trained.analysis import RunAnalysis
from colonnade.networks import Feature
from colonnade.reports.suite import write_report
from colonnade.training import read_tensors

RECORDED = Path(__file__).parents[1] / "results"

SHORT: dict[tuple[str, str | None, str], tuple[list[float], float]] = {
    ("scratch", None, "noisy"): ([0.160302, 0.413414], 1.0),
    ("scratch", None, "white"): ([7.437521, 6.392029], 1.0),
    ("scratch", None, "zoom"): ([4.223004, 13.968353], 1.0),
    ("scratch", None, "h-flip"): ([10.710369, 15.587349], 1.0),
    ("finetune", "pong", "noisy"): ([6.878318, 32.249566], 68.20083),
    ("progressive-2", "pong", "noisy"): ([15.901056, 21.279795], 64.807104),
    ("finetune", "pong", "white"): ([23.507101, 11.949626], 2.563838),
    ("progressive-2", "pong", "white"): ([11.156989, 7.153468], 1.32401),
    ("finetune", "pong", "zoom"): ([6.90793, 6.434105], 0.733427),
    ("progressive-2", "pong", "zoom"): ([4.892913, 3.476028], 0.46005),
    ("finetune", "pong", "h-flip"): ([23.506911, 14.567932], 1.447838),
    ("progressive-2", "pong", "h-flip"): ([19.654968, 15.298857], 1.329158),
}
"""Areas and score of each cell, as they were first read."""

MINI: dict[tuple[str, str | None, str], tuple[list[float], float]] = {
    ("scratch", None, "noisy"): ([0.85517, 0.988366], 1.0),
    ("scratch", None, "white"): ([1.038043, 0.245842], 1.0),
    ("scratch", None, "zoom"): ([1.412844, 0.621853], 1.0),
    ("scratch", None, "h-flip"): ([0.691278, 0.538747], 1.0),
    ("random-column", None, "noisy"): ([0.896221, 1.425016], 1.259122),
    ("random-column", None, "white"): ([0.702798, 0.902325], 1.250208),
    ("random-column", None, "zoom"): ([0.923141, 1.080254], 0.984616),
    ("random-column", None, "h-flip"): ([0.567158, 0.306729], 0.710462),
    ("output-only", "pong", "noisy"): ([2.101674, 2.638555], 2.571271),
    ("finetune", "pong", "noisy"): ([2.532297, 2.53697], 2.749752),
    ("progressive-2", "pong", "noisy"): ([2.112395, 2.550017], 2.529059),
    ("output-only", "pong", "white"): ([-0.168089, -0.014573], -0.142274),
    ("finetune", "pong", "white"): ([0.266626, 0.537869], 0.62661),
    ("progressive-2", "pong", "white"): ([1.572093, 1.610385], 2.478787),
    ("output-only", "pong", "zoom"): ([-0.190417, 0.296824], 0.052296),
    ("finetune", "pong", "zoom"): ([-0.065326, 2.050481], 0.975652),
    ("progressive-2", "pong", "zoom"): ([1.049092, 1.825675], 1.412873),
    ("output-only", "pong", "h-flip"): ([0.087778, 0.012304], 0.081366),
    ("finetune", "pong", "h-flip"): ([0.916002, 0.747816], 1.35267),
    ("progressive-2", "pong", "h-flip"): ([0.71625, 0.814964], 1.244864),
    ("output-only", "noisy", "white"): ([-0.236381, -0.0066], -0.189255),
    ("finetune", "noisy", "white"): ([0.887602, 0.343477], 0.95887),
    ("progressive-2", "noisy", "white"): ([1.442579, 1.515941], 2.30435),
    ("output-only", "noisy", "zoom"): ([0.255207, 0.136008], 0.192272),
    ("finetune", "noisy", "zoom"): ([1.467579, 0.3621], 0.899239),
    ("progressive-2", "noisy", "zoom"): ([1.666464, 1.702433], 1.655725),
    ("output-only", "noisy", "h-flip"): ([0.238802, 0.151849], 0.317596),
    ("finetune", "noisy", "h-flip"): ([0.508809, 1.102073], 1.309633),
    ("progressive-2", "noisy", "h-flip"): ([1.201611, 1.286619], 2.02291),
    ("progressive-3", "pong + noisy", "white"): ([1.590678, 1.516421], 2.420076),
    ("progressive-3", "pong + noisy", "zoom"): ([1.636894, 1.799339], 1.688819),
    ("progressive-3", "pong + noisy", "h-flip"): ([1.517238, 0.715216], 1.814966),
}
"""Areas and score of each cell, as they were first read."""


TABLES = {
    "pong-soup-short": {
        "scratch": (100.0, 100.0, 4),
        "finetune": (1823.648328, 200.583821, 4),
        "progressive-2": (1698.008045, 132.658385, 4),
    },
    "pong-soup-mini": {
        "scratch": (100.0, 100.0, 4),
        "output-only": (41.189607, 8.136580, 7),
        "finetune": (126.748944, 97.565187, 7),
        "random-column": (105.110209, 111.741201, 4),
        "progressive-2": (194.979551, 202.290989, 7),
        "progressive-3": (197.462040, 181.496634, 3),
    },
}
"""Mean and median transfer in per cent, and pairs."""

PONG = {
    "pong-orthogonal": {
        "scratch noisy, seed 0": (-0.051803, -20.2),
        "source pong, seed 0": (19.671756, 20.333333),
        "source pong, seed 1": (17.980462, 14.8),
        "finetune pong to noisy, seed 0": (6.665431, 4.566667),
        "progressive pong to noisy, seed 0": (21.577518, 17.266667),
        "progressive pong to white, seed 0": (11.042407, 3.8),
    },
    "pong-to-15": {
        "a2c on pong, seed 0": (32.215614, 17.533333),
        "a3c on pong, seed 0": (30.044654, 19.233333),
    },
}
"""Area and final score of each complete run."""

CONTINUAL = {
    ("ewc-permuted", "EWC", 10): ([0.95125, 0.9505, 0.9485], 0.960917, 0.014815, -0.012037),
    ("ewc-permuted", "L2", 10): ([0.7865, 0.76775, 0.7565], 0.956917, 0.207963, -0.207407),
    ("ewc-permuted", "SGD with dropout", 10): (
        [0.831, 0.808, 0.79925], 0.919750, 0.119722, -0.118889,
    ),
    ("ewc-permuted", "SGD", 10): ([0.78225, 0.765, 0.75875], 0.954750, 0.207130, -0.206759),
    ("ewc-permuted", "Single tasks", 10): ([0.966, 0.968, 0.96325], 0.965750, 0.0, 0.0),
    ("ewc-permuted", "EWC", 3): ([0.9675, 0.96, 0.966667], 0.9675, 0.005, -0.004167),
    ("ewc-pong-soup-mini", "EWC", 2): (
        [0.88, 0.69, 0.66, 0.86, 0.67, 1.0, 0.77, 1.04], 1.103125, 0.56375, -0.56375,
    ),
    ("ewc-pong-soup-mini", "Finetuning", 2): (
        [1.11, 0.83, 0.925, 0.95, 0.845, 1.355, 0.795, 1.04], 1.930625, 1.89875, -1.89875,
    ),
}  # fmt: skip
"""Average score by seed; mean over seeds of just learned, forgetting and backward transfer."""


@cache
def results(name: str) -> Results:
    return Results(SuiteFolder.read(RECORDED / name))


@pytest.mark.parametrize(("name", "cells"), [("pong-soup-short", SHORT), ("pong-soup-mini", MINI)])
def test_areas_and_scores(
    name: str, cells: dict[tuple[str, str | None, str], tuple[list[float], float]]
) -> None:
    found = {
        (cell.method, cell.source, cell.target.rpartition("/")[2]): cell
        for cell in results(name).cells
    }
    assert list(found) == list(cells)
    for place, (areas, score) in cells.items():
        assert found[place].areas.tolist() == pytest.approx(areas, abs=1e-6), place
        assert found[place].score == pytest.approx(score, abs=1e-6), place


@pytest.mark.parametrize("name", TABLES)
def test_tables(name: str) -> None:
    rows = {row.method: row for row in transfer_table(results(name))}
    assert list(rows) == list(TABLES[name])
    for method, (mean, median, pairs) in TABLES[name].items():
        row = rows[method]
        assert (row.mean, row.median) == pytest.approx((mean, median), abs=1e-5), method
        assert row.pairs == pairs
        assert (row.paper is not None) == (name == "pong-soup-short")


@pytest.mark.parametrize("name", PONG)
def test_runs_that_are_not_compared(name: str) -> None:
    found = {
        run.spec.label: (results(name).area(run), run.final_score)
        for run in results(name).runs.values()
        if not math.isnan(results(name).area(run))
    }
    assert found.keys() == PONG[name].keys()
    for label, numbers in PONG[name].items():
        assert found[label] == pytest.approx(numbers, abs=1e-6), label


def test_continual_learning() -> None:
    for (name, title, tasks), (average, learned, lost, backward) in CONTINUAL.items():
        (row,) = (
            row
            for sequence in sequences(results(name))
            if len(sequence.tasks) == tasks
            for row in measured(sequence)
            if row.contender.title == title
        )
        assert row.average.tolist() == pytest.approx(average, abs=1e-6), title
        means = [float(values.mean()) for values in (row.learned, row.forgetting, row.backward)]
        assert means == pytest.approx([learned, lost, backward], abs=1e-6), title


def test_a_streams_totals_are_those_of_its_last_tests() -> None:
    """MiniPong's scale is from -0.6 to 1.4, and no game counts for more than one."""
    (stream,) = streams(results("ewc-stream-mini"))
    assert len(stream.curves) == 3
    for curve in stream.curves:
        for run, total in zip(curve.done, stream.final(curve), strict=True):
            text = (run.run.folder.path / "metrics.jsonl").read_text()
            rows = map(json.loads, text.splitlines())
            last = {row["tested"]: row["return_mean"] for row in rows if row["kind"] == "test"}
            assert len(last) == 2
            assert total == pytest.approx(sum(min(1, (r + 0.6) / 2) for r in last.values()))


def last_scores(folder: str, label: str) -> list[float]:
    """Scores on each task in the end of a run, from its metrics."""
    (path,) = (p.parent for p in (RECORDED / folder).glob("runs/*/spec.json")
               if json.loads(p.read_text())["label"] == label)  # fmt: skip
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    tests = [row for row in rows if row["kind"] == "test"]
    last = max((row["task_index"], row["step"]) for row in tests)
    found = [row for row in tests if (row["task_index"], row["step"]) == last]
    return [row["return_mean"] for row in sorted(found, key=lambda row: row["tested_index"])]


@pytest.mark.parametrize(
    ("name", "folder", "tasks"),
    [
        ("ewc-permuted-mnist", "ewc-permuted-mnist", 10),
        ("ewc-permuted-mnist-curves", "ewc-permuted-mnist", 3),
        ("ewc-permuted-mnist-wide", "ewc-permuted-mnist-wide", 10),
        ("ewc-permuted-bounds", "ewc-permuted-bounds", 10),
    ],
)
def test_figures_of_permuted_images_are_those_of_their_runs(
    name: str, folder: str, tasks: int
) -> None:
    every = json.loads((RECORDED / "figures.json").read_text())["measurements"]
    (found,) = (each["figures"] for each in every if each["name"] == name)
    values = {figure["name"]: figure["value"] for figure in found}
    methods = dict.fromkeys(figure.partition("/")[0] for figure in values)
    for method in set(methods) - {"single-tasks"}:  # which a network each has learned
        scores = np.array([
            last_scores(folder, f"{method}, {tasks} permutations, seed {seed}") for seed in range(3)
        ])  # fmt: skip
        assert scores.shape == (3, tasks)
        by_seed = scores.mean(1)
        assert values[f"{method}/average-accuracy"] == pytest.approx(by_seed.mean(), abs=6e-4)
        if tasks == 3:
            assert values[f"{method}/first-task"] == pytest.approx(scores[:, 0].mean(), abs=6e-4)
            assert values[f"{method}/last-task"] == pytest.approx(scores[:, -1].mean(), abs=6e-4)
        else:
            said = [values[f"{method}/seeds-0-1-2/{number}"] for number in (1, 2, 3)]
            assert said == pytest.approx(by_seed.tolist(), abs=6e-4)


@pytest.mark.parametrize("name", ["pathnet-mnist", "pathnet-mnist-full"])
def test_generations_to_the_goal_are_those_of_their_runs(name: str) -> None:
    every = json.loads((RECORDED / "figures.json").read_text())["measurements"]
    (found,) = (each["figures"] for each in every if each["name"] == name)
    values = {figure["name"]: figure["value"] for figure in found}
    with (RECORDED / name / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert all(row["reached"] == "True" for row in rows)
    taken: dict[str, dict[str, float]] = {}
    for row in rows:  # 50 minibatches an evaluation, and two of those a tournament
        steps = float(row["gradient_steps"])
        contestants = 2 if row["method"].startswith("pathnet") else 1
        taken.setdefault(row["method"], {})[row["seed"]] = steps / 50 / contestants
    means = {}
    for method, key in (
        ("scratch", "de-novo-path"), ("path-finetune", "finetuned-path"),
        ("pathnet-alone", "pathnet-without-a-first-task"), ("pathnet", "pathnet"),
    ):  # fmt: skip
        assert len(taken[method]) == values[f"{key}/pairs"] == 24
        means[key] = np.mean(list(taken[method].values()))
        assert values[f"{key}/generations"] == pytest.approx(means[key], abs=0.51)
        assert values[f"{key}/95-interval/1"] < means[key] < values[f"{key}/95-interval/2"]
    if "ratio/reuse" in values:
        over = means["pathnet"] / means["pathnet-without-a-first-task"]
        assert values["ratio/reuse"] == pytest.approx(over, abs=6e-3)
        over = means["pathnet"] / means["de-novo-path"]
        assert values["ratio/pathnet-over-de-novo"] == pytest.approx(over, abs=6e-3)
    else:
        return
    with (RECORDED / name / "rate-1e-4.csv").open(newline="") as file:
        slow = list(csv.DictReader(file))
    assert [row["reached"] for row in slow] == ["False"] * 9
    stood = [float(row[f"{task}_accuracy"]) for row in slow for task in ("first", "second")]
    assert f"{min(stood):.2f} to {max(stood):.2f}" == "0.63 to 0.99"


@pytest.mark.parametrize(("name", "seeds"), [("labyrinth-maze-m-long", 2), ("arm-from-state", 3)])
def test_each_seeds_score_is_that_of_its_run(name: str, seeds: int) -> None:
    every = json.loads((RECORDED / "figures.json").read_text())["measurements"]
    (found,) = (each["figures"] for each in every if each["name"] == name)
    values = {figure["name"]: figure["value"] for figure in found}
    for seed in range(seeds):
        (path,) = (RECORDED / name).glob(f"runs/*seed-{seed}*/result.json")
        (row,) = (r for r in json.loads(path.read_text())["scores"] if r["policy"] == "trained")
        assert values[f"seed-{seed}/return"] == pytest.approx(row["return_mean"], abs=6e-3)
        reach = 1.96 * row["return_std"] / (row["episodes"] - 1) ** 0.5
        assert values[f"seed-{seed}/reach"] == pytest.approx(reach, abs=6e-3)
        if name == "labyrinth-maze-m-long":
            assert values[f"seed-{seed}/thousand-steps"] == round(row["step"] / 1000)
            continue
        lines = [json.loads(line) for line in (path.parent / "metrics.jsonl").open()]
        curve = [line for line in lines if line["kind"] == "curve" and line["return_mean"]]
        above = next(line["step"] for line in curve if line["return_mean"] > 30)
        assert values[f"seed-{seed}/thousand-steps-to-30"] == round(above / 1000)


def test_columns_in_simulation_score_as_their_runs() -> None:
    every = json.loads((RECORDED / "figures.json").read_text())["measurements"]
    (found,) = (each["figures"] for each in every if each["name"] == "sim-to-real-columns")
    values = {figure["name"]: figure["value"] for figure in found}

    def scores(folder: str, column: str) -> list[float]:
        paths = (RECORDED / folder).glob(f"runs/{column}-seed-*/result.json")
        rows = [row for path in paths for row in json.loads(path.read_text())["scores"]]
        return [row["return_mean"] for row in rows if row["policy"] == "trained"]

    for column in ("ff-wide", "ff-narrow", "recurrent-wide", "recurrent-narrow"):
        five = scores("sim-to-real-columns", column)
        assert len(five) == 5
        assert values[f"{column}/mean"] == pytest.approx(np.mean(five), abs=6e-3)
        assert values[f"{column}/deviation"] == pytest.approx(np.std(five, ddof=1), abs=6e-3)
        assert (values[f"{column}/lowest"], values[f"{column}/highest"]) == (min(five), max(five))
    for column in ("ff-wide", "recurrent-wide"):
        assert [values[f"long/{column}"]] == scores("sim-to-real-columns-long", column)
    assert [values["a3c/ff-wide"]] == scores("sim-to-real-columns-a3c", "ff-wide")


def test_a_pair_in_vizdoom_is_what_its_runs_came_to() -> None:
    every = json.loads((RECORDED / "figures.json").read_text())["measurements"]
    (found,) = (each["figures"] for each in every if each["name"] == "labyrinth-doom-pair")
    values = {figure["name"]: figure["value"] for figure in found}
    areas: dict[str, list[float]] = {}
    for path in (RECORDED / "labyrinth-doom-pair").glob("runs/*/result.json"):
        spec = json.loads(path.read_text())["spec"]
        if spec["label"].startswith("source"):
            continue
        rows = [json.loads(line) for line in (path.parent / "metrics.jsonl").open()]
        curve = [row for row in rows if row["kind"] == "curve" and row["task"].endswith("track-4")]
        returns, widths = zip(*((row["return_mean"], row["width"]) for row in curve), strict=True)
        ends = {r["policy"]: r["return_mean"] for r in json.loads(path.read_text())["scores"]}
        above = float(np.average(returns, weights=widths)) - ends["random"]
        areas.setdefault(spec["method"], []).append(above)
        final = values[f"{spec['method']}/seed-{spec['seed']}"]
        assert final == pytest.approx(ends["trained"], abs=6e-3)
    for method, own in areas.items():
        assert len(own) == 2
        ratio = 100 * np.mean(own) / np.mean(areas["scratch"])
        assert values[f"{method}/transfer"] == pytest.approx(ratio, abs=0.6)


def test_the_q_networks_pong_is_that_of_its_curve() -> None:
    every = json.loads((RECORDED / "figures.json").read_text())["measurements"]
    (own,) = (m for m in every if m["name"] == "dqn-pong")
    values = {f["name"]: f["value"] for f in own["figures"]}
    (path,) = (RECORDED / "dqn-pong" / "runs").glob("*/metrics.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    curve = {row["step"]: row for row in rows if row["kind"] == "curve"}
    for name, value in values.items():
        if name.startswith("return/"):
            step = 1000 * int(name.removeprefix("return/").removesuffix("-k"))
            assert value == pytest.approx(curve[step]["return_mean"], abs=6e-3)
    (goal,) = (row for row in rows if row["kind"] == "goal")
    assert goal["reached"]
    assert values["return"] == pytest.approx(goal["return_mean"], abs=6e-3)
    assert values["million-steps"] == pytest.approx(goal["step"] / 1e6, abs=6e-3)
    *_, last = (row for row in rows if row["kind"] == "evaluation")
    assert (last["policy"], last["episodes"]) == ("trained", 30)
    assert values["evaluation"] == pytest.approx(last["return_mean"], abs=6e-3)
    seconds = sum(row["width"] / row["steps_per_second"] for row in curve.values())
    assert values["minutes"] == pytest.approx(seconds / 60, abs=0.5)


def test_starts_of_output_layers_in_the_emulator_are_those_of_their_runs() -> None:
    every = json.loads((RECORDED / "figures.json").read_text())["measurements"]
    (own,) = (m for m in every if m["name"] == "pong-outputs")
    values = {f["name"]: f["value"] for f in own["figures"]}
    labels = {
        "scratch": "scratch", "finetune-pong": "finetune",
        "finetune-fresh-output-pong": "finetune-fresh", "progressive-pong": "progressive",
        "progressive-2-copied-output-pong": "progressive-copied",
    }  # fmt: skip
    checked = 0
    for path in (RECORDED / "pong-outputs" / "runs").glob("*/result.json"):
        (label,) = (name for name in labels if path.parent.name.startswith(f"{name}-"))
        target = path.parent.name.removeprefix(f"{label}-").removeprefix("to-").partition("-")[0]
        seed = json.loads((path.parent / "spec.json").read_text())["seed"]
        way = f"{labels[label]}/{target}/{seed}"
        *_, last = json.loads(path.read_text())["scores"]
        assert last["policy"] == "trained"
        assert values[f"{way}/evaluation"] == pytest.approx(last["return_mean"], abs=0.06)
        lines = (path.parent / "metrics.jsonl").read_text().splitlines()
        bins = [row for row in map(json.loads, lines) if row["kind"] == "curve"]
        late = [row for row in bins if row["step"] > 250_000]
        weights = [row["episodes"] for row in late]
        mean = np.average([row["return_mean"] for row in late], weights=weights)
        assert values[f"{way}/last"] == pytest.approx(mean, abs=0.06)
        checked += 1
    assert 2 * checked == len(values) == 30


def test_pong_soup_at_its_best_is_what_its_runs_came_to() -> None:
    every = json.loads((RECORDED / "figures.json").read_text())["measurements"]
    (own,) = (m for m in every if m["name"] == "pong-soup-best")
    values = {f["name"]: f["value"] for f in own["figures"]}
    rows = {(row[0].lower(), row[1], row[2]): row[-1] for row in own["table"]["rows"]}
    titles = {
        "scratch": "baseline 1 (scratch)", "finetune": "baseline 3 (full finetune)",
        "random-column": "baseline 4 (random column)", "progressive": "progressive, 2 columns",
    }  # fmt: skip
    folder, checked = RECORDED / "pong-soup-best", 0
    found = results("pong-soup-best")
    for path in (folder / "runs").glob("*-seed-*/result.json"):
        result = json.loads(path.read_text())
        spec = result["spec"]
        row = "progressive-2" if spec["method"] == "progressive" else spec["method"]
        (task,) = spec["tasks"]
        target = task["name"].removeprefix("pong-soup/")
        by_chance = found.random_score(task["name"]).mean
        way = f"{row}/{target}/{spec['seed']}"
        assert values[f"{way}/evaluation"] == pytest.approx(
            result["scores"][-1]["return_mean"], abs=0.06
        )
        lines = (path.parent / "metrics.jsonl").read_text().splitlines()
        bins = [line for line in map(json.loads, lines) if line["kind"] == "curve"]
        for mark in (100, 250, 500, 750, 1000):
            late = [b for b in bins if 1000 * (mark - 50) < b["step"] <= 1000 * mark]
            weights = [b["episodes"] for b in late]
            mean = np.average([b["return_mean"] for b in late], weights=weights)
            assert values[f"{way}/{mark}k"] == pytest.approx(mean, abs=0.06)
        area = found.area(found.runs[path.parent.name])
        assert values[f"{way}/area"] == pytest.approx(area, abs=0.051)
        # Bins hold few episodes at first, so that their mean is near the area and not it.
        assert area == pytest.approx(np.mean([b["return_mean"] for b in bins]) - by_chance, abs=0.5)
        # What it learned with is what its result says, whichever try that came from.
        used = [result["learner"][name] for name in ("learning_rate", "entropy_cost", "clip_norm")]
        network = json.loads((path.parent / "network.json").read_text())["network"]
        if len(network["columns"]) > 1:
            used.append(network["columns"][-1]["spec"]["alpha"])
        told = rows[target, str(spec["seed"]), titles[spec["method"]]]
        assert told == ", ".join(f"{value:g}" for value in used)
        checked += 1
    assert 7 * checked == len(values) >= 84
    page = " ".join((RECORDED / "README.md").read_text().split())
    ways = ("progressive-2", "finetune")
    for target, whose in (("h-flip", "finetuning's "), ("noisy", "")):
        progressive, finetune = (
            [values[name] for s in range(3) if (name := f"{way}/{target}/{s}/area") in values]
            for way in ways
        )
        assert f"areas of {_listed(progressive)} beside {whose}{_listed(finetune)}" in page
    anew, random = (
        [values[f"{way}/noisy/{seed}/area"] for seed in range(3)]
        for way in ("scratch", "random-column")
    )
    assert min(progressive) > 10 * max(random)  # as a claim has it
    assert f"({min(random)} to {max(random)} beside {min(anew)} to {max(anew)})" in page
    welch = stats.ttest_ind(progressive, finetune, equal_var=False).confidence_interval()
    apart = np.mean(progressive) - np.mean(finetune)
    assert (
        f"a difference of {apart:.1f} on average and of {welch.low:.0f} to {welch.high:.0f}" in page
    )


def _listed(areas: list[float]) -> str:
    *first, last = (f"{area:.1f}" for area in areas)
    return f"{', '.join(first)} and {last}"


def test_what_is_reused_is_what_the_kept_sensitivities_come_to() -> None:
    every = json.loads((RECORDED / "figures.json").read_text())["measurements"]
    values = {m["name"]: {f["name"]: f["value"] for f in m["figures"]} for m in every}
    shares, ranks = values["afs-shares"], values["afs-aps"]
    together: list[tuple[float, float]] = []
    single: list[float] = []
    held: dict[tuple[str, int], list[list[float]]] = {}
    checked = 0
    for folder in sorted((RECORDED / "afs-aps" / "runs").glob("progressive-*")):
        tensors, meta = read_tensors(folder / "analysis.safetensors")
        own: list[tuple[float, float]] = []
        analysis = RunAnalysis.load(folder)
        assert analysis is not None
        assert analysis.curves is not None
        aps = analysis.curves.aps()
        words = meta["label"].removeprefix("progressive ").removesuffix(", seed 0")
        key = words.replace(", ", "+").replace(" to ", "/")
        for level, name in zip(meta["levels"], ("conv-1", "conv-2", "dense"), strict=True):
            sums = [float(tensors[f"sensitivity/column{c}/stage{s}"].sum()) for c, s in level]
            old = 100 * sum(sums[:-1]) / sum(sums)
            assert shares[f"{key}/{name}"] == pytest.approx(old, abs=0.51)
            own += [
                (part / sum(sums), aps[feature].value)
                for part, feature in zip(sums, map(Feature._make, level), strict=True)
            ]
            checked += 1
        every_one = [
            [tensors[f"sensitivity/column{c}/stage{s}"].numpy() for c, s in level]
            for level in meta["levels"]
        ]
        count = len(meta["columns"])
        held.setdefault(("all", count), []).append([_most(np.concatenate(e)) for e in every_one])
        held.setdefault(("new", count), []).append([_most(e[-1]) for e in every_one])
        together += own
        single.append(stats.spearmanr(*zip(*own, strict=True)).statistic)
    assert checked + 12 == len(shares) == 42
    for (kind, count), parts in held.items():
        for name, share in zip(("conv-1", "conv-2", "dense"), np.mean(parts, 0), strict=True):
            assert shares[f"held/{kind}/{count}/{name}"] == pytest.approx(100 * share, abs=0.51)
    assert len(together) == 69
    assert ranks["together"] == pytest.approx(
        stats.spearmanr(*zip(*together, strict=True)).statistic, abs=6e-3
    )
    assert ranks["network-by-network"] == pytest.approx(np.mean(single), abs=6e-3)
    assert ranks["network-by-network/least"] == pytest.approx(min(single), abs=6e-3)
    # Fig. 7b: the largest score of those that there are is that of Pong to Noisy.
    found = results("afs-aps")
    scores = {
        (c.method, c.source, c.target): c.score
        for c in found.cells
        if c.source and not math.isnan(c.score)
    }
    assert len(scores) == 7
    assert max(scores, key=scores.__getitem__) == ("progressive-2", "pong", "mini-pong/noisy")


def test_what_is_left_under_noise_is_what_the_kept_games_came_to() -> None:
    every = json.loads((RECORDED / "figures.json").read_text())["measurements"]
    (own,) = (m for m in every if m["name"] == "dqn-cart-pole")
    values = {f["name"]: f["value"] for f in own["figures"]}
    scores = [run.final_score for run in results("dqn-cart-pole").runs.values()]
    assert len(scores) == len(own["seeds"]) == 10
    told = (np.mean(scores), min(scores), max(scores))
    assert [values[f"score/{name}"] for name in ("mean", "least", "most")] == pytest.approx(
        told, abs=0.51
    )
    left: dict[str, list[list[float]]] = {}
    for path in (RECORDED / "dqn-cart-pole" / "runs").glob("*/weight_noise.json"):
        content = json.loads(path.read_text())
        whole = np.mean(content["clean"]) - content["floor"]
        for shape, games in content["returns"].items():
            parts = [(np.mean(each) - content["floor"]) / whole for each in games]
            left.setdefault(shape, []).append(parts)
    sizes = [0.03, 0.1, 0.3, 1, 3]
    for shape, parts in left.items():
        assert len(parts) == values["agents"] == 9
        for size, mean in zip(sizes, np.mean(parts, 0), strict=True):
            assert values[f"{shape}/{size:g}"] == pytest.approx(mean, abs=6e-3)
    more = np.array(left["inverse-fisher"]) > np.array(left["uniform"])
    assert [values[f"more/{size:g}"] for size in sizes] == more.sum(0).tolist()
    tested = [stats.binomtest(int(count), 9).pvalue for count in more.sum(0)]
    page = " ".join((RECORDED / "README.md").read_text().split())
    assert (
        f"a sign test's p is {min(tested):.3f}, or {5 * min(tested):.2f} with Holm's correction"
        in page
    )
    assert all(np.mean(left["inverse-fisher"], 0) > np.mean(left["uniform"], 0))
    told_mean, least, most = (f"{score:.0f}" for score in told)
    assert f"from {least} to {most} of 500, {told_mean} on average" in page
    of_dqn = " ".join((RECORDED.parent / "docs" / "dqn.md").read_text().split())
    assert f"{least} to {most} of 500, {told_mean} on average" in of_dqn


def test_what_pruning_cost_is_what_the_pruned_run_says() -> None:
    every = json.loads((RECORDED / "figures.json").read_text())["measurements"]
    (own,) = (m for m in every if m["name"] == "prune-pong")
    values = {f["name"]: f["value"] for f in own["figures"]}
    (run,) = results("prune-pong").runs.values()
    told = run.result["pruning"]
    parameters, speed = told["parameters"], told["decisions_per_second"]
    gone = 1 - parameters["after"] / parameters["before"]
    assert values["parameters-gone"] == pytest.approx(100 * gone, abs=0.51)
    assert values["speed"] == pytest.approx(speed["after"] / speed["before"], abs=6e-3)
    for name, cost in zip(("pong", "noisy"), told["costs"], strict=True):
        scores = {
            row["policy"]: row["return_mean"]
            for row in run.result["scores"]
            if row["task"] == f"pong-soup/{name}" == cost["task"]
        }
        lost = (scores["original"] - scores["trained"]) / (scores["original"] - cost["random"])
        assert values[f"{name}-lost"] == pytest.approx(100 * lost, abs=0.06)


def _most(values: NDArray[np.float64]) -> float:
    """Share of features, the largest first, that hold 95 % of their sum."""
    count, so_far = 0, 0.0
    for value in sorted(values, reverse=True):
        if so_far >= 0.95 * values.sum():
            break
        count, so_far = count + 1, so_far + value
    return count / len(values)


def test_ppos_marks_on_pong_are_those_of_its_curves() -> None:
    every = json.loads((RECORDED / "figures.json").read_text())["measurements"]
    (own,) = (m for m in every if m["name"] == "pong-ppo-again")
    values = {f["name"]: f["value"] for f in own["figures"]}
    checked = 0
    for seed in range(3):
        (path,) = (RECORDED / "pong-ppo-again" / "runs").glob(
            f"source-pong-seed-{seed}-*/metrics.jsonl"
        )
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        bins = [row for row in rows if row["kind"] == "curve"]
        passed: dict[int, float] = {}
        returns: list[float] = []
        for row in bins:
            returns += [row["return_mean"]] * row["episodes"]
            for mark in (-10, 0, 10, 15, 18):
                if len(returns) >= 100 and np.mean(returns[-_last(bins, row) :]) >= mark:
                    passed.setdefault(mark, row["step"] / 1e6)
        for mark in (-10, 0, 10, 15, 18):
            name = f"{seed}/steps-to-{str(mark).replace('-', 'minus-')}"
            assert (name in values) == (mark in passed)
            if name in values:
                assert values[name] == pytest.approx(passed[mark], abs=6e-3)
                checked += 1
        assert values[f"{seed}/million-steps"] == pytest.approx(bins[-1]["step"] / 1e6, abs=6e-3)
        seconds = sum(row["width"] / row["steps_per_second"] for row in bins)
        rate = values[f"{seed}/steps-per-second"]
        assert rate == pytest.approx(bins[-1]["step"] / seconds, abs=0.6)
    assert checked == 11


def _last(bins: list[dict[str, float]], until: dict[str, float]) -> int:
    """How many episodes the last bins have that hold a hundred at least."""
    count = 0
    for row in reversed(bins[: bins.index(until) + 1]):
        count += int(row["episodes"])
        if count >= 100:
            break
    return count


def test_ten_games_scores_are_those_of_their_runs() -> None:
    every = json.loads((RECORDED / "figures.json").read_text())["measurements"]
    (own,) = (m for m in every if m["name"] == "ten-games")
    values = {f["name"]: f["value"] for f in own["figures"]}
    paths = list((RECORDED / "ten-games" / "runs").glob("*/result.json"))
    assert len(paths) == 10
    for path in paths:
        for row in json.loads(path.read_text())["scores"]:
            game = row["task"].removeprefix("atari/").replace("_", "-")
            said = values[f"score/{game}/{row['policy']}"]
            assert said == pytest.approx(row["return_mean"], abs=0.06)


def test_the_first_goal_of_the_q_network_is_that_of_its_run() -> None:
    every = json.loads((RECORDED / "figures.json").read_text())["measurements"]
    (own,) = (m for m in every if m["name"] == "dqn-pong")
    values = {f["name"]: f["value"] for f in own["figures"]}
    rows = {}
    for name in ("dqn-pong", "dqn-pong-20"):
        (path,) = (RECORDED / name / "runs").glob("*/metrics.jsonl")
        rows[name] = [json.loads(line) for line in path.read_text().splitlines()]
    (goal,) = (row for row in rows["dqn-pong-20"] if row["kind"] == "goal")
    assert values["goal-of-20/return"] == pytest.approx(goal["return_mean"], abs=6e-3)
    assert values["goal-of-20/million-steps"] == pytest.approx(goal["step"] / 1e6, abs=6e-3)
    last = rows["dqn-pong-20"][-1]
    assert (last["policy"], last["episodes"]) == ("trained", 30)
    assert values["goal-of-20/evaluation"] == pytest.approx(last["return_mean"], abs=6e-3)
    first, later = (
        {row["step"]: row["return_mean"] for row in own if row["kind"] == "curve"}
        for own in rows.values()
    )
    same = first.keys() & later.keys()
    assert len(same) == 20, "the bins up to a million steps"
    assert all(first[step] == later[step] for step in same)


def test_the_demo_is_that_of_its_runs() -> None:
    every = json.loads((RECORDED / "figures.json").read_text())["measurements"]
    (own,) = (m for m in every if m["name"] == "pong-ppo-again")
    values = {f["name"]: f["value"] for f in own["figures"]}
    seconds = []
    for way in ("scratch", "progressive"):
        (path,) = (RECORDED / "demo" / "runs").glob(f"{way}-*/result.json")
        result = json.loads(path.read_text())
        seconds.append(result["timing"]["training_seconds"])
        score = result["scores"][-1]
        assert score["policy"] == "trained"
        assert values[f"demo/{way}"] == pytest.approx(score["return_mean"], abs=0.06)
    assert values["demo-minutes-of-training"] == pytest.approx(max(seconds) / 60, abs=6e-3)


def test_two_games_that_come_back_are_those_of_their_runs() -> None:
    every = json.loads((RECORDED / "figures.json").read_text())["measurements"]
    (found,) = (m for m in every if m["name"] == "ewc-two-games")
    values = {f["name"]: f["value"] for f in found["figures"]}
    folder = RECORDED / "ewc-two-games" / "runs"
    scales = {"atari/krull": (1598.0, 2394.6), "atari/road_runner": (11.5, 7845.0)}
    checked = 0
    for way in ("no-penalty", "labels", "forget-me-not"):
        (path,) = folder.glob(f"{'' if way == 'no-penalty' else 'ewc-'}{way}-*/metrics.jsonl")
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        scored = [row for row in rows if row["kind"] == "test"]
        totals = {}
        for moment in dict.fromkeys((row["visit"], row["step"]) for row in scored):
            totals[moment] = 0.0
            for row in scored:
                if (row["visit"], row["step"]) == moment:
                    random, human = scales[row["tested"]]
                    totals[moment] += min(1, (row["return_mean"] - random) / (human - random))
        for visit in range(4):
            # Where the next visit begins, all are tested again.
            after = [m for m in totals if m[0] == visit or m == (visit + 1, 0)]
            if (said := values.get(f"{way}/visit-{visit + 1}")) is not None:
                assert said == pytest.approx(totals[after[-1]], abs=6e-3)
                checked += 1
        most = max(total for moment, total in totals.items() if moment != (0, 0))
        assert values[f"{way}/most"] == pytest.approx(most, abs=6e-3)
        result = json.loads((path.parent / "result.json").read_text())
        trained = [row for row in result["scores"] if row["policy"] == "trained"]
        ends = {row["task"]: row["return_mean"] for row in trained}
        assert values[f"{way}/krull"] == pytest.approx(ends["atari/krull"], abs=0.5)
        assert values[f"{way}/road-runner"] == pytest.approx(ends["atari/road_runner"], abs=0.5)
    assert checked == 12
    hours, runs = 0.0, list(folder.glob("*/result.json"))
    for path in runs:
        hours += json.loads(path.read_text())["timing"]["training_seconds"] / 3600
    assert len(runs) == 4
    assert values["hours"] == pytest.approx(hours, abs=6e-3)
    (path,) = folder.glob("single-*/metrics.jsonl")
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    alone, ends = 0.0, {}
    for name, (random, human) in scales.items():
        *_, last = (r for r in rows if r["kind"] == "test" and r["tested"] == name)
        alone += min(1, (last["return_mean"] - random) / (human - random))
        (row,) = (r for r in rows if (r.get("policy"), r["task"]) == ("trained", name))
        ends[name] = row["return_mean"]
    assert values["single-tasks/visit-4"] == pytest.approx(alone, abs=6e-3)
    assert values["single-tasks/krull"] == pytest.approx(ends["atari/krull"], abs=0.5)
    assert values["single-tasks/road-runner"] == pytest.approx(ends["atari/road_runner"], abs=0.5)


NEWER = (
    "sim-to-real-mini", "sim-to-real-short", "sim-to-real-conveyor", "ewc-stream-mini",
    "ewc-permuted-bounds", "ewc-pong-soup-mini-bounds", "ewc-permuted-mnist",
    "ewc-permuted-mnist-wide", "labyrinth-levels", "labyrinth-mini",
    "ewc-stream-mini-bounds", "labyrinth-maze-m",
    "pong-outputs-mini", "labyrinth-maze-m-long", "arm-from-state",
    "sim-to-real-columns", "sim-to-real-columns-long", "sim-to-real-columns-a3c",
    "labyrinth-doom-pair", "labyrinth-short", "dqn-pong", "ewc-two-games",
    "ten-games", "pong-ppo-again", "pong-outputs",
    "dqn-pong-20", "demo", "pong-soup-best", "afs-aps",
    "dqn-cart-pole", "prune-pong", "atari-pairs", "pathnet-atari-pair",
    "pathnet-labyrinth-pair",
)  # fmt: skip


@pytest.mark.parametrize("name", [path.parent.name for path in RECORDED.glob("*/suite.json")])
def test_old_folders_are_of_version_1(name: str) -> None:
    assert results(name).suite.basis.measures == (2 if name in NEWER else 1)
    assert not any(run.foreign for run in results(name).runs.values())


def test_an_old_folder_is_drawn_and_not_gone_on_with(tmp_path: Path) -> None:
    content = (RECORDED / "pong-soup-short" / "suite.json").read_text()
    (tmp_path / "suite.json").write_text(content)
    (tmp_path / "runs").symlink_to(RECORDED / "pong-soup-short" / "runs")
    suite = SuiteFolder.read(tmp_path)
    page = write_report(suite).read_text()
    assert "26 of 26 complete" in page
    assert "version 1 of the measures" in page
    # The same command completes nothing, for nothing is left; it changes nothing either.
    assert suite.begin() == suite
    assert read_json(tmp_path / "suite.json") == json.loads(content)

    half = SuiteFolder.read(RECORDED / "pong-orthogonal")
    with pytest.raises(UsageError, match="20 of the 26 runs are not complete: it can be read, but"):
        half.begin()
