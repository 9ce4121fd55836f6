"""PathNet and its controls as methods: what moves, what stays, who is credited, what is kept."""

import copy
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from interrupting import Interrupting

from colonnade.errors import NothingPlayedError, UsageError
from colonnade.learners import A2C, A3C, PPO, Compute, Lesson, Supervised
from colonnade.methods import PathDeNovo, PathFinetune, PathNet, Scratch, method_from_name
from colonnade.methods.pathnet.evolution import GenotypeShape, path_of
from colonnade.methods.pathnet.tournaments import (
    AsynchronousTournament,
    History,
    SerialTournament,
)
from colonnade.networks import LSTM, Conv, Dense, ModularSpec
from colonnade.networks.initialisation import undrawn
from colonnade.tasks import DataTask, MiniPongTask, task_from_name
from colonnade.training import (
    Interrupted,
    MemoryRecorder,
    TrainingOptions,
    evaluate,
    train_sequence,
)
from colonnade.types import Episode

SMALL = ModularSpec((Conv(3, 4, 2), Dense(6)), modules=5, active=2)
RECURRENT = ModularSpec((Conv(3, 4, 2), LSTM(6)), modules=5, active=2)
OPTIONS = TrainingOptions(num_envs=4, segment_steps=400, curve_steps=200, device="cpu")
TASKS = [MiniPongTask(variant, steps=1200) for variant in ("pong", "h-flip", "noisy")]
LEARNERS = {
    "a2c": A2C(rollout_steps=10),
    "a3c": A3C(rollout_steps=10, workers=2),
    "ppo": PPO(rollout_steps=20, minibatches=2, epochs=1),
}


def pathnet(network=SMALL, **options):
    return PathNet(network, **{"population": 4, "episodes": 2, "rivals": 2, **options})


def learn(method, tasks=TASKS, learner="a2c", recorder=None, seed=3):
    train_sequence(tasks, method, LEARNERS[learner], seed=seed, options=OPTIONS, recorder=recorder)
    return method


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def module_of(name):
    """(layer, module) of a weight's name such as "layers.0.bank.3.weight"; None for a head's."""
    parts = name.split(".")
    return (int(parts[1]), int(parts[3])) if parts[0] == "layers" else None


@pytest.fixture(scope="module")
def frames():
    observations, _ = TASKS[0].make_vec(5).reset(seed=0)
    return torch.from_numpy(observations)


@pytest.mark.parametrize(
    ("learner", "network"),
    [
        pytest.param(
            learner, network, id=f"{learner}-{kind}", marks=() if tried else pytest.mark.slow
        )
        for learner in LEARNERS
        for kind, network in {"dense": SMALL, "lstm": RECURRENT}.items()
        # One learner of each kind of network, and one that tries both.
        for tried in [learner == "ppo" or (learner, kind) in (("a2c", "dense"), ("a3c", "lstm"))]
    ],
)
def test_a_sequence_keeps_the_best_paths_and_renews_the_rest(learner, network, frames):
    method = pathnet(network)
    begun, outputs = {}, {}
    begin = method.begin_task

    def spying(spec, outputs):
        view = begin(spec, outputs)
        begun[spec.id] = weights(method.network)
        return view

    method.begin_task = spying
    kept = None
    for seed, task in enumerate(TASKS):  # one seed would draw a module that never moved alike
        learn(method, [task], learner, seed=seed)
        after = weights(method.network)
        start = begun[task.spec.id]
        if kept is not None:
            before, frozen = kept
            assert method.network.frozen == frozen
            for name, value in after.items():
                module = module_of(name)
                if module is None:
                    continue
                if module[1] in frozen[module[0]]:
                    assert torch.equal(value, before[name]), name  # frozen for good
                elif "weight" in name:
                    assert not torch.equal(start[name], before[name]), name  # drawn anew
        assert any(not torch.equal(after[name], start[name]) for name in after)
        outputs[task.spec.id] = method.network_for(task.spec.id)(frames)[0].detach()
        # Frozen at the next task: this path and those before it.
        play = method.last_play()
        earlier = method.network.frozen
        kept = (
            after,
            tuple(tuple(sorted({*a, *b})) for a, b in zip(play.path, earlier, strict=True)),
        )
    for task, output in outputs.items():
        assert torch.equal(method.network_for(task)(frames)[0], output), task
    assert len({play.head for play in method.tasks.values()}) == 3


def test_the_frozen_path_is_active_in_every_path_and_only_there_where_it_is_forced(frames):
    for frozen, expected in (("active", True), ("optional", False)):
        method = learn(pathnet(frozen=frozen), TASKS[:1])
        view = method.begin_task(TASKS[1].spec)
        routes = view.initial_state(4)["route"]
        first = method.tasks[TASKS[0].spec.id].path
        active = all(routes[:, i, list(modules)].all() for i, modules in enumerate(first))
        assert active == expected


def test_the_best_path_was_evaluated_and_is_what_plays(frames):
    method = pathnet()
    seen = {}
    end = method.end_task

    def spying(samples, likelihood):
        tournament = method._tournament
        seen["fitness"], seen["paths"] = tournament.fitness.copy(), tournament.paths
        end(samples, likelihood)

    method.end_task = spying
    learn(method, TASKS[:1])
    best = int(np.nanargmax(seen["fitness"]))
    play = method.tasks[TASKS[0].spec.id]
    assert play.path == seen["paths"][best]
    output = method.network_for(TASKS[0].spec.id)(frames)[0]
    assert torch.equal(output, method.network(frames, play.path))


def test_of_a_population_the_best_path_plays():
    method = pathnet(episodes=1, rivals=1)
    spec = TASKS[0].spec
    method.begin_task(spec)
    paths = list(method._tournament.paths)
    method.on_segment([Episode(float(env == 2), 10, env) for env in range(2, 4)])
    assert method.player_for(spec.id).path == paths[2]


@pytest.mark.parametrize(
    ("learner", "kind", "network"),
    [
        ("a2c", "pathnet", SMALL),
        ("ppo", "pathnet", RECURRENT),
        ("ppo", "path-finetune", SMALL),
        pytest.param("ppo", "pathnet", SMALL, marks=pytest.mark.slow),
        pytest.param("a2c", "pathnet", RECURRENT, marks=pytest.mark.slow),
        pytest.param("a2c", "path-finetune", SMALL, marks=pytest.mark.slow),
        pytest.param("a2c", "path-finetune", RECURRENT, marks=pytest.mark.slow),
        pytest.param("ppo", "path-finetune", RECURRENT, marks=pytest.mark.slow),
    ],
    ids=lambda value: {id(SMALL): "dense", id(RECURRENT): "lstm"}.get(id(value)),
)
def test_interrupted_runs_end_with_the_same_numbers(kind, network, learner):
    def make():
        options = {"duplication": 0.5, "population": 4, "episodes": 2, "rivals": 2}
        return method_from_name(kind, network=network, **(options if kind == "pathnet" else {}))

    whole = learn(make(), TASKS[:2], learner)
    recorder = Interrupting(12)
    for _ in range(30):
        method = make()  # a new process knows only what the recorder kept
        try:
            learn(method, TASKS[:2], learner, recorder)
            break
        except Interrupted:
            recorder.resume_for(12)
    else:
        pytest.fail("never finished")
    assert method.tasks == whole.tasks
    for name, value in weights(whole.network).items():
        assert torch.equal(method.network.state_dict()[name], value), name
    assert json.dumps(method.state()[1], sort_keys=True) == json.dumps(
        whole.state()[1], sort_keys=True
    )


def test_de_novo_is_all_new_and_keeps_old_tasks(frames):
    method = learn(PathDeNovo(SMALL), TASKS[:1])
    first = method.network_for(TASKS[0].spec.id)(frames)[0]
    before = weights(method.networks[0])
    learn(method, TASKS[1:2])
    assert len(method.networks) == 2
    assert torch.equal(method.network_for(TASKS[0].spec.id)(frames)[0], first)
    for name, value in before.items():
        assert torch.equal(method.networks[0].state_dict()[name], value)
    rows = [len(layer.bank) for layer in method.network.layers]
    assert rows == [2, 2]  # N modules a layer, all of them active


def test_finetuning_moves_the_same_path_with_a_new_head():
    method = learn(PathFinetune(SMALL), TASKS[:1])
    before = weights(method.network)
    learn(method, TASKS[1:2])
    after = method.network.state_dict()
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == {name for name in before if name.startswith("layers")}
    assert set(after) - set(before) == {"heads.1.weight", "heads.1.bias"}
    assert [play.head for play in method.tasks.values()] == [0, 1]


@pytest.mark.parametrize("kind", [pathnet, lambda: PathDeNovo(SMALL), lambda: PathFinetune(SMALL)])
def test_a_task_that_begins_again_is_the_last(kind, frames):
    method = learn(kind(), [TASKS[0]])
    learn(method, [TASKS[1]])
    learn(method, [TASKS[0]])
    ids = [TASKS[1].spec.id, TASKS[0].spec.id]
    assert list(method.tasks) == ids
    if not isinstance(method, PathDeNovo) or isinstance(method, PathFinetune):
        assert method.last_play().head == 2
    played = method.network_for(ids[-1])(frames)[0]
    again = kind()
    again.load_state(*copy.deepcopy(method.state()))
    assert torch.equal(again.network_for(ids[-1])(frames)[0], played)
    method.begin_task(TASKS[2].spec, 4)
    if isinstance(method, PathNet):  # what was learned last is kept, not renewed
        assert torch.equal(method.network_for(ids[-1])(frames)[0], played)


def test_finetuning_takes_over_the_path_of_a_pathnet():
    parent = learn(pathnet(), TASKS[:1])
    method = PathFinetune()
    method.load_state(*copy.deepcopy(parent.state()))
    before = weights(method.network)
    learn(method, TASKS[1:2])
    path = parent.last_play().path
    for name, value in before.items():
        module = module_of(name)
        if module is not None:
            on_path = module[1] in path[module[0]]
            assert torch.equal(method.network.state_dict()[name], value) != on_path, name


def test_finetuning_keeps_what_was_forced_besides_and_pathnet_needs_modules_to_spare():
    parent = learn(pathnet(), TASKS[:2])
    method = PathFinetune()
    method.load_state(*copy.deepcopy(parent.state()))
    method.begin_task(TASKS[2].spec, 4)
    assert any(map(len, parent.last_play().forced))
    assert replace(method.last_play(), head=0) == replace(parent.last_play(), head=0)
    for control in (PathDeNovo(SMALL), PathFinetune(SMALL)):
        control.begin_task(TASKS[0].spec, 4)
        later = pathnet()
        later.load_state(*copy.deepcopy(control.state()))
        with pytest.raises(UsageError, match="capacity is used up"):
            later.begin_task(TASKS[1].spec, 4)


def test_capacity_is_not_judged_by_paths_that_nobody_has_learned():
    many = [replace(TASKS[0].spec, id=f"task {number}") for number in range(40)]
    method = pathnet()
    with undrawn():
        for spec in many:
            method.begin_task(spec, 4)
    assert method.network.full
    method = pathnet()
    with pytest.raises(UsageError, match="capacity is used up"):
        all(method.begin_task(spec, 4) for spec in many)
    full = PathNet(replace(SMALL, modules=SMALL.active))
    with undrawn():
        full.begin_task(many[0], 4)
        with pytest.raises(UsageError, match="capacity is used up"):
            full.begin_task(many[1], 4)


@pytest.mark.parametrize("between", [0, 1])
def test_a_task_without_a_path_begins_anew_when_it_comes_back(between):
    lost, *others = (task.spec for task in TASKS[: 1 + between])
    method = pathnet(episodes=1)
    method.begin_task(lost, 4)
    with pytest.raises(NothingPlayedError):
        method.end_task(iter(()), None)
    for other in others:
        method.begin_task(other, 4)
        method.on_segment([Episode(1.0, 10, i, 10) for i in range(4)])
        method.end_task(iter(()), None)
    again = pathnet(episodes=1)
    again.load_state(*copy.deepcopy(method.state()))
    before = weights(again.network)
    network = again.revisit(lost)
    assert network is not None
    assert list(again.tasks) == [*(other.id for other in others), lost.id]
    assert len(again.networks) == 1
    frozen = [again.tasks[other.id].path for other in others] or [((),) * len(SMALL.layers)]
    assert again.network.frozen == frozen[0]
    for name, value in before.items():
        module = module_of(name)
        if module is not None and "weight" in name:
            kept = module[1] in again.network.frozen[module[0]]
            assert torch.equal(again.network.state_dict()[name], value) == kept, name
    assert again.network.heads[again.tasks[lost.id].head].bias.requires_grad
    again.on_segment([Episode(1.0, 10, i, 10) for i in range(4)])
    again.end_task(iter(()), None)
    assert list(again.histories) == [*(other.id for other in others), lost.id]
    assert again.revisit(lost) is None, "it has a path now"
    again.begin_task(TASKS[2].spec, 4)
    for layer, path in enumerate(again.tasks[lost.id].path):
        assert set(path) <= set(again.network.frozen[layer])


def test_evaluating_changes_nothing():
    method = learn(pathnet(), TASKS[:2])
    before = copy.deepcopy(weights(method.network))
    for task in TASKS[:2]:
        assert evaluate(task, method.network_for(task.spec.id), episodes=3).shape == (3,)
    for name, value in before.items():
        assert torch.equal(method.network.state_dict()[name], value)
    with pytest.raises(UsageError, match="No path plays task"):
        method.network_for("golf")


def asynchronous(size=3, episodes=2, rivals=2, modules=30):
    return AsynchronousTournament(GenotypeShape(2, modules, 2), size, episodes, rivals, seed=0)


def test_fitness_is_the_mean_return_of_t_whole_episodes_of_the_genotype_itself():
    tournament = asynchronous()
    start = tournament.population.copy()
    assert tournament.note([Episode(1.0, 5, 0), Episode(4.0, 5, 1), Episode(5.0, 5, 0)]) == []
    assert tournament.fitness[0] == 3.0
    assert np.isnan(tournament.fitness[1:]).all()
    # 1 is worse than 0: a mutant of 0 takes its place, from its next episode on.
    (result,) = tournament.note([Episode(0.0, 5, 1), Episode(100.0, 5, 1)])
    assert (result.winner, result.loser) == (0, 1)
    assert np.isnan(tournament.fitness[1])
    assert np.array_equal(tournament.population[[0, 2]], start[[0, 2]])
    # What 1's old path had under way when it was replaced counts for nobody.
    assert tournament.note([Episode(100.0, 5, 1)]) == []
    assert tournament.note([Episode(6.0, 5, 1)]) == []
    assert tournament.note([Episode(8.0, 5, 1)]) == []
    assert tournament.fitness[1] == 7.0
    # 0 evaluated anew is now behind.
    tournament.note([Episode(0.0, 5, 0)])
    (result,) = tournament.note([Episode(0.0, 5, 0)])
    assert (result.winner, result.loser) == (1, 0)


def test_routes_follow_the_population_from_the_next_episode_on():
    method = pathnet(episodes=1, rivals=3)
    view = method.begin_task(TASKS[0].spec)
    before = view.initial_state(4)["route"]
    method.on_segment([Episode(1.0, 5, 0)])
    assert torch.equal(view.initial_state(4)["route"], before)
    method.on_segment([Episode(0.0, 5, 2)])
    after = view.initial_state(4)["route"]
    assert torch.equal(after[[0, 1, 3]], before[[0, 1, 3]])
    expected = method._tournament.paths[2]
    for index, modules in enumerate(expected):
        assert after[2, index].nonzero().flatten().tolist() == list(modules)


def test_the_serial_tournament_trains_two_in_turn_and_remembers_who_won():
    tournament = SerialTournament(GenotypeShape(2, 30, 2), 4, episodes=3, seed=0)
    first, second = tournament._pair
    population = tournament.population.copy()
    assert tournament.path == path_of(population[first])
    assert [tournament.note(score) for score in (0.1, 0.2, 0.3)] == [None] * 3
    assert tournament.path == path_of(population[second])
    assert tournament.note(0.5) is None
    assert tournament.note(0.5) is None
    result = tournament.note(0.5)
    assert (result.winner, result.loser) == (second, first)
    assert tournament.champion == (path_of(population[second]), 0.5)
    assert tournament.scores == [0.5]
    assert tournament.generations == 1
    restored = SerialTournament(GenotypeShape(2, 30, 2), 4, episodes=3, seed=9)
    restored.load_state(json.loads(json.dumps(tournament.state())))
    for score in np.random.default_rng(0).random(60):
        tournament.note(score)
        restored.note(score)
    assert tournament.state() == restored.state()


def test_on_a_tie_the_recorded_path_is_one_that_was_evaluated():
    tournament = SerialTournament(GenotypeShape(2, 30, 2), 4, episodes=1, seed=0)
    for _ in range(50):
        contestants = [path_of(tournament.population[i]) for i in tournament._pair]
        tournament.note(1.0)
        tournament.note(1.0)
        assert tournament.champion[0] in contestants


def test_a_history_is_thinned_evenly():
    history = History()
    for n in range(1000):
        history.add(n, np.zeros((2, 1, 1), np.int64), [0.0, float("nan")])
    at = [snapshot["evaluations"] for snapshot in history.snapshots]
    assert 24 <= len(at) <= 48
    assert set(np.diff(at)) == {history.stride}
    assert at[0] == 0
    assert history.snapshots[0]["fitness"] == [0.0, None]


def test_bad_input_is_said_in_one_sentence():
    with pytest.raises(UsageError, match="population of 1 has nobody to compete with"):
        pathnet(population=1)
    with pytest.raises(UsageError, match="episodes of PathNet must be a whole number at least 1"):
        pathnet(episodes=0)
    with pytest.raises(UsageError, match="did you mean 'optional'"):
        pathnet(frozen="optionnal")
    with pytest.raises(UsageError, match="duplication of PathNet must be a number from 0 to 1"):
        pathnet(duplication=2)
    with pytest.raises(UsageError, match="4 environments can't follow 3 paths"):
        learn(pathnet(population=3))
    with pytest.raises(UsageError, match="did you mean 'rivals'"):
        method_from_name("pathnet", rival=3)
    method = pathnet()
    learn(method, TASKS[:1])
    other = task_from_name("CartPole-v1", steps=10).spec
    with pytest.raises(UsageError, match="give all tasks the same inputs"):
        method.begin_task(other)
    parent = Scratch()
    parent.begin_task(TASKS[0].spec)
    with pytest.raises(UsageError, match="holds no modular network"):
        method.load_state(*parent.state())


def test_used_up_capacity_is_said_with_what_to_enlarge():
    spec = ModularSpec((Dense(4), Dense(4)), modules=2, active=2)
    method = PathNet(spec, population=4, episodes=1)
    method.begin_task(TASKS[0].spec)
    method.on_segment([Episode(1.0, 5, 0)])
    method.end_task(iter(()), lambda output: None)
    method.tasks["mini-pong/pong"] = replace(method.last_play(), path=((0, 1), (0, 1)))
    with pytest.raises(UsageError, match=r"All 2 modules of all 2 layers .* use more modules"):
        learn(method, TASKS[1:2])


def test_duplication_copies_weights_into_slots_that_may_change():
    method = pathnet(duplication=1.0, episodes=1, rivals=3)
    method.begin_task(TASKS[0].spec)
    before = weights(method.network)
    method.on_segment([Episode(5.0, 5, 0)])
    method.on_segment([Episode(0.0, 5, 1)])
    after = method.network.state_dict()
    changed = {module_of(name) for name in before if not torch.equal(before[name], after[name])}
    assert len(changed) == 1
    ((layer, target),) = changed
    twins = [
        source for source in range(5) if source != target and torch.equal(
            after[f"layers.{layer}.bank.{source}.weight"],
            after[f"layers.{layer}.bank.{target}.weight"],
        )
    ]  # fmt: skip
    assert len(twins) == 1


def test_workers_of_a3c_see_new_paths():
    """New routes are written to the memory that the workers' processes were forked with."""
    method = pathnet(episodes=1, rivals=3)
    view = method.begin_task(TASKS[0].spec)
    place = view.routes.data_ptr()
    method.on_segment([Episode(1.0, 5, 0)])
    method.on_segment([Episode(0.0, 5, 2)])
    assert view.routes.data_ptr() == place


def labelled(name, seed):
    stream = torch.Generator().manual_seed(seed)
    images = torch.randn(96, 1, 6, 6, generator=stream)
    labels = (images[:, 0, 0, 0] + images[:, 0, 3, 3] > 0).long()
    return DataTask(name, train=(images, labels), test=(images, labels), steps=4000)


FLAT = ModularSpec((Dense(8), Dense(8)), modules=5, active=2)
SUPERVISED = Supervised(learning_rate=0.05, momentum=0.0, batch_size=16)


def learn_labels(method, recorder=None, **changes):
    options = replace(OPTIONS, segment_steps=900, **changes)
    tasks = [labelled("first", 0), labelled("second", 1)]
    train_sequence(tasks, method, SUPERVISED, seed=5, options=options, recorder=recorder)
    return method


def test_data_sets_have_the_serial_tournament_and_their_paths_are_kept():
    method = PathNet(FLAT, population=6, episodes=5)
    images = labelled("first", 0).examples("test").inputs
    outputs = []
    end = method.end_task

    def spying(samples, likelihood):
        task = method._task
        end(samples, likelihood)
        outputs.append(method.network_for(task)(images)[0].detach())

    method.end_task = spying
    learn_labels(method)
    assert torch.equal(method.network_for("first")(images)[0], outputs[0])
    play = method.tasks["second"]
    assert play.forced == ((), ())  # optional where labels are learned
    history = method.histories["second"]
    assert len(history["scores"]) == 4000 // (2 * 5 * 16)
    assert history["frozen"] == method.tasks["first"].path
    targets = labelled("first", 0).examples("test").targets
    assert (outputs[0].argmax(1) == targets).float().mean() > 0.8


def test_only_the_path_in_training_moves_with_a_momentum_that_all_have_gathered():
    method = PathNet(FLAT, population=6, episodes=1)
    task = labelled("first", 0)
    view = method.begin_task(task.spec)
    learner = Supervised(optimizer="adam", batch_size=16, weight_decay=0.1)
    trainer = learner.trainer(Lesson(task, view, method.penalty, Compute(torch.device("cpu"))))
    trainer.begin(lambda name: 0)
    for _ in range(40):
        path, before = view.path, weights(method.network)
        method.on_segment(trainer.advance().episodes)
        for name, value in method.network.state_dict().items():
            module = module_of(name)
            if module is not None:
                moved = not torch.equal(value, before[name])
                assert moved == (module[1] in path[module[0]]), name


@pytest.mark.parametrize("make", [
    lambda: PathNet(FLAT, population=6, episodes=5, duplication=0.3), lambda: PathFinetune(FLAT),
])  # fmt: skip
def test_interrupted_lessons_end_with_the_same_numbers(make):
    goal = {"goal_episodes": 5, "goal_return": 0.97}
    reference = MemoryRecorder()
    whole = learn_labels(make(), reference, **goal)
    recorder = Interrupting(70)
    for _ in range(30):
        method = make()
        try:
            learn_labels(method, recorder, **goal)
            break
        except Interrupted:
            recorder.resume_for(70)
    else:
        pytest.fail("never finished")
    assert json.dumps(method.state()[1], sort_keys=True) == json.dumps(
        whole.state()[1], sort_keys=True
    )
    for name, value in weights(whole.network).items():
        assert torch.equal(method.network.state_dict()[name], value), name
    ends = [[row for row in r.history if row["kind"] == "goal"] for r in (recorder, reference)]
    assert ends[0] == ends[1]
    assert len(ends[0]) == 2
