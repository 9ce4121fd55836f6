"""File formats, written here by hand, and what is said where nothing can be fetched."""

import gzip
import hashlib
import io
import os
import struct
import tarfile
from pathlib import Path

import numpy as np
import pooch
import pytest
import requests
from scipy.io import savemat

from colonnade.errors import ColonnadeError
from colonnade.tasks import task_from_name
from colonnade.tasks.images import sets as image_sets
from colonnade.tasks.images.downloads import RemoteFile, fetch
from colonnade.tasks.images.files import read_cifar, read_idx, read_svhn
from colonnade.tasks.images.sets import load_images

RNG = np.random.default_rng(0)
DATA = Path(os.environ.get("COLONNADE_DATA") or "data")
"""Where MNIST itself is, on machines that have it."""


def idx(array):
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


@pytest.mark.parametrize("pack", [gzip.compress, bytes])
def test_idx_files(tmp_path, pack):
    images = RNG.integers(0, 256, (3, 4, 5), dtype=np.uint8)
    path = tmp_path / "images"
    path.write_bytes(pack(idx(images)))
    np.testing.assert_array_equal(read_idx(path), images)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "an idx file"),
        (b"\x00\x00\x0d\x01\x00\x00\x00\x01\x00", "an idx file of unsigned bytes"),
        (idx(np.zeros((3, 2), np.uint8))[:-1], "as many bytes as its header states"),
        (idx(np.zeros((3, 2), np.uint8))[:7], "as many bytes as its header states"),
        (gzip.compress(idx(np.zeros((300, 200), np.uint8)))[:-30], "a whole gzip file"),
    ],
    ids=["empty", "not of bytes", "truncated", "half a header", "truncated gzip"],
)
def test_damaged_idx_files_are_explained(tmp_path, content, words):
    path = tmp_path / "images"
    path.write_bytes(content)
    with pytest.raises(ColonnadeError, match=words):
        read_idx(path)


def test_cifar_archives(tmp_path):
    images = RNG.integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)
    labels = np.array([3, 1, 4, 1, 5])
    records = [
        bytes([label]) + image.tobytes() for image, label in zip(images, labels, strict=True)
    ]
    path = tmp_path / "archive.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, part in (("data_batch_2.bin", records[3:]), ("data_batch_1.bin", records[:3])):
            content = b"".join(part)
            member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    found, numbers = read_cifar(path, ["data_batch_1.bin", "data_batch_2.bin"])
    np.testing.assert_array_equal(found, images)
    np.testing.assert_array_equal(numbers, labels)
    with pytest.raises(ColonnadeError, match=r"whole batches test_batch.bin"):
        read_cifar(path, ["test_batch.bin"])
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(ColonnadeError, match="binary version"):
        read_cifar(path, ["data_batch_1.bin"])


def test_svhn_files(tmp_path):
    images = RNG.integers(0, 256, (4, 3, 32, 32), dtype=np.uint8)
    path = tmp_path / "train.mat"
    savemat(path, {"X": images.transpose(2, 3, 1, 0), "y": np.array([[1], [10], [9], [10]])})
    found, labels = read_svhn(path)
    np.testing.assert_array_equal(found, images)
    assert labels.tolist() == [1, 0, 9, 0]
    path.write_bytes(b"no such thing")
    with pytest.raises(ColonnadeError, match="a Matlab file"):
        read_svhn(path)


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("COLONNADE_DATA", str(tmp_path / "cache"))
    load_images.cache_clear()
    yield tmp_path / "cache"
    load_images.cache_clear()


def test_without_a_network_one_sentence_names_the_offline_suite(empty_cache, monkeypatch):
    def unreachable(self, url, *_):
        raise requests.exceptions.ConnectionError(url)

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", unreachable)
    with pytest.raises(ColonnadeError) as caught:
        task_from_name("permuted-mnist/0").examples("train")
    message = str(caught.value)
    assert "the network can't be reached" in message
    assert "'ewc-permuted'" in message
    assert str(empty_cache / "mnist") in message
    assert "\n" not in message
    task_from_name("permuted-digits/0").examples("train")


def test_files_come_from_mirrors_and_are_checked(empty_cache, monkeypatch):
    good = b"content"
    asked = []

    def serve(self, url, output, _pooch):
        asked.append(url)
        if "down" in url:
            raise requests.exceptions.HTTPError("503")
        content = b"other" if "wrong" in url else good
        Path(output).write_bytes(content)

    monkeypatch.setattr(pooch.HTTPDownloader, "__call__", serve)
    checksum = "md5:9a0364b9e99bb480dd25e1f0284c8555"  # of b"content"
    addresses = ("https://down/f", "https://wrong/f", "https://right/f")
    path = fetch("mnist", RemoteFile("f", checksum, addresses))
    assert path.read_bytes() == good
    assert asked == list(addresses)
    fetch("mnist", RemoteFile("f", checksum, addresses))
    assert len(asked) == 3, "a whole file is not fetched again"
    path.write_bytes(b"torn")
    assert fetch("mnist", RemoteFile("f", checksum, addresses)).read_bytes() == good
    with pytest.raises(ColonnadeError, match="can't be downloaded"):
        fetch("mnist", RemoteFile("g", checksum, addresses[:2]))


class Digits:
    """Four small files in MNIST's form, and nobody who sends others."""

    def __init__(self, monkeypatch, root):
        self.root = root
        counts = {"train": 10_040, "t10k": 30}  # the last 10,000 are for validation
        self.images = {
            k: RNG.integers(0, 256, (n, 28, 28), dtype=np.uint8) for k, n in counts.items()
        }
        self.labels = {k: (np.arange(n) % 10).astype(np.uint8) for k, n in counts.items()}
        self.contents = {
            **{f"{part}-images-idx3-ubyte": idx(v) for part, v in self.images.items()},
            **{f"{part}-labels-idx1-ubyte": idx(v) for part, v in self.labels.items()},
        }
        self.asked = []

        def unreachable(_, url, *__):
            self.asked.append(url)
            raise requests.exceptions.ConnectionError(url)

        monkeypatch.setattr(pooch.HTTPDownloader, "__call__", unreachable)
        for name, content in self.contents.items():
            monkeypatch.setitem(
                image_sets._MNIST_CONTENT, f"{name}.gz", hashlib.md5(content).hexdigest()
            )

    def put(self, folder, name=lambda name: name, pack=bytes):
        place = self.root / folder
        place.mkdir(parents=True, exist_ok=True)
        for plain, content in self.contents.items():
            (place / name(plain)).write_bytes(pack(content))
        return place


@pytest.fixture
def digits(empty_cache, monkeypatch):
    return Digits(monkeypatch, empty_cache)


@pytest.mark.parametrize("folder", ["mnist", "MNIST/raw", "."])
@pytest.mark.parametrize(
    ("name", "pack"),
    [
        (lambda name: f"{name}.gz", lambda content: gzip.compress(content, 1, mtime=5)),
        (lambda name: name, bytes),
        (lambda name: f"{name}.gz", bytes),
        (lambda name: name, lambda content: gzip.compress(content, 1)),
        (lambda name: name.replace("-idx", ".idx"), bytes),
    ],
    ids=["packed anew", "unpacked", "unpacked, named .gz", "packed, without .gz", "with dots"],
)
def test_mnist_is_found_in_the_folder_that_the_user_names(digits, folder, name, pack):
    digits.put(folder, name, pack)
    train, test = (task_from_name("mnist/all").examples(part) for part in ("train", "test"))
    images = train.inputs["observation"].numpy()
    np.testing.assert_array_equal(images[:, 0], digits.images["train"][:40])
    np.testing.assert_array_equal(train.targets.numpy(), digits.labels["train"][:40])
    np.testing.assert_array_equal(test.inputs["observation"].numpy()[:, 0], digits.images["t10k"])
    assert not digits.asked


def test_files_that_hold_something_else_are_not_taken(digits):
    place = digits.put("mnist")
    wrong = place / "t10k-labels-idx1-ubyte"
    wrong.write_bytes(idx((digits.labels["t10k"] + 1) % 10))
    with pytest.raises(ColonnadeError) as caught:
        task_from_name("mnist/all").examples("test")
    message = str(caught.value)
    assert f"and {wrong} holds something else" in message
    assert "put t10k-labels-idx1-ubyte.gz, packed or not, into" in message
    assert "\n" not in message
    assert digits.asked, "mirrors were asked"


def test_the_right_file_is_found_beside_a_wrong_one(digits):
    digits.put(".")
    (digits.put("mnist") / "t10k-labels-idx1-ubyte").write_bytes(gzip.compress(b"torn")[:-9])
    assert task_from_name("mnist/all").examples("test").steps == 30


def test_other_sets_with_files_of_the_same_names_are_told_apart(digits):
    digits.put(".")
    with pytest.raises(ColonnadeError, match="'fashion-mnist' can't be downloaded"):
        task_from_name("fashion-mnist/all").examples("test")


@pytest.mark.slow
@pytest.mark.skipif(
    not (DATA / "mnist").is_dir(), reason="MNIST is not in the folder that COLONNADE_DATA names"
)
def test_mnist_itself():
    """Against what is published of it: the numbers of each digit, and the mean and spread."""
    load_images.cache_clear()
    parts = {part: task_from_name("mnist/all").examples(part) for part in ("train", "validation")}
    images = np.concatenate([part.inputs["observation"].numpy() for part in parts.values()])
    labels = np.concatenate([part.targets.numpy() for part in parts.values()])
    assert images.shape == (60_000, 1, 28, 28)
    expected = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(labels).tolist() == expected
    assert labels[:5].tolist() == [5, 0, 4, 1, 9]
    assert images.mean() / 255 == pytest.approx(0.1307, abs=5e-5)
    assert images.std() / 255 == pytest.approx(0.3081, abs=5e-5)
    test = task_from_name("mnist/all").examples("test").targets.numpy()
    expected = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert np.bincount(test).tolist() == expected
    load_images.cache_clear()
