"""The merged penalty against the sum of separate ones, worked out in float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from colonnade.errors import UsageError
from colonnade.ops import Quadratic


def separate(penalties, theta):
    """sum_k 1/2 sum_i F_ki (theta_i - theta_ki)^2, one penalty after another."""
    return sum(
        0.5
        * (fisher[name].double() * (theta[name].double() - anchor[name].double()).square()).sum()
        for fisher, anchor in penalties
        for name in fisher
    )


def made(seed, tasks, size=200, step=0.1, spread=3.0):
    """Anchors on a random walk, and Fishers over many orders of magnitude, a third of them zero."""
    random = torch.Generator().manual_seed(seed)

    def normal():
        return {n: torch.randn(size, generator=random) for n in ("w", "b")}

    place, penalties = normal(), []
    for _ in range(tasks):
        place = {name: place[name] + step * change for name, change in normal().items()}
        fisher = {name: (spread * value - 6).exp() for name, value in normal().items()}
        for value in fisher.values():
            value[torch.rand(size, generator=random) < 0.3] = 0
        penalties.append((fisher, place))
    return penalties, {name: place[name] + step * change for name, change in normal().items()}


def merged(penalties):
    quadratic = Quadratic()
    for fisher, anchor in penalties:
        quadratic.merge(fisher, anchor)
    return quadratic


@given(
    seed=st.integers(0, 10**6),
    tasks=st.integers(1, 12),
    step=st.sampled_from([1e-5, 1e-3, 0.1, 10.0]),
    spread=st.sampled_from([0.1, 3.0, 8.0]),
)
@settings(max_examples=60, deadline=None)
def test_merged_equals_the_sum_of_separate_ones(seed, tasks, step, spread):
    penalties, theta = made(seed, tasks, step=step, spread=spread)
    value = merged(penalties)(theta)
    assert float(value) == pytest.approx(float(separate(penalties, theta)), rel=1e-6)


def test_so_does_its_gradient():
    penalties, theta = made(0, 7)
    ours = {name: value.clone().requires_grad_() for name, value in theta.items()}
    theirs = {name: value.double().requires_grad_() for name, value in theta.items()}
    (3 * merged(penalties)(ours)).backward()
    (3 * separate(penalties, theirs)).backward()
    for name in ours:
        torch.testing.assert_close(ours[name].grad, theirs[name].grad.float(), rtol=1e-5, atol=1e-5)


def test_its_second_derivative_is_the_curvature():
    penalties, theta = made(2, 3)
    theta = {name: value.requires_grad_() for name, value in theta.items()}
    factor = torch.tensor(3.0, requires_grad=True)
    total = factor * merged(penalties)(theta) + sum(v.pow(3).sum() for v in theta.values())
    gradients = torch.autograd.grad(total, list(theta.values()), create_graph=True)
    for name, gradient in zip(theta, gradients, strict=True):
        apart = sum(f[name] * (theta[name] - anchor[name]) for f, anchor in penalties).detach()
        slope = theta[name].detach().square() * 3
        torch.testing.assert_close(gradient.detach(), 3 * apart + slope, rtol=1e-5, atol=1e-5)
        second, mixed = torch.autograd.grad(
            gradient.sum(), [theta[name], factor], retain_graph=True
        )
        curvature = sum(f[name] for f, _ in penalties)
        torch.testing.assert_close(second, 3 * curvature + 6 * theta[name].detach())
        torch.testing.assert_close(mixed, apart.sum(), rtol=1e-4, atol=1e-4)


def test_parameters_may_move_before_the_gradient_is_taken():
    penalties, theta = made(3, 1)
    theta = {name: value.requires_grad_() for name, value in theta.items()}
    value = merged(penalties)(theta)
    expected = torch.autograd.grad(merged(penalties)(theta), list(theta.values()))
    with torch.no_grad():
        for parameter in theta.values():
            parameter += 1
    for found, gradient in zip(
        torch.autograd.grad(value, list(theta.values())), expected, strict=True
    ):
        assert torch.equal(found, gradient)


def test_the_gradient_adds_to_that_of_the_loss():
    penalties, theta = made(1, 2)
    theta = {name: value.requires_grad_() for name, value in theta.items()}
    quadratic = merged(penalties)
    loss = sum(value.sin().sum() for value in theta.values())
    apart = torch.autograd.grad(quadratic(theta), list(theta.values()))
    (loss + quadratic(theta)).backward()
    for value, gradient in zip(theta.values(), apart, strict=True):
        torch.testing.assert_close(value.grad, value.detach().cos() + gradient)


def test_one_penalty_is_zero_at_its_anchor_and_nowhere_else():
    penalties, theta = made(2, 1)
    quadratic = merged(penalties)
    assert float(quadratic(penalties[0][1])) == 0
    assert float(quadratic(theta)) > 0


def test_memory_does_not_grow_with_tasks():
    sizes = [
        sum(value.numel() for value in merged(made(0, tasks)[0]).state("").values())
        for tasks in (1, 2, 20)
    ]
    assert len(set(sizes)) == 1


def test_replacing_forgets_what_was():
    penalties, theta = made(3, 3)
    quadratic = merged(penalties)
    quadratic.replace(*penalties[0])
    assert float(quadratic(theta)) == pytest.approx(float(separate(penalties[:1], theta)), rel=1e-6)
    assert quadratic.merged == 4


@pytest.mark.parametrize("step", [1e-5, 0.1, 10.0])
def test_sums_of_sums_are_sums(step):
    penalties, theta = made(4, 7, step=step)
    total = Quadratic()
    for part in (penalties[:3], penalties[3:4], penalties[4:]):
        total.add(merged(part))
    value = float(separate(penalties, theta))
    assert float(total(theta)) == pytest.approx(value, rel=1e-6)
    assert float(merged(penalties)(theta)) == pytest.approx(value, rel=1e-6)
    alone = Quadratic()
    alone.add(merged(penalties))
    assert float(alone(theta)) == float(merged(penalties)(theta))  # remainders too
    with pytest.raises(UsageError, match="of shape"):
        total.add(merged(made(4, 1, size=3)[0]))


def test_parameters_may_join_later_and_stay_away():
    first, second = made(4, 2)[0]
    theta = made(4, 2)[1]
    quadratic = Quadratic()
    quadratic.merge({"w": first[0]["w"]}, first[1])
    quadratic.merge({"b": second[0]["b"]}, second[1])
    parts = [({"w": first[0]["w"]}, first[1]), ({"b": second[0]["b"]}, second[1])]
    assert float(quadratic(theta)) == pytest.approx(float(separate(parts, theta)), rel=1e-6)


def test_state_goes_around():
    penalties, theta = made(5, 3)
    quadratic, again = merged(penalties), Quadratic()
    again.load_state(quadratic.state("penalty/"), "penalty/", quadratic.merged)
    assert float(again(theta)) == float(quadratic(theta))
    quadratic.merge(*penalties[0])
    again.merge(*penalties[0])
    assert float(again(theta)) == float(quadratic(theta))


def test_maps_in_channels_last_order():
    weight = torch.randn(4, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    quadratic = Quadratic()
    for _ in range(2):
        quadratic.merge({"w": torch.ones(4, 3, 2, 2)}, {"w": weight})
    moved = (weight + 1).requires_grad_()
    value = quadratic({"w": moved})
    value.backward()
    assert float(value.detach()) == pytest.approx(48)
    torch.testing.assert_close(moved.grad, torch.full((4, 3, 2, 2), 2.0))


def test_a_network_that_changed_is_named():
    penalties, theta = made(6, 1)
    quadratic = merged(penalties)
    with pytest.raises(UsageError, match=r"'w' of shape \[200\], but it now has \[3\]"):
        quadratic({**theta, "w": torch.zeros(3)})
    with pytest.raises(UsageError, match="'b', which the network no longer has"):
        quadratic({"w": theta["w"]})
    with pytest.raises(UsageError, match=r"\[200\], but it now has \[3\]"):
        quadratic.merge(penalties[0][0], {**theta, "w": torch.zeros(3)})


def test_a_weight_scales_value_and_gradient_and_follows_merges():
    penalties, theta = made(7, 3)
    quadratic = Quadratic()
    for count, penalty in enumerate(penalties, 1):
        quadratic.merge(*penalty)
        ours = {name: value.clone().requires_grad_() for name, value in theta.items()}
        theirs = {name: value.clone().requires_grad_() for name, value in theta.items()}
        value = quadratic(ours, 5.0)
        value.backward()
        (5 * quadratic(theirs)).backward()
        expected = 5 * float(separate(penalties[:count], theta))
        assert float(value.detach()) == pytest.approx(expected, rel=1e-6)
        for name in ours:
            torch.testing.assert_close(ours[name].grad, theirs[name].grad)


@pytest.mark.parametrize("weight", [1.0, 5.0])
def test_the_gradient_can_be_added_without_the_value(weight):
    penalties, theta = made(8, 4)
    quadratic = merged(penalties)
    ours = {name: value.clone().requires_grad_() for name, value in theta.items()}
    theirs = {name: value.clone().requires_grad_() for name, value in theta.items()}
    ours["w"].grad = torch.ones_like(ours["w"])
    quadratic.add_gradient(ours, weight)
    (theirs["w"].sum() + quadratic(theirs, weight)).backward()
    for name in ours:
        torch.testing.assert_close(ours[name].grad, theirs[name].grad)
    with pytest.raises(UsageError, match="'b', which the network no longer has"):
        quadratic.add_gradient({"w": ours["w"]})


def test_the_layout_in_memory_changes_no_bit():
    # A checkpoint keeps values, not strides: what is resumed must go on to the same numbers.
    torch.manual_seed(0)
    first, second = ([torch.rand(8, 16, 3, 3) for _ in range(2)] for _ in range(2))
    constants = []
    for layout in (torch.contiguous_format, torch.channels_last):
        penalty = Quadratic()
        for curvature, anchor in (first, second):
            penalty.merge(
                {"w": curvature.contiguous(memory_format=layout)},
                {"w": anchor.contiguous(memory_format=layout)},
            )
        constants.append(penalty.constant)
    assert torch.equal(*constants)


def test_the_added_gradient_keeps_the_digits_that_parameters_have():
    """Near the anchors A theta and A m are large numbers whose small difference is wanted."""
    penalties, _ = made(9, 6)
    quadratic = merged(penalties)
    quadratic.add_gradient({name: torch.zeros_like(c) for name, c in quadratic.centre.items()})
    for apart in (0.0, 1e-6, 1e-3):
        theta = {
            n: (c + apart * torch.randn_like(c)).requires_grad_()
            for n, c in quadratic.centre.items()
        }
        exact = {name: value.detach().double().requires_grad_() for name, value in theta.items()}
        separate(penalties, exact).backward()
        quadratic.add_gradient(theta)
        for name, value in theta.items():
            largest = torch.stack([anchor[name].abs() for _, anchor in penalties]).amax(0)
            rounding = 2.0**-23 * quadratic.curvature[name] * largest
            assert ((value.grad.double() - exact[name].grad).abs() <= 2 * rounding).all()


def test_what_is_worked_out_for_many_steps_follows_merges_and_weights():
    penalties, theta = made(10, 3)
    quadratic = Quadratic()
    for count, penalty in enumerate(penalties, 1):
        quadratic.merge(*penalty)
        for weight in (1.0, 5.0):
            ours = {name: value.clone().requires_grad_() for name, value in theta.items()}
            exact = {name: value.double().requires_grad_() for name, value in theta.items()}
            quadratic.add_gradient(ours, weight)
            (weight * separate(penalties[:count], exact)).backward()
            for name in ours:
                expected = exact[name].grad.float()
                torch.testing.assert_close(ours[name].grad, expected, rtol=1e-5, atol=1e-5)


def test_what_rests_counts_as_it_stands():
    penalties, theta = made(3, 1)
    quadratic, whole = merged(penalties), [merged(penalties)(theta)]
    names = sorted(theta)
    theta[names[0]].requires_grad_()
    values = [quadratic(theta), quadratic(theta)]
    assert all(torch.equal(value.detach(), values[0].detach()) for value in values)
    torch.testing.assert_close(values[0].detach(), whole[0])
    with torch.no_grad():
        theta[names[1]].add_(1)
    again = {name: value.detach().clone() for name, value in theta.items()}
    for there in (theta, again, {name: value + 1 for name, value in again.items()}):
        torch.testing.assert_close(quadratic(there).detach(), merged(penalties)(there).detach())
    with torch.inference_mode():
        still = {name: value + 2 for name, value in again.items()}
        first = quadratic(still)
        still[names[1]].add_(1)
        assert quadratic(still) != first
