import logging
import sys
import warnings

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.decomposition import PCA

from pricon.errors import SpecError
from pricon.report.embeddings import MOST_POINTS, EmbeddingMap, check_projection, project
from pricon.spec.report import Projection


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


def test_principal_components_are_those_of_scikit_learn() -> None:
    embeddings = np.random.default_rng(2).standard_normal((150, 6)) * np.arange(1, 7) + 3
    fitted = PCA(n_components=2, svd_solver="full").fit(embeddings)
    found = in_two_dimensions(embeddings, "pca")
    assert found.points == pytest.approx(fitted.transform(embeddings), abs=1e-12)
    assert found.explained == pytest.approx(fitted.explained_variance_ratio_, abs=1e-12)


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


def test_a_package_that_is_not_there_is_named_with_the_way_to_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)  # as Python marks what cannot be imported
    with pytest.raises(SpecError, match="needs umap-learn, which cannot be imported") as err:
        check_projection("umap")
    assert "-e '.[umap]'` in pricon's checkout" in (err.value.hint or "")
    check_projection("pca")


def in_two_dimensions(embeddings: NDArray[np.float64], method: Projection) -> EmbeddingMap:
    return project(
        embeddings,
        method=method,
        title="t",
        place="x",
        label=(embeddings[:, 0] > 0).astype(np.int8),
        participant=np.array(["p"] * len(embeddings)),
    )


def test_umap_keeps_neighbours_together_silently_and_every_time_the_same(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    with warnings.catch_warnings():  # what numba says while it is imported is not about us
        warnings.simplefilter("ignore")
        pytest.importorskip("umap", reason="umap-learn is not installed (the extra `umap`)")
    rng = np.random.default_rng(0)
    groups = np.repeat(10 * rng.standard_normal((3, 8)), 40, axis=0)
    embeddings = groups + rng.standard_normal((120, 8))
    with caplog.at_level(logging.WARNING):
        first, second = (in_two_dimensions(embeddings, "umap") for _ in range(2))
    assert np.array_equal(first.points, second.points)
    assert first.explained is None
    own = np.arange(120) // 40
    distance = np.linalg.norm(first.points[:, None] - first.points[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    assert (own[distance.argmin(axis=1)] == own).all()
    assert capfd.readouterr() == ("", "")
    assert caplog.text == ""
    assert np.isfinite(in_two_dimensions(embeddings[:5], "umap").points).all()
