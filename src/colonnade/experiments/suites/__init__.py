"""The suites, one file per paper figure."""

from colonnade.errors import UsageError
from colonnade.experiments.suites.ewc.permuted import (
    EWC_OVERLAP,
    EWC_OVERLAP_MNIST,
    EWC_PERMUTED,
    EWC_PERMUTED_MNIST,
    EWC_PERMUTED_MNIST_TUNING,
    EWC_PERMUTED_MNIST_WIDE,
    EWC_PERMUTED_SEARCH,
    EWC_PERMUTED_TUNING,
)
from colonnade.experiments.suites.ewc.pong_soup_mini import EWC_PONG_SOUP_MINI
from colonnade.experiments.suites.ewc.stream import EWC_ATARI, EWC_STREAM, EWC_STREAM_MINI
from colonnade.experiments.suites.pathnet.atari import PATHNET_ATARI
from colonnade.experiments.suites.pathnet.labels import (
    PATHNET_CIFAR_SVHN,
    PATHNET_MNIST,
    PATHNET_MNIST_FULL,
)
from colonnade.experiments.suites.pathnet.labyrinth import PATHNET_LABYRINTH
from colonnade.experiments.suites.pathnet.pong_soup import (
    PATHNET_PONG_SOUP,
    PATHNET_PONG_SOUP_MINI,
)
from colonnade.experiments.suites.progressive.atari import ATARI_TRANSFER
from colonnade.experiments.suites.progressive.demo import DEMO_SUITE
from colonnade.experiments.suites.progressive.labyrinth import (
    DOOM_LABYRINTH,
    LABYRINTH,
    LABYRINTH_MINI,
    LABYRINTH_SHORT,
)
from colonnade.experiments.suites.progressive.pong_outputs import PONG_OUTPUTS, PONG_OUTPUTS_MINI
from colonnade.experiments.suites.progressive.pong_soup import PONG_SOUP, PONG_SOUP_SHORT
from colonnade.experiments.suites.progressive.pong_soup_best import PONG_SOUP_BEST
from colonnade.experiments.suites.progressive.pong_soup_mini import PONG_SOUP_MINI
from colonnade.experiments.suites.sim_to_real.columns import SIM_TO_REAL_COLUMNS
from colonnade.experiments.suites.sim_to_real.conveyor import SIM_TO_REAL_CONVEYOR
from colonnade.experiments.suites.sim_to_real.gaps import SIM_TO_REAL_GAPS
from colonnade.experiments.suites.sim_to_real.mini import SIM_TO_REAL_MINI
from colonnade.experiments.suites.sim_to_real.robot import SIM_TO_REAL, SIM_TO_REAL_SHORT
from colonnade.experiments.suites.suite import Suite
from colonnade.parts import load_plugin
from colonnade.parts.finding import find, own_names
from colonnade.records import shown

SUITES: tuple[Suite, ...] = (
    DEMO_SUITE,
    EWC_OVERLAP,
    EWC_PERMUTED,
    EWC_PONG_SOUP_MINI,
    PONG_SOUP_MINI,
    PONG_OUTPUTS_MINI,
    EWC_STREAM_MINI,
    SIM_TO_REAL_MINI,
    PATHNET_MNIST,
    PATHNET_PONG_SOUP_MINI,
    LABYRINTH_MINI,
    EWC_PERMUTED_MNIST_TUNING,
    EWC_PERMUTED_MNIST_WIDE,
    EWC_PERMUTED_TUNING,
    EWC_PERMUTED_SEARCH,
    EWC_OVERLAP_MNIST,
    EWC_PERMUTED_MNIST,
    DOOM_LABYRINTH,
    SIM_TO_REAL_GAPS,
    SIM_TO_REAL_CONVEYOR,
    SIM_TO_REAL_SHORT,
    PONG_SOUP_SHORT,
    PONG_OUTPUTS,
    EWC_STREAM,
    PATHNET_LABYRINTH,
    LABYRINTH_SHORT,
    PONG_SOUP_BEST,
    LABYRINTH,
    PONG_SOUP,
    PATHNET_CIFAR_SVHN,
    PATHNET_MNIST_FULL,
    PATHNET_PONG_SOUP,
    ATARI_TRANSFER,
    PATHNET_ATARI,
    EWC_ATARI,
    SIM_TO_REAL_COLUMNS,
    SIM_TO_REAL,
)
"""All suites, the quickest first."""


def suite_names() -> list[str]:
    """Names of all suites: ours, the quickest first, and a user's own; imports none of those."""
    return [suite.name for suite in SUITES] + own_names("suites")


def suite_from_name(name: str) -> Suite:
    """Find a suite, one of ours or of a user's own (`colonnade.parts`).

    Args:
        name: Of the suite; or a plugin's file that has one, as "my_suite.py", which is loaded.

    Raises:
        UsageError: There is none of that name, and the nearest is suggested; or a user's own is
            none.
    """
    if name.endswith(".py"):
        names = [part.name for part in load_plugin(name) if part.kind == "suites"]
        if len(names) != 1:
            raise UsageError(
                f"{name} has {len(names)} suites, where one is to be run; name one of its own by "
                f"its name, with --plugin {name}."
            )
        name = names[0]
    found: object = find("suites", name, {suite.name: suite for suite in SUITES})
    if not isinstance(found, Suite):
        raise UsageError(f"Suite {name!r} must be a Suite, but is {shown(found)}.")
    if found.name != name:
        raise UsageError(f"Suite {name!r} is called {found.name!r} itself; name both alike.")
    return found


__all__ = ["SUITES", "Suite", "suite_from_name", "suite_names"]
