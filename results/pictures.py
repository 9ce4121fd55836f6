"""Draws results/README.md's pictures of Atari's Pong from the recorded runs, and prints marks."""

import itertools
import json
from pathlib import Path

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from colonnade.experiments.method_titles import FALLBACK_COLOURS
from colonnade.experiments.results.transfer import Results
from colonnade.experiments.store.folders import SuiteFolder
from colonnade.reports.style import FAINT, drawing, to_png
from colonnade.reports.transfer.curves import learning_curves
from colonnade.reports.transfer.matrix import transfer_matrix

HERE = Path(__file__).parent
IMAGES = HERE.parent / "docs" / "images"
EPISODES = 100
MARKS = (-19, -10, 0, 10, 15, 18)
DASHES = ("-", "--", ":")

Curve = list[tuple[float, float]]


def recent_returns(run: Path) -> Curve:
    """Return, after each bin of a run's curve, steps in millions and the last episodes' mean."""
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    bins = [row for row in rows if row["kind"] == "curve" and row["episodes"]]
    curve = []
    for end in range(1, len(bins) + 1):
        total, left = 0.0, EPISODES
        for row in reversed(bins[:end]):
            count = min(left, row["episodes"])
            total, left = total + count * row["return_mean"], left - count
            if not left:
                curve.append((bins[end - 1]["step"] / 1e6, total / EPISODES))
                break
    return curve


def print_marks(title: str, curve: Curve) -> None:
    """Say when a curve first passed each mark."""
    passed = {mark: next((step for step, mean in curve if mean >= mark), None) for mark in MARKS}
    marks = "  ".join(
        f"{mark}: {'never' if step is None else f'{step:.2f} M'}" for mark, step in passed.items()
    )
    print(f"{title}: {marks}; at {curve[-1][0]:.2f} M {curve[-1][1]:.1f}")


def draw(name: str, title: str, wanted: float, groups: dict[str, list[Path]]) -> None:
    """Draw groups of runs, one colour a group and one kind of line a seed."""
    folders = {run.parents[1] for runs in groups.values() for run in runs}
    versions = {SuiteFolder.read(folder).basis.measures for folder in folders}
    assert len(versions) == 1, "runs of several versions of the measures do not compare"
    figure = Figure(figsize=(6.5, 3.0))
    axes = figure.subplots()
    axes.axhline(wanted, color=FAINT, lw=1, ls=":")
    for (group, runs), colour in zip(groups.items(), FALLBACK_COLOURS, strict=False):
        for run, dash in zip(runs, itertools.cycle(DASHES), strict=False):
            curve = recent_returns(run)
            print_marks(f"{group}, {run.name}", curve)
            axes.plot(*zip(*curve, strict=True), color=colour, ls=dash)
    handles = [
        Line2D([], [], color=colour, label=group)
        for group, colour in zip(groups, FALLBACK_COLOURS, strict=False)
    ]
    axes.legend(handles=handles, loc="lower right")
    axes.set_title(title)
    axes.set_xlim(left=0)
    axes.set_xlabel("agent steps (millions)")
    axes.set_ylabel(f"mean return, {EPISODES} episodes")
    (IMAGES / name).write_bytes(to_png(figure))


def draw_curves(folder: str) -> Results:
    """Draw the curves of a suite, as its report has them."""
    results = Results(SuiteFolder.read(HERE / folder))
    (source,) = results.sources
    figure = learning_curves(results, source)
    assert figure is not None, "no run has begun"
    (IMAGES / f"{folder}-curves.png").write_bytes(to_png(figure))
    return results


def draw_transfer(folder: str) -> None:
    """Draw the curves and the matrix of a suite, as its report has them."""
    results = draw_curves(folder)
    (IMAGES / f"{folder}-matrix.png").write_bytes(to_png(transfer_matrix(results)))


def sources(folder: str) -> list[Path]:
    """List the folders of a suite's source runs, by seed."""
    return sorted((HERE / folder / "runs").glob("source-pong-seed-*"))


def main() -> None:
    """Draw everything."""
    with drawing():
        draw(
            "pong-ppo.png",
            "Atari's Pong with PPO: seeds 0, 1 (dashed) and 2 (dotted)",
            18,
            {"sum to zero": sources("pong-soup-short"), "orthogonal": sources("pong-orthogonal")},
        )
        learners = {
            name.upper(): sorted((HERE / "pong-to-15" / "runs").glob(f"{name}-on-pong-*"))
            for name in ("a3c", "a2c")
        }
        draw("pong-to-15.png", "Atari's Pong with A3C and A2C", 15, learners)
        draw_transfer("pong-soup-short")
        draw_curves("pong-soup-best")


if __name__ == "__main__":
    main()
