"""Tensors and JSON data in one file that is whole or absent, and that executes nothing on load."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import torch
from torch import Tensor

from colonnade.atomic import write_atomically
from colonnade.errors import ColonnadeError
from colonnade.memory_layout import settled


def write_tensors(path: Path, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
    """Write a safetensors file under a temporary name, then rename it.

    Args:
        path: The file to make or replace.
        tensors: By name; a copy on the host is written.
        meta: JSON data, kept in the file's header.
    """
    flat = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    places = Counter(tensor.untyped_storage().data_ptr() for tensor in flat.values())
    for name, tensor in flat.items():
        if places[tensor.untyped_storage().data_ptr()] > 1:  # as of tied weights
            flat[name] = tensor.clone()
    body = json.dumps(meta, sort_keys=True)
    # One key: of several, the order in the file would differ from time to time.
    header = {"colonnade": f"{_checksum(flat, body)} {body}"}
    write_atomically(path, safetensors.torch.save(flat, header))


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read what `write_tensors` wrote.

    Raises:
        ColonnadeError: The file is missing, cut short, damaged or from another program.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            header = file.metadata() or {}
            tensors = {name: settled(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
    except FileNotFoundError as error:
        raise ColonnadeError(f"Expected a weights file at {path}, but there is none.") from error
    except (safetensors.SafetensorError, OSError) as error:
        raise ColonnadeError(
            f"Expected a safetensors file at {path}, but it is cut short or of another kind "
            f"({error})."
        ) from error
    if "colonnade" not in header:
        raise ColonnadeError(
            f"Expected weights of Colonnade at {path}, but another program wrote the file."
        )
    # Files from before had a key of its own for the checksum.
    if "checksum" in header:
        checksum, body = header["checksum"], header["colonnade"]
    else:
        checksum, _, body = header["colonnade"].partition(" ")
    if checksum != _checksum(tensors, body):
        raise ColonnadeError(f"{path} is damaged: its checksum does not fit its content.")
    return tensors, json.loads(body)


def bytes_of(tensor: Tensor) -> memoryview:
    """Return a tensor's numbers as bytes."""
    # One of a single number may have any stride, and is contiguous nevertheless.
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    if flat.numel() == 1:
        flat = flat.clone(memory_format=torch.contiguous_format)
    return flat.view(torch.uint8).numpy().data


def _checksum(tensors: dict[str, Tensor], body: str) -> str:
    digest = hashlib.sha256(body.encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(bytes_of(tensors[name]))
    return digest.hexdigest()
