"""PathNet's tournaments as they run: who is being evaluated, what is known, what it came to.

Both can be written as JSON data and read back in the middle of a task.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from colonnade.errors import UsageError
from colonnade.methods.pathnet.evolution import (
    UNKNOWN,
    GenotypeShape,
    Integers,
    Result,
    binary_tournament,
    challenge,
    draw_pair,
    draw_population,
    path_of,
)
from colonnade.networks import Path
from colonnade.types import Episode

_SNAPSHOTS = 48
"""A history keeps at most so many populations; when it is full, every second one goes."""


@dataclass
class History:
    """How a population changed, thinned out evenly.

    Attributes:
        snapshots: Each with the number of evaluations so far, genotypes [P, L, N] and fitness [P].
        stride: Evaluations between snapshots.
    """

    snapshots: list[dict[str, Any]] = field(default_factory=list)
    stride: int = 1

    def add(self, evaluations: int, population: Integers, fitness: Iterable[float]) -> None:
        """Keep the present population, if it is one to keep."""
        if evaluations % self.stride:
            return
        if len(self.snapshots) >= _SNAPSHOTS:
            self.stride *= 2
            self.snapshots = [s for s in self.snapshots if s["evaluations"] % self.stride == 0]
            if evaluations % self.stride:
                return
        known = [None if np.isnan(value) else round(float(value), 4) for value in fitness]
        self.snapshots.append(
            {"evaluations": evaluations, "genotypes": population.tolist(), "fitness": known}
        )


class Tournament:
    """What the serial and the asynchronous tournament share: a population and its fitness.

    Attributes:
        population: [P, L, N].
        fitness: [P], `UNKNOWN` where a genotype was not evaluated since it was last changed.
        evaluations: How many evaluations of `episodes` episodes are complete.
        history: The populations over time.
    """

    def __init__(self, shape: GenotypeShape, size: int, episodes: int, seed: int) -> None:
        """Draw a population.

        Args:
            shape: Of the genotypes.
            size: P, at least 2.
            episodes: T, how many episodes, or minibatches, an evaluation takes.
            seed: Of everything random here.
        """
        if episodes < 1:
            raise UsageError(f"An evaluation takes at least 1 episode; got {episodes}.")
        self.shape, self.episodes = shape, episodes
        self.rng = np.random.default_rng(seed)
        self.population = draw_population(shape, size, self.rng)
        self.fitness = np.full(size, UNKNOWN)
        self.evaluations = 0
        self.history = History()
        self._totals, self._counts = np.zeros(size), np.zeros(size, np.int64)
        self.history.add(0, self.population, self.fitness)

    @property
    def paths(self) -> list[Path]:
        """The path of each genotype."""
        return [path_of(genotype) for genotype in self.population]

    @property
    def played(self) -> bool:
        """Whether a genotype has played an episode whole."""
        return bool(self._counts.any()) or not np.isnan(self.fitness).all()

    @property
    def best(self) -> int:
        """Index of the fittest evaluated genotype, the first among equals.

        Where none has been evaluated in full, the mean of what there is decides; before anything
        was `played`, the first stands for all.
        """
        if not np.isnan(self.fitness).all():
            return int(np.nanargmax(self.fitness))
        begun = self._counts > 0
        if not begun.any():
            return 0
        means = np.where(begun, self._totals / np.maximum(self._counts, 1), -np.inf)
        return int(np.argmax(means))

    def state(self) -> dict[str, Any]:
        """Return all that changes as JSON data."""
        return {
            "population": self.population.tolist(),
            "fitness": [None if np.isnan(value) else value for value in self.fitness.tolist()],
            "totals": self._totals.tolist(),
            "counts": self._counts.tolist(),
            "evaluations": self.evaluations,
            "random": self.rng.bit_generator.state,
            "history": {"snapshots": self.history.snapshots, "stride": self.history.stride},
        }

    def load_state(self, data: dict[str, Any]) -> None:
        """Return to a state that `state` gave.

        Raises:
            UsageError: Its genotypes do not fit.
        """
        population = np.array(data["population"], dtype=np.int64)
        self.shape.check(population)
        self.population = population
        self.fitness = np.array([UNKNOWN if v is None else v for v in data["fitness"]])
        self._totals = np.array(data["totals"])
        self._counts = np.array(data["counts"], dtype=np.int64)
        self.evaluations = data["evaluations"]
        self.rng.bit_generator.state = data["random"]
        self.history = History(list(data["history"]["snapshots"]), data["history"]["stride"])

    def _evaluated(self, index: int, score: float) -> bool:
        """Add an episode to a genotype's evaluation; True when that is complete."""
        self._totals[index] += score
        self._counts[index] += 1
        if self._counts[index] < self.episodes:
            return False
        self.fitness[index] = self._totals[index] / self._counts[index]
        self._totals[index] = self._counts[index] = 0
        self.evaluations += 1
        return True

    def _replace(self, result: Result) -> None:
        self.population = result.population
        self.fitness[result.loser] = UNKNOWN


class AsynchronousTournament(Tournament):
    """One genotype per environment; whoever has been evaluated is compared with some others.

    A new genotype begins with the environment's next episode. The episode that is under way when
    it changes was begun by the old one, so it counts for neither.
    """

    def __init__(
        self, shape: GenotypeShape, size: int, episodes: int, rivals: int, seed: int
    ) -> None:
        """Draw a population; `rivals` is B, the others that a genotype is compared with."""
        super().__init__(shape, size, episodes, seed)
        if rivals < 1:
            raise UsageError(f"A genotype is compared with at least 1 rival; got {rivals}.")
        self.rivals = rivals
        self._under_way = np.zeros(size, bool)

    def note(self, episodes: Iterable[Episode]) -> list[Result]:
        """Take note of the episodes since the last call, and return what changed.

        Raises:
            UsageError: An episode is of an environment without a genotype.
        """
        results: list[Result] = []
        changed: set[int] = set()
        for episode in episodes:
            index = episode.environment
            if not 0 <= index < len(self.population):
                raise UsageError(
                    f"An episode of environment {index} came to a population of "
                    f"{len(self.population)}; use one genotype per environment."
                )
            if index in changed:
                continue
            if self._under_way[index]:
                self._under_way[index] = False
                continue
            if not self._evaluated(index, episode.total_return):
                continue
            result = challenge(
                self.population, self.fitness, index, self.rivals, self.shape, self.rng
            )
            if result is not None:
                results.append(result)
                changed.add(index)
                self._replace(result)
            self.history.add(self.evaluations, self.population, self.fitness)
        self._under_way[list(changed)] = True
        return results

    def state(self) -> dict[str, Any]:
        """Return all that changes as JSON data."""
        return super().state() | {"under_way": self._under_way.tolist()}

    def load_state(self, data: dict[str, Any]) -> None:
        """Return to a state that `state` gave."""
        super().load_state(data)
        self._under_way = np.array(data["under_way"], dtype=bool)


class SerialTournament(Tournament):
    """Two genotypes drawn at random are trained in turn; the winner's mutant replaces the loser.

    Attributes:
        generations: How many tournaments are complete.
        scores: Of each generation, the winner's fitness.
        champion: The fittest path of all generations as it was evaluated, and its fitness.
    """

    def __init__(self, shape: GenotypeShape, size: int, episodes: int, seed: int) -> None:
        """Draw a population and the first pair."""
        super().__init__(shape, size, episodes, seed)
        self.generations = 0
        self.scores: list[float] = []
        self.champion: tuple[Path, float] | None = None
        self._pair, self._turn = draw_pair(size, self.rng), 0

    @property
    def contender(self) -> tuple[int, int]:
        """What is being evaluated: the generation, and which of its two genotypes."""
        return self.generations, self._turn

    @property
    def path(self) -> Path:
        """The path to train now."""
        return path_of(self.population[self._pair[self._turn]])

    def note(self, score: float) -> Result | None:
        """Take note of one minibatch's score; return what changed when a generation ends."""
        if not self._evaluated(self._pair[self._turn], score):
            return None
        if self._turn == 0:
            self._turn = 1
            return None
        first, second = self._pair
        fitness = float(self.fitness[first]), float(self.fitness[second])
        result = binary_tournament(self.population, self._pair, fitness, self.shape, self.rng)
        winner = float(self.fitness[result.winner])
        if self.champion is None or winner >= self.champion[1]:
            self.champion = path_of(self.population[result.winner]), winner
        self._replace(result)
        self.generations += 1
        self.scores.append(round(winner, 6))
        self.history.add(self.generations, self.population, self.fitness)
        self._pair, self._turn = draw_pair(len(self.population), self.rng), 0
        return result

    def state(self) -> dict[str, Any]:
        """Return all that changes as JSON data."""
        return super().state() | {
            "generations": self.generations,
            "scores": self.scores,
            "champion": self.champion,
            "pair": list(self._pair),
            "turn": self._turn,
        }

    def load_state(self, data: dict[str, Any]) -> None:
        """Return to a state that `state` gave."""
        super().load_state(data)
        self.generations, self.scores = data["generations"], list(data["scores"])
        first, second = data["pair"]
        self._pair, self._turn = (first, second), data["turn"]
        champion = data["champion"]
        self.champion = champion and (tuple(map(tuple, champion[0])), champion[1])
