"""Supervised learning against a loop written out by hand; minibatches; what is refused."""

import itertools
import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from colonnade.errors import UsageError
from colonnade.learners import Compute, Lesson, Supervised, learner_from_name
from colonnade.methods import Finetune, PathNet
from colonnade.networks import ColumnSpec, Custom, Dense, ModularSpec, ProgressiveNetwork
from colonnade.seeding import derive
from colonnade.tasks import DataTask, MiniPongTask
from colonnade.training import TrainingOptions, train_sequence
from colonnade.types import Examples

COMPUTE = Compute(torch.device("cpu"))
RNG = np.random.default_rng(0)
X = RNG.normal(size=(50, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(np.int64) + (X[:, 1] > 0)
TASK = DataTask("mine", train=(X, Y), test=(X, Y), steps=1000)


def network_for(task, seed=0):
    network = ProgressiveNetwork()
    column = ColumnSpec((Dense(8),), activation="tanh", output_gain=1.0)
    stream = torch.Generator().manual_seed(seed)
    network.add_column(column, task.spec.input_shapes, task.spec.outputs, stream)
    return network


def no_penalty():
    return None


def streams(task=0):
    return lambda name: derive(0, name, task)


@pytest.mark.parametrize(
    ("options", "make"),
    [
        ({}, lambda p: torch.optim.SGD(p, 0.03, momentum=0.9)),
        ({"weight_decay": 0.1}, lambda p: torch.optim.SGD(p, 0.03, 0.9, weight_decay=0.1)),
        ({"optimizer": "adam", "learning_rate": 0.01}, lambda p: torch.optim.Adam(p, 0.01)),
    ],
)
def test_updates_equal_a_plain_pytorch_loop(options, make):
    network, model = network_for(TASK), nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    for mine, theirs in zip(network.parameters(), model.parameters(), strict=True):
        theirs.data.copy_(mine.data)
    optimizer = make(model.parameters())
    config = Supervised(batch_size=16, **options)
    with config.trainer(Lesson(TASK, network, no_penalty, COMPUTE)) as trainer:
        trainer.begin(streams())
        batches = trainer.samples()
        learner = config.build(network, TASK.spec, COMPUTE)
        for batch in itertools.islice(batches, 20):
            metrics = learner.update(batch, no_penalty)
            loss = F.cross_entropy(model(batch.inputs["observation"]), batch.targets)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            assert torch.allclose(metrics["cross_entropy"], loss, atol=1e-6)
    for mine, theirs in zip(network.parameters(), model.parameters(), strict=True):
        assert torch.allclose(mine, theirs, atol=1e-6)


def test_every_pass_holds_every_example_once_in_another_order():
    rows = np.arange(50, dtype=np.float32)[:, None]
    marked = DataTask("marked", train=(rows, Y), test=(rows, Y))
    with Supervised(batch_size=16).trainer(
        Lesson(marked, network_for(marked), no_penalty, COMPUTE)
    ) as trainer:
        trainer.begin(streams())
        eight = list(itertools.islice(trainer.samples(), 8))
    passes = eight[:4], eight[4:]
    for batches in passes:
        assert [batch.steps for batch in batches] == [16, 16, 16, 2]
        rows = torch.cat([batch.inputs["observation"][:, 0] for batch in batches]).long()
        assert rows.sort().values.tolist() == list(range(50))
        labels = torch.cat([batch.targets for batch in batches])
        assert torch.equal(labels, torch.from_numpy(Y)[rows])
    first, second = ([b.inputs["observation"][:, 0].tolist() for b in part] for part in passes)
    assert first != second


@pytest.mark.parametrize("done", range(10))
def test_a_state_goes_on_from_any_place_in_a_pass(done):
    """Nine minibatches, of four a pass, in one go and cut in two; the rest must be the same."""

    def run(network, counts, state=None):
        with config.trainer(Lesson(TASK, network, no_penalty, COMPUTE)) as trainer:
            trainer.begin(streams())
            if state is not None:
                trainer.load_state(*state)
            advances = [trainer.advance() for _ in range(counts)]
            losses = [(float(a.metrics["cross_entropy"]), a.episodes[0].step) for a in advances]
            tensors, meta = trainer.state()
            kept = {k: v.clone() for k, v in tensors.items()}, json.loads(json.dumps(meta))
            return losses, kept, next(trainer.samples()).targets.tolist()

    config = Supervised(batch_size=16, anneal=True)
    whole, cut, other = network_for(TASK), network_for(TASK), network_for(TASK, seed=1)
    expected, _, samples = run(whole, 9)
    first, state, _ = run(cut, done)
    other.load_state_dict(cut.state_dict())
    rest, _, found = run(other, 9 - done, state)
    assert first + rest == expected
    assert found == samples


def test_an_advance_is_an_episode_whose_return_is_the_share_right():
    network = network_for(TASK)
    with Supervised(batch_size=25, learning_rate=1e-12).trainer(
        Lesson(TASK, network, no_penalty, COMPUTE)
    ) as trainer:
        trainer.begin(streams())
        advances = [trainer.advance() for _ in range(2)]
    output, _ = network(torch.from_numpy(X))
    accuracy = float((output.argmax(1) == torch.from_numpy(Y)).float().mean())
    assert np.mean([a.episodes[0].total_return for a in advances]) == pytest.approx(accuracy)
    assert [a.steps for a in advances] == [25, 25]
    assert [a.episodes[0].length for a in advances] == [25, 25]
    assert [a.episodes[0].step for a in advances] == [25, 50]


def test_the_penalty_is_added_to_the_loss():
    network = network_for(TASK)
    before = {name: p.detach().clone() for name, p in network.named_parameters()}
    weight = next(network.parameters())

    def only_penalty():
        return 3.0 * weight.sum()

    plain = network_for(TASK)
    for net, penalty in ((network, only_penalty), (plain, no_penalty)):
        with Supervised(momentum=0.0, learning_rate=0.1).trainer(
            Lesson(TASK, net, penalty, COMPUTE)
        ) as trainer:
            trainer.begin(streams())
            metrics = trainer.advance().metrics
        assert ("penalty" in metrics) == (penalty is only_penalty)
    difference = next(network.parameters()) - next(plain.parameters())
    assert torch.allclose(difference, torch.full_like(difference, -0.3), atol=1e-6)
    assert not torch.equal(next(network.parameters()), before[next(iter(before))])


def test_a_head_of_its_own_leaves_the_others_alone():
    task = DataTask("second", train=(X, Y), test=(X, Y), head=1, heads=3)
    network = network_for(task)
    assert network.newest.output.weight.shape == (9, 8)
    before = network.newest.output.weight.detach().clone()
    config = Supervised(batch_size=50)
    with config.trainer(Lesson(task, network, no_penalty, COMPUTE)) as trainer:
        trainer.begin(streams())
        for _ in range(100):
            metrics = trainer.advance().metrics
        output, _ = network(torch.from_numpy(X))
        labels = trainer.likelihood(output)
    moved = (network.newest.output.weight != before).any(1)
    assert moved.tolist() == [False] * 3 + [True] * 3 + [False] * 3
    expected = output[:, 3:6].log_softmax(-1)
    assert torch.allclose(
        labels.log_prob(torch.from_numpy(Y)[:, None]),
        expected.gather(1, torch.from_numpy(Y)[:, None])[:, 0],
    )
    assert metrics["accuracy"] > 0.9


def test_minibatches_are_learned_from_as_they_are_sampled_pass_by_pass():
    """What is learned from holds every example once a pass, whatever the samples hold."""
    rows = np.arange(50, dtype=np.float32)[:, None]
    marked = DataTask("marked", train=(rows, Y), test=(rows, Y))
    seen = []

    class Watching(Supervised):
        def build(self, network, spec, compute):
            learner = super().build(network, spec, compute)
            update = learner.update

            def watch(examples, penalty):
                seen.append(examples.inputs["observation"][:, 0].tolist())
                return update(examples, penalty)

            learner.update = watch
            return learner

    config = Watching(batch_size=16, learning_rate=1e-12)
    with config.trainer(Lesson(marked, network_for(marked), no_penalty, COMPUTE)) as trainer:
        trainer.begin(streams())
        for _ in range(8):
            trainer.advance()
        sampled = [
            batch.inputs["observation"][:, 0].tolist()
            for batch in itertools.islice(trainer.samples(), 4)
        ]
    passes = [list(itertools.chain(*part)) for part in (seen[:4], seen[4:], sampled)]
    assert all(sorted(part) == list(range(50)) for part in passes)
    assert passes[0] != passes[1] != passes[2] != passes[0]


def test_minibatches_follow_their_seed_alone():
    def order(task):
        with Supervised().trainer(Lesson(TASK, network_for(TASK), no_penalty, COMPUTE)) as trainer:
            trainer.begin(streams(task))
            torch.rand(5)
            return next(trainer.samples()).targets.tolist()

    assert order(0) == order(0)
    assert order(0) != order(1)


class Broken:
    spec = TASK.spec

    def __init__(self, targets):
        self.targets = targets

    def examples(self, split):
        count = len(self.targets)
        return Examples({"observation": torch.zeros(count, 4)}, torch.tensor(self.targets).long())


@pytest.mark.parametrize(
    ("task", "words"),
    [
        (Broken([]), "has no training examples"),
        (Broken([0, 3]), "from 0 to 2, the width of its head, but 3 came"),
        (Broken([-1, 1]), "but -1 came"),
    ],
)
def test_bad_examples_are_explained(task, words):
    with pytest.raises(UsageError, match=words):
        Supervised().trainer(Lesson(task, network_for(TASK), no_penalty, COMPUTE))


def test_environments_are_no_data_set():
    task = MiniPongTask("pong")
    network = ProgressiveNetwork()
    network.add_column(ColumnSpec((Dense(4),)), task.spec.input_shapes, task.spec.outputs)
    with pytest.raises(UsageError, match="is no data set, as the learner 'supervised' needs"):
        Supervised().trainer(Lesson(task, network, no_penalty, COMPUTE))
    with pytest.raises(UsageError, match="has no environments to act in"):
        learner_from_name("ppo").trainer(Lesson(TASK, network_for(TASK), no_penalty, COMPUTE))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 0}, "batch_size of Supervised must be a whole number at least 1"),
        ({"optimizer": "adams"}, "did you mean 'adam'"),
        ({"momentum": 1.5}, "from 0 to below 1"),
        ({"batchsize": 3}, "did you mean 'batch_size'"),
    ],
)
def test_wrong_hyperparameters_are_explained(options, words):
    with pytest.raises(UsageError, match=words):
        learner_from_name("supervised", **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"batch_size": 2.5}, "must be a whole number at least 1; got 2.5"),
        ({"learning_rate": "1e-3"}, "must be a number above 0; got '1e-3'"),
    ],
)
def test_hyperparameters_of_another_type_are_explained(options, words):
    with pytest.raises(UsageError, match=words):
        Supervised(**options)


def test_momentum_waits_for_modules_that_no_path_has_used_yet():
    task = DataTask("mine", train=(X, Y), test=(X, Y), steps=400)
    method = PathNet(
        ModularSpec((Dense(8), Dense(8)), modules=6, active=2), population=8, episodes=1
    )
    options = TrainingOptions(segment_steps=200, curve_steps=200, device="cpu")
    train_sequence([task], method, Supervised(batch_size=10), options=options)
    assert all(p.isfinite().all() for p in method.network.parameters())


def test_a_single_example_at_the_end_of_a_pass_is_refused_where_statistics_are_taken():
    def normalised(shape):
        return nn.Sequential(nn.Linear(shape[0], 8), nn.BatchNorm1d(8))

    def learn(factory, size):
        column = ColumnSpec((Custom(factory, (8,)),))
        train_sequence([TASK], Finetune(column), Supervised(batch_size=size))

    with pytest.raises(UsageError, match=r"50 training examples, .* 7 leave one alone") as raised:
        learn(normalised, 7)
    fits = int(str(raised.value).rpartition("such as ")[2].rstrip("."))
    learn(normalised, fits)
    learn(lambda shape: nn.Linear(shape[0], 8), 7)


def test_a_single_example_is_refused_in_a_sentence_wherever_it_is_read():
    def normalised(shape):
        return nn.Sequential(nn.Linear(shape[0], 8), nn.BatchNorm1d(8))

    def learn(train):
        task = DataTask("mine", train=train, test=(X, Y), steps=100)
        column = ColumnSpec((Custom(normalised, (8,)),))
        train_sequence([task], Finetune(column), Supervised(batch_size=7))

    class Read(torch.utils.data.Dataset):
        def __len__(self):
            return len(X)

        def __getitem__(self, place):
            return X[place], int(Y[place])

    read = Read()
    with pytest.raises(UsageError, match="A minibatch of a single example came"):
        learn(read)
    with pytest.raises(UsageError, match=r"has 1 training example, .* give more examples"):
        learn((X[:1], Y[:1]))


def test_one_picture_has_statistics_enough():
    def normalised(shape):
        return nn.Sequential(nn.Conv2d(shape[0], 3, 3), nn.BatchNorm2d(3))

    pictures = torch.rand(50, 1, 8, 8)
    task = DataTask("pictures", train=(pictures, Y), test=(pictures, Y), steps=100)
    column = ColumnSpec((Custom(normalised, (3, 6, 6)), Dense(4)))
    train_sequence([task], Finetune(column), Supervised(batch_size=7))


def test_early_stopping_without_validation_examples_is_refused_before_training():
    with pytest.raises(UsageError, match="goes by validation examples, and task 'mine' has none"):
        train_sequence([TASK], Finetune(), Supervised(), options=TrainingOptions(patience=1))
