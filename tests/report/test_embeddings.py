import numpy as np
import pytest

from pricon.report.embeddings import MOST_POINTS, project


def test_the_map_shows_the_directions_in_which_windows_differ_most() -> None:
    rng = np.random.default_rng(0)
    scale = np.array([1.0, 10.0, 0.1, 3.0])
    embeddings = rng.standard_normal((1000, 4)) * scale
    label = (embeddings[:, 1] > 0).astype(np.int8)
    people = np.repeat(np.array([f"p{i}" for i in range(10)]), 100)
    found = project(embeddings, title="t", place="fps, arousal", label=label, participant=people)
    assert found.points.shape == (MOST_POINTS, 2)
    assert found.explained == pytest.approx((100 / 110.01, 9 / 110.01), abs=0.02)
    agree = ((found.points[:, 0] > 0) == (found.label == 1)).mean()
    assert max(agree, 1 - agree) > 0.95, "the widest direction is the one that tells the classes"
    assert {*found.participant.tolist()} == {*people.tolist()}


def test_few_windows_are_all_shown() -> None:
    embeddings = np.random.default_rng(1).standard_normal((30, 3))
    found = project(
        embeddings,
        title="t",
        place="x",
        label=np.zeros(30, np.int8),
        participant=np.array(["p"] * 30),
    )
    assert found.points.shape == (30, 2)
