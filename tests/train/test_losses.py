"""Losses by hand, and against what is known of them."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from pricon.train.losses import (
    cosine_distance,
    cross_entropy,
    distillation,
    divergence,
    squared_error,
)


def test_cross_entropy_by_hand() -> None:
    logits = torch.tensor([[[0.0, math.log(3.0)], [0.0, 0.0]]])
    losses = cross_entropy(logits, torch.tensor([[1, 0]]))
    assert losses[0].tolist() == pytest.approx([math.log(4 / 3), math.log(2)])


def test_divergence_by_hand_and_zero_for_equal_logits() -> None:
    """Teacher (3/4, 1/4), student (1/2, 1/2): KL = 3/4 log(3/2) + 1/4 log(1/2) = 0.130812..."""
    teacher = torch.tensor([[[math.log(3.0), 0.0]]])
    student = torch.tensor([[[1.0, 1.0]]])
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert divergence(student, teacher, torch.ones(1)).item() == pytest.approx(expected, abs=1e-6)
    # T = 0.5 doubles the logits: teacher (9/10, 1/10).
    expected = 0.9 * math.log(1.8) + 0.1 * math.log(0.2)
    assert divergence(student, teacher, torch.tensor([0.5])).item() == pytest.approx(
        expected, abs=1e-6
    )
    assert divergence(teacher, teacher, torch.tensor([0.5])).item() == pytest.approx(0, abs=1e-7)


def test_each_member_has_its_own_distillation_temperature() -> None:
    """The same logits at T = 1, 0.5 and 2: teacher (3/4, 1/4), (9/10, 1/10) and (.634, .366)."""
    teacher = torch.tensor([[[math.log(3.0), 0.0]]]).repeat(3, 1, 1)
    student = torch.zeros(3, 1, 2)
    root = math.sqrt(3) / (1 + math.sqrt(3))
    expected = [p * math.log(2 * p) + (1 - p) * math.log(2 - 2 * p) for p in (0.75, 0.9, root)]
    losses = divergence(student, teacher, torch.tensor([1.0, 0.5, 2.0]))
    assert losses[:, 0].tolist() == pytest.approx(expected, abs=1e-6)


def test_cosine_distance_by_hand_whatever_the_lengths() -> None:
    student = torch.tensor([[[3.0, 4.0], [1.0, 0.0], [2.0, 0.0], [1.0, 1.0]]])
    teacher = torch.tensor([[[0.0, 5.0], [9.0, 0.0], [-0.1, 0.0], [0.0, 0.0]]])
    assert cosine_distance(student, teacher)[0].tolist() == pytest.approx([0.2, 0, 2, 1])


@pytest.mark.parametrize(
    "loss", [partial(divergence, temperature=torch.tensor([0.5])), cosine_distance]
)
def test_no_gradient_reaches_the_teacher(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    teacher = torch.randn(1, 3, 2, requires_grad=True)
    student = torch.randn(1, 3, 2, requires_grad=True)
    loss(student, teacher).sum().backward()  # type: ignore[no-untyped-call]
    assert teacher.grad is None
    assert student.grad is not None


def test_weight_zero_is_end_to_end_exactly() -> None:
    generator = torch.Generator().manual_seed(6)
    supervised = torch.rand(2, 5, generator=generator)
    taught = torch.rand(2, 5, generator=generator)
    mixed = distillation(supervised, taught, torch.tensor([0.0, 0.25]))
    assert torch.equal(mixed[0], supervised[0])
    assert torch.allclose(mixed[1], 0.75 * supervised[1] + 0.25 * taught[1])


def test_squared_error_by_hand_and_by_a_slow_loop() -> None:
    said = torch.tensor([[[1.0], [0.5]], [[-2.0], [0.0]]])
    known = torch.tensor([[0.0, 0.5], [1.0, -1.0]])
    assert squared_error(said, known).tolist() == [[1.0, 0.0], [9.0, 1.0]]
    said, known = torch.randn(3, 7, 1), torch.randn(3, 7)
    slow = [[(said[m, b, 0].item() - known[m, b].item()) ** 2 for b in range(7)] for m in range(3)]
    assert squared_error(said, known).tolist() == [pytest.approx(row, rel=1e-4) for row in slow]


def test_gradient_of_the_squared_error() -> None:
    said = torch.randn(2, 3, 1, dtype=torch.float64, requires_grad=True)
    known = torch.randn(2, 3, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: squared_error(x, known), (said,))
