"""Data sets that are read anew in each pass: what is read, what is drawn, what goes on exactly."""

import itertools
import random

import numpy as np
import pytest
import torch
from gymnasium.spaces import Box
from interrupting import Interrupting, without_clock
from PIL import Image
from torch.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    Subset,
    TensorDataset,
    WeightedRandomSampler,
    get_worker_info,
)

from colonnade.errors import UsageError
from colonnade.learners import Compute, Lesson, Supervised
from colonnade.methods import EWC, Finetune
from colonnade.networks import ColumnSpec, Dense
from colonnade.tasks import DataTask
from colonnade.tasks.data.streams import OwnStreams
from colonnade.tasks.observations import present, presented_space
from colonnade.training import Interrupted, TrainingOptions, evaluate, train_sequence

OBSERVATION = "observation"
COUNT, SIZE = 20, 8
RNG = np.random.default_rng(0)
X = RNG.normal(size=(COUNT, 4)).astype(np.float32)
Y = np.arange(COUNT) % 3
HELD = (X, Y)


def draws():
    """One number from each generator that augmentation draws from."""
    return [random.random(), np.random.rand(), torch.rand(()).item()]  # noqa: NPY002


class Augmented(Dataset):
    """Items (index, three draws), as a random crop would draw them; counts its calls."""

    def __init__(self, count=COUNT):
        self.calls = np.zeros(count, int)

    def __len__(self):
        return len(self.calls)

    def __getitem__(self, index):
        self.calls[index] += 1
        return torch.tensor([float(index), *draws()]), int(Y[index])


class Stream(IterableDataset):
    """The same, in an order of its own, divided among workers; without a length."""

    def __iter__(self):
        info = get_worker_info()
        first, step = (info.id, info.num_workers) if info else (0, 1)
        for index in range(first, COUNT, step):
            yield torch.tensor([float(index), *draws()]), int(Y[index])


def loader(**options):
    return DataLoader(Augmented(), **{"batch_size": SIZE, "shuffle": True, **options})


def task_of(data, **options):
    return DataTask("mine", train=data, test=HELD, **{"classes": 3, "steps": 3 * COUNT, **options})


KINDS = {
    "dataset": lambda: task_of(Augmented()),
    "dataset, workers": lambda: task_of(Augmented(), workers=2),
    "stream": lambda: task_of(Stream()),
    "stream, workers": lambda: task_of(Stream(), workers=2),
    "loader": lambda: task_of(loader()),
    "loader, generator": lambda: task_of(loader(generator=torch.Generator())),
    "loader, workers": lambda: task_of(loader(num_workers=2)),
    "loader of a stream": lambda: task_of(DataLoader(Stream(), batch_size=SIZE)),
}
kinds = pytest.mark.parametrize("kind", KINDS)


def read(task, seed=1, skip=0):
    """The rows of a pass, minibatch by minibatch."""
    return [
        examples.inputs[OBSERVATION]
        for examples in task.reader("train").read(SIZE, seed, skip=skip)
    ]


@kinds
def test_a_pass_holds_every_example_once_and_its_own_draws(kind):
    task = KINDS[kind]()
    one, two = torch.cat(read(task, 1)), torch.cat(read(task, 2))
    for rows in (one, two):
        assert sorted(rows[:, 0].tolist()) == list(range(COUNT))
    drawn = torch.cat([one[:, 1:], two[:, 1:]])
    assert len(set(drawn.flatten().tolist())) == drawn.numel(), "no draw comes twice"
    assert 0 <= drawn.min() <= drawn.max() < 1


@kinds
def test_a_pass_follows_from_its_seed_alone(kind):
    one = torch.cat(read(KINDS[kind](), 1))
    random.seed(7)
    np.random.seed(7)  # noqa: NPY002
    torch.manual_seed(7)
    task = KINDS[kind]()
    read(task, 5)
    assert torch.equal(torch.cat(read(task, 1)), one)


@kinds
def test_the_rest_of_a_pass_is_as_if_all_had_been_read(kind):
    task = KINDS[kind]()
    whole = read(task, 1)
    for skip in range(len(whole) + 1):
        rest = read(task, 1, skip)
        assert len(rest) == len(whole) - skip
        assert all(torch.equal(a, b) for a, b in zip(rest, whole[skip:], strict=True))


@kinds
def test_nobody_outside_notices(kind):
    def outside():
        return draws(), next(batches) and draws()

    def start():
        random.seed(3)
        np.random.seed(3)  # noqa: NPY002
        torch.manual_seed(3)

    start()
    expected = draws(), draws()
    start()
    batches = KINDS[kind]().reader("train").read(SIZE, 1)
    assert outside() == expected
    batches.close()


def test_workers_change_nothing_about_a_dataset():
    one = read(task_of(Augmented()), 1)
    two = read(task_of(Augmented(), workers=2), 1)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))


def test_random_streams_go_on_from_block_to_block():
    streams = OwnStreams(5)
    with streams:
        first = draws()
    with streams:
        second = draws()
    with OwnStreams(5):
        assert draws() + draws() == first + second
    with OwnStreams(6):
        assert not set(draws()) & set(first)


def advance(task, count):
    method = Finetune(ColumnSpec((Dense(4),)))
    network = method.begin_task(task.spec)
    config = Supervised(batch_size=SIZE)
    with config.trainer(
        Lesson(task, network, lambda: None, Compute(torch.device("cpu")))
    ) as trainer:
        trainer.begin(lambda name: len(name))
        for _ in range(count):
            trainer.advance()


def test_ten_passes_make_ten_calls_an_item():
    data = Augmented()
    task = DataTask("mine", train=data, test=HELD, classes=3)
    assert task.spec.steps == 20 * COUNT
    data.calls[:] = 0
    advance(task, 10 * 3)
    assert data.calls.tolist() == [10] * COUNT


def test_labels_are_counted_once_where_nobody_says_how_many_there_are():
    data = Augmented()
    task = DataTask("mine", train=data, test=Augmented())
    assert task.spec.outputs == 3
    assert data.calls.tolist() == [1] * COUNT
    sized = DataTask("mine", train=loader(), test=loader(shuffle=False))
    assert (sized.spec.outputs, sized.spec.steps) == (3, 20 * COUNT)


class Plain(Dataset):
    def __init__(self, x=X, y=Y):
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x)

    def __getitem__(self, index):
        return self.x[index], self.y[index]


def trained(task, recorder=None, segment=10**6):
    method = EWC(ColumnSpec((Dense(8),), dropout=0.2), samples=30)
    options = TrainingOptions(segment_steps=segment, curve_steps=10, device="cpu")
    learner = Supervised(batch_size=SIZE)
    train_sequence([task], method, learner, options=options, recorder=recorder)
    return method


def same(one, other):
    state = other.state()[0]
    return all(torch.equal(value, state[name]) for name, value in one.state()[0].items())


def test_arrays_and_the_same_as_a_dataset_teach_the_same():
    from_arrays, from_dataset = trained(task_of(HELD)), trained(task_of(Plain()))
    assert same(from_arrays, from_dataset)


@pytest.mark.parametrize(
    "kind", ["arrays", "dataset", "dataset, workers", "stream", "loader", "loader, generator"]
)
def test_training_goes_on_exactly_from_any_place_in_a_pass(kind):
    """Checkpoints after every two minibatches, of three a pass; cut off after every fifth."""
    make = KINDS.get(kind, lambda: task_of(HELD))
    whole, cut = Interrupting(10**6), Interrupting(5)
    expected = trained(make(), whole, 2 * SIZE)
    for _ in range(30):
        try:
            found = trained(make(), cut, 2 * SIZE)
            break
        except Interrupted:
            cut.resume_for(5)
    else:
        raise AssertionError("never came to an end")
    assert same(expected, found)
    assert without_clock(cut.history) == without_clock(whole.history)


class Endless(IterableDataset):
    def __iter__(self):
        return ((X[i % COUNT], int(Y[i % COUNT])) for i in itertools.count())


def test_streams_without_end():
    task = task_of(Endless())
    trained(task)
    test = DataTask("mine", train=HELD, test=Endless(), classes=3)
    assert evaluate(test, None, episodes=33).tolist() == [1 / 3] * 33


@pytest.mark.parametrize("given", [{}, {"classes": 3}])
def test_streams_do_not_say_how_many_there_are(given):
    with pytest.raises(UsageError, match=r"add that, or, of an IterableDataset, give .* steps="):
        DataTask("mine", train=Stream(), test=HELD, **given)


def test_evaluation_reads_in_order_and_only_what_it_needs():
    data = Augmented()
    task = DataTask("mine", train=HELD, test=data, classes=3)
    data.calls[:] = 0
    network = Finetune(ColumnSpec((Dense(4),))).begin_task(task.spec)
    one = evaluate(task, network)
    assert data.calls.tolist() == [1] * COUNT
    assert np.array_equal(one, evaluate(task, network)), "with the same draws"
    rows = task.examples("test").inputs[OBSERVATION]
    assert rows[:, 0].tolist() == list(range(COUNT))
    assert evaluate(task, network, episodes=5).shape == (5,)


def test_a_loader_keeps_its_minibatches_and_its_sampler():
    weights = np.where(Y == 2, 1.0, 0.0)
    sampler = WeightedRandomSampler(weights, 12, generator=torch.Generator())
    task = task_of(DataLoader(Plain(), batch_size=5, sampler=sampler))
    batches = list(task.reader("train").read(SIZE, 1))
    assert [batch.steps for batch in batches] == [5, 5, 2]
    assert {int(label) for batch in batches for label in batch.targets} == {2}
    again = [batch.inputs[OBSERVATION] for batch in task.reader("train").read(SIZE, 1)]
    assert all(torch.equal(a.inputs[OBSERVATION], b) for a, b in zip(batches, again, strict=True))


class Length(Stream):
    def __len__(self):
        return COUNT


class OwnBatches:
    """A batch sampler of a user's own: 3 minibatches of 5."""

    def __len__(self):
        return 3

    def __iter__(self):
        return iter([[0, 1, 2, 3, 4]] * 3)


class Sized(OwnBatches):
    batch_size = 5


DRAWN = WeightedRandomSampler(np.ones(COUNT), 12)
PASSES = {
    "sampler": (lambda: DataLoader(Plain(), batch_size=5, sampler=DRAWN), 12),
    "drop_last": (lambda: DataLoader(Plain(), batch_size=8, drop_last=True), 16),
    "sampler, drop_last": (
        lambda: DataLoader(Plain(), batch_size=5, sampler=DRAWN, drop_last=True),
        10,
    ),
    "all": (lambda: DataLoader(Plain(), batch_size=6), COUNT),
    "batch sampler": (lambda: DataLoader(Plain(), batch_sampler=Sized()), 15),
    "stream": (lambda: DataLoader(Length(), batch_size=8), COUNT),
    "stream, drop_last": (lambda: DataLoader(Length(), batch_size=8, drop_last=True), 16),
}


@pytest.mark.parametrize("kind", PASSES)
@pytest.mark.parametrize("classes", [None, 3])
def test_the_budget_is_twenty_passes_of_what_the_loader_gives(kind, classes):
    make, expected = PASSES[kind]
    task = DataTask("mine", train=make(), test=HELD, classes=classes)
    batches = [batch.steps for batch in task.reader("train").read(SIZE, 1)]
    assert sum(batches) == expected, "the test's own number"
    assert task.spec.steps == 20 * expected


def test_a_pass_of_unknown_length_needs_a_budget():
    class Whole(Plain):
        def __getitem__(self, index):
            return X[index : index + 5], Y[index : index + 5]

    for make in (
        lambda: DataLoader(Plain(), batch_sampler=OwnBatches()),
        lambda: DataLoader(Whole(), sampler=[0, 5, 10], batch_size=None),
    ):
        refused = one_sentence(lambda given=make: DataTask("m", given(), HELD, classes=3))
        assert "can't be told how many examples a pass has; give the task steps=" in refused
        assert DataTask("m", make(), HELD, classes=3, steps=7).spec.steps == 7
        assert DataTask("m", make(), HELD).spec.steps == 20 * 15, "read through, and counted"


def test_a_dataset_that_reads_many_at_once_is_let():
    class Many(Plain):
        def __getitems__(self, indices):
            return [(X[i] + 1, Y[i]) for i in indices]

    rows = torch.cat(read(task_of(Many())))
    assert sorted(rows[:, 0].tolist()) == sorted((X[:, 0] + 1).tolist())
    part = Subset(Plain(), [3, 5, 7])
    assert task_of(part).examples("train").targets.tolist() == Y[[3, 5, 7]].tolist()


def test_tensors_are_held_in_memory():
    task = task_of(TensorDataset(torch.from_numpy(X), torch.from_numpy(Y)))
    assert task.reader("train") is None
    assert task.reader("test") is None


def test_inputs_by_name():
    class Named(Plain):
        def __getitem__(self, index):
            return {"a": X[index], "b": X[index, :2]}, Y[index]

    data = Named()
    for part in (data, DataLoader(data, batch_size=4)):
        task = DataTask("named", train=part, test=data)
        assert task.spec.input_shapes == {"a": (4,), "b": (2,)}
        batch = next(task.reader("train").read(4, 1, shuffle=False))
        assert torch.equal(batch.inputs["b"], batch.inputs["a"][:, :2])


PICTURES = RNG.integers(0, 256, (6, 32, 30, 3), dtype=np.uint8)
LABELS = np.arange(6) % 2
FIRST = PICTURES.transpose(0, 3, 1, 2)


def as_pairs(values):
    return Plain(list(values), LABELS)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (PICTURES, FIRST),
        (PICTURES / np.float32(255), FIRST / np.float32(255)),
        (PICTURES[..., :1], FIRST[:, :1]),
        (
            np.concatenate([PICTURES, PICTURES[..., :1]], -1),
            np.concatenate([FIRST, FIRST[:, :1]], 1),
        ),
        (FIRST, FIRST),
        (PICTURES[..., 0], FIRST[:, :1]),
        (PICTURES[..., 0].astype(np.float32), PICTURES[..., 0]),
    ],
    ids=["rgb", "float", "grey, channel", "rgba", "channels first", "grey", "a float matrix"],
)
@pytest.mark.parametrize("held", [True, False], ids=["arrays", "dataset"])
def test_images_have_their_channels_first(given, expected, held):
    data = (given, LABELS) if held else as_pairs(given)
    task = DataTask("pictures", train=data, test=data)
    found = task.examples("train").inputs[OBSERVATION].numpy()
    np.testing.assert_array_equal(found, expected)
    assert task.spec.input_shapes == {OBSERVATION: expected.shape[1:]}
    space = task.spec.observation_space
    assert space.dtype == (np.uint8 if given.dtype == np.uint8 else np.float32)


def test_pictures_of_pil():
    pairs = as_pairs([Image.fromarray(picture) for picture in PICTURES])
    task = DataTask("pictures", train=pairs, test=(PICTURES, LABELS))
    np.testing.assert_array_equal(task.examples("train").inputs[OBSERVATION], FIRST)


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize(
    "shape",
    [
        *[(84, 84, 12), (64, 64, 2), (40, 30, 6), (9, 9, 17), (17, 9, 9), (2, 16, 16)],
        *[(4, 84, 84), (84, 84), (32, 32), (32, 3), (5, 6), (7, 40)],
    ],
)
def test_images_are_seen_as_those_of_environments_are(shape, dtype):
    space = Box(0, 255, shape, dtype)
    data = RNG.integers(0, 256, (6, *shape)).astype(dtype)
    task = DataTask("x", (data, LABELS), as_pairs(data))
    for part in ("train", "test"):
        found = task.examples(part).inputs[OBSERVATION]
        np.testing.assert_array_equal(found, present(space, data))
    assert task.spec.observation_space.shape == presented_space("x", space).shape


def test_bytes_of_a_data_set_are_pixels_from_eight_by_eight_on():
    for shape, seen in [((28, 28), (1, 28, 28)), ((8, 8), (1, 8, 8)), ((7, 28), (7, 28))]:
        data = np.zeros((6, *shape), np.uint8), LABELS
        assert DataTask("x", data, data).spec.input_shapes == {OBSERVATION: seen}


def test_inputs_of_more_axes_are_let_be():
    data = np.zeros((6, 4, 5, 6, 3), np.float32), LABELS
    assert DataTask("x", data, data).spec.input_shapes == {OBSERVATION: (4, 5, 6, 3)}


@pytest.mark.parametrize("shape", [(3, 5, 3), (4, 4, 4), (84, 3, 84)])
def test_where_the_shape_does_not_tell_the_user_says_it(shape):
    odd = RNG.integers(0, 256, (6, *shape), dtype=np.uint8)
    for data in (odd, odd.astype(np.float32)):
        for part in ((data, LABELS), as_pairs(data)):
            message = one_sentence(lambda given=part: DataTask("x", given, given))
            assert f"of shape {shape}, of which no axis can be told" in message
            assert 'say channels="first"' in message
    given = (odd, LABELS)
    first, last = (
        DataTask("x", given, given, channels=channels).examples("train").inputs[OBSERVATION]
        for channels in ("first", "last")
    )
    np.testing.assert_array_equal(first, odd)
    np.testing.assert_array_equal(last, odd.transpose(0, 3, 1, 2))
    with pytest.raises(UsageError, match="Unknown place of channels 'lats'; did you mean 'last'"):
        DataTask("x", (odd, LABELS), (odd, LABELS), channels="lats")


def one_sentence(make):
    with pytest.raises(UsageError) as caught:
        make()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 400
    return message


ONE_HOT = np.eye(3, dtype=np.float32)[Y]
WRONG_LABELS = [
    (np.array(list("abcd") * 5), "'a' came"),
    (np.array([None, 1] * 10), "None came"),
    (ONE_HOT, "argmax"),
    (Y.astype(np.float32), "float|whole numbers by int"),
    (np.where(Y == 0, np.nan, Y), "NaN|nan"),  # the first one, which is looked at
    (Y[:, None], "shape"),
]


@pytest.mark.parametrize(("labels", "words"), WRONG_LABELS)
@pytest.mark.parametrize("form", ["arrays", "dataset", "workers", "stream", "loader", "test part"])
def test_labels_that_are_no_whole_numbers_are_explained(form, labels, words):
    class Flow(IterableDataset):
        def __iter__(self):
            return iter(zip(X, labels, strict=True))

    bad = Plain(X, labels)
    make = {
        "arrays": lambda: task_of((X, labels)),
        "dataset": lambda: task_of(bad),
        "workers": lambda: DataTask("mine", train=bad, test=HELD, workers=1),
        "stream": lambda: DataTask("mine", train=Flow(), test=HELD, classes=3, steps=9),
        "loader": lambda: task_of(DataLoader(bad, batch_size=SIZE)),
        "test part": lambda: DataTask("mine", train=HELD, test=bad),
    }[form]
    message = one_sentence(make)
    assert "part of task 'mine'" in message
    if form != "loader":  # whose own way of making minibatches may refuse them
        assert any(word in message for word in words.split("|")), message


@pytest.mark.parametrize("form", ["arrays", "dataset"])
@pytest.mark.parametrize(
    "change",
    [
        lambda x, y: (x[:, ::-1], y),
        lambda x, y: (x[::-1], y[::-1]),
        lambda x, y: (x.astype(">f4"), y.astype(">i4")),
        lambda x, y: (x, y.astype(object)),
    ],
    ids=["mirrored", "backwards", "big-endian", "objects"],
)
def test_arrays_of_every_layout_are_taken_as_they_are(form, change):
    inputs, labels = change(X, Y)
    if form == "dataset":
        rows = torch.cat(read(task_of(Plain(inputs, labels))))
        assert sorted(rows.tolist()) == sorted(inputs.tolist())
        return
    found = task_of((inputs, labels)).examples("train")
    np.testing.assert_array_equal(found.inputs[OBSERVATION], inputs.astype(np.float32))
    np.testing.assert_array_equal(found.targets, labels.astype(np.int64))


def test_a_label_far_down_is_found_when_it_is_read():
    labels = [*Y[:-1].tolist(), "cat"]
    message = one_sentence(lambda: DataTask("mine", train=Plain(X, labels), test=HELD))
    assert "but 'cat' came with example 19; number them" in message
    task = task_of(Plain(X, labels))  # with classes=, only the first is looked at
    assert "'cat' came with example 19" in one_sentence(lambda: read(task))
    high = task_of(Plain(X, np.where(np.arange(COUNT) == 19, 3, Y)))
    assert "from 0 to 2, 3 in number, but 3 came; say classes=4" in one_sentence(lambda: read(high))
    headed = task_of(Plain(X, np.where(np.arange(COUNT) == 19, 3, Y)), heads=(3, 2))
    assert "the head's width of 3, but 3 came; make that head 4 wide" in one_sentence(
        lambda: read(headed)
    )


class Failing(Plain):
    def __getitem__(self, index):
        if index == 7:
            raise FileNotFoundError("no such picture:\n7.png")
        return super().__getitem__(index)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: task_of((X[:, 0], Y)), "make it [N, 1], as inputs[:, None] does"),
        (lambda: task_of(Plain(X[:, 0])), "make it [N, 1]"),
        (lambda: task_of((X[:, :0], Y)), "one or more features"),
        (lambda: task_of((X.astype(str), Y)), "arrays or tensors of numbers"),
        (lambda: task_of((X * 1j, Y)), "complex numbers"),
        (lambda: task_of(([[1, 2], [3]], Y[:2])), "arrays or tensors of numbers"),
        (lambda: task_of(Plain(["a"] * COUNT)), "tensors or arrays of one shape"),
        (lambda: DataTask("mine", train=(np.uint8(255 * (X > 0)), Y), test=HELD), "uint8 [4]"),
        (lambda: DataTask("mine", train=HELD, test=Plain(X[:, :2])), "float32 [2]"),
        (lambda: DataTask("mine", train=Failing(), test=HELD), "FileNotFoundError: no such pic"),
        (
            lambda: DataTask("mine", train=Failing(), test=HELD, workers=1),
            "The train part of task 'mine' can't be read: FileNotFoundError: no such picture",
        ),
        (lambda: task_of(Plain(X * np.nan)), "NaN or infinite"),
        (lambda: task_of((np.where(X[3, 1] == X, np.inf, X), Y)), "NaN or infinite"),
        (lambda: task_of((np.where(X > 0, np.inf, -np.inf), Y)), "NaN or infinite"),
        (lambda: task_of(loader(num_workers=1, persistent_workers=True)), "persistent_workers"),
        (lambda: task_of(DataLoader(Plain(), batch_size=None)), "as the label of each example"),
        (lambda: task_of(iter([])), "but list_iterator came"),
        (lambda: DataTask("x", (X, Y + 10**9), HELD), "only 6 different ones occur; count them"),
        (lambda: task_of(HELD, classes=2.5), "classes of task 'mine' must be a whole number"),
        (lambda: task_of(HELD, classes=0), "must be a whole number at least 1; got 0"),
        (
            lambda: task_of(HELD, steps=0),
            "steps of task 'mine' must be a whole number at least 1; got 0",
        ),
        (
            lambda: task_of(HELD, workers=-1),
            "workers of task 'mine' must be a whole number at least 0; got -1",
        ),
    ],
)
def test_other_data_that_does_not_fit_is_explained(make, words):
    assert words in one_sentence(make)


def test_large_numbers_are_numbers():
    large = np.full((COUNT, 4), 3e38, np.float32)
    assert task_of((large, Y)).examples("train").inputs[OBSERVATION].max() == np.float32(3e38)


def test_a_loader_whose_workers_fail_is_explained():
    task = task_of(DataLoader(Failing(), batch_size=4, num_workers=1))
    message = one_sentence(lambda: read(task))
    assert "can't be read: FileNotFoundError: " in message


def test_a_stream_that_can_be_read_but_once_is_explained():
    class Once(IterableDataset):
        def __init__(self):
            self.items = iter([(X[0], 0)])

        def __iter__(self):
            return self.items

    task = task_of(Once())
    assert "must begin anew whenever it is iterated over" in one_sentence(lambda: read(task))


def test_a_map_without_a_length_is_explained():
    class Lengthless(Dataset):
        def __getitem__(self, index):
            return X[index], Y[index]

    assert "does not say by __len__" in one_sentence(lambda: task_of(Lengthless()))


def test_small_bytes_are_numbers_and_no_pixels():
    x = np.arange(60, dtype=np.uint8).reshape(20, 3) % 17
    y = np.arange(20) % 2
    task = DataTask("levels", train=(x, y), test=(x[:4] + 100, y[:4]))
    for part, held in (("train", x), ("test", x[:4] + 100)):  # the training part decides
        seen = task.examples(part).inputs[OBSERVATION]
        assert seen.dtype == torch.float32
        assert seen.tolist() == held.tolist()
    assert task.spec.observation_space.dtype == np.float32
    pixels = DataTask("pixels", train=(x + 60, y), test=(x, y))
    assert pixels.examples("test").inputs[OBSERVATION].dtype == torch.uint8
    assert pixels.spec.observation_space.high.max() == 255
