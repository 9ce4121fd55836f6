"""Files of tensors: equal content has equal bytes, and older files are read."""

import json

import pytest
import safetensors.torch
import torch

from colonnade.errors import ColonnadeError
from colonnade.training import read_tensors, write_tensors
from colonnade.training.checkpoints import _checksum

TENSORS = {"b": torch.arange(6.0).view(2, 3), "a": torch.tensor([1, 2], dtype=torch.int64)}
META = {"tasks": {"pong": 0}, "network": [1, "x y", None]}


def test_equal_content_has_equal_bytes(tmp_path):
    written = set()
    for number in range(12):
        turned = dict(reversed(TENSORS.items())) if number % 2 else TENSORS
        write_tensors(tmp_path / "file", turned, dict(reversed(META.items())))
        written.add((tmp_path / "file").read_bytes())
    assert len(written) == 1
    tensors, meta = read_tensors(tmp_path / "file")
    assert meta == META
    assert all(torch.equal(tensors[name], value) for name, value in TENSORS.items())


@pytest.mark.parametrize("shape", [(1,), (1, 1)])
def test_a_single_number_may_have_any_stride(tmp_path, shape):
    number = torch.zeros(()).expand(shape)
    assert number.stride() == (0,) * len(shape)
    write_tensors(tmp_path / "file", {"number": number}, META)
    tensors, _ = read_tensors(tmp_path / "file")
    assert torch.equal(tensors["number"], torch.zeros(shape))


def test_files_from_before_are_read(tmp_path):
    body = json.dumps(META, sort_keys=True)
    header = {"colonnade": body, "checksum": _checksum(TENSORS, body)}
    (tmp_path / "old").write_bytes(safetensors.torch.save(TENSORS, header))
    tensors, meta = read_tensors(tmp_path / "old")
    assert meta == META
    assert torch.equal(tensors["b"], TENSORS["b"])


@pytest.mark.parametrize("pad", range(0, 64, 8))
def test_what_is_read_lies_where_torch_puts_tensors(tmp_path, pad):
    # Beside such places products of matrices are rounded otherwise.
    write_tensors(tmp_path / "file", TENSORS, {"pad": "x" * pad})
    assert all(value.data_ptr() % 64 == 0 for value in read_tensors(tmp_path / "file")[0].values())


def test_a_changed_number_is_noticed(tmp_path):
    write_tensors(tmp_path / "file", TENSORS, META)
    content = bytearray((tmp_path / "file").read_bytes())
    content[-1] ^= 1
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(ColonnadeError, match="checksum does not fit"):
        read_tensors(tmp_path / "file")
