"""Average Fisher Sensitivity: which features, of which column, a policy leans on.

Rusu et al. 2016 (arXiv 1606.04671), Sec. 3: the Fisher information of the policy with respect to
normalised activations, `F(m, m) = Var(h_m) E[(d log pi(a|s) / d h_m)^2]`, and its shares over the
columns. To second order, `F(m, m) / 2` is how far the policy moves (in KL divergence) when feature
m is disturbed by noise of its own variance; `colonnade.analysis.policies.perturbation` does that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from colonnade.analysis.policies.activations import Change, changed, sites_of
from colonnade.analysis.policies.choices import Normalisation
from colonnade.analysis.policies.states import States
from colonnade.errors import ColonnadeError, UsageError, unknown_name
from colonnade.networks import ColumnView, Feature, Site
from colonnade.networks.progressive.forward import aligned_levels
from colonnade.ops import MultiCategorical, evaluation
from colonnade.ops.fisher.scores import FactoredDistribution
from colonnade.types import Distribution, Inputs, Likelihood, State
from colonnade.watching import beat

Floats = NDArray[np.float64]

_TOGETHER = 32
"""Squares of so many states are added up in the precision of the gradients."""


@dataclass(frozen=True)
class SiteStatistics:
    """What one pass over states leaves of the activations at a site, of n features.

    Attributes:
        mean: [n, P] over states, for each of the P pixels of a map; P is 1 for dense features.
        variance: [n, P] over states.
        squared_gradients: [n, P] `E[(d log pi / d h)^2]`.
        squared_sums: [n] `E[(sum_p d log pi / d h_p)^2]`.
    """

    mean: Floats
    variance: Floats
    squared_gradients: Floats
    squared_sums: Floats

    @property
    def map_variance(self) -> Floats:
        """[n] variance over states and pixels together."""
        total: Floats = self.variance.mean(1) + self.mean.var(1)
        return total

    def sensitivity(self, normalisation: Normalisation = "map") -> Floats:
        """[n] Fisher with respect to normalised features, `F(m, m)`.

        Args:
            normalisation: What is scaled to unit variance: each "map", of its places together; or
                each "pixel" of it; "map-shift" is a map whose places all move alike.

        Raises:
            UsageError: There is no such normalisation.
        """
        if normalisation not in get_args(Normalisation):
            raise unknown_name("normalisation", normalisation, get_args(Normalisation))
        result: Floats
        if normalisation == "pixel":
            result = (self.variance * self.squared_gradients).sum(1)
        elif normalisation == "map-shift":
            result = self.map_variance * self.squared_sums
        else:
            result = self.map_variance * self.squared_gradients.sum(1)
        return result


@dataclass(frozen=True)
class ActivationFisher:
    """The Fisher of a policy with respect to its network's activations.

    Attributes:
        states: How many states it was estimated from.
        sites: Statistics of every feature that the output depends on, and of the adapters'
            projections where they were asked for.
        levels: The features of each level, lowest level first, oldest column first.
    """

    states: int
    sites: Mapping[Site, SiteStatistics]
    levels: Sequence[tuple[Feature, ...]]

    def sensitivity(self, site: Site, normalisation: Normalisation = "map") -> Floats:
        """[n] `F(m, m)` of the features of a site, 0 where the output does not depend on it."""
        statistics = self.sites.get(site)
        return np.zeros(1) if statistics is None else statistics.sensitivity(normalisation)

    def afs(self, normalisation: Normalisation = "map") -> dict[Feature, Floats]:
        """AFS(i, k, m): each feature's share of the sensitivity of its level, over all columns.

        Returns:
            [n] for each feature of a level; the shares of a level sum to one, and are NaN where
            the policy depends on none of its features.
        """
        shares: dict[Feature, Floats] = {}
        for level in self.levels:
            values = [self.sensitivity(feature, normalisation) for feature in level]
            total = sum(float(value.sum()) for value in values)
            for feature, value in zip(level, values, strict=True):
                shares[feature] = value / (total if total > 0 else math.nan)
        return shares

    def layer_afs(self, normalisation: Normalisation = "map") -> dict[Feature, float]:
        """AFS(i, k): each column's share of the sensitivity of a level."""
        return {feature: float(v.sum()) for feature, v in self.afs(normalisation).items()}


def activation_fisher(
    network: ColumnView,
    batches: Iterable[States | Inputs | Tensor],
    meaning: Sequence[int] | Likelihood,
    *,
    actions: Literal["exact", "sampled"] = "exact",
    projections: bool = False,
    generator: torch.Generator | None = None,
) -> ActivationFisher:
    """Estimate the Fisher of a policy with respect to its features, in one pass over states.

    The expectation over the policy's own actions is exact by default, one backward pass for each
    choice but one of each action component; components are independent, so their Fishers add up.
    Of a network that is no policy, log pi is the log-likelihood that its output means: of a
    Q-network, half the squared error of its values. What an LSTM remembers belongs to the state:
    its features are disturbed at the step that decides.

    Args:
        network: Whose newest column is the policy; `network.view(k)` for column k's.
        batches: The policy's own states on its task, as `policy_states` yields them; plain inputs
            stand for states at the start of an episode.
        meaning: Number of choices of each action component, as in `TaskSpec.action_sizes`, of a
            policy whose logits come first; of other networks the likelihood that their output
            [B, outputs] means, as learners and `colonnade.ops` have them.
        actions: "sampled" draws one action per state instead, at the cost of one backward pass.
        projections: Whether to measure the adapters' projections as well.
        generator: Of the sampled actions.

    Raises:
        UsageError: The network's output has no room for such actions, or there are no states.
        ColonnadeError: The policy does not depend on any feature, or none of them ever changes.
    """
    if actions not in ("exact", "sampled"):
        raise unknown_name("way of treating actions", actions, ("exact", "sampled"))
    likelihood = meaning if callable(meaning) else _policy(meaning, network.newest.outputs)
    sums: dict[Site, _Sums] = {}
    states = 0
    with evaluation(network):
        sites = sites_of(network, projections)
        for batch in batches:
            beat()
            inputs, state = _parts(batch)
            seen: dict[Site, Tensor] = {}
            with torch.enable_grad(), changed(network, {s: _note(s, seen) for s in sites}):
                output, _ = network(inputs, state or None)
            _check_all_seen(sites, seen)
            means = likelihood(output)
            for site, activations in seen.items():
                sums.setdefault(site, _Sums(activations)).add_values(activations)
            for said, direction in _directions(means, actions, generator):
                gradients = torch.autograd.grad(
                    said, list(seen.values()), direction, retain_graph=True, allow_unused=True
                )
                for site, gradient in zip(seen, gradients, strict=True):
                    sums[site].add_gradients(gradient)
            states += len(output)
    if states == 0:
        raise UsageError("The Fisher needs at least one state, but no batch came.")
    columns = [network.column(i) for i in range(len(network.columns))]
    found = {site: sums[site].statistics(states) for site in sites}
    _check(found, states)
    return ActivationFisher(states, found, aligned_levels(columns))


class _Sums:
    """Running sums of one site, in float64 and relative to its first state."""

    def __init__(self, first: Tensor) -> None:
        self._origin = _flat(first.detach()[:1])
        self._sum = torch.zeros_like(self._origin[0])
        self._squares = torch.zeros_like(self._sum)
        self._gradients = torch.zeros_like(self._sum)
        self._sums = torch.zeros_like(self._sum[:, 0])

    def add_values(self, values: Tensor) -> None:
        away = _flat(values.detach()) - self._origin
        self._sum += away.sum(0)
        self._squares += away.square().sum(0)

    def add_gradients(self, gradient: Tensor | None) -> None:
        if gradient is not None:
            flat = gradient.reshape(*gradient.shape[:2], -1)
            self._gradients += _squared(flat)
            self._sums += flat.sum(2).square().sum(0, dtype=torch.float64)

    def statistics(self, states: int) -> SiteStatistics:
        mean = self._sum / states
        variance = (self._squares / states - mean.square()).clamp(min=0)
        values = (
            self._origin[0] + mean,
            variance,
            self._gradients / states,
            self._sums / states,
        )
        return SiteStatistics(*(value.cpu().numpy() for value in values))


def _flat(values: Tensor) -> Tensor:
    """[B, n, P] in float64 of activations [B, n, ...]."""
    return values.reshape(*values.shape[:2], -1).double()


def _squared(values: Tensor) -> Tensor:
    """[n, P] in float64: the squares of values [B, n, P], summed over states.

    Some states at a time in the values' precision, and as they lie in memory: so most of the time
    that it takes is saved, and seven digits are left.
    """
    turned = values.transpose(1, 2)
    rows = turned if turned.is_contiguous() else values
    squares = rows.square().flatten(1)
    count = len(squares) // _TOGETHER
    grouped, rest = squares.split([count * _TOGETHER, len(squares) % _TOGETHER])
    parts = grouped.unflatten(0, (count, _TOGETHER)).sum(1)
    total: Tensor = (parts.sum(0, dtype=torch.float64) + rest.sum(0)).view(rows.shape[1:])
    return total.t() if rows is turned else total


def _note(site: Site, seen: dict[Site, Tensor]) -> Change:
    def note(activations: Tensor) -> Tensor:
        # What frozen stages compute asks for no gradient by itself.
        seen[site] = activations if activations.requires_grad else activations.requires_grad_()
        return seen[site]

    return note


def _parts(batch: States | Inputs | Tensor) -> tuple[Inputs | Tensor, State]:
    return (batch.inputs, batch.state) if isinstance(batch, States) else (batch, {})


def _policy(action_sizes: Sequence[int], outputs: int) -> Likelihood:
    sizes = tuple(action_sizes)
    if not sizes or sum(sizes) > outputs:
        raise UsageError(
            f"The policy should have {sum(sizes)} choices in all ({list(sizes)}), but the newest "
            f"column's output is {outputs} wide."
        )
    return lambda output: MultiCategorical(output[:, : sum(sizes)], sizes)


def _directions(
    means: Distribution, actions: str, generator: torch.Generator | None
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield what the output says, with a direction v in it.

    The sum over directions of `(J^T v)^2`, J being the Jacobian of what the output says, is the
    expectation of the squared gradient of log pi: they are the columns of a root of its Fisher
    matrix, or the gradient of one sampled action's log pi itself.
    """
    if actions == "sampled":
        scores = means.log_prob(means.sample(generator).detach())
        yield scores, torch.ones_like(scores)
    elif isinstance(means, FactoredDistribution):
        yield from ((means.parameters, root) for root in means.fisher_root())
    else:
        raise UsageError(
            f"The exact Fisher of a {type(means).__name__} is not known, since it has no "
            "'fisher_root'; use actions='sampled'."
        )


def _check_all_seen(sites: Sequence[Site], seen: Mapping[Site, Tensor]) -> None:
    for site in sites:
        if site not in seen:
            raise UsageError(
                f"{site} was not computed; give raw inputs, without what `precompute` adds."
            )


def _check(found: Mapping[Site, SiteStatistics], states: int) -> None:
    if not any(site.variance.any() for site in found.values()):
        raise ColonnadeError(
            f"No feature of the network changes over the {states} states given, so there is no "
            "sensitivity to measure; give states of episodes in which the policy acts."
        )
    if not any(site.sensitivity().any() for site in found.values()):
        raise ColonnadeError(
            f"The policy is the same in all {states} states whatever its features say, so it "
            "leans on none of them; train the column first."
        )
