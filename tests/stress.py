"""Do to runs what nights do to them, and compare what they come to with what nobody disturbed.

    python tests/stress.py --kills 50          kills at random moments
    python tests/stress.py --injected          a kill at each system call that writes
    python tests/stress.py --full-disk 20      a full disk, at random moments
    python tests/stress.py --hung 10           stopped processes, noticed and replaced
    python tests/stress.py --orphans 50        nothing is alive 10 s after a SIGKILL
    python tests/stress.py --nodes 10          killed nodes of a Ray cluster
    python tests/stress.py --memory 7200       seconds of training in flat memory

With `--record FILE` each case's outcome is noted there, and the same command goes on after them.
The last line says how many came out as they should; the exit status is 0 where all did.
docs/reliability.md says what is promised.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from harness.tally import Tally


def main(arguments: list[str]) -> int:
    """Do what is asked for; 0 where all is well."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, help="how many kills at random moments")
    parser.add_argument("--runs-alone", action="store_true", help="kill runs, no whole commands")
    parser.add_argument(
        "--injected", type=int, nargs="?", const=0, help="how many calls; every one if no number"
    )
    parser.add_argument("--full-disk", type=int, help="how many full disks")
    parser.add_argument("--hung", type=int, help="how many stopped processes")
    parser.add_argument("--orphans", type=int, help="how many killed commands")
    parser.add_argument("--nodes", type=int, help="how many killed nodes of a Ray cluster")
    parser.add_argument("--memory", type=float, help="for how many seconds")
    parser.add_argument("--only", default="", help="of --hung and --orphans: kinds of this name")
    parser.add_argument("--limit", type=float, default=20.0, help="--hung: seconds without a sign")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", type=Path, help="a file for each case's outcome")
    given = parser.parse_args(arguments)
    wrong = 0

    def tally(form: str) -> Tally:
        return Tally(form, given.seed, given.record)

    if given.injected is not None:
        from harness.injected import injected

        every = not given.injected
        sweeps = 50 if every else 0
        wrong += injected(
            ["kill", "tear"], given.injected or None, tally("injected"), sweeps=sweeps
        )
    if given.full_disk:
        from harness.full_disk import full_disks

        wrong += full_disks(given.full_disk, tally("full disk"))
    if given.hung:
        from harness.hung import hung

        wrong += hung(given.hung, tally("hung"), given.only, given.limit)
    if given.orphans:
        from harness.orphans import orphans

        wrong += orphans(given.orphans, tally("orphans"), given.only)
    if given.nodes:
        from harness.nodes import node_kills

        wrong += node_kills(given.nodes, tally("nodes"))
    if given.memory:
        from harness.memory import memory

        wrong += memory(given.memory)
    if given.kills:
        from harness.kills import kills

        wrong += kills(given.kills, tally("kills"), commands=not given.runs_alone)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
