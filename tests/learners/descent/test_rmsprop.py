"""RMSProp against its equation worked by hand, PyTorch's own, and what its first steps do."""

import copy

import pytest
import torch

from colonnade.learners.descent.rmsprop import RMSProp, rmsprop_step


def test_two_steps_worked_by_hand():
    weight = torch.nn.Parameter(torch.tensor([1.0, 2.0]))
    optimizer = RMSProp([("weight", weight)], 0.5, decay=0.75, epsilon=3.0)
    weight.grad = torch.tensor([2.0, -4.0])
    optimizer.step()
    # g = 0.25 * (4, 16) = (1, 4); the roots of g + 3 are 2 and sqrt 7.
    expected = torch.tensor([1 - 0.5 * 2 / 2, 2 + 0.5 * 4 / 7**0.5])
    assert torch.allclose(weight, expected)
    weight.grad = torch.tensor([0.0, 2.0])
    optimizer.step()
    # g = 0.75 * (1, 4) + 0.25 * (0, 4) = (0.75, 4).
    expected = expected - torch.tensor([0.0, 0.5 * 2 / 7**0.5])
    assert torch.allclose(weight, expected)


def test_a_mean_square_that_starts_at_one_makes_the_first_step_short():
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = RMSProp([("weight", weight)], 0.5, decay=0.75, epsilon=0.0, start=1.0)
    weight.grad = torch.full((1,), 0.5)
    optimizer.step()
    # g = 0.75 + 0.25 * 0.25
    assert weight.item() == pytest.approx(-0.5 * 0.5 / 0.8125**0.5)


def test_without_epsilon_it_is_pytorchs():
    torch.manual_seed(0)
    own, other = (torch.nn.Parameter(torch.ones(3, 4)) for _ in range(2))
    mine = RMSProp([("weight", own)], 0.1, decay=0.9, epsilon=0.0)
    pytorchs = torch.optim.RMSprop([other], 0.1, alpha=0.9, eps=0.0)
    for _ in range(10):
        own.grad = torch.randn(3, 4)
        other.grad = own.grad.clone()
        mine.step()
        pytorchs.step()
    assert torch.allclose(own, other, rtol=1e-5)


def test_large_tensors_in_pieces_step_as_their_numbers_do_alone():
    torch.manual_seed(0)
    shapes = [(3,), (1000, 601), (2, 3, 4, 5)]  # the second in pieces, the last of them smaller
    values, gradients = ([torch.randn(shape) for shape in shapes] for _ in range(2))
    squares = [torch.rand(shape) for shape in shapes]
    expected = [torch.cat([x.flatten() for x in xs]) for xs in (values, gradients, squares)]
    rmsprop_step(values, gradients, squares, lr=0.1, decay=0.5, epsilon=0.25)
    mean = 0.5 * expected[2] + 0.5 * expected[1] ** 2
    moved = expected[0] - 0.1 * expected[1] / (mean + 0.25).sqrt()
    for mine, other in ((squares, mean), (values, moved)):
        torch.testing.assert_close(torch.cat([x.flatten() for x in mine]), other)


def test_values_without_a_gradient_stay():
    values = [torch.ones(2), torch.ones(2)]
    squares = [torch.ones(2), torch.ones(2)]
    rmsprop_step(values, [None, torch.ones(2)], squares, lr=0.1, decay=0.5, epsilon=0.0)
    assert torch.equal(values[0], torch.ones(2))
    assert torch.equal(squares[0], torch.ones(2))
    assert torch.allclose(values[1], torch.full((2,), 0.9))
    rmsprop_step(values[:1], [None], squares[:1], lr=0.1, decay=0.5, epsilon=0.0)
    assert torch.equal(values[0], torch.ones(2))


@pytest.mark.parametrize("gradient", [1e-4, 1e-2])
def test_the_first_steps_of_small_gradients_are_damped(gradient):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = RMSProp([("weight", weight)], 1.0, decay=0.99, epsilon=1e-2)
    weight.grad = torch.full((1,), gradient)
    optimizer.step()
    # PyTorch's form with a negligible epsilon steps by 10, whatever the gradient.
    assert abs(weight.item()) <= gradient / 0.1


def test_it_goes_on_from_its_state():
    torch.manual_seed(1)
    gradients = torch.randn(4, 2)

    def train(weight, optimizer, rows):
        for row in rows:
            weight.grad = row.clone()
            optimizer.step()

    own, other = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    first, second = (RMSProp([("w", w)], 0.1, decay=0.9, epsilon=1e-3) for w in (own, other))
    train(own, first, gradients[:2])
    other.data.copy_(own)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    train(own, first, gradients[2:])
    train(other, second, gradients[2:])
    assert torch.equal(own, other)
