"""EWC where tasks come back: a penalty a task, replaced, released, and begun late."""

import json

import pytest
import torch

from colonnade.errors import UsageError
from colonnade.learners import A2C
from colonnade.methods import EWC, L2
from colonnade.networks import ColumnSpec, Dense
from colonnade.tasks import MiniPongTask
from colonnade.training import TrainingOptions, Visit, train_sequence

COLUMN = ColumnSpec((Dense(3),))
TASKS = {name: MiniPongTask(name).spec for name in ("pong", "black", "zoom")}


class Scripted:
    """Plays visits by hand: where the parameters are and how firmly each end holds them."""

    def __init__(self, method, lam):
        self.method, self.lam = method, lam
        self.curvatures = iter(torch.rand(20, generator=torch.Generator().manual_seed(1)) + 0.5)
        self.held: dict[str, list[tuple[float, float]]] = {}
        self.place = 0.0
        method.curvature = lambda samples, likelihood: {
            name: torch.full_like(p, self.firm) for name, p in method.network.named_parameters()
        }

    def begin(self, name):
        spec = TASKS[name]
        known = spec.id in self.method.columns
        self.method.revisit(spec) if known else self.method.begin_task(spec)

    def end(self, name, steps=100):
        self.firm = float(next(self.curvatures))
        self.method.on_steps(steps)
        self.move_to(self.place + 1.0)
        self.method.end_task(iter(()), lambda output: None)
        self.held.setdefault(name, []).append((self.firm, self.place))

    def move_to(self, place):
        self.place = place
        with torch.no_grad():
            for p in self.method.network.parameters():
                p.fill_(place)

    def expected(self, terms):
        """(lam / 2) sum_k F_k |theta - a_k|^2, term by term."""
        count = sum(p.numel() for p in self.method.network.parameters())
        return sum(self.lam / 2 * f * count * (self.place - a) ** 2 for f, a in terms)

    def check(self, terms):
        found = self.method.penalty()
        if not terms:
            assert found is None
            return
        assert float(found.detach()) == pytest.approx(self.expected(terms), rel=1e-5)


@pytest.mark.parametrize("own", ["added", "replaced", "released"])
def test_what_holds_during_each_visit_and_after_it(own):
    script = Scripted(EWC(COLUMN, lam=3.0, own=own), 3.0)
    held = script.held
    for name in ("pong", "black"):
        script.begin(name)
        script.end(name)
    script.begin("pong")
    script.move_to(5.0)
    black = held["black"]
    script.check(black if own == "released" else held["pong"] + black)
    script.end("pong")
    script.move_to(-2.0)
    script.check(black + (held["pong"] if own == "added" else held["pong"][-1:]))
    script.begin("zoom")  # a new task: all others hold
    script.check(black + (held["pong"] if own == "added" else held["pong"][-1:]))


@pytest.mark.parametrize("own", ["added", "released"])
def test_a_task_is_held_from_so_many_steps_of_its_own_on(own):
    script = Scripted(EWC(COLUMN, lam=2.0, own=own, start=150), 2.0)
    script.begin("pong")
    script.end("pong", steps=100)
    script.check([])
    script.begin("black")
    script.end("black", steps=149)
    script.check([])
    script.begin("pong")
    script.end("pong", steps=50)  # its 150th
    script.begin("zoom")
    script.move_to(9.0)
    script.check(script.held["pong"][-1:])
    assert script.method.consolidation.tasks == 1


def test_a_state_comes_back_in_the_middle_of_a_return():
    script = Scripted(EWC(COLUMN, lam=2.0, own="released", start=10), 2.0)
    for name in ("zoom", "pong", "black"):
        script.begin(name)
        script.end(name)
    script.begin("pong")
    script.method.on_steps(4)
    script.move_to(7.0)
    tensors, meta = script.method.state()
    again = EWC(COLUMN, lam=2.0, own="released", start=10)
    again.load_state(
        {name: tensors[name].clone() for name in sorted(tensors)},
        json.loads(json.dumps(meta, sort_keys=True)),
    )
    assert torch.equal(again.penalty(), script.method.penalty())
    assert again.state()[1] == meta
    both = [(method, Scripted.__new__(Scripted)) for method in (again, script.method)]
    values = []
    for method, _ in both:
        method.curvature = lambda samples, likelihood, m=method: {
            name: torch.full_like(p, 0.7) for name, p in m.network.named_parameters()
        }
        method.end_task(iter(()), lambda output: None)
        with torch.no_grad():
            for p in method.network.parameters():
                p.fill_(1.25)
        values.append(method.penalty())
    assert torch.equal(*values)


def test_a_state_between_two_visits_comes_back_with_all_that_ended():
    script = Scripted(EWC(COLUMN, lam=2.0, own="released"), 2.0)
    for name in ("pong", "black"):
        script.begin(name)
        script.end(name)
    state = script.method.state()
    again = EWC(COLUMN, lam=2.0, own="released")
    again.load_state(*state)
    assert again.state()[1] == state[1]
    script.method = again
    script.begin("zoom")  # a new task: both hold
    script.move_to(4.0)
    script.check(script.held["pong"] + script.held["black"])


def test_without_returns_a_penalty_a_task_comes_to_the_same_bits_as_one_for_all():
    tasks = [MiniPongTask(name, steps=160) for name in ("pong", "black", "zoom")]
    options = TrainingOptions(num_envs=4, segment_steps=1000, device="cpu")
    ends = []
    for own in ("added", "replaced", "released"):
        method = EWC(COLUMN, lam=50.0, samples=40, own=own)
        train_sequence(tasks, method, A2C(rollout_steps=20), options=options)
        ends.append({name: p.detach().clone() for name, p in method.network.named_parameters()})
    for name, value in ends[0].items():
        assert all(torch.equal(value, other[name]) for other in ends[1:]), name


def test_the_steps_of_a_task_are_those_it_was_trained_for():
    tasks = [MiniPongTask(name, steps=160) for name in ("pong", "black")]
    schedule = [Visit(tasks[place].spec.id, 80) for place in (0, 1, 0)]
    method = L2(COLUMN, own="released", start=100)
    options = TrainingOptions(num_envs=4, segment_steps=1000, device="cpu")
    train_sequence(tasks, method, A2C(rollout_steps=20), options=options, schedule=schedule)
    assert method.state()[1]["taken"] == {"mini-pong/pong": 160, "mini-pong/black": 80}
    assert method.state()[1]["penalties"] == ["mini-pong/pong"]


def test_wrong_options_are_explained():
    with pytest.raises(UsageError, match=r"way with a task's own penalty.*'relaesed'.*released"):
        EWC(COLUMN, own="relaesed")
    with pytest.raises(UsageError, match="start of EWC"):
        EWC(COLUMN, start=-1)
