"""Losses by hand, and against loops that follow the formulas word by word."""

import math
from collections.abc import Callable
from functools import partial

import pytest
import torch
from pytorch_metric_learning.losses import SupConLoss
from torch import Tensor

from pricon.spec.training import ContrastiveSpec
from pricon.train.losses import (
    cosine_distance,
    cross_entropy,
    distillation,
    divergence,
    num_anchors,
    similarities,
    squared_error,
    supervised_contrastive,
)


def contrast(
    rows: Tensor, labels: Tensor, spec: ContrastiveSpec, valid: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    everything = torch.ones_like(labels, dtype=torch.bool) if valid is None else valid
    temperature = rows.new_full((len(rows),), spec.temperature)
    similarity = similarities(rows, rows, temperature)
    return supervised_contrastive(similarity, labels, everything, 0, spec)


def slow_loop(rows: Tensor, labels: list[int], spec: ContrastiveSpec) -> tuple[list[float], int]:
    """Khosla et al. 2020, eq. 2 and 3, one anchor, one positive, one candidate at a time."""
    unit = [row / row.norm() for row in rows]
    everyone = range(len(labels))
    losses, counted = [], 0
    for i in everyone:
        candidates = [a for a in everyone if a != i or spec.include_self]
        positives = [p for p in candidates if labels[p] == labels[i]]
        if not positives:
            losses.append(0.0)
            continue
        counted += 1
        similarity = {a: float(unit[i] @ unit[a]) / spec.temperature for a in candidates}
        total = sum(math.exp(similarity[a]) for a in candidates)
        shares = [math.exp(similarity[p]) / total for p in positives]
        if spec.variant == "out":
            losses.append(-sum(map(math.log, shares)) / len(positives))
        else:
            losses.append(-math.log(sum(shares) / len(positives)))
    return losses, counted


def test_four_windows_by_hand() -> None:
    """Two classes on two axes, tau = 1: every anchor has s = 1 to its one positive, 0 to others.

    Each loss is -(1 - log(e^1 + 2 e^0)) = log(e + 2) - 1 = 0.551444...
    """
    rows = torch.tensor([[[2.0, 0.0], [5.0, 0.0], [0.0, 1.0], [0.0, 3.0]]])
    labels = torch.tensor([[0, 0, 1, 1]])
    losses, counted = contrast(rows, labels, ContrastiveSpec(temperature=1.0))
    assert losses[0].tolist() == pytest.approx([math.log(math.e + 2) - 1] * 4, abs=1e-6)
    assert losses[0, 0].item() == pytest.approx(0.5514447, abs=1e-6)
    assert counted.all()


@pytest.mark.parametrize("variant", ["out", "in"])
@pytest.mark.parametrize("include_self", [False, True])
@pytest.mark.parametrize("temperature", [0.07, 1.0])
def test_equals_the_slow_loop(variant: str, include_self: bool, temperature: float) -> None:
    generator = torch.Generator().manual_seed(3)
    spec = ContrastiveSpec.model_validate(
        {"variant": variant, "include_self": include_self, "temperature": temperature}
    )
    rows = torch.randn(3, 12, 5, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 2, (3, 12), generator=generator)
    losses, counted = contrast(rows, labels, spec)
    for member in range(3):
        expected, num = slow_loop(rows[member], labels[member].tolist(), spec)
        assert losses[member].tolist() == pytest.approx(expected, abs=1e-9)
        assert int(counted[member].sum()) == num
    everything = torch.ones_like(labels, dtype=torch.bool)
    assert num_anchors(labels, everything, include_self).tolist() == counted.sum(dim=1).tolist()


def test_anchors_without_a_positive_are_skipped_not_counted_as_zero() -> None:
    rows = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([[1, 0, 0, 0]])
    losses, counted = contrast(rows, labels, ContrastiveSpec())
    assert counted.tolist() == [[False, True, True, True]]
    assert losses[0, 0] == 0
    assert num_anchors(labels, torch.ones(1, 4, dtype=torch.bool), False).tolist() == [3]


def test_padding_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(1, 6, 4, generator=generator)
    labels = torch.tensor([[0, 1, 0, 1, 0, 1]])
    padded = torch.cat([rows, torch.full((1, 3, 4), 7.0)], dim=1)
    padded_labels = torch.cat([labels, torch.zeros(1, 3, dtype=torch.int64)], dim=1)
    valid = torch.arange(9)[None] < 6
    expected, _ = contrast(rows, labels, ContrastiveSpec())
    losses, counted = contrast(padded, padded_labels, ContrastiveSpec(), valid)
    assert torch.allclose(losses[:, :6], expected)
    assert counted.tolist() == [[True] * 6 + [False] * 3]
    assert num_anchors(padded_labels, valid, False).tolist() == [6]


def test_order_of_the_batch_and_length_of_embeddings_do_not_matter() -> None:
    generator = torch.Generator().manual_seed(2)
    rows = torch.randn(2, 16, 8, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 2, (2, 16), generator=generator)
    order = torch.randperm(16, generator=generator)
    losses, _ = contrast(rows, labels, ContrastiveSpec())
    permuted, _ = contrast(rows[:, order], labels[:, order], ContrastiveSpec())
    assert torch.allclose(permuted, losses[:, order])
    lengths = torch.rand(2, 16, 1, generator=generator, dtype=torch.float64) + 0.1
    scaled, _ = contrast(rows * lengths, labels, ContrastiveSpec())
    assert torch.allclose(scaled, losses)


@pytest.mark.parametrize("variant", ["out", "in"])
def test_gradient_is_finite_at_a_low_temperature_and_for_lonely_anchors(variant: str) -> None:
    spec = ContrastiveSpec.model_validate({"temperature": 0.01, "variant": variant})
    rows = torch.randn(1, 8, 4, generator=torch.Generator().manual_seed(4)).requires_grad_()
    labels = torch.tensor([[0, 0, 0, 0, 0, 0, 0, 1]])
    valid = torch.tensor([[True] * 7 + [True]])
    losses, _ = contrast(rows, labels, spec, valid)
    losses.sum().backward()  # type: ignore[no-untyped-call]
    assert rows.grad is not None
    assert torch.isfinite(rows.grad).all()


def test_gradient_agrees_with_finite_differences() -> None:
    rows = torch.randn(1, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    labels = torch.tensor([[0, 1, 1, 0, 1, 0]])
    assert torch.autograd.gradcheck(
        lambda r: contrast(r, labels, ContrastiveSpec(temperature=0.5))[0],
        rows.requires_grad_(),
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


def test_each_member_has_its_own_contrastive_temperature() -> None:
    generator = torch.Generator().manual_seed(9)
    rows = torch.randn(3, 12, 5, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 2, (3, 12), generator=generator)
    taus = [0.05, 0.2, 1.0]
    everything = torch.ones_like(labels, dtype=torch.bool)
    similarity = similarities(rows, rows, torch.tensor(taus, dtype=torch.float64))
    losses, _ = supervised_contrastive(similarity, labels, everything, 0, ContrastiveSpec())
    for member, tau in enumerate(taus):
        expected, _ = slow_loop(
            rows[member], labels[member].tolist(), ContrastiveSpec(temperature=tau)
        )
        assert losses[member].tolist() == pytest.approx(expected, abs=1e-9)


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


def test_three_kinds_of_windows_are_counted() -> None:
    labels = torch.tensor([[0, 2, 1, 2, 0, 2, 0]])
    rows = torch.randn(1, 7, 3, generator=torch.Generator().manual_seed(1))
    losses, counted = contrast(rows, labels, ContrastiveSpec())
    expected, _ = slow_loop(rows[0], labels[0].tolist(), ContrastiveSpec())
    assert counted.sum() == 6
    assert losses[0].tolist() == pytest.approx(expected, rel=1e-5)
    assert num_anchors(labels, torch.ones(1, 7, dtype=torch.bool), False).tolist() == [6]


def test_weight_zero_is_end_to_end_exactly() -> None:
    generator = torch.Generator().manual_seed(6)
    supervised = torch.rand(2, 5, generator=generator)
    taught = torch.rand(2, 5, generator=generator)
    mixed = distillation(supervised, taught, torch.tensor([0.0, 0.25]))
    assert torch.equal(mixed[0], supervised[0])
    assert torch.allclose(mixed[1], 0.75 * supervised[1] + 0.25 * taught[1])


@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0])
def test_values_and_gradients_are_those_of_another_library(temperature: float) -> None:
    """Where every anchor has a positive: theirs averages over the losses that are not zero."""
    generator = torch.Generator().manual_seed(8)
    labels = torch.arange(24) % 3
    ours = torch.randn(24, 7, generator=generator, dtype=torch.float64, requires_grad=True)
    theirs = ours.detach().clone().requires_grad_()
    losses, counted = contrast(ours[None], labels[None], ContrastiveSpec(temperature=temperature))
    loss = losses.sum() / counted.sum()
    reference = SupConLoss(temperature=temperature)(theirs, labels)
    assert loss.item() == pytest.approx(reference.item(), rel=1e-9)
    loss.backward()  # type: ignore[no-untyped-call]
    reference.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-7, atol=1e-12)


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
