import numpy as np
import pytest

from pricon.corpus.index import WindowIndex
from pricon.corpus.labels import DROPPED, contrast_windows, label_windows
from pricon.spec.label import LabelSpec
from pricon.spec.training import ContrastiveSpec


def index(
    values: list[float], session_mean: list[float], steps: list[float] | None = None
) -> WindowIndex:
    num = len(values)
    step = np.array(steps or [0.0] * num)
    return WindowIndex(
        window=np.arange(num),
        participant=np.array(["P1"] * num),
        session=np.array(["S1"] * num),
        stimulus=np.array(["fps"] * num),
        t_start_s=np.arange(num, dtype=float),
        t_end_s=np.arange(num, dtype=float) + 1,
        affect={"arousal": np.array(values)},
        change={"arousal": np.abs(step)},
        trend={"arousal": step},
        session_mean={"arousal": np.array(session_mean)},
    )


EVERYTHING = np.ones(5, dtype=bool)


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        (LabelSpec(threshold=0.5, margin=0.1), [0, 0, DROPPED, DROPPED, 1]),
        (LabelSpec(threshold=0.5, margin=0.0), [0, 0, 0, DROPPED, 1]),
        (LabelSpec(threshold="session_mean", margin=0.05), [0, 0, 0, 1, 1]),
    ],
)
def test_high_low_and_dropped(rule: LabelSpec, expected: list[int]) -> None:
    windows = index([0.1, 0.3, 0.42, 0.5, 0.9], [0.5, 0.5, 0.5, 0.4, 0.4])
    assert label_windows(windows, rule, "arousal", EVERYTHING).tolist() == expected


def test_the_median_is_that_of_the_training_windows() -> None:
    windows = index([0.1, 0.2, 0.3, 0.8, 1.0], [0.0] * 5)
    rule = LabelSpec(threshold="training_median", margin=0.05)
    training = np.array([True, True, True, False, False])
    assert label_windows(windows, rule, "arousal", training).tolist() == [0, DROPPED, 1, 1, 1]
    assert label_windows(windows, rule, "arousal", ~training).tolist() == [0, 0, 0, 0, 1]


def test_unknown_affect_is_dropped() -> None:
    windows = index([0.1, float("nan"), 0.9, 0.2, 0.8], [0.5] * 5)
    labels = label_windows(windows, LabelSpec(threshold=0.5), "arousal", EVERYTHING)
    assert labels.tolist() == [0, DROPPED, 1, 0, 1]


def test_a_median_of_nothing_keeps_nothing() -> None:
    windows = index([0.1, 0.2, 0.3, 0.8, 1.0], [0.0] * 5)
    rule = LabelSpec(threshold="training_median")
    assert {*label_windows(windows, rule, "arousal", ~EVERYTHING).tolist()} == {DROPPED}


STEPS = [-0.4, 1e-17, 0.1, 0.3, float("nan"), 0.2]
LABELS = np.array([1, 0, 1, 0, 1, DROPPED], dtype=np.int8)


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ({"contrast": "level"}, LABELS.tolist()),
        ({"contrast": "trend"}, [0, 1, 2, 2, DROPPED, DROPPED]),
        ({"contrast": "change", "change_threshold": 0.1}, [1, 0, 0, 1, DROPPED, DROPPED]),
        # Training windows that are kept change by 0.4, 0 and 0.1.
        ({"contrast": "change", "change_threshold": "training_median"}, [1, 0, 0, 1, -1, -1]),
    ],
)
def test_what_is_alike_in_the_contrastive_loss(
    spec: dict[str, object], expected: list[int]
) -> None:
    windows = index([0.5] * 6, [0.5] * 6, STEPS)
    training = np.array([True, True, True, False, True, True])
    kinds = contrast_windows(
        windows, ContrastiveSpec.model_validate(spec), "arousal", LABELS, training
    )
    assert kinds.tolist() == expected
    assert kinds.dtype == np.int8


def test_without_one_step_nothing_is_alike() -> None:
    windows = index([0.5] * 6, [0.5] * 6, [float("nan")] * 6)
    spec = ContrastiveSpec(contrast="change", change_threshold="training_median")
    kinds = contrast_windows(windows, spec, "arousal", LABELS, np.ones(6, dtype=bool))
    assert {*kinds.tolist()} == {DROPPED}
