"""Methods by name, and what is wrong with a name or an option."""

import pytest

from colonnade.errors import UsageError
from colonnade.methods import (
    METHODS,
    Progressive,
    RandomColumn,
    adds_columns,
    method_from_name,
)


def test_every_name_makes_its_method():
    for name, kind in METHODS.items():
        assert type(method_from_name(name)) is kind


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("progresive", {}, "did you mean 'progressive'"),
        ("random-column", {"random_column": 2}, "did you mean 'random_columns'"),
        ("scratch", {"colum": None}, "did you mean 'column'"),
        ("random-column", {"random_columns": 0}, "a whole number at least 1; got 0"),
    ],
)
def test_mistakes_are_named(name, options, message):
    with pytest.raises(UsageError, match=message):
        method_from_name(name, **options)


def test_a_task_that_was_never_begun_has_no_network():
    with pytest.raises(UsageError, match="No column plays task 'chess'; tasks begun so far: none"):
        RandomColumn().network_for("chess")


def test_a_users_kind_of_progressive_networks_adds_columns_too(monkeypatch):
    class Mine(Progressive):
        pass

    monkeypatch.setitem(METHODS, "mine", Mine)
    assert [name for name in METHODS if adds_columns(name)] == ["progressive", "mine"]
