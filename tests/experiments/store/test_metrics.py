import json
import math
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.errors import ColonnadeError
from colonnade.experiments.store.metrics import MetricsFile, read_metrics

rows = st.lists(
    # Fields of their own: those of the store must hold what they should.
    st.dictionaries(
        st.text(max_size=5).map("own {}".format), st.integers() | st.text(max_size=5) | st.none()
    ),
    max_size=6,
)


@given(rows, st.data())
def test_rewinding_drops_exactly_the_later_rows(
    tmp_path_factory: pytest.TempPathFactory, written: list[dict[str, object]], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("metrics") / "metrics.jsonl"
    keep = data.draw(st.integers(0, len(written)))
    file = MetricsFile(path)
    for row in written:
        file.append(row)
    file.rewind(keep)
    file.append({"after": 1})
    assert file.rows == keep + 1
    file.close()
    assert read_metrics(path) == [*written[:keep], {"after": 1}]


@given(rows, st.integers(1, 30))
def test_a_line_cut_anywhere_costs_that_line_alone(
    tmp_path_factory: pytest.TempPathFactory, written: list[dict[str, object]], cut: int
) -> None:
    path = tmp_path_factory.mktemp("metrics") / "metrics.jsonl"
    last = json.dumps({"kind": "curve", "task": "the last one, torn"})
    whole = "".join(json.dumps(row) + "\n" for row in written)
    path.write_text(whole + last[:cut])
    assert read_metrics(path) == written
    assert path.read_text() == whole + last[:cut], "reading changes nothing"
    file = MetricsFile(path)
    assert file.cut
    assert file.rows == len(written)
    file.append({"next": True})
    file.close()
    assert read_metrics(path) == [*written, {"next": True}]


def test_rows_are_on_the_disk_and_not_in_memory(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl")
    row = {f"measure {number}": number + 0.5 for number in range(10)}
    tracemalloc.start()
    for step in range(5_000):
        file.append(row | {"step": step})
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 200_000, "a row is a kilobyte: a run of days would hold gigabytes"
    assert [found["step"] for found in file.content()] == list(range(5_000))
    file.rewind(7)
    assert len(file.content()) == file.rows == 7


def test_numbers_that_are_not_finite_are_null(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl")
    file.append({"loss": math.nan, "norm": math.inf, "step": 3})
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"loss": None, "norm": None, "step": 3}]


@pytest.mark.parametrize("damage", ["{torn", "[]", "\x00\x00", ""])
def test_a_damaged_line_in_the_middle_is_named(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(f'{{"a":1}}\n{damage}\n{{"a":3}}\n')
    with pytest.raises(ColonnadeError, match=r"Line 2 of .* is damaged"):
        read_metrics(path)
    with pytest.raises(ColonnadeError, match="Line 2"):
        MetricsFile(path)


def test_fewer_rows_than_the_checkpoint_counts(tmp_path: Path) -> None:
    with pytest.raises(ColonnadeError, match=r"holds 0 rows, but its checkpoint .* after 5"):
        MetricsFile(tmp_path / "metrics.jsonl").rewind(5)
