"""EWC and its relatives: what the penalty holds, with policies, in own loops, and by mistake."""

import copy
import inspect
import math
from dataclasses import replace

import pytest
import torch
from interrupting import Interrupting

from colonnade.errors import UsageError
from colonnade.experiments.plans.build import build_method
from colonnade.experiments.plans.plan import SuiteOptions
from colonnade.experiments.suites import suite_from_name
from colonnade.learners import A2C, PPO, Compute, Lesson
from colonnade.methods import EWC, L2, Consolidation, Finetune, OneAnchorEWC, OnlineEWC, Progressive
from colonnade.networks import LSTM, ColumnSpec, Conv, Custom, Dense, ProgressiveNetwork
from colonnade.ops import MultiCategorical, parameter_fisher
from colonnade.tasks import MiniPongTask
from colonnade.training import Interrupted, MemoryRecorder, TrainingOptions, train_sequence
from colonnade.types import Examples, Rollout

COLUMN = ColumnSpec((Conv(4, 4, 2), Dense(8)))
RECURRENT = ColumnSpec((Conv(3, 4, 2), Dense(6), LSTM(5)))
OPTIONS = TrainingOptions(num_envs=4, segment_steps=1000, curve_steps=100, device="cpu")
TASKS = [MiniPongTask(variant, steps=160) for variant in ("pong", "h-flip", "noisy")]
CPU = Compute.choose(TASKS[0].spec, "cpu", "float32")


def policy(output):
    return MultiCategorical(output[..., :-1], (3,))


def rollout_of(network, steps=6, envs=3):
    """A rollout of random frames in which episodes start here and there."""
    inputs = {"observation": torch.randint(255, (steps, envs, 2, 16, 16), dtype=torch.uint8)}
    starts = torch.zeros(steps, envs, dtype=torch.bool)
    starts[0, 0] = starts[2, 1] = starts[steps - 1, 2] = True
    state = {name: torch.randn_like(v) for name, v in network.initial_state(envs).items()}
    zeros = torch.zeros(steps, envs)
    actions = torch.randint(3, (steps, envs, 1))
    return Rollout(
        inputs, actions, zeros, starts, starts, starts, zeros, zeros, zeros, zeros[0], state
    )


def fisher_of_steps(network, rollout):
    """Per step and label, through the whole batch: the slow obvious version for policies."""
    named = {n: p for n, p in network.named_parameters() if p.requires_grad}
    totals = {name: torch.zeros_like(p) for name, p in named.items()}
    output, _ = network.unroll(rollout.inputs, rollout.state, rollout.starts)
    log_p = output[..., :-1].log_softmax(-1)
    for entry in log_p.flatten():
        found = torch.autograd.grad(entry, list(named.values()), retain_graph=True)
        for name, gradient in zip(named, found, strict=True):
            totals[name] += entry.detach().exp() * gradient.square() / rollout.steps
    return totals


@pytest.mark.parametrize("column", [COLUMN, RECURRENT], ids=["feed-forward", "recurrent"])
@pytest.mark.parametrize("how", ["layers", "loop"])
def test_the_fisher_of_a_policy_is_per_step(column, how):
    method = Finetune(column)
    network = method.begin_task(TASKS[0].spec)
    for parameter in network.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    rollout = rollout_of(network)
    found = parameter_fisher(network, [rollout], policy, how=how)
    for name, expected in fisher_of_steps(network, rollout).items():
        torch.testing.assert_close(found[name], expected, rtol=1e-4, atol=1e-6)


def test_the_fisher_of_a_step_reaches_back_through_the_sequence():
    """A gradient cut at each step would miss what the recurrent weights did before."""
    network = Finetune(RECURRENT).begin_task(TASKS[0].spec)
    whole = rollout_of(network)
    whole.starts[:] = False
    cut = copy.deepcopy(whole)
    cut.starts[:] = True
    name = "columns.0.stages.2.recurrent_weight"
    found, none = (parameter_fisher(network, [r], policy)[name] for r in (whole, cut))
    assert float(found.abs().sum()) > 0
    assert float(none.abs().sum()) == 0


def made(method, **options):
    """Make a method that is quick to estimate a Fisher."""
    return method(COLUMN, **options, **({} if method is L2 else {"samples": 80}))


def learned(method, tasks=TASKS[:2], learner=None):
    train_sequence(tasks, method, learner or PPO(rollout_steps=20), seed=1, options=OPTIONS)
    return method


@pytest.mark.parametrize("column", [COLUMN, RECURRENT], ids=["feed-forward", "recurrent"])
def test_the_penalty_is_the_papers(column):
    """(lambda / 2) sum_k sum_i F_ki (theta_i - theta_ki)^2, with fresh Fishers for each task."""
    method, seen = EWC(column, lam=7.0, samples=80), []
    hold = Consolidation.hold

    def spy(self, curvature):
        here = {n: p.detach().clone() for n, p in self.network.named_parameters()}
        seen.append(({n: f.clone() for n, f in curvature.items()}, here))
        hold(self, curvature)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Consolidation, "hold", spy)
        learned(method, TASKS)
    assert len(seen) == 3
    theta = {
        n: p.detach() + 0.1 * torch.randn_like(p) for n, p in method.network.named_parameters()
    }
    method.network.load_state_dict(theta)
    expected = sum(
        3.5 * (f[n].double() * (theta[n] - a[n]).double().square()).sum()
        for f, a in seen
        for n in f
    )
    assert float(method.penalty().detach()) == pytest.approx(float(expected), rel=1e-5)


def test_the_fisher_ignores_how_well_it_went():
    """It is of the policy: rewards and advantages, which others weigh it by, do not enter."""
    network = Finetune(COLUMN).begin_task(TASKS[0].spec)
    rollout = rollout_of(network)
    found = [parameter_fisher(network, [rollout], policy)]
    rollout.rewards += 100
    rollout.values -= 5
    found.append(parameter_fisher(network, [rollout], policy))
    assert all(torch.equal(found[0][name], value) for name, value in found[1].items())


@pytest.mark.parametrize("method", [EWC, OneAnchorEWC, OnlineEWC, L2])
def test_no_penalty_before_the_first_task_ended_and_none_at_its_anchor(method):
    one = made(method)
    assert one.penalty() is None
    learned(one, TASKS[:1])
    assert float(one.penalty().detach()) == 0


def test_a_strong_penalty_holds_and_none_lets_go():
    """Only what matters is held: with EWC, far less than with L2 of the same reach."""
    moved = {}
    for name, method in {
        "held": EWC(COLUMN, lam=1e7, samples=160),
        "free": EWC(COLUMN, lam=0.0, samples=160),
        "plain": Finetune(COLUMN),
    }.items():
        learned(method, TASKS[:1])
        before = {n: p.detach().clone() for n, p in method.network.named_parameters()}
        learned(method, TASKS[1:2])
        after = dict(method.network.named_parameters())
        moved[name] = float(sum((after[n].detach() - before[n]).abs().sum() for n in before))
    assert moved["free"] == pytest.approx(moved["plain"], rel=1e-4)
    assert moved["held"] < 0.5 * moved["plain"]


@pytest.mark.parametrize("method", [EWC, OneAnchorEWC, OnlineEWC, L2])
def test_excluded_parts_are_free(method):
    one = learned(made(method, exclude=["head", "biases"]))
    held = set(one.consolidation.quadratic.curvature)
    assert held == {"columns.0.stages.0.weight", "columns.0.stages.1.weight"}


def test_the_biases_of_each_task_are_free_too():
    method = L2(ColumnSpec((Dense(8),), task_gains=True), exclude=["biases"])
    learned(method, TASKS[:2])
    held = set(method.consolidation.quadratic.curvature)
    stages = ("stages.0", "output")
    weights = {f"columns.0.{stage}.weight" for stage in stages}
    gains = {f"columns.0.{stage}.gains.gains.{row}" for stage in stages for row in (0, 1)}
    assert held == weights | gains


def test_biases_of_modules_of_ones_own_are_free_whatever_they_are_called():
    class Recurrent(torch.nn.Module):
        def __init__(self, inputs):
            super().__init__()
            self.cell = torch.nn.GRU(inputs, 8, batch_first=True)
            self.bias_scale = torch.nn.Linear(8, 8)

        def forward(self, x):
            return self.bias_scale(self.cell(x.flatten(1).unsqueeze(1))[0][:, -1])

    column = ColumnSpec((Custom(lambda shape: Recurrent(math.prod(shape)), (8,)),))
    method = L2(column, exclude=["biases"])
    method.begin_task(TASKS[0].spec)
    assert sorted(method.consolidation.held()) == [
        "columns.0.output.weight",
        "columns.0.stages.0.module.bias_scale.weight",
        "columns.0.stages.0.module.cell.weight_hh_l0",
        "columns.0.stages.0.module.cell.weight_ih_l0",
    ]


@pytest.mark.parametrize(
    ("config", "summed"),
    [
        (A2C(rollout_steps=5, clip_norm=1e9), 5),
        (A2C(rollout_steps=20, clip_norm=1e9), 20),
        (PPO(rollout_steps=20, clip_norm=1e9, minibatches=1, epochs=1), 1),
    ],
    ids=["a2c-5", "a2c-20", "ppo"],
)
def test_lambda_means_the_same_with_every_learner(config, summed):
    """The penalty's share of the gradient against the mean loss of a step: A2C sums over time."""
    method = L2(COLUMN, lam=100.0)
    network = method.begin_task(TASKS[0].spec)
    method.consolidation.hold({n: torch.ones_like(p) for n, p in network.named_parameters()})
    for parameter in network.parameters():
        parameter.data += 0.01
    gradients, before = [], copy.deepcopy(network.state_dict())
    for penalty in (lambda: None, method.penalty):
        with config.trainer(Lesson(TASKS[0], network, penalty, CPU, num_envs=4)) as trainer:
            trainer.begin(lambda name: 3)
            trainer.advance()
        gradients.append([p.grad.clone() for p in network.parameters()])
        network.load_state_dict(before)
    for plain, held in zip(*gradients, strict=True):
        torch.testing.assert_close(
            (held - plain) / summed, torch.ones_like(held), rtol=1e-2, atol=0
        )


@pytest.mark.parametrize("method", [EWC, OneAnchorEWC, OnlineEWC, L2])
def test_state_goes_around_exactly(method):
    first = learned(made(method), TASKS[:2])
    again = made(method)
    again.load_state(*first.state())
    for one in (first, again):
        one.network.load_state_dict({n: v + 0.1 for n, v in one.network.state_dict().items()})
    assert float(again.penalty().detach()) == float(first.penalty().detach())
    learned(first, TASKS[2:])
    learned(again, TASKS[2:])
    for name, value in first.state()[0].items():
        assert torch.equal(again.state()[0][name], value), name


@pytest.mark.parametrize(
    ("learner", "kind"),
    [(PPO(rollout_steps=20), "exact"), (A2C(rollout_steps=20, workers=2), "sampled")],
    ids=["ppo", "workers"],
)
def test_a_run_that_was_cut_off_goes_on_exactly(learner, kind):
    options = TrainingOptions(num_envs=4, segment_steps=80, curve_steps=80, device="cpu")

    def learn(recorder, method):
        train_sequence(TASKS, method, learner, seed=1, options=options, recorder=recorder)
        return method

    whole = learn(MemoryRecorder(), EWC(COLUMN, samples=80, kind=kind))
    recorder = Interrupting(3)  # within the second task
    with pytest.raises(Interrupted):
        learn(recorder, EWC(COLUMN, samples=80, kind=kind))
    recorder.resume_for(10**6)
    torch.manual_seed(5)  # a fresh process has random numbers of its own
    resumed = learn(recorder, EWC(COLUMN, samples=80, kind=kind))
    for name, value in whole.state()[0].items():
        assert torch.equal(resumed.state()[0][name], value), name


def test_runs_of_other_methods_can_be_taken_over():
    ewc, finetune = learned(made(EWC), TASKS[:1]), Finetune(COLUMN)
    finetune.load_state(*ewc.state())
    back = EWC(COLUMN)
    back.load_state(*finetune.state())
    assert back.penalty() is None
    learned(finetune, TASKS[1:2])
    assert list(finetune.columns) == [task.spec.id for task in TASKS[:2]]


def test_examples_are_batches_too():
    network = Finetune(ColumnSpec((Dense(5),))).begin_task(TASKS[0].spec)
    x = torch.randint(255, (7, 2, 16, 16), dtype=torch.uint8)
    examples = Examples({"observation": x}, torch.zeros(7, dtype=torch.int64))
    found = parameter_fisher(network, [examples], kind="empirical")
    expected = parameter_fisher(network, [(x, examples.targets)], kind="empirical")
    assert all(torch.equal(found[name], value) for name, value in expected.items())


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: EWC(lam=-1.0), "lam, the penalty's weight, must be 0 or more; got -1"),
        (lambda: EWC(lam=float("nan")), "got nan"),
        (lambda: EWC(kind="exacct"), "did you mean 'exact'"),
        (lambda: EWC(samples=0), "at least 1 sample; got samples=0"),
        (lambda: EWC(samples=None), "samples must be a whole number of 1 or more; got None"),
        (lambda: EWC(samples=2.5), "at least 1 sample; got samples=2.5"),
        (lambda: EWC(exclude=["heads"]), "did you mean 'head'"),
        (lambda: EWC(exclude="head"), r"exclude must be a list of parts, .* write \['head'\]"),
        (lambda: EWC(exclude=None), "exclude must be a list of parts, each a text; got None"),
        (lambda: EWC(exclude=[3]), r"exclude must be a list of parts, each a text; got \[3\]"),
        (lambda: OnlineEWC(decay=1.5), "decay must be from 0 to 1; got 1.5"),
    ],
)
def test_mistakes_are_named(make, message):
    with pytest.raises(UsageError, match=message):
        make()


@pytest.mark.parametrize("how", ["auto", "layers", "vmap"])
@pytest.mark.parametrize("laterals", ["adapter", "linear"])
@pytest.mark.parametrize("column", [COLUMN, RECURRENT], ids=["feed-forward", "recurrent"])
def test_the_fisher_of_a_progressive_network_is_that_of_the_loop(column, laterals, how):
    network, spec = ProgressiveNetwork(), TASKS[0].spec
    for _ in range(2):
        network.add_column(replace(column, laterals=laterals), spec.input_shapes, spec.outputs)
    x = torch.randint(255, (5, *spec.input_shapes["observation"]), dtype=torch.uint8)
    expected = parameter_fisher(network, [x], how="loop")
    found = parameter_fisher(network, [x], how=how)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, atol=1e-6, rtol=1e-4)


def test_ewc_holds_a_progressive_networks_newest_column_by_features_in_half_precision():
    columns = Progressive(COLUMN)
    learned(columns)
    method = EWC(COLUMN, samples=8)
    method.load_state(*columns.state())
    network = method.begin_task(TASKS[0].spec)
    steps = rollout_of(network)
    with torch.no_grad():
        found, _ = network.precompute(
            {"observation": steps.inputs["observation"].flatten(0, 1)}, {}
        )
    half = {name: v.bfloat16() if "column" in name else v for name, v in found.items()}
    inputs = {name: value.unflatten(0, (6, 3)) for name, value in half.items()}
    method.end_task(iter([replace(steps, inputs=inputs)]), policy)
    assert method.consolidation.quadratic.merged == 1


def test_the_options_of_the_kinds_of_ewc_are_the_same():
    options = [list(inspect.signature(kind).parameters) for kind in (EWC, OneAnchorEWC)]
    assert options[0] == [*options[1], "own", "start"]  # one anchor has no task's own penalty
    assert set(inspect.signature(OnlineEWC).parameters) == {*options[1], "decay"}


def test_the_first_task_is_learned_as_without_a_penalty():
    """Runs of several methods and one seed can be compared with one score of the first task."""
    one, other = learned(made(EWC), TASKS[:1]), learned(Finetune(COLUMN), TASKS[:1])
    for name, value in other.network.state_dict().items():
        assert torch.equal(one.network.state_dict()[name], value)


def test_the_suite_compares_methods_on_the_same_seeds():
    plan = suite_from_name("ewc-pong-soup-mini").plan(SuiteOptions(seeds=2, budget=0.1))
    assert [(run.method, run.seed) for run in plan.runs] == [
        (method, seed) for seed in (0, 1) for method in ("finetune", "ewc", "replay")
    ]
    assert {tuple(task.steps for task in run.tasks) for run in plan.runs} == {(10_000, 10_000)}
    for run in plan.runs:
        assert run.training_options["test_episodes"] == 100
        build_method(run)


def trained_state(task, seed, **options):
    method = EWC(COLUMN, lam=50.0, samples=10, **options)
    train_sequence([task], method, A2C(rollout_steps=5), seed=seed, options=OPTIONS)
    tensors, meta = method.state()
    return {name: value.detach().clone() for name, value in tensors.items()}, copy.deepcopy(meta)


def test_of_several_networks_the_last_ones_column_moves_on_as_it_was_held():
    parents = [trained_state(task, seed) for seed, task in enumerate(TASKS[:2])]
    method, single = EWC(COLUMN, lam=50.0, samples=10), EWC(COLUMN, lam=50.0, samples=10)
    method.load_states(parents)
    single.load_state(*parents[1])
    assert method.consolidation.network is method.network
    assert method.consolidation.tasks == 1
    assert set(method.consolidation.quadratic.curvature) == {
        name.replace("columns.0.", "columns.1.")
        for name in single.consolidation.quadratic.curvature
    }
    for method_, column in ((method, 1), (single, 0)):
        with torch.no_grad():
            method_.network.column(column).output.bias.add_(0.3)
    assert float(method.penalty()) == pytest.approx(float(single.penalty()), rel=1e-6)
    assert float(method.penalty()) > 0


def test_penalties_that_came_as_one_sum_hold_beside_those_of_tasks_that_return():
    state = trained_state(TASKS[0], 0)
    method = EWC(COLUMN, lam=50.0, samples=10, own="released")
    method.load_state(*state)
    before = method.penalty()
    assert float(before) == pytest.approx(0, abs=1e-6)
    train_sequence([TASKS[1]], method, A2C(rollout_steps=5), options=OPTIONS)
    assert method.consolidation.tasks == 2


def test_a_state_between_two_visits_keeps_what_came_as_one_sum():
    first = EWC(COLUMN, lam=50.0, samples=10)  # keeps one penalty for all
    train_sequence([TASKS[0], TASKS[2]], first, A2C(rollout_steps=5), options=OPTIONS)
    method = EWC(COLUMN, lam=50.0, samples=10, own="released")
    method.load_state(*first.state())
    train_sequence([TASKS[1]], method, A2C(rollout_steps=5), options=OPTIONS)
    again = EWC(COLUMN, lam=50.0, samples=10, own="released")
    again.load_state(*copy.deepcopy(method.state()))
    with torch.no_grad():
        for one in (method, again):
            for parameter in one.network.parameters():
                parameter.add_(0.1)
    assert float(again.penalty()) == float(method.penalty())
    assert float(again.penalty()) > 0
    for one in (method, again):
        one.begin_task(TASKS[1].spec) if TASKS[1].spec.id not in one.columns else one.revisit(
            TASKS[1].spec
        )
    assert float(again.penalty()) == float(method.penalty()) > 0


def test_the_head_alone_is_left_out_whatever_is_called_output_below():
    class Block(torch.nn.Module):
        def __init__(self, inputs):
            super().__init__()
            self.output = torch.nn.Linear(inputs, 8)

        def forward(self, x):
            return self.output(x.flatten(1))

    column = ColumnSpec((Custom(lambda shape: Block(math.prod(shape)), (8,)), Dense(8)))
    method = EWC(column, exclude=["head"])
    method.begin_task(TASKS[0].spec)
    names = [name for name, _ in method.network.named_parameters()]
    assert method.consolidation.held() == [
        n for n in names if not n.startswith("columns.0.output.")
    ]
    assert any(".module.output." in name for name in method.consolidation.held())
