"""Invariants of folds over a grid."""

from itertools import chain

import pytest

from pricon.errors import PlanError
from pricon.plan.folds import split_participants
from pricon.spec.folds import FoldSpec

PEOPLE = tuple(f"P{n:02d}" for n in range(23))


@pytest.mark.parametrize("num", [7, 12, 23])
@pytest.mark.parametrize("count", [2, 3, 5])
@pytest.mark.parametrize("seed", [0, 1])
def test_nobody_is_in_two_parts_and_everybody_is_tested_once(
    num: int, count: int, seed: int
) -> None:
    splits = split_participants(PEOPLE[:num], FoldSpec(count=count), seed)
    assert len(splits) == count
    for split in splits:
        together = [*split.train, *split.validation, *split.test]
        assert sorted(together) == list(PEOPLE[:num])
        assert split.train
        assert len(split.validation) == max(2, round(0.1 * (num - len(split.test))))
    tested = sorted(chain.from_iterable(split.test for split in splits))
    assert tested == list(PEOPLE[:num])
    sizes = {len(split.test) for split in splits}
    assert max(sizes) - min(sizes) <= 1


def test_seeds_move_validation_participants_and_nothing_else() -> None:
    one, other = (split_participants(PEOPLE, FoldSpec(), seed) for seed in (0, 1))
    assert [split.test for split in one] == [split.test for split in other]
    assert [split.validation for split in one] != [split.validation for split in other]


def test_the_folds_own_seed_deals_anew() -> None:
    one, other = (split_participants(PEOPLE, FoldSpec(seed=seed), 0) for seed in (0, 1))
    assert [split.test for split in one] != [split.test for split in other]


def test_order_of_participants_does_not_matter() -> None:
    assert split_participants(PEOPLE[::-1], FoldSpec(), 0) == split_participants(
        PEOPLE, FoldSpec(), 0
    )


@pytest.mark.parametrize(
    ("scheme", "count", "folds"), [("leave_one_out", 5, 23), ("leave_n_out", 4, 6)]
)
def test_leave_out_schemes(scheme: str, count: int, folds: int) -> None:
    spec = FoldSpec.model_validate({"scheme": scheme, "count": count})
    splits = split_participants(PEOPLE, spec, 0)
    assert len(splits) == folds
    assert max(len(split.test) for split in splits) == (1 if scheme == "leave_one_out" else 4)


def test_more_folds_than_participants() -> None:
    with pytest.raises(
        PlanError, match="5 folds asked for, but the corpus has 4 participants"
    ) as e:
        split_participants(PEOPLE[:4], FoldSpec(), 0)
    assert e.value.hint is not None
    assert "2 to 4" in e.value.hint


def test_too_few_to_train() -> None:
    with pytest.raises(PlanError, match="fold 0 has 2 participants beside its test split"):
        split_participants(PEOPLE[:4], FoldSpec(count=2), 0)
    with pytest.raises(PlanError, match="1 folds asked for"):
        split_participants(PEOPLE[:1], FoldSpec(scheme="leave_one_out"), 0)


def test_leaving_everybody_out_trains_nobody() -> None:
    folds = FoldSpec(scheme="leave_n_out", count=4)
    with pytest.raises(PlanError, match="with 4 test participants a fold leaves nobody") as error:
        split_participants(PEOPLE[:4], folds, 0)
    assert error.value.hint == "set `folds.count` to a number from 1 to 3"
