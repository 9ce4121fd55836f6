"""Tasks made of data sets: the parts, the permutations, the labels, the noise, the names."""

import hashlib

import numpy as np
import pytest
import torch

from colonnade.errors import UsageError
from colonnade.tasks import (
    IMAGE_SETS,
    DataTask,
    ImageTask,
    PermutedTask,
    pair_task,
    split_tasks,
    task_from_name,
    task_names,
)
from colonnade.tasks.images.sets import load_images
from colonnade.types import DatasetTask

OBSERVATION = "observation"
PARTS = ("train", "validation", "test")


def fingerprints(examples):
    flat = examples.inputs[OBSERVATION].flatten(1).numpy()
    return [hashlib.sha256(row.tobytes()).hexdigest() for row in flat]


@pytest.mark.parametrize("noise", [0.5, 0.125, 0.12, 0.004, 0.29, 0.0])
def test_a_pair_is_found_again_by_its_name(noise):
    task = pair_task("digits", (3, 5), noise)
    again = task_from_name(task.spec.id)
    assert (again.noise, again.spec.id) == (noise, task.spec.id)


def test_noise_is_said_once():
    with pytest.raises(UsageError, match=r"says how much noise it has, and noise=0\.2 came beside"):
        task_from_name("digits/pair-3-5-noise-50", noise=0.2)


def test_the_digits_are_scikit_learns_in_mnists_form():
    from sklearn.datasets import load_digits

    parts = {part: ImageTask("digits").examples(part) for part in PARTS}
    assert [parts[part].steps for part in PARTS] == [1197, 200, 400]
    assert sum(part.steps for part in parts.values()) == len(load_digits().target)
    for part in parts.values():
        assert part.inputs[OBSERVATION].dtype == torch.uint8
        assert part.targets.bincount(minlength=10).min() > 0.07 * part.steps
        margin = part.inputs[OBSERVATION].clone()
        margin[:, :, 4:24, 4:24] = 0
        assert not margin.any()
    # A 20 x 20 image whose blocks average to the 8 x 8 original: 2.5 pixels for each of its own.
    image = parts["test"].inputs[OBSERVATION][0, 0, 4:24, 4:24].float()
    coarse = torch.nn.functional.adaptive_avg_pool2d(image[None, None], 4)[0, 0]
    small = torch.from_numpy(load_digits().images[0]).float() * 255 / 16
    expected = torch.nn.functional.adaptive_avg_pool2d(small[None, None], 4)[0, 0]
    assert parts["test"].targets[0] == load_digits().target[0]
    assert torch.allclose(coarse, expected, atol=20)


def test_no_image_is_in_two_parts():
    rows = {part: set(fingerprints(ImageTask("digits").examples(part))) for part in PARTS}
    assert not rows["train"] & rows["test"]
    assert not rows["train"] & rows["validation"]
    assert not rows["validation"] & rows["test"]


@pytest.mark.parametrize("part", PARTS)
def test_a_permutation_moves_all_images_alike_and_loses_nothing(part):
    plain = ImageTask("digits").examples(part)
    one = PermutedTask("digits", 3).examples(part)
    assert torch.equal(one.targets, plain.targets)
    pixels = plain.inputs[OBSERVATION].flatten(1)
    moved = one.inputs[OBSERVATION]
    assert moved.shape == (plain.steps, 784)
    order = PermutedTask("digits", 3).order()
    for image, pixel in ((0, 5), (1, 400), (7, 783)):  # by hand, pixel by pixel
        assert moved[image, pixel] == pixels[image, order[pixel]]
    assert torch.equal(moved.sort(1).values, pixels.sort(1).values)
    other = PermutedTask("digits", 4).examples(part).inputs[OBSERVATION]
    assert not torch.equal(other, moved)


@pytest.mark.parametrize("side", [8, 26])
def test_a_central_permutation_leaves_the_rest_alone(side):
    order = PermutedTask("digits", 1, side=side).order().view(28, 28)
    identity = torch.arange(784).view(28, 28)
    stays = order == identity
    edge = (28 - side) // 2
    inside = torch.zeros(28, 28, dtype=torch.bool)
    inside[edge : 28 - edge, edge : 28 - edge] = True
    assert int(inside.sum()) == side**2
    assert stays[~inside].all()
    assert stays[inside].float().mean() < 0.1
    assert set(order[inside].tolist()) == set(identity[inside].tolist())


def test_split_tasks_share_the_examples_among_them():
    tasks = split_tasks("digits")
    assert sum(task.examples("train").steps for task in tasks) == 1197
    _, labels = load_images("digits")["test"]
    for number, task in enumerate(tasks):
        part = task.examples("test")
        assert set(part.targets.tolist()) == {0, 1}
        assert part.steps == int(((labels == 2 * number) | (labels == 2 * number + 1)).sum())
        assert task.spec.outputs == 2


def test_heads_of_a_split_data_set():
    whole = split_tasks("digits", heads="all")[3]
    assert set(whole.examples("train").targets.tolist()) == {6, 7}
    assert (whole.spec.outputs, whole.spec.action_sizes) == (10, (10,))
    own = split_tasks("digits", heads="own")[3].spec
    assert (own.outputs, own.action_sizes, own.head, own.heads) == (10, (2,), 3, 5)


def test_a_pair_has_its_two_labels_in_the_order_given():
    _, labels = load_images("digits")["train"]
    part = pair_task("digits", (5, 3)).examples("train")
    chosen = labels[(labels == 3) | (labels == 5)]
    assert torch.equal(part.targets, (chosen == 3).long())


def test_salt_and_pepper_is_as_strong_as_said_and_always_the_same():
    clean = pair_task("digits", (3, 5)).examples("train").inputs[OBSERVATION]
    task = task_from_name("digits/pair-3-5-noise-50")
    noisy = task.examples("train").inputs[OBSERVATION]
    assert torch.equal(noisy, task.examples("train").inputs[OBSERVATION])
    grey = (clean > 0) & (clean < 255)  # where any turned pixel shows
    assert abs((noisy != clean)[grey].float().mean() - 0.5) < 0.01
    turned = noisy[grey & (noisy != clean)]
    assert abs((turned == 255).float().mean() - 0.5) < 0.02
    assert abs((turned == 0).float().mean() - 0.5) < 0.02
    assert torch.equal(noisy[~grey & (noisy != 0) & (noisy != 255)], torch.tensor([]).byte())


DIGIT_NAMES = [name for name in task_names() if "digits" in name.partition("/")[0]]


@pytest.mark.parametrize("name", DIGIT_NAMES)
def test_every_name_makes_the_task_of_that_id(name):
    task = task_from_name(name, steps=77)
    assert task.spec.id == name
    assert task.spec.steps == 77
    assert isinstance(task, DatasetTask)
    assert hash(task) == hash(task_from_name(name, steps=77))
    for part in PARTS:
        examples = task.examples(part)
        shape = task.spec.input_shapes[OBSERVATION]
        assert tuple(examples.inputs[OBSERVATION].shape[1:]) == shape
        assert 0 <= int(examples.targets.min()) <= int(examples.targets.max())
        assert int(examples.targets.max()) < task.spec.action_sizes[0]


def test_specs_need_no_download():
    for name in IMAGE_SETS:
        spec = task_from_name(f"permuted-{name}/2").spec
        assert spec.steps == 20 * IMAGE_SETS[name].train


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("digits/pair-3", "names are like digits/all, digits/pair-0-1"),
        ("digits/pair-3-3", "different numbers from 0 to 9; got 3, 3"),
        ("digits/pair-3-11", "from 0 to 9; got 3, 11"),
        ("digits/pair-3-4-noise-150", "from 0 to 1; got 1.5"),
        ("permuted-digits/99x99-0", "fit into 28 x 28"),
        ("split-digits/5", "numbered from 0 to 4; got 5"),
        ("permuted-digit/3", "did you mean 'permuted-digits/0'"),
        ("cifar10/all", "did you mean 'cifar-10/all'"),
    ],
)
def test_wrong_names_are_explained(name, words):
    with pytest.raises(UsageError) as caught:
        task_from_name(name)
    assert words in str(caught.value)


def arrays(count, classes=3):
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, 4)).astype(np.float32), np.arange(count) % classes


class Pairs(torch.utils.data.Dataset):
    def __init__(self, count, item=lambda i: (torch.full((2, 2), float(i)), i % 2)):
        self.count, self.item = count, item

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        if index >= self.count:
            raise IndexError
        return self.item(index)


def test_own_arrays_and_own_data_sets():
    task = DataTask("mine", train=arrays(30), test=arrays(9), steps=100)
    assert (task.spec.outputs, task.spec.steps, task.spec.input_shapes) == (
        3,
        100,
        {OBSERVATION: (4,)},
    )
    x, y = arrays(30)
    part = task.examples("train")
    np.testing.assert_array_equal(part.inputs[OBSERVATION].numpy(), x)
    np.testing.assert_array_equal(part.targets.numpy(), y)
    from_dataset = DataTask("other", train=Pairs(8), test=Pairs(4))
    assert from_dataset.examples("train").inputs[OBSERVATION].shape == (8, 2, 2)
    assert from_dataset.examples("train").targets.tolist() == [0, 1] * 4
    named = DataTask("named", train=({"a": x, "b": x[:, :2]}, y), test=({"a": x, "b": x[:, :2]}, y))
    assert named.spec.input_shapes == {"a": (4,), "b": (2,)}


X, Y = arrays(6)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"train": (X[:0], Y[:0])}, "is empty"),
        ({"train": Pairs(0)}, "is empty"),
        ({"classes": 2}, "from 0 to 1, 2 in number, but 2 came; say classes=3, or"),
        ({"train": (X, Y - 1)}, "but -1 came; count labels from 0, and leave out examples without"),
        ({"train": (X, -1 - 0 * Y)}, "from 0 to 2, 3 in number, but -1 came; count labels from 0"),
        ({"train": (X, Y[:3])}, "3 labels came with 'observation' of shape [6, 4]"),
        ({"train": (X, Y.astype(np.float32))}, "one whole number as the label"),
        ({"train": (np.where(X > 0, np.nan, X), Y)}, "NaN or infinite"),
        ({"test": (X[:, :2], Y)}, "but the training examples have"),
        ({"train": X}, "a pair of inputs and labels, or a PyTorch Dataset, but ndarray"),
        ({"train": Pairs(4, lambda i: torch.ones(2))}, "pairs of an input and a label"),
        ({"train": Pairs(4, lambda i: (torch.ones(1 + i), 0))}, "of one shape"),
    ],
)
def test_bad_data_is_explained_in_one_sentence(options, words):
    with pytest.raises(UsageError) as caught:
        DataTask("mine", **{"train": (X, Y), "test": (X, Y), **options})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_validation_examples_are_explained():
    with pytest.raises(UsageError, match="has no validation examples; give DataTask"):
        DataTask("mine", train=(X, Y), test=(X, Y)).examples("validation")
