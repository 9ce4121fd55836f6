"""`make mutants` in short: its operators, its list, and that it tells caught from not caught."""

import ast
import shutil
from pathlib import Path

import pytest

from mutants import OPERATORS, ROOT, Mutant, NoSuchMutantError, mutated, run
from mutants_list import MUTANTS

SOURCE = '''
import numpy as np

def total(values, reverse=False):
    """Docstring."""
    best = -np.sort(-values)[0]
    if best > 1:
        return best - 2, values.mean(axis=0) / 3
    return np.mean(values[-1]), "trained"

class Kind:
    @property
    def score(self):
        return self.low * plot(1, key=self.low)
'''


@pytest.fixture
def toy(tmp_path: Path) -> Path:
    (tmp_path / "colonnade").mkdir()
    (tmp_path / "colonnade" / "toy.py").write_text(SOURCE)
    return tmp_path


@pytest.mark.parametrize(
    ("symbol", "operator", "arguments", "place", "line"),
    [
        ("total", "sign dropped", (), 0, "best = np.sort(-values)[0]"),
        ("total", "sign dropped", (), 1, "best = -np.sort(values)[0]"),
        ("total", "last for first", (), 0, "best = -np.sort(-values)[-1]"),
        ("total", "first for last", (), 0, "return (np.mean(values[0]), 'trained')"),
        ("total", "bound", (), 0, "if best >= 1:"),
        ("total", "comparison turned", (), 0, "if best < 1:"),
        ("total", "off by one", (), 1, "if best > 2:"),
        ("total", "plus for minus", (), 0, "return (best + 2, values.mean(axis=0) / 3)"),
        ("total", "times for over", (), 0, "return (best - 2, values.mean(axis=0) * 3)"),
        ("total", "median for mean", (), 1,
         "return (__import__('numpy').median(values[-1]), 'trained')"),
        ("total", "median for mean", (), 0,
         "return (best - 2, __import__('numpy').median(values, axis=0) / 3)"),
        ("total", "reversed", (), 0, "return (values.mean(axis=0) / 3, best - 2)"),
        ("total", "negated", (), 1, "return (-1 * np.mean(values[-1]), -1 * 'trained')"),
        ("total", "word", ("trained", "random"), 0, "return (np.mean(values[-1]), 'random')"),
        ("total", "assigned", ("best", "double"), 0, "best = 2 * -np.sort(-values)[0]"),
        ("Kind.score", "word", ("low", "high"), 1, "return self.low * plot(1, key=self.high)"),
        ("Kind.score", "argument", ("plot", 0, "zero"), 0,
         "return self.low * plot(0 * 1, key=self.low)"),
        ("Kind.score", "argument", ("plot", "key", "one"), 0,
         "return self.low * plot(1, key='1.00')"),
        ("Kind.score", "over for times", (), 0, "return self.low / plot(1, key=self.low)"),
    ],
)  # fmt: skip
def test_an_operator_changes_one_place(toy, symbol, operator, arguments, place, line):
    path, text = mutated(Mutant(f"toy:{symbol}", operator, (), arguments, place), toy)
    assert path == Path("colonnade/toy.py")
    before = ast.unparse(ast.parse(SOURCE)).splitlines()
    (changed,) = [new for old, new in zip(before, text.splitlines(), strict=True) if old != new]
    assert changed.strip() == line


def test_a_function_is_found_where_it_has_moved_to(toy):
    (toy / "colonnade" / "other").mkdir()
    shutil.move(toy / "colonnade" / "toy.py", toy / "colonnade" / "other" / "new.py")
    mutant = Mutant("toy:Kind.score", "zero", ())
    assert mutated(mutant, toy)[0] == Path("colonnade/other/new.py")
    with pytest.raises(NoSuchMutantError, match="no module has it"):
        mutated(Mutant("toy:Kind.gone", "zero", ()), toy)
    with pytest.raises(NoSuchMutantError, match="has no such place"):
        mutated(Mutant("toy:Kind.score", "zero", (), place=1), toy)


def test_every_mutant_of_the_list_is_there():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 30
    assert {mutant.operator for mutant in MUTANTS} <= set(OPERATORS)
    for mutant in MUTANTS:
        _, text = mutated(mutant, ROOT / "src")
        assert text
        assert all((ROOT / "tests" / test.partition("::")[0]).exists() for test in mutant.tests), (
            mutant.name
        )


@pytest.mark.slow
def test_what_is_caught_and_what_is_not():
    symbol, right = "analysis.continual:forgetting", ("analysis/test_continual.py",)
    caught = Mutant(symbol, "negated", right, place=1)
    missed = Mutant(symbol, "negated", ("analysis/test_aggregates.py",), place=1)
    gone = Mutant("analysis.continual:remembering", "negated", right)
    said: list[str] = []
    assert run([caught, missed, gone], say=said.append) == [missed, gone]
    assert said[0].startswith("caught   analysis.continual:forgetting: negated #1  by tests/")
    assert "test_continual.py::test_by_hand" in said[0]
    assert said[1].startswith("SURVIVED analysis.continual:forgetting")
    assert "is not where it was" in said[2]
