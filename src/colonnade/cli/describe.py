"""`colonnade describe`: networks layer by layer."""

from __future__ import annotations

from dataclasses import dataclass

from tyro.conf import Positional


@dataclass(frozen=True)
class Describe:
    """Print networks layer by layer: shapes, parameters, laterals."""

    what: Positional[str]
    """Name of a suite, or a folder that `colonnade run --out` made, or a file that has a suite."""
    trust: bool = False
    """Import the code that the folder names, where an environment must be made to know its shapes;
    see docs/trust.md."""

    def __call__(self) -> None:
        """Print the networks."""
        from colonnade.cli.networks import print_networks

        print_networks(self.what, trust=self.trust)
