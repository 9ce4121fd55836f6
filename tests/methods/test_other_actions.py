"""Outputs that would come to mean other actions are refused, even if they are as many."""

import gymnasium
import pytest

from colonnade.errors import UsageError
from colonnade.methods import EWC, Finetune, Progressive
from colonnade.networks import ColumnSpec, Dense
from colonnade.types import TaskSpec

SEEN = gymnasium.spaces.Box(-1, 1, (3,))
FOUR = TaskSpec("four", SEEN, gymnasium.spaces.Discrete(4), 100)
ARMS = TaskSpec("arms", SEEN, gymnasium.spaces.Box(-1, 1, (2,)), 100)
PAIR = TaskSpec("pair", SEEN, gymnasium.spaces.MultiDiscrete([2, 2]), 100)
COPY = ColumnSpec((Dense(4),), output_init="copy", output_laterals="linear")
PLAIN = ColumnSpec((Dense(4),))


@pytest.mark.parametrize("method", [Finetune, EWC, Progressive], ids=lambda m: m.__name__)
@pytest.mark.parametrize(("first", "second"), [(FOUR, ARMS), (FOUR, PAIR), (ARMS, FOUR)])
def test_other_actions_of_as_many_outputs_are_refused(method, first, second):
    assert first.outputs == second.outputs == 5
    made = method(COPY if method is Progressive else PLAIN)
    made.begin_task(first)
    later = method(COPY if method is Progressive else PLAIN)
    later.load_state(*made.state())
    for one in (made, later):
        with pytest.raises(UsageError, match=r"has actions .*, but the column .* was made for"):
            one.begin_task(second)
        assert list(one.columns) == [first.id]
    tensors, meta = made.state()
    del meta["choices"]  # as of an earlier version, which does not say
    later.load_state(tensors, meta)
    later.begin_task(second)
    assert set(later.columns) == {first.id, second.id}


@pytest.mark.parametrize("method", [Finetune, EWC], ids=lambda m: m.__name__)
def test_a_column_that_moves_on_is_given_inputs_of_the_same_shape(method):
    made = method(PLAIN)
    made.begin_task(FOUR)
    wider = TaskSpec("wider", gymnasium.spaces.Box(-1, 1, (5,)), FOUR.action_space, 100)
    sentence = r"moves on to task 'wider' .* 'observation' of shape \(3,\), .* one of shape \(5,\);"
    with pytest.raises(UsageError, match=sentence):
        made.begin_task(wider)
    two = gymnasium.spaces.Dict({"left": SEEN, "right": SEEN})
    with pytest.raises(UsageError, match=r"shape \(3,\), but this task has none;"):
        made.begin_task(TaskSpec("two", two, FOUR.action_space, 100))
    assert list(made.columns) == [FOUR.id]
    more = gymnasium.spaces.Dict({"observation": SEEN, "unread": SEEN})
    made.begin_task(TaskSpec("more", more, FOUR.action_space, 100))
    assert list(made.columns) == [FOUR.id, "more"]


def test_a_column_with_an_output_layer_of_its_own_may_have_others():
    made = Progressive(PLAIN)
    for spec in (FOUR, ARMS, PAIR):
        made.begin_task(spec)
    assert made.choices == (2, 2)
    assert all(made.network.column(at).outputs == 5 for at in range(3))


@pytest.mark.parametrize("method", [Finetune, EWC, Progressive], ids=lambda m: m.__name__)
def test_a_task_that_begins_again_is_the_last(method):
    made = method(PLAIN)
    other = TaskSpec("other", SEEN, FOUR.action_space, 100)
    for spec in (FOUR, other, FOUR):
        made.begin_task(spec)
    assert list(made.columns) == ["other", "four"]
