"""What is said of methods: those that meet in a picture look different, and a user's own count."""

import pytest

from colonnade.experiments.method_titles import METHODS, in_order, method_of, sequence_title

LOOKING_BACK = (
    "ewc", "ewc-one-anchor", "ewc-online", "l2", "dropout", "replay", "joint", "finetune",
    "progressive",
)  # fmt: skip


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


def test_the_papers_table_stands_beside() -> None:
    """Rusu et al. 2016, Table 1: mean and median of Pong Soup, Atari and Labyrinth."""
    table = {
        "scratch": ((100, 100), (100, 100), (100, 100)),
        "output-only": ((35, 7), (41, 21), (88, 85)),
        "finetune": ((181, 160), (133, 110), (235, 112)),
        "random-column": ((134, 131), (96, 95), (185, 108)),
        "progressive-2": ((209, 169), (132, 112), (491, 115)),
    }
    for key, (pong_soup, atari, labyrinth) in table.items():
        assert method_of(key).transfer == {
            "Pong Soup": pong_soup, "Atari": atari, "Labyrinth": labyrinth,
        }  # fmt: skip
    assert method_of("progressive-3").transfer == {"Pong Soup": (222, 183), "Atari": (140, 111)}
    assert method_of("progressive-4").transfer == {"Atari": (141, 116)}


def test_finetuning_is_called_sgd_where_labels_are_learned() -> None:
    assert sequence_title("finetune", labelled=True) == "SGD"
    assert sequence_title("finetune", labelled=False) == "Finetuning"
    assert sequence_title("scratch", labelled=False) == "Single tasks"
