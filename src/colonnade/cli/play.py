"""`colonnade play`: watch or film a trained column."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Play:
    """Let a trained column play, and film what it sees; needs no display."""

    dir: Positional[Path]
    """A folder that `colonnade run --out` made."""
    run: str | None = None
    """Id of the run whose network plays, or a beginning that no other has; by default the last one
    that is complete."""
    task: str | None = None
    """Name of the task to play, among those the network has learned; by default its last."""
    episodes: int = 1
    """How many episodes to play."""
    film: Path | None = None
    """Where to write a film of what the agent sees; the name ends in .webp, .gif or .mp4."""
    seed: int = 0
    """Of the environment and of the actions."""
    trust: bool = False
    """Import the code that the folder names, such as an environment's module or a stage's factory;
    see docs/trust.md."""

    def __call__(self) -> None:
        """Play, film, and print the returns."""
        from colonnade.experiments.store.folders import SuiteFolder

        suite = SuiteFolder.read(self.dir)
        from colonnade.experiments.trained.play import play  # heavy, and of no use to a mistake

        played = play(
            suite, self.run, self.task, self.episodes, self.film, self.seed, trust=self.trust
        )
        print(f"{played.run} plays {played.task}")
        for number, score in enumerate(played.returns, start=1):
            print(f"episode {number}: return {score:g}")
        if self.film is not None:
            print(f"film: {self.film}")
