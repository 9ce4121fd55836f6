"""The script that draws the recorded curves."""

import json
import runpy
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "results" / "pictures.py"


def test_returns_are_means_of_the_last_hundred_episodes(tmp_path: Path) -> None:
    recent_returns = runpy.run_path(str(SCRIPT))["recent_returns"]
    bins = [(10, 60, -20.0), (20, 0, None), (30, 50, -10.0), (40, 80, 10.0), (50, 200, 15.0)]
    rows = [
        {"kind": "curve", "step": step * 1000, "episodes": episodes, "return_mean": mean}
        for step, episodes, mean in bins
    ]
    rows.append({"kind": "evaluation", "step": 50_000, "episodes": 30, "return_mean": 99.0})
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    curve = recent_returns(tmp_path)

    # 50 of -10 and 50 of -20; 80 of 10 and 20 of -10; 100 of the last bin alone.
    assert curve == [
        (pytest.approx(0.03), pytest.approx(-15.0)),
        (pytest.approx(0.04), pytest.approx(6.0)),
        (pytest.approx(0.05), pytest.approx(15.0)),
    ]
