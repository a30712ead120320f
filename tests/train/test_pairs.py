"""Blocks of pairs: every anchor once and in little memory, and which of them need half the work."""

from dataclasses import replace
from itertools import pairwise

import pytest
import torch

from pricon.spec.training import ContrastiveSpec
from pricon.train import pairs
from pricon.train.pairs import Block, Pairs, blocks, kinds_of
from pricon.train.ranks import Ranks


def of(tau: float = 0.1, *, variant: str = "out", padded: int = 0) -> Pairs:
    """Two members of six windows of one kind."""
    labels = torch.zeros(2, 6, dtype=torch.int64)
    valid = torch.arange(6).expand(2, -1) < 6 - padded
    spec = ContrastiveSpec.model_validate({"variant": variant})
    return Pairs.of(torch.ones(2, 6, 3), torch.full((2,), tau), labels, valid, spec, Ranks())


def of_the_second_rank() -> Pairs:
    """The last three of these windows are its own."""
    everyone = of()
    return replace(everyone, anchors=everyone.candidates[:, 3:], first=3)


WHOLE = Block(slice(0, 2), slice(0, 6))


@pytest.mark.parametrize(
    ("members", "anchors", "candidates"), [(7, 100, 100), (3, 700, 700), (2, 1000, 3000), (1, 0, 0)]
)
def test_blocks_have_every_anchor_once_in_bounded_memory(
    members: int, anchors: int, candidates: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs, "BLOCK_BYTES", 300 * 4 * candidates)
    seen = torch.zeros(members, anchors)
    for block in blocks(torch.zeros(members, anchors, 2), candidates):
        here = seen[block.members, block.rows]
        assert here.numel() <= 300
        here += 1
    assert (seen == 1).all()


def test_blocks_never_get_too_few_anchors_to_be_worth_reading_all_candidates() -> None:
    found = [*blocks(torch.zeros(1, 1000, 2), num_candidates=10**9)]
    assert [block.rows.start for block in found] == [0, 256, 512, 768]
    assert all(one.rows.stop == other.rows.start for one, other in pairwise(found))


def test_pairs_are_symmetric_where_the_whole_batch_is_compared_with_itself() -> None:
    assert of().is_symmetric(WHOLE)
    assert not of().is_symmetric(Block(slice(0, 2), slice(0, 3))), "some anchors"
    assert not of(padded=1).is_symmetric(WHOLE), "padding is a candidate of nobody, but an anchor"
    assert not of(0.01).is_symmetric(WHOLE), "each row is scaled by its largest"
    assert not of(variant="in").is_symmetric(WHOLE), "positives have a softmax of their own"
    own = Block(slice(0, 2), slice(0, 3))
    assert not of_the_second_rank().is_symmetric(own), "candidates of other ranks"


def test_own_anchors_are_not_compared_with_themselves() -> None:
    found = of_the_second_rank()
    assert found.own == slice(3, 6)
    logits = torch.zeros(2, 3, 6)
    said, factors = found.differentiate_(logits, Block(slice(0, 2), slice(0, 3)))
    assert logits[0].tolist() == [[1, 1, 1, 0, 1, 1], [1, 1, 1, 1, 0, 1], [1, 1, 1, 1, 1, 0]]
    assert torch.allclose(said, torch.tensor(5.0).log())
    assert torch.allclose(factors, torch.tensor(0.2))


def test_padding_is_of_no_kind_and_drops_out() -> None:
    labels, valid = torch.tensor([[0, 2, 1]]), torch.tensor([[True, True, False]])
    assert kinds_of(labels, valid).tolist() == [[[1, 0, 0], [0, 0, 1], [0, 0, 0]]]
    found = of(padded=2)
    assert found.padding is not None
    assert found.padding.exp().tolist() == [[1, 1, 1, 1, 0, 0]] * 2
    assert of().padding is None
