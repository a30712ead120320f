"""What teachers say reaches the windows that they may be asked about, and no others."""

from dataclasses import replace

import torch

from pricon.train.examples import PADDING, Part
from pricon.train.ranks import Ranks
from tests.train.problem import answers, examples, retaught

MEMBERS = [0, 3, 11, 6]
ALL = (0, 1, 2, 3)
PARTS: tuple[Part, ...] = ("train", "validation")


def test_a_teachers_nan_outside_training_never_reaches_a_batch() -> None:
    """Padding repeats row 0; here, row 0 is outside everybody's training split."""
    data = examples("distillation", MEMBERS, Ranks(), 50)
    rows = data.rows["train"].where(data.rows["train"] != 0, PADDING)
    teacher = torch.full_like(answers(data), torch.nan)
    for member in ALL:
        own = rows[member][rows[member] != PADDING]
        teacher[member, own] = answers(data)[member, own]
    hidden = retaught(replace(data, rows={**data.rows, "train": rows}), teacher)
    padded = 0
    for batch in hidden.training(ALL, epoch=0):
        assert batch.teacher is not None
        assert torch.isfinite(batch.teacher).all()
        assert (batch.teacher[batch.valid] != 0).all()
        padded += int((~batch.valid).sum())
    assert padded > 0


def test_a_teacher_asked_outside_its_training_split_is_seen() -> None:
    """The other way round: a leak is NaN, not a number."""
    data = examples("distillation", MEMBERS, Ranks())
    teacher = answers(data).clone()
    teacher[2, data.rows["train"][2, 0]] = torch.nan
    found = [
        torch.isnan(batch.teacher).any(dim=2).any(dim=1).tolist()
        for batch in retaught(data, teacher).training(ALL, epoch=0)
        if batch.teacher is not None
    ]
    assert [any(column) for column in zip(*found, strict=True)] == [False, False, True, False]


def test_without_teachers_there_is_nothing_to_say() -> None:
    batch = next(iter(examples("cross_entropy", MEMBERS, Ranks()).training(ALL, epoch=0)))
    assert batch.teacher is None
