"""The contrastive loss by hand, against loops that follow the formulas word by word, and how much
memory it takes."""

import math
from collections.abc import Sequence
from functools import cache
from itertools import product

import pytest
import torch
from pytorch_metric_learning.losses import SupConLoss
from torch import Tensor
from torch.nn import functional

from pricon.spec.training import ContrastiveSpec
from pricon.train import pairs
from pricon.train.contrastive import num_anchors, supervised_contrastive
from pricon.train.ranks import Ranks
from tests.allocations import Allocations
from tests.gloo import on_ranks

VARIANTS = ("out", "in")


def spec_of(variant: str, include_self: bool = False) -> ContrastiveSpec:
    return ContrastiveSpec.model_validate({"variant": variant, "include_self": include_self})


def contrast(
    rows: Tensor,
    labels: Tensor,
    tau: float = 0.1,
    spec: ContrastiveSpec | None = None,
    valid: Tensor | None = None,
) -> Tensor:
    everything = torch.ones_like(labels, dtype=torch.bool) if valid is None else valid
    temperature = rows.new_full((len(rows),), tau)
    spec = spec or ContrastiveSpec()
    return supervised_contrastive(rows, temperature, labels, everything, spec, Ranks())


def slow_loop(
    rows: Tensor, labels: list[int], tau: float, spec: ContrastiveSpec
) -> tuple[Tensor, int]:
    """Khosla et al. 2020, eq. 2 and 3, one anchor, one positive, one candidate at a time."""
    unit = [row / row.norm() for row in rows.double()]
    everyone = range(len(labels))
    total, counted = rows.new_zeros((), dtype=torch.float64), 0
    for i in everyone:
        candidates = [a for a in everyone if a != i or spec.include_self]
        positives = [p for p in candidates if labels[p] == labels[i]]
        if not positives:
            continue
        counted += 1
        similarity = {a: unit[i] @ unit[a] / tau for a in candidates}
        log_all = torch.stack([*similarity.values()]).logsumexp(0)
        logs = torch.stack([similarity[p] - log_all for p in positives])
        if spec.variant == "out":
            total = total - logs.sum() / len(positives)
        else:
            total = total - logs.logsumexp(0) + math.log(len(positives))
    return total, counted


@cache
def one_at_a_time(
    seed: int, dtype: torch.dtype, is_padded: bool, taus: tuple[float, ...], spec: ContrastiveSpec
) -> tuple[Tensor, Tensor, list[int]]:
    """Totals of each member by `slow_loop`, their gradients, and how many anchors count."""
    rows, labels, valid = problem(seed, dtype, is_padded)
    leaf = rows.requires_grad_()
    found = [
        slow_loop(leaf[m][valid[m]], labels[m][valid[m]].tolist(), tau, spec)
        for m, tau in enumerate(taus)
    ]
    totals = torch.stack([total for total, _ in found])
    (factors(totals) * totals).sum().backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    return totals.detach(), leaf.grad, [counted for _, counted in found]


def factors(totals: Tensor) -> Tensor:
    """Gradients of totals that differ from member to member."""
    return 0.5 - torch.arange(len(totals), dtype=totals.dtype)


def problem(
    seed: int, dtype: torch.dtype = torch.float64, is_padded: bool = True
) -> tuple[Tensor, Tensor, Tensor]:
    """Five members of 23 windows, one of one kind; padded here and there, one of them throughout.

    Without padding all windows are valid.
    """
    generator = torch.Generator().manual_seed(seed)
    rows = torch.randn(5, 23, 4, generator=generator, dtype=torch.float64).to(dtype)
    labels = torch.randint(0, 3, (5, 23), generator=generator)
    valid = torch.rand(5, 23, generator=generator) < 0.8
    labels[3] = 1
    valid[4] = False
    return rows, labels, valid | (not is_padded)


def ours(
    rows: Tensor, labels: Tensor, taus: Sequence[float], spec: ContrastiveSpec, valid: Tensor
) -> tuple[Tensor, Tensor]:
    leaf = rows.detach().clone().requires_grad_()
    temperature = torch.tensor(taus, dtype=rows.dtype)
    totals = supervised_contrastive(leaf, temperature, labels, valid, spec, Ranks())
    (factors(totals) * totals).sum().backward()  # type: ignore[no-untyped-call]
    assert leaf.grad is not None
    return totals.detach(), leaf.grad


@pytest.fixture(params=[None, 50, 7, 1], ids="{} anchors a block".format)
def anchors_a_block(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """All members at once; two members at a time; some anchors of a member; one anchor."""
    if request.param is not None:
        monkeypatch.setattr(pairs, "BLOCK_BYTES", 0)
        monkeypatch.setattr(pairs, "LEAST_ROWS", request.param)


def test_four_windows_by_hand() -> None:
    """Two kinds on two axes, tau = 1: every anchor has s = 1 to its one positive, 0 to others.

    Each loss is -(1 - log(e^1 + 2 e^0)) = log(e + 2) - 1 = 0.551444...
    """
    rows = torch.tensor([[[2.0, 0.0], [5.0, 0.0], [0.0, 1.0], [0.0, 3.0]]])
    total = contrast(rows, torch.tensor([[0, 0, 1, 1]]), tau=1.0)
    assert total.item() == pytest.approx(4 * (math.log(math.e + 2) - 1), abs=1e-6)
    assert total.item() == pytest.approx(4 * 0.5514447, abs=1e-6)


@pytest.mark.usefixtures("anchors_a_block")
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("include_self", [False, True])
@pytest.mark.parametrize("is_padded", [True, False])
@pytest.mark.parametrize("tau", [0.1, 0.01])
def test_values_and_gradients_are_those_of_the_slow_loop(
    variant: str, include_self: bool, is_padded: bool, tau: float
) -> None:
    """Mild temperatures without padding take a path of their own."""
    spec = spec_of(variant, include_self)
    taus = (0.07, 0.3, 1.0, tau, tau)
    expected, gradients, counted = one_at_a_time(3, torch.float64, is_padded, taus, spec)
    rows, labels, valid = problem(3, is_padded=is_padded)
    totals, found = ours(rows, labels, taus, spec, valid)
    torch.testing.assert_close(totals, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found, gradients, rtol=1e-9, atol=1e-10)
    assert num_anchors(labels, valid, include_self).tolist() == counted
    assert is_padded == (totals[4] == 0)
    assert (found[~valid] == 0).all()


@pytest.mark.usefixtures("anchors_a_block")
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("include_self", [False, True])
@pytest.mark.parametrize(
    "taus", [(1e-3, 1e-2, 1e3, 1e-3, 1 / 64), (1 / 64, 1e3, 1, 1 / 64, 1 / 64)]
)
@pytest.mark.parametrize("is_padded", [True, False])
def test_extreme_temperatures_in_single_precision(
    variant: str, include_self: bool, taus: tuple[float, ...], is_padded: bool
) -> None:
    """At tau = 0.001, exponentials of similarities span e^2000: nothing may overflow or vanish."""
    spec = spec_of(variant, include_self)
    expected, gradients, _ = one_at_a_time(4, torch.float32, is_padded, taus, spec)
    rows, labels, valid = problem(4, torch.float32, is_padded)
    totals, found = ours(rows, labels, taus, spec, valid)
    for member, tau in enumerate(taus):
        torch.testing.assert_close(
            totals[member].double(), expected[member], rtol=1e-5, atol=1e-6 / tau
        )
        scale = gradients[member].abs().max().item()
        torch.testing.assert_close(
            found[member], gradients[member], rtol=1e-3, atol=1e-4 * scale + 1e-9
        )


@pytest.mark.parametrize("variant", VARIANTS)
def test_positives_far_from_the_nearest_candidates(variant: str) -> None:
    """Every anchor's positive points the other way, at tau = 0.01: s = -100 against 100."""
    rows = torch.tensor([[[1.0, 0.0], [-1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]]])
    total = contrast(rows, torch.tensor([[0, 0, 1, 1]]), tau=0.01, spec=spec_of(variant))
    assert total.item() == pytest.approx(4 * 200, rel=1e-6)


def test_anchors_without_a_positive_are_skipped_not_counted_as_zero() -> None:
    rows = torch.randn(1, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.tensor([[1, 0, 0, 0]])
    expected, counted = slow_loop(rows[0], [1, 0, 0, 0], 0.1, ContrastiveSpec())
    assert counted == 3
    assert contrast(rows, labels).item() == pytest.approx(expected.item())
    assert num_anchors(labels, torch.ones(1, 4, dtype=torch.bool), False).tolist() == [3]


@pytest.mark.parametrize("variant", VARIANTS)
def test_nobody_has_a_positive(variant: str) -> None:
    rows, labels = torch.randn(1, 3, 4, requires_grad=True), torch.tensor([[0, 1, 2]])
    total = contrast(rows, labels, spec=spec_of(variant))
    total.sum().backward()  # type: ignore[no-untyped-call]
    assert rows.grad is not None
    assert total.item() == 0
    assert (rows.grad == 0).all()


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("is_padded", [True, False])
@pytest.mark.parametrize("odd", [math.nan, math.inf])
def test_a_member_that_diverges_does_not_touch_its_neighbours(
    variant: str, is_padded: bool, odd: float
) -> None:
    rows, labels, valid = problem(9, is_padded=is_padded)
    valid[1, 3] = True
    taus, spec = [0.1] * 5, spec_of(variant)
    totals, gradients = ours(rows, labels, taus, spec, valid)
    rows[1, 3] = odd
    found, found_gradients = ours(rows, labels, taus, spec, valid)
    others = [0, 2, 3, 4]
    assert torch.isnan(found[1])
    assert torch.equal(found[others], totals[others])
    assert torch.equal(found_gradients[others], gradients[others])


def test_padding_changes_nothing() -> None:
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(1, 6, 4, generator=generator)
    labels = torch.tensor([[0, 1, 0, 1, 0, 1]])
    padded = torch.cat([rows, torch.full((1, 3, 4), 7.0)], dim=1)
    padded_labels = torch.cat([labels, torch.zeros(1, 3, dtype=torch.int64)], dim=1)
    valid = torch.arange(9)[None] < 6
    assert torch.allclose(contrast(padded, padded_labels, valid=valid), contrast(rows, labels))
    assert num_anchors(padded_labels, valid, False).tolist() == [6]


def test_order_of_the_batch_and_length_of_embeddings_do_not_matter() -> None:
    generator = torch.Generator().manual_seed(2)
    rows = torch.randn(2, 16, 8, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, 2, (2, 16), generator=generator)
    order = torch.randperm(16, generator=generator)
    total = contrast(rows, labels)
    assert torch.allclose(contrast(rows[:, order], labels[:, order]), total)
    lengths = torch.rand(2, 16, 1, generator=generator, dtype=torch.float64) + 0.1
    assert torch.allclose(contrast(rows * lengths, labels), total)


@pytest.mark.usefixtures("anchors_a_block")
@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize("include_self", [False, True])
def test_gradients_agree_with_finite_differences(variant: str, include_self: bool) -> None:
    rows = torch.randn(2, 6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    labels = torch.tensor([[0, 1, 1, 0, 1, 0], [2, 1, 1, 0, 1, 0]])
    valid = torch.tensor([[True] * 6, [True] * 4 + [False, True]])
    assert torch.autograd.gradcheck(
        lambda r: contrast(r, labels, 0.5, spec_of(variant, include_self), valid),
        rows.requires_grad_(),
    )


def test_a_second_derivative_is_refused() -> None:
    rows = torch.randn(1, 6, 3, requires_grad=True)
    total = contrast(rows, torch.tensor([[0, 1, 1, 0, 1, 0]]))
    with pytest.raises(NotImplementedError, match="no second derivative"):
        torch.autograd.grad(total.sum(), rows, create_graph=True)


@pytest.mark.parametrize("temperature", [0.05, 0.1, 1.0])
def test_values_and_gradients_are_those_of_another_library(temperature: float) -> None:
    """Where every anchor has a positive: theirs averages over the losses that are not zero."""
    generator = torch.Generator().manual_seed(8)
    labels = torch.arange(24) % 3
    own = torch.randn(24, 7, generator=generator, dtype=torch.float64, requires_grad=True)
    theirs = own.detach().clone().requires_grad_()
    loss = contrast(own[None], labels[None], temperature).sum() / 24
    reference = SupConLoss(temperature=temperature)(theirs, labels)
    assert loss.item() == pytest.approx(reference.item(), rel=1e-9)
    loss.backward()  # type: ignore[no-untyped-call]
    reference.backward()
    torch.testing.assert_close(own.grad, theirs.grad, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("variant", VARIANTS)
@pytest.mark.parametrize(("members", "batch"), [(1, 2048), (3, 1024), (40, 256)])
def test_similarities_of_all_pairs_are_never_held(
    variant: str, members: int, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even those of all members, or of one: blocks of 64 anchors here, of all the batch."""
    monkeypatch.setattr(pairs, "BLOCK_BYTES", 0)
    monkeypatch.setattr(pairs, "LEAST_ROWS", 64)
    rows = torch.randn(members, batch, 8, requires_grad=True)
    labels = torch.randint(0, 2, (members, batch))
    with Allocations() as allocated:
        contrast(rows, labels, spec=spec_of(variant)).sum().backward()  # type: ignore[no-untyped-call]
    block = 64 * batch * rows.element_size()
    assert rows.grad is not None
    assert allocated.largest == max(block, rows.nbytes)
    assert allocated.peak < 4 * block + 12 * rows.nbytes
    if members == 1:
        assert allocated.peak < batch**2 * rows.element_size() / 4


@pytest.mark.parametrize("variant", VARIANTS)
def test_memory_is_linear_in_the_batch(variant: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pairs, "BLOCK_BYTES", 0)
    monkeypatch.setattr(pairs, "LEAST_ROWS", 64)
    peaks = []
    for batch in (1024, 2048, 4096):
        rows = torch.randn(1, batch, 16, requires_grad=True)
        labels = torch.randint(0, 2, (1, batch))
        with Allocations() as allocated:
            contrast(rows, labels, spec=spec_of(variant)).sum().backward()  # type: ignore[no-untyped-call]
        peaks.append(allocated.peak)
    assert peaks[1] < 2.1 * peaks[0]
    assert peaks[2] < 2.1 * peaks[1]


def test_an_empty_batch_has_no_loss() -> None:
    rows = torch.zeros(2, 0, 3, requires_grad=True)
    total = contrast(rows, torch.zeros(2, 0, dtype=torch.int64))
    total.sum().backward()  # type: ignore[no-untyped-call]
    assert total.tolist() == [0, 0]


def test_without_gradients_the_total_is_the_same_to_the_bit() -> None:
    rows, labels, valid = problem(6)
    expected = contrast(rows.requires_grad_(), labels, valid=valid)
    with torch.no_grad():
        total = contrast(rows, labels, valid=valid)
    assert torch.equal(total, expected)
    assert not total.requires_grad


CASES = [*product(VARIANTS, (False, True))]


def by_case() -> list[tuple[Tensor, Tensor]]:
    """Totals and gradients of this rank's windows; 23 windows do not divide by two."""
    ranks = Ranks.current()
    rows, labels, valid = problem(7)
    missing = -rows.shape[1] % ranks.size
    rows = functional.pad(rows, (0, 0, 0, missing), value=2.0)
    labels, valid = (functional.pad(some, (0, missing)) for some in (labels, valid))
    temperature = torch.tensor([0.07, 0.3, 1.0, 0.1, 0.1], dtype=rows.dtype)
    found = []
    for variant, include_self in CASES:
        own = rows.chunk(ranks.size, dim=1)[ranks.index].clone().requires_grad_()
        totals = supervised_contrastive(
            own, temperature, labels, valid, spec_of(variant, include_self), ranks
        )
        (factors(totals) * totals).sum().backward()  # type: ignore[no-untyped-call]
        assert own.grad is not None
        found.append((totals.detach(), own.grad))
    return found


@pytest.mark.multiprocess
def test_ranks_add_up_to_one_rank() -> None:
    """Each window's gradient says what it does as an anchor, and as a candidate of both ranks."""
    for (total, gradient), *both in zip(by_case(), *on_ranks(by_case), strict=True):
        torch.testing.assert_close(sum(each for each, _ in both), total, rtol=1e-12, atol=1e-12)
        found = torch.cat([each for _, each in both], dim=1)[:, : gradient.shape[1]]
        torch.testing.assert_close(found, gradient, rtol=1e-9, atol=1e-12)
