"""What is said of methods: those that meet in a picture look different, and a user's own count."""

import pytest

from colonnade.experiments.methods import METHODS, in_order, method_of, sequence_title

LOOKING_BACK = ("ewc", "ewc-one-anchor", "ewc-online", "l2", "dropout", "finetune", "progressive")


@pytest.mark.parametrize(
    "family",
    [
        [key for key, method in METHODS.items() if method.transfer],
        [*LOOKING_BACK, "scratch"],
        ["scratch", "path-finetune", "pathnet-alone", "pathnet"],
    ],
)
def test_methods_that_meet_have_colours_of_their_own(family: list[str]) -> None:
    assert len(family) > 3
    assert len({method_of(key).colour for key in family}) == len(family)


def test_a_users_own_method_has_its_name_and_a_colour_and_stands_behind() -> None:
    own = method_of("mine")
    assert (own.title, sequence_title("mine", labelled=True)) == ("mine", "mine")
    assert own.colour == method_of("mine").colour
    assert method_of("progressive-7").title == "Progressive, 7 columns"
    assert in_order(["mine", "pathnet", "progressive-7", "progressive-2", "scratch"]) == [
        "scratch", "progressive-2", "progressive-7", "pathnet", "mine",
    ]  # fmt: skip


def test_finetuning_is_called_sgd_where_labels_are_learned() -> None:
    assert sequence_title("finetune", labelled=True) == "SGD"
    assert sequence_title("finetune", labelled=False) == "Finetuning"
    assert sequence_title("scratch", labelled=False) == "Single tasks"
