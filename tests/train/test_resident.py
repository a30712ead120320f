"""Batches: every window once, in an order of the member's own, however ranks and packs are cut."""

from dataclasses import replace
from itertools import chain, pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pricon.train.examples import PADDING, Batch, Part
from pricon.train.inputs import Features
from pricon.train.ranks import Ranks
from pricon.train.resident import Resident, spread
from tests.train.problem import NUM_WINDOWS, examples

MEMBERS = [0, 3, 11, 6]
ALL = (0, 1, 2, 3)
PARTS: tuple[Part, ...] = ("train", "validation")


def traced(kind: str, members: list[int], batch_size: int, ranks: Ranks | None = None) -> Resident:
    """Examples whose only feature is the row number, so that a batch says which rows it holds."""
    data = examples(kind, members, ranks or Ranks(), batch_size)
    one, rows = torch.ones(len(members), 1), torch.arange(NUM_WINDOWS, dtype=torch.float32)[:, None]
    inputs = Features({"player": rows}, {"player": torch.zeros_like(one)}, {"player": one})
    return replace(data, inputs=inputs)


def batches_of(data: Resident, live: tuple[int, ...], part: Part, epoch: int) -> list[Batch]:
    return list(data.training(live, epoch) if part == "train" else data.validation(live))


def rows_of(batch: Batch, row: int) -> list[int]:
    """Rows of one live member's windows in this rank's slice, padding left out."""
    shown = batch.inputs["player"][row, :, 0].long()
    return [int(found) for found in shown[batch.valid[row, batch.own]]]


def rows_by_batch(data: Resident, live: tuple[int, ...], row: int, epoch: int) -> list[list[int]]:
    return [rows_of(batch, row) for batch in data.training(live, epoch)]


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("batch_size", [7, 64, 1000])
def test_every_window_of_a_split_comes_once_an_epoch(part: Part, batch_size: int) -> None:
    data = traced("cross_entropy", MEMBERS, batch_size)
    assert len({*data.counts[part]}) > 1 or part == "validation", "nothing is padded"
    for epoch in (0, 4):
        found = batches_of(data, ALL, part, epoch)
        assert len(found) == -(-max(data.counts[part]) // batch_size)
        for member in ALL:
            rows = data.rows[part][member]
            seen = [row for batch in found for row in rows_of(batch, member)]
            assert sorted(seen) == rows[rows != PADDING].tolist()
            assert len(seen) == data.counts[part][member]


def test_padding_comes_last_and_is_never_valid() -> None:
    data = traced("cross_entropy", MEMBERS, 64)
    for number, batch in enumerate(data.training(ALL, epoch=1)):
        for member, count in enumerate(data.counts["train"]):
            left = min(64, max(0, count - 64 * number))
            width = batch.valid.shape[1]
            assert batch.valid[member].tolist() == [True] * left + [False] * (width - left)
            assert batch.has_windows[member] == (left > 0)


def test_labels_windows_and_features_of_a_batch_belong_together() -> None:
    data = traced("cross_entropy", MEMBERS, 64)
    for batch in data.training(ALL, epoch=2):
        assert batch.dropout is not None
        for member in ALL:
            rows = batch.inputs["player"][member, :, 0].long()
            valid = batch.valid[member]
            expected = data.known.labels[member, rows].long()
            assert torch.equal(batch.labels[member][valid], expected[valid])
            assert torch.equal(batch.dropout.windows[member], data.windows[rows])


def test_epochs_have_orders_of_their_own_and_members_too() -> None:
    data = traced("cross_entropy", [0, 0, 3], 64)
    data = replace(data, keys=torch.tensor([1, 2, 3]))
    first, again, second = (rows_by_batch(data, (0, 1, 2), 0, epoch) for epoch in (0, 0, 1))
    assert first == again
    assert first != second
    assert rows_by_batch(data, (0, 1, 2), 1, epoch=0) != first, "equal windows, other key"


def test_validation_is_the_same_in_all_epochs_and_without_dropout() -> None:
    data = traced("cross_entropy", MEMBERS, 32)
    one, other = (list(data.validation(ALL)) for _ in range(2))
    assert [rows_of(b, 2) for b in one] == [rows_of(b, 2) for b in other]
    assert all(batch.dropout is None for batch in one)


def test_dropout_differs_by_epoch_and_member() -> None:
    data = traced("cross_entropy", MEMBERS, 64)
    keys = []
    for epoch in (0, 1):
        batch = next(iter(data.training((1, 3), epoch)))
        assert batch.dropout is not None
        keys += batch.dropout.keys.tolist()
    assert len({*keys}) == 4


@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("batch_size", [60, 64, 61])
@pytest.mark.parametrize("part", PARTS)
def test_the_slices_of_the_ranks_make_the_batch_of_one_rank(
    size: int, batch_size: int, part: Part
) -> None:
    alone = batches_of(traced("distillation", MEMBERS, batch_size), ALL, part, 3)
    shared = [
        batches_of(traced("distillation", MEMBERS, batch_size, Ranks(i, size)), ALL, part, 3)
        for i in range(size)
    ]
    for whole, *slices in zip(alone, *shared, strict=True):
        width = whole.labels.shape[1]
        for batch in slices:
            assert batch.num_ranks == size
            assert torch.equal(batch.labels[:, :width], whole.labels)
            assert torch.equal(batch.valid[:, :width], whole.valid)
            assert not batch.valid[:, width:].any(), "what evens out the ranks is padding"
        assert slices[0].own.start == 0
        assert all(a.own.stop == b.own.start for a, b in pairwise(slices))
        joined = torch.cat([batch.inputs["player"] for batch in slices], dim=1)
        assert torch.equal(joined[:, :width], whole.inputs["player"])
        assert whole.teacher is not None
        taught = [batch.teacher for batch in slices if batch.teacher is not None]
        assert torch.equal(torch.cat(taught, dim=1)[:, :width], whole.teacher)
        for member in ALL:
            together = [row for batch in slices for row in rows_of(batch, member)]
            assert together == rows_of(whole, member)


def test_a_members_batches_do_not_depend_on_its_pack() -> None:
    pack = traced("distillation", MEMBERS, 64)
    for position, member in enumerate(MEMBERS):
        alone = traced("distillation", [member], 64)
        expected = rows_by_batch(alone, (0,), 0, epoch=5)
        assert expected == [b for b in rows_by_batch(pack, ALL, position, epoch=5) if b]
        survivor = rows_by_batch(pack, (position,), 0, epoch=5)
        assert survivor == expected, "others have stopped"


@pytest.mark.parametrize("live", [ALL, (1, 2), (3,)])
def test_members_of_one_draw_read_what_they_would_read_alone(live: tuple[int, ...]) -> None:
    """Two pairs of members that differ in nothing but their teachers."""
    alone = examples("distillation", [0, 3, 0, 3], Ranks(), 50)
    draw_of = torch.tensor([0, 1, 0, 1])
    shared = replace(
        alone, known=replace(alone.known, draw_of=draw_of, labels=alone.known.labels[:2])
    )
    batches = [batches_of(data, live, part, 2) for data in (alone, shared) for part in PARTS]
    for one, other in zip(batches[0] + batches[1], batches[2] + batches[3], strict=True):
        assert torch.equal(one.inputs["player"], other.inputs["player"])
        assert torch.equal(one.labels, other.labels)
        assert torch.equal(one.valid, other.valid)
        assert one.teacher is not None
        assert other.teacher is not None
        assert torch.equal(one.teacher, other.teacher)
        assert one.has_windows == other.has_windows
        if one.dropout is not None:
            assert other.dropout is not None
            assert len(other.dropout.keys) == len({member % 2 for member in live})
            for name in ("keys", "windows"):
                expanded = other.dropout.draws.expand(getattr(other.dropout, name))
                assert torch.equal(expanded, getattr(one.dropout, name))


@given(
    st.lists(st.integers(1, 40), min_size=1, max_size=8),
    st.integers(1, 20),
    st.floats(0, 0.999),
)
def test_any_stretch_of_a_stratified_order_has_its_share_of_each_stratum(
    sizes: list[int], padding: int, phase: float
) -> None:
    strata = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    mixed = strata[torch.randperm(len(strata), generator=torch.Generator().manual_seed(0))]
    last = torch.full((padding,), torch.iinfo(torch.int64).max)
    padded = torch.cat([mixed, last])[None]
    order = spread(padded, torch.tensor([[phase]], dtype=torch.float32))[0]
    assert sorted(order.tolist()) == list(range(len(strata) + padding))
    assert (order[len(strata) :] >= len(strata)).all(), "padding comes last"
    total = len(strata)
    for length in {1, total // 3, total} - {0}:
        for start in range(0, total - length + 1, length):
            found = torch.bincount(mixed[order[start : start + length]], minlength=len(sizes))
            expected = torch.tensor(sizes) * length / total
            assert ((found - expected).abs() <= 2).all()


def stratified(members: list[int], ranks: Ranks | None = None) -> Resident:
    data = traced("contrastive", members, 64, ranks)
    strata = torch.arange(NUM_WINDOWS) % 20 * 3 + data.known.labels[0].long()
    return replace(data, strata=strata.expand(len(members), -1))


def test_a_stratified_epoch_has_every_window_once_in_an_order_of_its_own() -> None:
    data, plain = stratified(MEMBERS), traced("contrastive", MEMBERS, 64)
    for member in range(len(MEMBERS)):
        epochs = [
            [rows_of(batch, member) for batch in batches_of(some, ALL, "train", epoch)]
            for some, epoch in ((data, 0), (data, 1), (data, 0), (plain, 0))
        ]
        assert epochs[0] != epochs[1]
        assert epochs[0] == epochs[2]
        assert [len(rows) for rows in epochs[0]] == [len(rows) for rows in epochs[3]]
        once, plainly = (sorted(chain.from_iterable(epochs[number])) for number in (0, 3))
        assert once == plainly
    for one, other in zip(
        batches_of(data, ALL, "validation", 0), batches_of(plain, ALL, "validation", 0), strict=True
    ):
        assert rows_of(one, 0) == rows_of(other, 0), "validation stays as it was"


def test_stratified_batches_do_not_depend_on_pack_or_ranks() -> None:
    together = batches_of(stratified(MEMBERS), ALL, "train", 3)
    alone = batches_of(stratified(MEMBERS[2:3]), (0,), "train", 3)
    halves = [batches_of(stratified(MEMBERS, Ranks(i, 2)), ALL, "train", 3) for i in (0, 1)]
    for number, batch in enumerate(together):
        expected = rows_of(batch, 2)
        if number < len(alone):
            assert rows_of(alone[number], 0) == expected
        split = rows_of(halves[0][number], 2) + rows_of(halves[1][number], 2)
        assert split == expected
