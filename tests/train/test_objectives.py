"""What stages minimise and are selected by, against losses written out for one member."""

from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from pricon.model.network import PackedNetwork, initial_parameters
from pricon.spec.training import ContrastiveSpec, DistillationSpec, Precision
from pricon.train.checkpoint import Checkpoints
from pricon.train.contrastive import supervised_contrastive
from pricon.train.examples import PADDING, Batch
from pricon.train.loop import fit
from pricon.train.losses import cross_entropy, squared_error
from pricon.train.objectives import Contrastive, Distillation, Objective, Supervised
from pricon.train.pack import Pack
from pricon.train.ranks import Ranks
from pricon.train.resident import Resident
from tests.allocations import Allocations
from tests.train.problem import (
    NUM_WINDOWS,
    OPTIMISATION,
    STAGE,
    WIDTHS,
    answers,
    examples,
    known,
    layout,
    retaught,
)

MEMBERS = [0, 3, 11]
LIVE = (0, 1, 2)
WEIGHTS = torch.tensor([0.0, 0.25, 1.0])
HALF = torch.full((3,), 0.5)
"""The temperature of students that have no other."""
TENTH = torch.full((3,), 0.1)
"""That of teachers."""


def network_of(kind: str, data: Resident) -> PackedNetwork:
    return PackedNetwork(layout(kind), initial_parameters(layout(kind), data.keys))


def last_batch(kind: str) -> tuple[PackedNetwork, Batch]:
    """The last batch of an epoch, short for every member, so that padding could be counted."""
    data = examples(kind, MEMBERS, Ranks())
    batch = list(data.training(LIVE, epoch=0))[-1]
    assert not batch.valid.all()
    assert batch.valid.any()
    return network_of(kind, data), batch


def fitted(data: Resident, objective: Objective) -> Pack:
    stage = STAGE.model_copy(update={"epochs": 6})
    pack = Pack(layout("distillation"), data.keys, stage, OPTIMISATION, Ranks())
    fit(pack, data, objective, Checkpoints(None, [], 1e9), lambda _: None)
    return pack


@pytest.mark.parametrize("squared", [False, True])
def test_distillation_is_the_weighted_sum_written_out(squared: bool) -> None:
    spec = DistillationSpec(temperature=0.5, scale_by_temperature_squared=squared)
    network, batch = last_batch("distillation")
    loss = Distillation(spec, WEIGHTS, HALF, cross_entropy).training(network, batch)
    _, logits = network(batch.inputs, batch.dropout)
    assert batch.teacher is not None
    for member, weight in enumerate(WEIGHTS.tolist()):
        valid = batch.valid[member]
        said = logits[member][valid]
        supervised = functional.cross_entropy(said, batch.labels[member][valid], reduction="sum")
        taught = functional.kl_div(
            (said / 0.5).log_softmax(1),
            (batch.teacher[member][valid] / 0.5).log_softmax(1),
            reduction="sum",
            log_target=True,
        )
        expected = (1 - weight) * supervised + weight * taught * (0.25 if squared else 1.0)
        assert loss.total[member].item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-6)
        assert loss.count[member] == valid.sum()


def test_members_that_stopped_do_not_shift_the_weights() -> None:
    data = examples("distillation", MEMBERS, Ranks())
    network = network_of("distillation", data)
    objective = Distillation(DistillationSpec(), WEIGHTS, HALF, cross_entropy)
    everyone = objective.training(network, next(iter(data.training(LIVE, epoch=0))))
    some = PackedNetwork(layout("distillation"), network.parameters_by_member.detach()[[1, 2]])
    left = objective.training(some, next(iter(data.training((1, 2), epoch=0))))
    assert torch.allclose(left.total, everyone.total[[1, 2]], rtol=1e-6)


def test_members_keep_their_own_temperatures_when_others_stop() -> None:
    data = examples("distillation", MEMBERS, Ranks())
    network = network_of("distillation", data)
    temperatures = [0.5, 4.0, 1.0]
    spec = DistillationSpec(scale_by_temperature_squared=True)
    objective = Distillation(spec, WEIGHTS, torch.tensor(temperatures), cross_entropy)
    some = PackedNetwork(layout("distillation"), network.parameters_by_member.detach()[[1, 2]])
    found = objective.training(some, next(iter(data.training((1, 2), epoch=0)))).total
    for row, member in enumerate((1, 2)):
        temperature = torch.full((3,), temperatures[member])
        alone = Distillation(spec, WEIGHTS, temperature, cross_entropy)
        expected = alone.training(network, next(iter(data.training(LIVE, epoch=0)))).total
        assert found[row].item() == pytest.approx(expected[member].item(), rel=1e-5)


def test_teachers_keep_their_own_temperatures_when_others_stop() -> None:
    data = examples("contrastive", MEMBERS, Ranks())
    network = network_of("contrastive", data)
    taus = [0.05, 0.1, 0.5]
    objective = Contrastive(ContrastiveSpec(), torch.tensor(taus), Ranks())
    some = PackedNetwork(layout("contrastive"), network.parameters_by_member.detach()[[0, 2]])
    found = objective.training(some, next(iter(data.training((0, 2), epoch=0)))).total
    for row, member in enumerate((0, 2)):
        alone = Contrastive(ContrastiveSpec(), torch.full((3,), taus[member]), Ranks())
        expected = alone.training(network, next(iter(data.training(LIVE, epoch=0)))).total
        assert found[row].item() == pytest.approx(expected[member].item(), rel=1e-5)


def test_students_are_selected_by_cross_entropy_alone() -> None:
    """Whatever their teachers say about validation windows, even nothing (NaN)."""
    data = examples("distillation", MEMBERS, Ranks())
    data = retaught(data, torch.full_like(answers(data), torch.nan))
    network = network_of("distillation", data)
    objective = Distillation(DistillationSpec(weight=1.0), torch.ones(3), HALF, cross_entropy)
    for batch in data.validation(LIVE):
        loss = objective.validation(network, batch)
        assert torch.equal(loss.total, Supervised(cross_entropy).validation(network, batch).total)
        _, logits = network(batch.inputs)
        for member, valid in enumerate(batch.valid):
            expected = functional.cross_entropy(
                logits[member][valid], batch.labels[member][valid], reduction="sum"
            )
            assert loss.total[member].item() == pytest.approx(expected.item(), rel=1e-5)


def test_without_a_teacher_training_is_cross_entropy_to_the_bit() -> None:
    data = retaught(examples("distillation", MEMBERS, Ranks()), None)
    plain = fitted(data, Supervised(cross_entropy))
    other = fitted(data, Distillation(DistillationSpec(), WEIGHTS, HALF, cross_entropy))
    assert torch.equal(other.best, plain.best)
    assert [m.training for m in other.members] == [m.training for m in plain.members]
    assert [m.validation for m in other.members] == [m.validation for m in plain.members]


def test_weight_zero_trains_as_cross_entropy_does() -> None:
    """Losses of a step are equal to the bit; gradients are added up in another order."""
    data = examples("distillation", MEMBERS, Ranks())
    unheard = Distillation(DistillationSpec(), torch.zeros(3), HALF, cross_entropy)
    network = network_of("distillation", data)
    for batch in data.training(LIVE, epoch=0):
        loss = unheard.training(network, batch)
        assert torch.equal(loss.total, Supervised(cross_entropy).training(network, batch).total)
    plain = fitted(data, Supervised(cross_entropy))
    other = fitted(data, unheard)
    assert torch.allclose(other.best, plain.best, rtol=0, atol=1e-6)
    assert [m.best_epoch for m in other.members] == [m.best_epoch for m in plain.members]


def test_in_a_pack_with_taught_students_the_others_stay_end_to_end() -> None:
    data = examples("distillation", MEMBERS, Ranks())
    plain = fitted(retaught(data, None), Supervised(cross_entropy))
    mixed = fitted(data, Distillation(DistillationSpec(), WEIGHTS, HALF, cross_entropy))
    assert torch.allclose(mixed.best[0], plain.best[0], rtol=0, atol=1e-6)
    assert mixed.members[0].best_epoch == plain.members[0].best_epoch
    for member in (1, 2):
        assert (mixed.best[member] - plain.best[member]).abs().max() > 1e-3


def test_cross_entropy_trains_with_dropout_and_validates_without() -> None:
    network, batch = last_batch("cross_entropy")
    dropped = Supervised(cross_entropy).training(network, batch).total
    clean = Supervised(cross_entropy).validation(network, replace(batch, dropout=None)).total
    assert not torch.allclose(dropped, clean)
    _, logits = network(batch.inputs)
    expected = [
        functional.cross_entropy(
            logits[member][valid], batch.labels[member][valid], reduction="sum"
        ).item()
        for member, valid in enumerate(batch.valid)
    ]
    assert clean.tolist() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("include_self", [False, True])
def test_contrastive_counts_anchors_with_a_positive(include_self: bool) -> None:
    spec = ContrastiveSpec(include_self=include_self)
    network, batch = last_batch("contrastive")
    loss = Contrastive(spec, TENTH, Ranks()).training(network, batch)
    _, embedding = network(batch.inputs)
    for member, valid in enumerate(batch.valid):
        rows = embedding[member][valid][None]
        labels = batch.labels[member][valid][None]
        everything = torch.ones_like(labels, dtype=torch.bool)
        total = supervised_contrastive(rows, TENTH[:1], labels, everything, spec, Ranks())
        assert loss.total[member].item() == pytest.approx(total.item(), rel=1e-5)
        same = [int((labels == label).sum()) for label in labels[0]]
        assert loss.count[member] == sum(num > (0 if include_self else 1) for num in same)


def test_contrastive_is_selected_by_the_loss_it_minimises() -> None:
    data = examples("contrastive", MEMBERS, Ranks())
    network = network_of("contrastive", data)
    objective = Contrastive(ContrastiveSpec(), TENTH, Ranks())
    for batch in data.validation(LIVE):
        loss = objective.validation(network, batch)
        assert torch.equal(loss.total, objective.training(network, batch).total)
        assert (loss.total > 0).all()


@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_contrastive_of_a_large_batch_holds_no_pairs(precision: Precision) -> None:
    """A whole step, network and all: 4096 windows would have 64 MiB of pairs."""
    num = 4096
    data = examples("contrastive", MEMBERS, Ranks())
    initial = initial_parameters(layout("contrastive"), data.keys)
    network = PackedNetwork(layout("contrastive"), initial, precision)
    batch = Batch(
        number=0,
        members=torch.arange(3),
        inputs={name: torch.randn(3, num, width) for name, width in WIDTHS.items()},
        labels=torch.randint(0, 2, (3, num)),
        valid=torch.ones(3, num, dtype=torch.bool),
        first=0,
        teacher=None,
        dropout=None,
        has_windows=(True, True, True),
    )
    with Allocations() as allocated:
        loss = Contrastive(ContrastiveSpec(), TENTH, Ranks()).training(network, batch)
        loss.total.sum().backward()  # type: ignore[no-untyped-call]
    assert loss.total.dtype == torch.float32
    assert allocated.largest <= 4 * 2**20
    assert allocated.peak < 4 * num**2 / 2


def test_imitating_the_embedding_is_the_weighted_sum_written_out() -> None:
    """Embeddings as they are in front of the class head, before dropout."""
    network, batch = last_batch("distillation")
    width = network.layout.encoder.width
    teacher = torch.randn(*batch.teacher.shape[:2], width) if batch.teacher is not None else None
    assert teacher is not None
    objective = Distillation(DistillationSpec(imitate="embedding"), WEIGHTS, HALF, cross_entropy)
    loss = objective.training(network, replace(batch, teacher=teacher))
    embedding, logits = network(batch.inputs, batch.dropout)
    for member, weight in enumerate(WEIGHTS.tolist()):
        valid = batch.valid[member]
        supervised = functional.cross_entropy(
            logits[member][valid], batch.labels[member][valid], reduction="sum"
        )
        own, theirs = embedding[member][valid], teacher[member][valid]
        cosine = (own * theirs).sum(1) / (own.norm(dim=1) * theirs.norm(dim=1))
        expected = (1 - weight) * supervised + weight * (1 - cosine).sum()
        assert loss.total[member].item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_student_without_a_teacher_to_imitate_gets_finite_gradients() -> None:
    """Its teacher's place is taken by zeros, whose direction nobody knows."""
    network, batch = last_batch("distillation")
    teacher = torch.zeros(*batch.valid.shape, network.layout.encoder.width)
    objective = Distillation(
        DistillationSpec(imitate="embedding"), torch.zeros(3), HALF, cross_entropy
    )
    loss = objective.training(network, replace(batch, teacher=teacher))
    loss.total.sum().backward()  # type: ignore[no-untyped-call]
    found = network.parameters_by_member.grad
    network.parameters_by_member.grad = None
    Supervised(cross_entropy).training(network, batch).total.sum().backward()  # type: ignore[no-untyped-call]
    expected = network.parameters_by_member.grad
    assert found is not None
    assert expected is not None
    assert torch.allclose(found, expected, rtol=1e-5, atol=1e-7)


VALUE_LAYOUT = replace(layout("distillation"), head="value")


def value_examples() -> Resident:
    """The same windows with values; of window 0 none is known, which padding repeats."""
    data = examples("distillation", MEMBERS, Ranks())
    labels = data.known.labels
    values = torch.randn(labels.shape, generator=torch.Generator().manual_seed(5)) + 2.0 * labels
    values[:, 0] = torch.nan
    rows = {
        part: torch.where(own == 0, PADDING, own).sort(dim=1, descending=True).values
        for part, own in data.rows.items()
    }
    counts = {part: tuple((own != PADDING).sum(dim=1).tolist()) for part, own in rows.items()}
    teacher = torch.randn(len(MEMBERS), NUM_WINDOWS, VALUE_LAYOUT.encoder.width)
    return replace(data, known=known(values, teacher), rows=rows, counts=counts)


def value_network(data: Resident) -> PackedNetwork:
    return PackedNetwork(VALUE_LAYOUT, initial_parameters(VALUE_LAYOUT, data.keys))


def value_students(weight: Tensor) -> Distillation:
    return Distillation(DistillationSpec(imitate="embedding"), weight, HALF, squared_error)


def test_regression_students_minimise_the_weighted_sum_written_out() -> None:
    data = value_examples()
    network = value_network(data)
    batch = list(data.training(LIVE, epoch=0))[-1]
    assert not batch.valid.all()
    assert batch.teacher is not None
    loss = value_students(WEIGHTS).training(network, batch)
    embedding, said = network(batch.inputs, batch.dropout)
    for member, weight in enumerate(WEIGHTS.tolist()):
        expected = 0.0
        for window in batch.valid[member].nonzero()[:, 0].tolist():
            own, theirs = embedding[member, window], batch.teacher[member, window]
            error = (said[member, window, 0] - batch.labels[member, window]).item() ** 2
            cosine = (own @ theirs / own.norm() / theirs.norm()).item()
            expected += (1 - weight) * error + weight * (1 - cosine)
        assert loss.total[member].item() == pytest.approx(expected, rel=1e-4)
        assert loss.count[member] == batch.valid[member].sum()


def test_weight_zero_is_end_to_end_regression_exactly() -> None:
    data = value_examples()
    network = value_network(data)
    for batch in data.training(LIVE, epoch=0):
        taught = value_students(torch.zeros(3)).training(network, batch)
        assert torch.equal(taught.total, Supervised(squared_error).training(network, batch).total)
    for batch in data.validation(LIVE):
        judged = value_students(WEIGHTS).validation(network, batch).total
        assert torch.equal(judged, Supervised(squared_error).validation(network, batch).total)


def test_what_is_not_known_of_padding_reaches_no_gradient() -> None:
    data = value_examples()
    network = value_network(data)
    batch = list(data.training(LIVE, epoch=0))[-1]
    value_students(WEIGHTS).training(network, batch).total.sum().backward()  # type: ignore[no-untyped-call]
    gradient = network.parameters_by_member.grad
    assert gradient is not None
    assert torch.isfinite(gradient).all()
