"""The analysis of a three-column Pong network, and what pruning does to the speed of acting.

Figures:

- `afs_states_per_second`: states whose Fisher is taken, over all seconds from reading them on: a
  three-column network of Rusu et al.'s 12-map columns, six actions, exact over actions.
- `afs_seconds_for_10000_states`: the same for 10,000 states. Threads wait busily between
  operations, as they do in `colonnade analyze`.
- `sampled_vs_exact`: speed of one sampled action per state over that of all six.
- `pruned_vs_whole`: decisions per second, 16 environments, of a two-column network that lost the
  share of its features given by `--narrow`, over those of the whole network.
"""

import argparse
import os
import statistics
import time

from _alternate import alternate, report

PARSER = argparse.ArgumentParser(description=__doc__)
PARSER.add_argument("--quick", action="store_true", help="a rough figure in under 50 seconds")
PARSER.add_argument("--threads", type=int, default=os.cpu_count() or 1)
PARSER.add_argument("--narrow", type=float, default=0.5, help="share of features that go")
ARGS = PARSER.parse_args()

import torch  # noqa: E402

from colonnade.analysis.policies.sensitivity import activation_fisher  # noqa: E402
from colonnade.analysis.policies.states import States, policy_states  # noqa: E402
from colonnade.experiments.trained.prune import decider  # noqa: E402
from colonnade.learners import A2C  # noqa: E402
from colonnade.networks import Feature, ProgressiveNetwork, atari_column  # noqa: E402
from colonnade.networks.progressive.pruning import Kept, prunable_sites, prune, site_width  # noqa: E402
from colonnade.tasks import AtariTask  # noqa: E402

TASK = AtariTask("pong", steps=10**9)


def network_of(columns: int) -> ProgressiveNetwork:
    """Columns as they begin, but with policies that are not uniform."""
    network = ProgressiveNetwork()
    for k in range(columns):
        network.add_column(
            atari_column(),
            TASK.spec.input_shapes,
            TASK.spec.outputs,
            torch.Generator().manual_seed(k),
        )
        with torch.no_grad():
            network.newest.output.weight.mul_(100)
    return network


def narrowed(network: ProgressiveNetwork, share: float) -> ProgressiveNetwork:
    """The network without a share of all its features and projections."""
    kept = {}
    for site in prunable_sites(network):
        width = site_width(network, site)
        pixels = 1
        if isinstance(site, Feature):
            pixels = torch.Size(network.column(site.column).out_shape(site.stage)[1:]).numel()
        remain = max(1, round((1 - share) * width))
        kept[site] = Kept(torch.arange(remain), torch.zeros(width, pixels))
    return prune(network, kept)


def seconds_of(network: ProgressiveNetwork, states: list[States], actions: str) -> float:
    """Take the Fisher once."""
    begin = time.perf_counter()
    activation_fisher(network, states, TASK.spec.action_sizes, actions=actions)
    return time.perf_counter() - begin


def main() -> None:
    """Measure and report."""
    torch.set_num_threads(ARGS.threads)
    network = network_of(3)
    count = 1_000 if ARGS.quick else 10_000
    states = list(policy_states(TASK, network, count, seed=0))
    seconds_of(network, states[:1], "exact")
    exact, sampled = [], []
    for number in range(3):
        exact.append(seconds_of(network, states, "exact"))
        sampled.append(seconds_of(network, states, "sampled"))
        print(f"round {number + 1} of 3: exact {exact[-1]:.1f} s, sampled {sampled[-1]:.1f} s")
    rate = count / statistics.median(exact)

    torch.set_num_threads(1)
    whole = network_of(2)
    inputs = {name: value[:16] for name, value in states[0].inputs.items()}
    deciders = {
        "whole": decider(whole, TASK, 1, inputs, A2C()),
        "pruned": decider(narrowed(whole, ARGS.narrow), TASK, 1, inputs, A2C()),
    }

    def decide(name: str) -> int:
        for _ in range(10):
            deciders[name]()
        return 160

    speeds = alternate(
        {name: lambda name=name: decide(name) for name in deciders},
        rounds=5 if ARGS.quick else 15,
        seconds=0.5,
    )
    report(
        {
            "afs_states_per_second": rate,
            "afs_seconds_for_10000_states": 10_000 / rate,
            "sampled_vs_exact": statistics.median(exact) / statistics.median(sampled),
            "pruned_vs_whole": speeds["pruned"] / speeds["whole"],
        }
    )


if __name__ == "__main__":
    main()
