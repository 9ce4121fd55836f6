"""Noise in the weights: its shapes by hand, and that every step meets another draw of it."""

import pytest
import torch

from colonnade.analysis.policies.weight_noise import (
    SHAPES,
    deviations,
    disturbed,
    null_share,
    root_mean_square,
    sign_test,
)
from colonnade.errors import UsageError
from colonnade.networks import ColumnSpec, Dense, ProgressiveNetwork

FISHER = {"a": torch.tensor([[0.0, 1.0], [3.0, 0.0]]), "b": torch.tensor([1.0])}  # its mean is one


def test_the_shapes_by_hand():
    squares = {
        shape: [
            v**2 for part in deviations(shape, FISHER).values() for v in part.flatten().tolist()
        ]
        for shape in SHAPES
    }
    assert squares["uniform"] == pytest.approx([1] * 5)
    # 1 / (F + 1) is 1, 1/2, 1/4, 1, 1/2: 13/4 in all, where 5 is wanted.
    inverse = [20 / 13, 10 / 13, 5 / 13, 20 / 13, 10 / 13]
    assert squares["inverse-fisher"] == pytest.approx(inverse)
    assert squares["null-space"] == pytest.approx([2.5, 0, 0, 2.5, 0])
    assert null_share(FISHER) == 0.4


def test_damping_and_the_null_space_are_factors_on_the_mean():
    scaled = {name: 1000 * value for name, value in FISHER.items()}
    for shape in SHAPES:
        for name, value in deviations(shape, FISHER, damping=0.5, null=1.0).items():
            assert torch.allclose(value, deviations(shape, scaled, damping=0.5, null=1.0)[name])
    wide = deviations("inverse-fisher", FISHER, damping=0.5)["a"] ** 2
    assert float(wide[0, 0] / wide[0, 1]) == pytest.approx(1.5 / 0.5)
    assert null_share(scaled, 1.0) == 0.8
    assert deviations("null-space", FISHER, null=1.0)["a"][0, 1] > 0


@pytest.mark.parametrize("shape", SHAPES)
def test_every_shape_has_the_same_norm(shape):
    fisher = {name: torch.rand(40, 5).pow(6).round(decimals=3) for name in ("a", "b")}
    found = deviations(shape, fisher)
    total = sum(float(v.double().square().sum()) for v in found.values())
    assert total == pytest.approx(400)


def test_a_null_space_without_weights_disturbs_nothing():
    found = deviations("null-space", {"a": torch.ones(3)})
    assert found["a"].tolist() == [0, 0, 0]
    assert null_share({"a": torch.ones(3)}) == 0


def network():
    made = ProgressiveNetwork()
    made.add_column(ColumnSpec((Dense(8),)), {"observation": (2,)}, 3)
    return made


def test_weights_are_drawn_anew_at_each_step_and_come_back():
    made = network()
    before = {name: p.detach().clone() for name, p in made.named_parameters()}
    name = "columns.0.stages.0.weight"
    scales = {n: torch.full_like(p, 0.5) for n, p in before.items()}
    scales[name] = torch.arange(16.0).view(8, 2) / 8
    seen = {"observation": torch.randn(4, 2)}
    draws, outputs = [], []
    with disturbed(made, scales, 0.1, torch.Generator().manual_seed(0)) as player:
        for _ in range(2000):
            inputs, state = player.precompute(seen, player.initial_state(4))
            draws.append(dict(made.named_parameters())[name].detach().clone())
            outputs.append(player(inputs, state)[0].detach())
        assert torch.equal(outputs[-1], player(inputs, state)[0])  # until the next step
        assert torch.equal(outputs[-1], made(inputs)[0])
    noise = torch.stack(draws) - before[name]
    assert torch.allclose(noise.std(0), 0.1 * scales[name], rtol=0.08)
    assert noise.mean(0).abs().max() < 0.02
    assert not torch.equal(outputs[0], outputs[1])
    first, second = noise[:-1, 1, 1], noise[1:, 1, 1]  # draws know nothing of one another
    assert abs(float(torch.corrcoef(torch.stack([first, second]))[0, 1])) < 0.1
    for n, p in made.named_parameters():
        assert torch.equal(p, before[n])


def test_weights_come_back_where_playing_fails():
    made = network()
    before = made(torch.ones(1, 2))[0]
    scales = {n: torch.ones_like(p) for n, p in made.named_parameters()}

    def fail():
        with disturbed(made, scales, 1.0, torch.Generator()) as player:
            player.draw()
            assert not torch.equal(made(torch.ones(1, 2))[0], before)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert torch.equal(made(torch.ones(1, 2))[0], before)


def test_the_root_of_the_mean_square_of_some_weights():
    made = network()
    with torch.no_grad():
        for p in made.parameters():
            p.fill_(7.0)
        made.columns[0].output.bias.copy_(torch.tensor([1.0, 2.0, 2.0]))
    assert root_mean_square(made, ["columns.0.output.bias"]) == pytest.approx(3**0.5)


def test_the_sign_test_by_counting():
    assert sign_test([0.2, 0.1, 3.0]) == 1 / 8
    assert sign_test([0.2, -0.1, 3.0]) == (3 + 1) / 8
    assert sign_test([0.2, 0.0, 3.0]) == 1 / 4  # one pair is no pair
    assert sign_test([0.0]) == sign_test([-1.0]) == 1


def test_what_is_no_fisher_is_refused():
    with pytest.raises(UsageError, match="uniform"):
        deviations("unifrom", FISHER)
    for wrong in ({"a": torch.zeros(3)}, {"a": torch.tensor([1.0, -0.1])}, {}):
        with pytest.raises(UsageError, match="needs the diagonal of a Fisher information"):
            deviations("uniform", wrong)
    with pytest.raises(UsageError, match="damping must be a number above 0"):
        deviations("inverse-fisher", FISHER, damping=0.0)
    made = network()
    with (
        pytest.raises(UsageError, match=r"has the shape \[3\], but its noise \[2\]"),
        disturbed(made, {"columns.0.output.bias": torch.ones(2)}, 1.0, torch.Generator()),
    ):
        pass
    with pytest.raises(UsageError, match="size of weight noise"):
        disturbed(made, {}, -1.0, torch.Generator()).__enter__()
