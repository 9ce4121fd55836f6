"""PathNet: evolution chooses the paths, gradient descent trains them, the best is frozen.

Fernando et al. 2017 (arXiv 1701.08734). `docs/pathnet.md` has the algorithm and its sources.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from colonnade.checks import SHARE, real, whole
from colonnade.errors import NothingPlayedError, UsageError, unknown_name
from colonnade.methods.pathnet.evolution import GenotypeShape, draw_duplication, overlap, usefulness
from colonnade.methods.pathnet.paths import ModularChoice, PathMethod, TaskPath, check_inputs
from colonnade.methods.pathnet.tournaments import AsynchronousTournament, SerialTournament
from colonnade.networks import ModularSpec, Path, PathView, PopulationView
from colonnade.networks.initialisation import is_drawn
from colonnade.types import Batch, Episode, Likelihood, Network, TaskSpec

Frozen = Literal["auto", "active", "optional"]
"""Whether frozen modules are active whatever the path."""

EPISODES = 10
"""T, unless the options say otherwise."""


class PathNet(PathMethod):
    """Paths that evolve while they are trained; each task's best is frozen and may be reused.

    Tasks with environments have an asynchronous tournament with one genotype per environment, so
    the population is as large as the number of environments; data sets have the serial binary
    tournament, where an episode is a minibatch and its return the training accuracy.
    """

    def __init__(
        self,
        network: ModularChoice = None,
        population: int = 16,
        episodes: int = EPISODES,
        rivals: int = 5,
        spread: int = 2,
        frozen: Frozen = "auto",
        duplication: float = 0.0,
    ) -> None:
        """Begin without a network.

        Args:
            network: What it will look like.
            population: P, how many genotypes; the number of environments for reinforcement.
            episodes: T, episodes or minibatches that an evaluation takes.
            rivals: B, how many others a genotype is compared with (asynchronous tournament).
            spread: Largest change of a gene by a mutation.
            frozen: Frozen modules are "active" in every path; or "optional"; "auto" is the
                paper's choice, active where a task is learned by reinforcement.
            duplication: Probability that a tournament is followed by copying a useful module's
                weights into another slot; 0 never does.

        Raises:
            UsageError: A number is out of range, or `frozen` is unknown.
        """
        super().__init__(network)
        if frozen not in get_args(Frozen):
            raise unknown_name("value for `frozen`", frozen, get_args(Frozen))
        # Mistakes show before any work.
        self._population = whole("population of PathNet", population)
        self._episodes = whole("episodes of PathNet", episodes)
        self._rivals = whole("rivals of PathNet", rivals)
        self._spread = whole("spread of PathNet", spread)
        self._duplication = real("duplication of PathNet", duplication, SHARE)
        self._frozen = frozen
        self.histories: dict[str, dict[str, Any]] = {}
        self._unsettled: list[str] = []
        self._task: str | None = None
        self._tournament: AsynchronousTournament | SerialTournament | None = None
        self._view: PathView | PopulationView | None = None
        self._shape(network if isinstance(network, ModularSpec) else None)

    def begin_task(self, spec: TaskSpec, outputs: int | None = None) -> Network:
        """Freeze the last task's best path, renew all else, and draw a population.

        Raises:
            UsageError: All modules are frozen, or the task's inputs are others.
        """
        if self.tasks:
            self._consolidate(spec)
        else:
            self._add_network(spec, self.spec_for(spec))
        network = self.network
        always = self._frozen == "active" or (self._frozen == "auto" and not spec.labelled)
        forced = network.frozen if always else ((),) * len(network.layers)
        seed = int(torch.randint(2**62, ()))
        self._view = None
        self._begin_tournament(network.spec, seed, asynchronous=not spec.labelled)
        head = network.add_head(outputs or spec.outputs)
        self._task = spec.id
        self.tasks.pop(spec.id, None)  # one that begins again is the last
        self.tasks[spec.id] = TaskPath(len(self.networks) - 1, head, self._leading(), forced)
        return self.network_for(spec.id)

    def revisit(self, spec: TaskSpec) -> Network | None:
        """Let a task be played along its path; where none was settled on, begin it anew."""
        if spec.id not in self._unsettled:
            return super().revisit(spec)
        heads = self.network.spec_dict()["heads"]
        network = self.begin_task(spec, heads[self.tasks[spec.id].head])
        self._unsettled.remove(spec.id)
        return network

    def on_segment(self, episodes: list[Episode]) -> None:
        """Credit the episodes to the genotypes that played them, and let evolution go on."""
        tournament, view = self._tournament, self._view
        if isinstance(tournament, AsynchronousTournament) and isinstance(view, PopulationView):
            changed = tournament.note(episodes)
            if changed:
                view.set_paths(tournament.paths)
            for _ in changed:
                self._perhaps_duplicate()
        elif isinstance(tournament, SerialTournament) and isinstance(view, PathView):
            before = tournament.contender
            for episode in episodes:
                if tournament.note(episode.total_return) is not None:
                    self._perhaps_duplicate()
                if tournament.contender != before:
                    break  # what may follow was learned along the path just evaluated
            if tournament.contender != before:
                view.path = tournament.path

    def end_task(self, samples: Iterator[Batch], likelihood: Likelihood) -> None:
        """Settle on the best path.

        Raises:
            NothingPlayedError: No genotype has been played, so that none is better than another.
                The task is then left with one of them, and keeps no module for itself.
        """
        if self._task is None or self._tournament is None:
            return
        if not self._tournament.played:
            self._unsettled.append(self._task)
            self._task, task = None, self._task
            self._tournament = self._view = None
            raise NothingPlayedError(
                f"PathNet can't choose a path: no episode of task {task!r} ended within its "
                "steps; give the task more steps, or use fewer environments."
            )
        best = self._leading()
        tournament, play = self._tournament, self.tasks[self._task]
        earlier = [other.path for task, other in self.tasks.items() if task != self._task]
        self.tasks[self._task] = replace(play, path=best)
        self.histories[self._task] = {
            "snapshots": tournament.history.snapshots,
            "evaluations": tournament.evaluations,
            "scores": tournament.scores if isinstance(tournament, SerialTournament) else [],
            "best": best,
            "forced": play.forced,
            "frozen": self.network.frozen,
            "overlap": [overlap(best, path) for path in earlier],
        }
        self._task = self._tournament = self._view = None

    def network_for(self, task: str) -> Network:
        """Return the network that plays `task`: of the task in training, that of all its paths."""
        if task != self._task or self._tournament is None:
            return super().network_for(task)
        if self._view is None:
            play = self.tasks[task]
            if isinstance(self._tournament, SerialTournament):
                self._view = self.network.view(self._tournament.path, play.head, play.forced)
            else:
                paths = self._tournament.paths
                self._view = self.network.population_view(paths, play.head, play.forced)
        return self._view

    def player_for(self, task: str) -> Network:
        """Return the network to score `task` with: while it is learned, the best path so far."""
        if task != self._task or self._tournament is None:
            return self.network_for(task)
        play = self.tasks[task]
        return self.network.view(self._leading(), play.head, play.forced)

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Return the weights, paths and populations, also in the middle of a task."""
        tensors, meta = super().state()
        tournament = None if self._tournament is None else self._tournament.state()
        return tensors, meta | {
            "pathnet": {
                "task": self._task,
                "serial": isinstance(self._tournament, SerialTournament),
                "tournament": tournament,
                "histories": self.histories,
                **({"unsettled": self._unsettled} if self._unsettled else {}),
            }
        }

    def load_state(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Return to a state that `state` of any path method gave."""
        super().load_state(tensors, meta)
        own = meta.get("pathnet", {"histories": {}, "task": None})
        self._task = own["task"]
        self._unsettled = list(own.get("unsettled", ()))
        self.histories = {t: own["histories"][t] for t in self.tasks if t in own["histories"]}
        self._tournament = self._view = None
        if self._task is not None:
            self._begin_tournament(self.network.spec, 0, not own["serial"])
            assert self._tournament is not None
            self._tournament.load_state(own["tournament"])

    def _consolidate(self, spec: TaskSpec) -> None:
        network = self.network
        check_inputs(spec, network)
        if next(reversed(self.tasks)) not in self._unsettled:
            network.freeze(self.last_play().path)
        # Where only shapes are asked for, paths are not those that training will settle on; but all
        # are alike where a path has every module.
        if network.full and (is_drawn() or network.spec.modules == network.spec.active):
            raise UsageError(
                f"All {network.spec.modules} modules of all {len(network.layers)} layers are "
                f"frozen after {len(self.tasks)} tasks: the capacity is used up; use more modules "
                "a layer (`modules`, M) or fewer on a path (`active`, N)."
            )
        network.reinitialise()

    def _shape(self, modular: ModularSpec | None) -> GenotypeShape | None:
        if self._population < 2:
            raise UsageError(
                f"A population of {self._population} has nobody to compete with; use at least 2 "
                "genotypes."
            )
        if modular is None:
            return None
        return GenotypeShape(len(modular.layers), modular.modules, modular.active, self._spread)

    def _begin_tournament(self, modular: ModularSpec, seed: int, asynchronous: bool) -> None:
        shape = self._shape(modular)
        assert shape is not None
        size, episodes = self._population, self._episodes
        if asynchronous:
            self._tournament = AsynchronousTournament(shape, size, episodes, self._rivals, seed)
        else:
            self._tournament = SerialTournament(shape, size, episodes, seed)

    def _leading(self) -> Path:
        """Return the best path so far."""
        tournament = self._tournament
        assert tournament is not None
        best = tournament.best
        if isinstance(tournament, SerialTournament) and tournament.champion is not None:
            path, fitness = tournament.champion
            # The last evaluation may have ended the task before its tournament was over.
            if not tournament.fitness[best] >= fitness:
                return path
        return tournament.paths[best]

    def _perhaps_duplicate(self) -> None:
        """Copy a useful module into a slot of little use (the paper's Labyrinth experiments)."""
        tournament = self._tournament
        if not self._duplication or tournament is None:
            return
        if tournament.rng.random() < self._duplication:
            modules = self.network.spec.modules
            value = usefulness(tournament.population, tournament.fitness, modules)
            chosen = draw_duplication(value, self.network.frozen, tournament.rng)
            if chosen is not None:
                self.network.duplicate(*chosen)
