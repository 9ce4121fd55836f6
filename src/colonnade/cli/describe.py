"""`colonnade describe`: networks layer by layer, and what a trained one says of itself."""

from __future__ import annotations

from dataclasses import dataclass

from tyro.conf import Positional


@dataclass(frozen=True)
class Describe:
    """Print networks layer by layer: shapes, parameters, laterals."""

    what: Positional[str]
    """Name of a suite, or a folder that `colonnade run --out` made, or a file that has a suite; or
    a trained network: a run's folder, a file of `TrainedPolicy.save`, or "bundled:NAME"."""
    trust: bool = False
    """Import the code that the folder names, where an environment must be made to know its shapes;
    see docs/trust.md."""

    def __call__(self) -> None:
        """Print the networks."""
        from colonnade.cli.networks import is_trained, print_networks, print_trained

        if is_trained(self.what):
            print_trained(self.what)
        else:
            print_networks(self.what, trust=self.trust)
