"""What networks read: features by each member's fold, embeddings by each member's encoder."""

import pytest
import torch

from pricon.model.network import EMBEDDING
from pricon.train.examples import Part
from pricon.train.inputs import Embeddings, Features
from pricon.train.ranks import Ranks
from tests.train.problem import examples, separate

MEMBERS = [0, 3, 11, 6]
ALL = (0, 1, 2, 3)
PARTS: tuple[Part, ...] = ("train", "validation")


def test_nothing_recorded_becomes_the_mean() -> None:
    raw = torch.tensor([[1.0, torch.nan], [3.0, 8.0]])
    features = Features(
        {"ecg": raw},
        {"ecg": torch.tensor([[1.0, 2.0], [0.0, 0.0]])},
        {"ecg": torch.tensor([[0.5, 0.25], [1.0, 0.0]])},
    )
    found = features.gather(torch.tensor([0, 1]), separate(2), torch.tensor([[0, 1], [1, 0]]))
    assert found["ecg"].tolist() == [[[0.0, 0.0], [1.0, 1.5]], [[3.0, 0.0], [1.0, 0.0]]]
    assert torch.isnan(raw[0, 1]), "the shared features were overwritten"


@pytest.mark.parametrize("odd", [torch.nan, torch.inf, -torch.inf, 3e38])
def test_what_cannot_be_told_becomes_the_mean(odd: float) -> None:
    raw = {"ecg": torch.tensor([[1.0], [odd]]), "video": torch.tensor([[1.0], [5.0]])}
    mean = {name: torch.tensor([[1.0]]) for name in raw}
    features = Features(raw, mean, {name: torch.tensor([[2.0]]) for name in raw})
    assert features.complete == {"video"}
    found = features.gather(torch.tensor([0]), separate(1), torch.tensor([[0, 1]]))
    assert found["ecg"].tolist() == [[[0.0], [0.0]]]
    assert found["video"].tolist() == [[[0.0], [8.0]]]


@pytest.mark.parametrize("odd", [torch.nan, torch.inf])
@pytest.mark.parametrize("which", ["mean", "scale"])
def test_what_cannot_be_standardised_becomes_the_mean(odd: float, which: str) -> None:
    fitted = {"mean": torch.tensor([[1.0]]), "scale": torch.tensor([[2.0]])}
    fitted[which] = torch.tensor([[odd]])
    frames = torch.tensor([[[1.0], [3.0]], [[3.0], [5.0]]])
    features = Features({"ecg": frames}, *({"ecg": fitted[name]} for name in ("mean", "scale")))
    assert not features.complete
    found = features.gather(torch.tensor([0]), separate(1), torch.tensor([[0, 1]]))
    assert found["ecg"].shape == (1, 2, 2, 1)
    assert (found["ecg"] == 0).all()


def test_frames_of_which_nothing_is_missing() -> None:
    frames = torch.tensor([[[1.0], [3.0]], [[3.0], [5.0]]])
    features = Features({"ecg": frames}, {"ecg": torch.ones(1, 1)}, {"ecg": torch.ones(1, 1)})
    assert features.complete == {"ecg"}
    found = features.gather(torch.tensor([0]), separate(1), torch.tensor([[1]]))
    assert found["ecg"].tolist() == [[[[2.0], [4.0]]]]


def test_standardisation_follows_the_member_not_its_place_among_the_living() -> None:
    data = examples("cross_entropy", MEMBERS, Ranks())
    everyone = next(iter(data.training(ALL, epoch=0)))
    some = next(iter(data.training((1, 3), epoch=0)))
    for name in ("hud", "player"):
        assert torch.equal(some.inputs[name], everyone.inputs[name][[1, 3]])


def test_embeddings_are_each_members_own() -> None:
    values = torch.arange(12.0).view(2, 3, 2)
    found = Embeddings(values).gather(torch.tensor([1]), separate(1), torch.tensor([[2, 0]]))
    assert {*found} == {EMBEDDING}
    assert found[EMBEDDING].tolist() == [[[10.0, 11.0], [6.0, 7.0]]]
