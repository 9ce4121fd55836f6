"""Parts of a rollout: what they hold, and how it lies in memory."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from colonnade.types import Rollout


def rollout(steps, envs, image, seed):
    """Random experience; images lie channels-last, as the collector's buffers do."""
    generator = torch.Generator().manual_seed(seed)
    channels, height, width = image

    def flags():
        return torch.rand(steps, envs, generator=generator) < 0.3

    def numbers():
        return torch.randn(steps, envs, generator=generator)

    frames = torch.randint(256, (steps, envs, height, width, channels), generator=generator)
    return Rollout(
        inputs={
            "pixels": frames.to(torch.uint8).permute(0, 1, 4, 2, 3),
            "joints": torch.randn(steps, envs, 9, generator=generator),
        },
        actions=torch.randint(3, (steps, envs, 2), generator=generator),
        rewards=numbers(),
        terminated=flags(),
        truncated=flags(),
        starts=flags(),
        log_probs=numbers(),
        values=numbers(),
        final_values=numbers(),
        last_value=torch.randn(envs, generator=generator),
        state={"h": torch.randn(envs, 5, generator=generator)},
    )


sizes = st.integers(1, 4)


@given(sizes, sizes, st.tuples(sizes, sizes, sizes), st.integers(0, 9), st.data())
def test_parts_hold_what_plain_indexing_gives(steps, envs, image, seed, data):
    whole = rollout(steps, envs, image, seed)
    times = torch.tensor(data.draw(st.lists(st.integers(0, steps - 1), min_size=1)))
    some = torch.tensor(data.draw(st.lists(st.integers(0, envs - 1), min_size=1)))
    earlier, fewer = whole.at_times(times), whole.of_environments(some)
    for name, value in whole.inputs.items():
        assert torch.equal(earlier.inputs[name], value[times])
        assert torch.equal(fewer.inputs[name], value[:, some])
    for name in (
        "actions", "rewards", "terminated", "truncated",
        "starts", "log_probs", "values", "final_values",
    ):  # fmt: skip
        assert torch.equal(getattr(earlier, name), getattr(whole, name)[times])
        assert torch.equal(getattr(fewer, name), getattr(whole, name)[:, some])
    assert torch.equal(earlier.last_value, whole.last_value)
    assert torch.equal(fewer.last_value, whole.last_value[some])
    assert torch.equal(earlier.state["h"], whole.state["h"])
    assert torch.equal(fewer.state["h"], whole.state["h"][some])


@pytest.mark.parametrize("part", ["at_times", "of_environments"])
def test_images_stay_channels_last(part):
    taken = getattr(rollout(6, 5, (4, 8, 7), 0), part)(torch.tensor([3, 1]))
    pixels = taken.inputs["pixels"].flatten(0, 1)
    assert pixels.is_contiguous(memory_format=torch.channels_last)
