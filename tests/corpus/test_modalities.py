import pytest

from pricon.corpus.modalities import split_features
from pricon.errors import CorpusError

FEATURES = ("audio_1", "audio_2", "heart_1", "Time")


@pytest.mark.parametrize(
    ("patterns", "features"),
    [
        (("*",), FEATURES),
        (("audio_*",), ("audio_1", "audio_2")),
        (("heart_1", "audio_?"), ("audio_1", "audio_2", "heart_1")),
        (("*", "!audio_*"), ("heart_1", "Time")),
        (("!audio_*",), ("heart_1", "Time")),
        (("!audio_*", "audio_2"), ("audio_2", "heart_1", "Time")),
        (("audio_2", "!audio_*", "audio_1"), ("audio_1",)),
    ],
)
def test_patterns_apply_in_order(patterns: tuple[str, ...], features: tuple[str, ...]) -> None:
    (modality,) = split_features({"lab": patterns}, FEATURES)
    assert modality.features == features


def test_modalities_are_sorted_and_may_leave_features_out() -> None:
    found = split_features({"heart": ["heart_*"], "audio": ["audio_1"]}, FEATURES)
    assert [(entry.name, entry.features) for entry in found] == [
        ("audio", ("audio_1",)),
        ("heart", ("heart_1",)),
    ]


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [("adio_*", "did you mean `audio_"), ("time", "did you mean `Time`"), ("zz*", "they are")],
)
def test_pattern_without_a_feature(pattern: str, hint: str) -> None:
    expected = "`corpus.modalities.lab` matches none of the 4 features"
    with pytest.raises(CorpusError, match=expected) as caught:
        split_features({"lab": [pattern]}, FEATURES)
    assert hint in str(caught.value.hint)


def test_feature_in_two_modalities() -> None:
    with pytest.raises(CorpusError, match="feature `heart_1` is in two modalities: `a` and `b`"):
        split_features({"a": ["heart_1"], "b": ["*"]}, FEATURES)


def test_pattern_twice() -> None:
    with pytest.raises(CorpusError, match=r"`heart_1` stands twice in `corpus.modalities.a`"):
        split_features({"a": ["heart_1", "heart_1"]}, FEATURES)


@pytest.mark.parametrize("patterns", [(), ("audio_*", "!audio_*")])
def test_modality_without_a_feature(patterns: tuple[str, ...]) -> None:
    with pytest.raises(CorpusError, match="modality `a` holds no feature"):
        split_features({"a": patterns}, FEATURES)


@pytest.mark.parametrize("name", ["session", "arousal", "valence", "Audio", "a.b", ""])
def test_name_that_a_modality_cannot_have(name: str) -> None:
    with pytest.raises(CorpusError, match=f"cannot be called `{name}`"):
        split_features({name: ["*"]}, FEATURES)
