"""The trained columns that ship with Colonnade."""

from importlib import resources
from typing import Any


def bundled_columns() -> tuple[str, ...]:
    """Names of the columns that ship with Colonnade."""
    if not bundled_folder().is_dir():
        return ()
    names = (entry.name for entry in bundled_folder().iterdir())
    return tuple(
        sorted(n.removesuffix(".safetensors") for n in names if n.endswith(".safetensors"))
    )


def bundled_folder() -> Any:
    """Where they are."""
    return resources.files("colonnade") / "data"
