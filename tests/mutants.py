"""Breaks every number that reaches a page or a table, and sees which test notices.

`make mutants` applies each of `mutants_list.MUTANTS`: an operator (a sign, a bound, an index, a
mean made a median ...) at one place of one function, in a copy of the sources that comes first on
the path. A mutant is named by the function's symbol, `module:qualified name`, so that it survives
moves: a function that is no longer in its module is looked for in all others. For each the tests
that should notice are run, the first that fails is printed, and in the end how many were caught.

    python tests/mutants.py                 all
    python tests/mutants.py transfer area   those whose name has one of these words
    python tests/mutants.py --list          their names
"""

from __future__ import annotations

import argparse
import ast
import compileall
import multiprocessing
import os
import py_compile
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PRELOADED = ["torch", "numpy", "scipy.special", "gymnasium", "ale_py", "matplotlib.figure",
             "jinja2", "rich", "tyro", "hypothesis", "pytest", "imageio.v3"]  # fmt: skip
"""What tests import anyway; a process that has it is forked for each mutant."""


@dataclass(frozen=True)
class Mutant:
    """One change to one function.

    Attributes:
        symbol: `module:qualified name`, the module without `colonnade.`.
        operator: A key of `OPERATORS`.
        tests: Files under tests/ that should notice, the likeliest first; `file::test` for a test.
        arguments: Of the operator.
        place: Which of the places where the operator applies, from 0.
    """

    symbol: str
    operator: str
    tests: tuple[str, ...]
    arguments: tuple[str | int, ...] = ()
    place: int = 0

    @property
    def name(self) -> str:
        """What it is, in words."""
        words = " ".join(map(str, self.arguments))
        number = f" #{self.place}" if self.place else ""
        return f"{self.symbol}: {self.operator}{' ' + words if words else ''}{number}"


class NoSuchMutantError(Exception):
    """The symbol, or a place for the operator, is not there."""


# --- operators: each returns what a node becomes, or None where it does not apply -----------------


def _wrapped(value: ast.expr, how: str) -> ast.expr:
    """Change an expression's value; tuples change in every part."""
    if how == "reverse":
        if isinstance(value, ast.Tuple):
            return ast.Tuple(value.elts[::-1], ast.Load())
        return _call("tuple", _call("reversed", _call("tuple", value)))
    if isinstance(value, ast.Tuple):
        return ast.Tuple([_wrapped(part, how) for part in value.elts], ast.Load())
    if how == "one":
        return ast.Constant("1.00")
    if how == "transpose":
        numpy = ast.parse("__import__('numpy').transpose", mode="eval").body
        return ast.Call(numpy, [value], [])
    factor = {"negate": -1, "zero": 0, "double": 2}[how]
    return ast.BinOp(ast.Constant(factor), ast.Mult(), value)


def _call(name: str, *values: ast.expr) -> ast.expr:
    return ast.Call(ast.Name(name, ast.Load()), list(values), [])


def _result(how: str) -> Callable[..., ast.AST | None]:
    def change(node: ast.AST) -> ast.AST | None:
        if isinstance(node, ast.Return) and node.value is not None:
            return ast.Return(_wrapped(node.value, how))
        return None

    return change


def _argument(node: ast.AST, callee: str, index: int | str, how: str) -> ast.AST | None:
    """Change an argument of a call, by place or by keyword."""
    if not isinstance(node, ast.Call) or _last_name(node.func) != callee:
        return None
    if isinstance(index, int):
        if index >= len(node.args):
            return None
        args = [_wrapped(a, how) if i == index else a for i, a in enumerate(node.args)]
        return ast.Call(node.func, args, node.keywords)
    if index not in [k.arg for k in node.keywords]:
        return None
    keywords = [
        ast.keyword(k.arg, _wrapped(k.value, how)) if k.arg == index else k for k in node.keywords
    ]
    return ast.Call(node.func, node.args, keywords)


def _assigned(node: ast.AST, name: str, how: str) -> ast.AST | None:
    """Change what a name is given."""
    if isinstance(node, ast.Assign) and name in [ast.unparse(t) for t in node.targets]:
        return ast.Assign(node.targets, _wrapped(node.value, how))
    if isinstance(node, ast.AnnAssign) and node.value and ast.unparse(node.target) == name:
        return ast.AnnAssign(node.target, node.annotation, _wrapped(node.value, how), node.simple)
    return None


def _word(node: ast.AST, old: str, new: str) -> ast.AST | None:
    """Put one name, attribute or string in another's place."""
    if isinstance(node, ast.Name) and node.id == old and isinstance(node.ctx, ast.Load):
        return ast.Name(new, node.ctx)
    if isinstance(node, ast.Attribute) and node.attr == old and isinstance(node.ctx, ast.Load):
        return ast.Attribute(node.value, new, node.ctx)
    if isinstance(node, ast.Constant) and node.value == old:
        return ast.Constant(new)
    return None


def _median_for_mean(node: ast.AST) -> ast.AST | None:
    if not isinstance(node, ast.Call) or _last_name(node.func) != "mean":
        return None
    assert isinstance(node.func, ast.Attribute)
    own = [] if ast.unparse(node.func.value) == "np" else [node.func.value]
    median = ast.parse("__import__('numpy').median", mode="eval").body
    return ast.Call(median, [*own, *node.args], node.keywords)


def _binary(old: type[ast.operator], new: type[ast.operator]) -> Callable[..., ast.AST | None]:
    def change(node: ast.AST) -> ast.AST | None:
        if isinstance(node, ast.BinOp) and isinstance(node.op, old):
            return ast.BinOp(node.left, new(), node.right)
        if isinstance(node, ast.AugAssign) and isinstance(node.op, old):
            return ast.AugAssign(node.target, new(), node.value)
        return None

    return change


def _index(old: int, new: int) -> Callable[..., ast.AST | None]:
    def change(node: ast.AST) -> ast.AST | None:
        if isinstance(node, ast.Subscript) and ast.unparse(node.slice) == str(old):
            return ast.Subscript(node.value, ast.parse(str(new), mode="eval").body, node.ctx)
        return None

    return change


def _off_by_one(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.Constant) and type(node.value) is int:
        return ast.Constant(node.value + 1)
    return None


def _compare(pairs: dict[type[ast.cmpop], type[ast.cmpop]]) -> Callable[..., ast.AST | None]:
    def change(node: ast.AST) -> ast.AST | None:
        if isinstance(node, ast.Compare) and type(node.ops[0]) in pairs:
            return ast.Compare(
                node.left, [pairs[type(node.ops[0])](), *node.ops[1:]], node.comparators
            )
        return None

    return change


def _sign(node: ast.AST) -> ast.AST | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return None if isinstance(node.operand, ast.Constant) else node.operand
    return None


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


OPERATORS: dict[str, Callable[..., ast.AST | None]] = {
    "negated": _result("negate"),
    "zero": _result("zero"),
    "doubled": _result("double"),
    "transposed": _result("transpose"),
    "reversed": _result("reverse"),
    "argument": _argument,
    "assigned": _assigned,
    "word": _word,
    "median for mean": _median_for_mean,
    "plus for minus": _binary(ast.Sub, ast.Add),
    "minus for plus": _binary(ast.Add, ast.Sub),
    "times for over": _binary(ast.Div, ast.Mult),
    "over for times": _binary(ast.Mult, ast.Div),
    "last for first": _index(0, -1),
    "first for last": _index(-1, 0),
    "second for first": _index(0, 1),
    "first for second": _index(1, 0),
    "off by one": _off_by_one,
    "bound": _compare({ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt}),
    "comparison turned": _compare(
        {ast.Lt: ast.Gt, ast.LtE: ast.GtE, ast.Gt: ast.Lt, ast.GtE: ast.LtE, ast.Eq: ast.NotEq}
    ),
    "sign dropped": _sign,
}


class _Change(ast.NodeTransformer):
    """Applies an operator at its n-th place, in the order of the text."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant
        self.left = mutant.place

    def generic_visit(self, node: ast.AST) -> ast.AST:
        if self.left >= 0:
            changed = OPERATORS[self._mutant.operator](node, *self._mutant.arguments)
            if changed is not None:
                self.left -= 1
                if self.left < 0:
                    return ast.copy_location(changed, node)
        return super().generic_visit(node)


def find(tree: ast.AST, qualified: str) -> ast.FunctionDef | None:
    """Find a function by its qualified name."""
    node: ast.AST | None = tree
    for name in qualified.split("."):
        kinds = (ast.FunctionDef, ast.ClassDef)
        inside = [n for n in ast.walk(node) if isinstance(n, kinds) and n.name == name]
        if node is tree:
            assert isinstance(tree, ast.Module)
            inside = [n for n in tree.body if isinstance(n, kinds) and n.name == name]
        node = inside[0] if inside else None
        if node is None:
            return None
    return node if isinstance(node, ast.FunctionDef) else None


def mutated(mutant: Mutant, source: Path) -> tuple[Path, str]:
    """Apply a mutant to sources.

    Args:
        mutant: What to change.
        source: The folder that holds the package.

    Returns:
        The changed file, relative to `source`, and its new text.

    Raises:
        NoSuchMutantError: There is nothing to change.
    """
    module, qualified = mutant.symbol.split(":")
    own = source / "colonnade" / f"{module.replace('.', '/')}.py"
    places = [own] if own.exists() else []
    places += [path for path in sorted((source / "colonnade").rglob("*.py")) if path != own]
    holding = []
    for path in places:
        text = path.read_text()
        if qualified.rpartition(".")[2] in text and find(tree := ast.parse(text), qualified):
            holding.append((path, tree))
            if path == own:
                break
    if len(holding) != 1:
        found = ", ".join(str(path.relative_to(source)) for path, _ in holding) or "no module"
        raise NoSuchMutantError(f"{mutant.symbol} is not where it was, and {found} has it.")
    path, tree = holding[0]
    function = find(tree, qualified)
    assert function is not None
    change = _Change(mutant)
    function.body = [change.visit(statement) for statement in function.body]
    if change.left >= 0:
        raise NoSuchMutantError(f"{mutant.name} has no such place.")
    return path.relative_to(source), ast.unparse(ast.fix_missing_locations(tree))


# --- running --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What came of a mutant.

    Attributes:
        caught: The first test that failed; empty if all passed.
        trouble: Why no test could be run, if none could.
        seconds: How long it took.
    """

    caught: str
    trouble: str
    seconds: float


def _run(source: Path, tests: Sequence[str], mutant: Mutant | None) -> Outcome:
    """Run tests on a changed copy; in a process of its own, which ends afterwards."""
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="mutant-") as name:
        copy = Path(name) / "src"
        shutil.copytree(source, copy)
        try:
            if mutant is not None:
                path, text = mutated(mutant, copy)
                (copy / path).write_text(text)
        except NoSuchMutantError as error:
            return Outcome("", str(error), time.perf_counter() - began)
        caught, trouble = _pytest(copy, tests)
    return Outcome(caught, trouble, time.perf_counter() - began)


def _pytest(source: Path, tests: Sequence[str]) -> tuple[str, str]:
    os.chdir(ROOT)
    os.environ["PYTHONPATH"] = str(source)
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    sys.path.insert(0, str(source))
    sys.dont_write_bytecode = True
    silence = os.open(os.devnull, os.O_WRONLY)
    for stream in (1, 2):
        os.dup2(silence, stream)
    import pytest

    watch = _Watch()
    paths = [
        f"tests/{test}" for test in tests if (ROOT / "tests" / test.partition("::")[0]).exists()
    ]
    if not paths:
        return "", f"there is none of the tests {' '.join(tests)}"
    code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", *paths], plugins=[watch])
    import colonnade

    if not str(colonnade.__file__).startswith(str(source)):
        return "", f"the tests ran on {colonnade.__file__}, not on the changed copy"
    if code not in (0, 1):
        return "", f"pytest ended with {code}: {watch.trouble}"
    return watch.caught, ""


class _Watch:
    """Takes down the first test that fails."""

    def __init__(self) -> None:
        self.caught = self.trouble = ""

    def pytest_runtest_logreport(self, report: object) -> None:
        if getattr(report, "failed", False):
            self.caught = self.caught or str(getattr(report, "nodeid", "?"))

    def pytest_collectreport(self, report: object) -> None:
        if getattr(report, "failed", False):
            self.trouble = str(getattr(report, "longrepr", "")).strip().splitlines()[-1]


@contextmanager
def _compiled():  # type: ignore[no-untyped-def]
    """A copy of the sources, compiled so that a changed file is compiled anew."""
    with tempfile.TemporaryDirectory(prefix="mutants-") as name:
        source = Path(name) / "src"
        shutil.copytree(ROOT / "src", source, ignore=shutil.ignore_patterns("__pycache__"))
        checked = py_compile.PycInvalidationMode.CHECKED_HASH
        compileall.compile_dir(source, quiet=2, invalidation_mode=checked)
        yield source


def run(
    mutants: Sequence[Mutant], *, jobs: int = 2, say: Callable[[str], None] = print
) -> list[Mutant]:
    """Run mutants, and first the tests on sources as they are.

    Returns:
        The mutants that were not caught.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    survivors = []
    plain = list(dict.fromkeys(mutant.tests for mutant in mutants))
    with (
        _compiled() as source,
        ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=1) as pool,
    ):
        whole = [pool.submit(_run, source, tests, None) for tests in plain]
        changed = [pool.submit(_run, source, mutant.tests, mutant) for mutant in mutants]
        for tests, future in zip(plain, whole, strict=True):
            outcome = future.result()
            if outcome.caught or outcome.trouble:
                say(f"fails unchanged: {' '.join(tests)}: {outcome.caught or outcome.trouble}")
                survivors += [mutant for mutant in mutants if mutant.tests == tests]
        for mutant, future in zip(mutants, changed, strict=True):
            outcome = future.result()
            if outcome.caught:
                say(f"caught   {mutant.name}  by {outcome.caught}  ({outcome.seconds:.1f} s)")
            else:
                say(f"SURVIVED {mutant.name}  {outcome.trouble or ' '.join(mutant.tests)}")
                survivors.append(mutant)
    return list(dict.fromkeys(survivors))


def main() -> int:
    """Run the mutants asked for; 1 if any is left."""
    from mutants_list import MUTANTS

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("words", nargs="*", help="run those whose name has one of these")
    parser.add_argument("--list", action="store_true", help="print their names")
    parser.add_argument("--jobs", type=int, default=2, help="how many at once")
    given = parser.parse_args()
    chosen = [m for m in MUTANTS if not given.words or any(w in m.name for w in given.words)]
    if given.list:
        print("\n".join(mutant.name for mutant in chosen))
        return 0
    survivors = run(chosen, jobs=given.jobs, say=lambda line: print(line, flush=True))
    print(f"{len(chosen) - len(survivors)} of {len(chosen)}")
    return 1 if survivors or not chosen else 0


if __name__ == "__main__":
    sys.exit(main())
