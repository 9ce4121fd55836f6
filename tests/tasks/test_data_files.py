"""File formats, written here by hand, and what is said where nothing can be fetched."""

import gzip
import io
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
from colonnade.tasks.data_files import read_cifar, read_idx, read_svhn
from colonnade.tasks.downloads import RemoteFile, fetch
from colonnade.tasks.image_sets import load_images

RNG = np.random.default_rng(0)


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
