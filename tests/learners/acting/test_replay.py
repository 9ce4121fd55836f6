"""The replay against a memory that keeps everything; each known trap of replays has its test."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from remembered import EverythingKept, Experience

from colonnade.errors import UsageError
from colonnade.learners.acting import memory
from colonnade.learners.acting.replay import Replay
from colonnade.learners.acting.replay_size import replay_bytes
from colonnade.learners.acting.timing import crossings

INPUTS = {"observation": ((4, 2, 2), torch.uint8), "kept": ((16,), torch.float32)}
SCREEN = {"observation": ((4, 84, 84), torch.uint8)}


def filled(steps, *, capacity=1000, envs=1, seed=0, **how):
    """A replay, the slow memory and the experience that both were given."""
    experience = Experience(seed, envs, **how)
    replay, slow = Replay(capacity, envs, INPUTS), EverythingKept(envs)
    for one in (replay, slow):
        one.begin(experience.inputs())
    play(steps, experience, replay, slow)
    return replay, slow, experience


def play(steps, experience, *memories):
    for _ in range(steps):
        step = experience.step()
        for one in memories:
            one.add(**step)


def same_transitions(replay, slow, n=1, gamma=0.9):
    """Compare all that can be drawn with the newest of the slow memory, in order; count it."""
    places = replay.places(n)
    found = replay.at(places, n=n, gamma=gamma)
    row = 0
    for env, steps in enumerate(slow.steps):
        true = [slow.transition(env, t, n, gamma) for t in range(len(steps))]
        true = [one for one in true if one is not None]
        count = int((places[:, 0] == env).sum())
        for seen, action, total, discount, then in true[len(true) - count :]:
            assert int(found.actions[row, 0]) == action
            assert float(found.returns[row]) == pytest.approx(total, abs=1e-5)
            assert float(found.discounts[row]) == pytest.approx(discount)
            for name in INPUTS:
                assert found.inputs[name][row].equal(seen[name])
                if discount or name == "kept":
                    assert found.next_inputs[name][row].equal(then[name])
            row += 1
    return row


@given(
    seed=st.integers(0, 10**6),
    capacity=st.integers(3, 60),
    envs=st.integers(1, 3),
    steps=st.integers(0, 80),
    n=st.integers(1, 5),
    end=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    start=st.sampled_from(["black", "same", "all"]),
)
def test_every_transition_is_as_it_was(seed, capacity, envs, steps, n, end, start):
    replay, slow, _ = filled(steps, capacity=capacity, envs=envs, seed=seed, end=end, start=start)
    count = same_transitions(replay, slow, n)
    assert count <= len(replay) <= envs * -(-capacity // envs)
    if not end:  # nothing begins or ends: exactly the last steps are held
        share = min(steps, -(-capacity // envs))
        assert len(replay) == envs * share
        true = [
            slow.transition(e, t, n, 0.9) for e in range(envs) for t in range(steps - share, steps)
        ]
        assert count == sum(one is not None for one in true)


def test_stacks_cross_neither_starts_nor_the_write_head():  # trap 1
    replay, slow, experience = filled(0, capacity=20, end=0.2, start="all")
    for _ in range(200):
        play(1, experience, replay, slow)
        assert same_transitions(replay, slow) >= min(len(slow.steps[0]), 4)


def test_a_truncated_episode_goes_on_from_its_own_final_observation():  # trap 2
    replay, slow, _ = filled(60, end=0.3, cut=1.0, life=0.0)
    found = replay.at(replay.places())
    ends = [t for t, step in enumerate(slow.steps[0][:-1]) if step[4]]
    assert len(ends) > 5
    for t in ends:
        assert float(found.discounts[t]) == pytest.approx(0.99)
        assert found.next_inputs["observation"][t].equal(slow.steps[0][t][5]["observation"])
        assert not found.next_inputs["observation"][t].equal(found.inputs["observation"][t + 1])


def test_a_step_is_one_transition_and_an_end_makes_no_more():  # trap 3
    replay, _, _ = filled(50, end=0.4)
    assert len(replay) == len(replay.places()) == 50
    newest = replay.sample(50, torch.Generator().manual_seed(0)).inputs["observation"]
    assert newest[:, -1, 1].equal(torch.tensor([7, 9], dtype=torch.uint8).expand(50, 2))


def test_n_steps_are_discounted_to_the_end_of_the_episode_and_no_further():  # trap 4
    replay = Replay(10, 1, {"observation": ((2,), torch.float32)})
    replay.begin({"observation": torch.zeros(1, 2)})
    for t, (reward, truncated) in enumerate([(1, False), (2, False), (4, True), (8, False)]):
        replay.add(
            torch.zeros(1, 1, dtype=torch.long),
            torch.tensor([float(reward)]),
            torch.tensor([False]),
            torch.tensor([truncated]),
            {"observation": torch.full((1, 2), t + 1.0)},
            final={"observation": torch.full((1, 2), 50.0)},
        )
    found = replay.at(replay.places(3), n=3, gamma=0.5)
    assert found.returns.tolist() == [1 + 1 + 1, 2 + 2, 4]  # and none from the newest step
    assert found.discounts.tolist() == [0.125, 0.25, 0.5]
    assert found.next_inputs["observation"][:, 0].tolist() == [50, 50, 50]
    assert replay.at(replay.places(2), n=2, gamma=0.5).discounts.tolist() == [0.25, 0.25, 0.5]


def test_a_timer_counts_agent_steps_whatever_the_environments():  # trap 5
    for envs in (1, 3, 8, 7000):
        counts = [crossings(t, t + envs, 7500) for t in range(0, 10 * 7500 * envs, envs)]
        assert sum(counts) == 10 * envs
        assert sum(counts[: -(-7500 // envs) - 1]) == 0  # none before its time
    assert crossings(7499, 7500, 7500) == crossings(0, 7500, 7500) == 1
    assert crossings(7500, 7501, 7500) == crossings(5, 5, 7500) == 0
    with pytest.raises(UsageError, match="every must be a whole number at least 1; got 0"):
        crossings(0, 1, 0)


@given(st.integers(0, 70), st.integers(1, 3), st.sampled_from([0.0, 0.3]))
def test_it_goes_on_bit_for_bit_and_equal_content_has_equal_bytes(steps, envs, end):  # trap 6
    replay, slow, experience = filled(steps, capacity=40, envs=envs, end=end)
    tensors, meta = replay.state()
    again = Replay(40, envs, INPUTS)
    again.load_state({k: v.clone() for k, v in tensors.items()}, meta)
    assert (again.seen, len(again)) == (replay.seen, len(replay)) == (steps * envs, len(replay))
    play(25, experience, replay, slow, again)
    assert same_transitions(again, slow) == len(replay)
    first, second = replay.state(), again.state()
    assert first[1] == second[1]
    assert first[0].keys() == second[0].keys()
    assert all(value.equal(second[0][name]) for name, value in first[0].items())
    drawn = [one.sample(16, torch.Generator().manual_seed(3), n=2) for one in (replay, again)]
    assert drawn[0].returns.equal(drawn[1].returns)
    assert drawn[0].next_inputs["observation"].equal(drawn[1].next_inputs["observation"])


def test_what_was_not_filled_is_never_drawn():  # trap 7
    replay, _, _ = filled(10, capacity=5000)
    batch = replay.sample(10, torch.Generator().manual_seed(0))
    assert batch.inputs["observation"].flatten(1).any(1).all()
    with pytest.raises(UsageError, match="holds 10 steps can't give a batch of 11"):
        replay.sample(11, torch.Generator())


def test_draws_end_where_hardly_any_step_begins_a_transition():
    replay = Replay(4000, 1, {"observation": ((2,), torch.float32)})

    def visit(steps):
        replay.begin({"observation": torch.zeros(1, 2)})
        for _ in range(steps):
            no, after = torch.tensor([False]), {"observation": torch.ones(1, 2)}
            replay.add(torch.zeros(1, 1, dtype=torch.long), torch.ones(1), no, no, after)

    for _ in range(600):
        visit(2)
    with pytest.raises(UsageError, match="holds no transition of 3"):
        replay.sample(8, torch.Generator(), n=3)
    visit(3)
    assert replay.sample(8, torch.Generator(), n=3, gamma=1.0).returns.tolist() == [3.0] * 8


def test_all_are_drawn_equally_often():
    for steps in (40, 3000):  # listed; drawn and repeated
        replay, _, _ = filled(steps, capacity=4000, envs=2, end=0.3)
        batch = replay.sample(len(replay), torch.Generator().manual_seed(1))
        seen = {tuple(x.flatten().tolist()) for x in batch.inputs["observation"]}
        assert len(seen) == pytest.approx((1 - np.exp(-1)) * len(replay), rel=0.12)


def test_nobody_elses_memory_is_shared():  # trap 8
    replay, slow, experience = filled(20, end=0.2)
    step = experience.step()
    copies = {k: v.clone() if isinstance(v, torch.Tensor) else v for k, v in step.items()}
    for key in ("inputs", "final"):
        copies[key] = {k: v.clone() for k, v in step[key].items()}
    replay.add(**step)
    slow.add(**copies)
    for key in ("inputs", "final"):
        for value in step[key].values():
            value.zero_()  # as an environment does that writes to its buffer again
    batch = replay.sample(10, torch.Generator().manual_seed(0))
    batch.inputs["observation"].zero_()
    assert same_transitions(replay, slow) == 21


def test_a_lost_life_ends_the_value_and_not_the_episode():  # trap 9
    replay, slow, experience = filled(0, end=0.0, life=0.3)
    for _ in range(40):
        step = experience.step()
        slow.add(**step)
        replay.add(**step | {"final": None})  # no episode ends, so there is none
    found = replay.at(replay.places())
    lost = [t for t, step in enumerate(slow.steps[0][:-1]) if step[3]]
    assert len(lost) > 5
    for t in lost:
        assert found.discounts[t] == 0
        after = found.inputs["observation"][t + 1]
        assert after[:-1].equal(found.inputs["observation"][t][1:])  # frames go on
    assert same_transitions(replay, slow, 4) == len(replay.places(4)) >= 36


@pytest.mark.parametrize("n", [1, 3])
def test_what_came_after_a_switch_is_dropped_and_the_rest_stays(n):  # trap 10
    replay, slow, experience = filled(50, envs=2, end=0.1)
    replay.drop_newest(16)
    for steps in slow.steps:
        del steps[-16:]
    assert len(replay) == 68
    assert same_transitions(replay, slow, n) == len(replay.places(n)) >= 68 - 2 * (n - 1)
    replay.begin(experience.inputs())  # a return, with environments of another trainer
    later = EverythingKept(2)
    later.begin(experience.inputs())
    play(30, experience, replay, later)
    for kept, new in zip(slow.steps, later.steps, strict=True):
        kept.extend(new)
    assert len(replay) == 128
    assert replay.seen == 160
    if n == 1:
        assert same_transitions(replay, slow) == 128


def test_a_step_takes_at_most_7300_bytes():
    for envs in (1, 8):
        assert replay_bytes(50_000, envs, SCREEN) / 50_000 <= 7300
    replay = Replay(500, 2, INPUTS, actions=2)
    stores = [*replay._stores.values(), replay._done]
    real = sum(
        (x.nbytes if isinstance(x, np.ndarray) else x.numel() * x.element_size())
        for store in [*stores, replay]
        for x in vars(store).values()
        if isinstance(x, np.ndarray | torch.Tensor)
    )
    assert replay_bytes(500, 2, INPUTS, actions=2) == pytest.approx(real, rel=0.01)


def test_the_spare_room_suffices_for_episodes_of_a_hundred_steps():
    frames = {"observation": ((4, 2, 2), torch.uint8)}
    replay, experience = Replay(2000, 1, frames), Experience(0, 1, end=0.0, life=0.0)
    replay.begin(experience.inputs())
    for t in range(5000):
        step = experience.step()
        if t % 100 == 99:
            step["truncated"] = step["ended"] = torch.tensor([True])
            experience.stacks[0] = experience._start()
            step["inputs"] = experience.inputs()
        replay.add(**step)
    assert len(replay) == 2000


def test_memory_that_will_not_do_is_refused_before_it_is_taken(monkeypatch):
    monkeypatch.setattr(memory, "free_memory", lambda: 10**9)
    with pytest.raises(UsageError) as refusal:
        Replay(1_000_000, 1, SCREEN, name="task 'pong'")
    assert str(refusal.value) == (
        "The replay of task 'pong' with 1,000,000 steps needs 7.22 GB of memory, but 1.00 GB are "
        "free; give it fewer steps (replay)."
    )
    Replay(100_000, 1, SCREEN)


def test_a_machine_says_what_is_free():
    free = memory.free_memory()
    assert free is None or 10**6 < free < 10**15


def test_what_a_container_keeps_of_files_is_free(tmp_path, monkeypatch):
    for name, content in (
        ("memory.max", "8000000000\n"),
        ("memory.current", "7900000000\n"),
        ("memory.stat", "anon 400000000\ninactive_file 7500000000\nactive_file 0\n"),
    ):
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    assert memory._of_container() == 8_000_000_000 - 400_000_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._of_container() is None


def test_what_makes_no_sense_is_refused():
    with pytest.raises(UsageError, match="capacity of a replay must be a whole number"):
        Replay(0, 1, INPUTS)
    with pytest.raises(UsageError, match="2 steps can't be shared by 3 environments"):
        Replay(2, 3, INPUTS)
    replay, experience = Replay(10, 1, INPUTS), Experience(0, 1, end=1.0)
    step = experience.step()
    with pytest.raises(UsageError, match=r"first observations by begin\(\)"):
        replay.add(**step)
    replay.begin(experience.inputs())
    with pytest.raises(UsageError, match="not given its final observation"):
        replay.add(**{**step, "final": None})
    with pytest.raises(
        UsageError, match=r"keeps 'kept' as \[1, 16\] of torch.float32, but got not"
    ):
        replay.begin({"observation": step["inputs"]["observation"]})
    wrong = {**step["inputs"], "observation": step["inputs"]["observation"].float()}
    with pytest.raises(UsageError, match=r"got \[1, 4, 2, 2\] of torch.float32"):
        replay.begin(wrong)
    with pytest.raises(UsageError, match="can't take up one of 1 with 10"):
        Replay(12, 1, INPUTS).load_state(*replay.state())
