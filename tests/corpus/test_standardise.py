import numpy as np

from pricon.corpus.standardise import fit_standardiser, standardise_sessions
from pricon.heartbeat import beats

NAN = float("nan")


def test_mean_and_deviation_of_what_was_fitted() -> None:
    fitted = fit_standardiser(np.array([[1.0], [3.0]], dtype=np.float32), "drop")
    assert fitted.apply(np.array([[1.0], [2.0], [5.0]], dtype=np.float32)).tolist() == [
        [-1.0],
        [0.0],
        [3.0],
    ]


def test_constant_and_incomplete_features_become_zero() -> None:
    training = np.array([[1, 7, NAN, 1e8], [2, 7, 1, 1e8], [3, 7, 2, 1e8 + 8]], dtype=np.float32)
    fitted = fit_standardiser(training, "drop")
    assert fitted.kept.tolist() == [True, False, False, False]
    applied = fitted.apply(np.array([[9, 8, 3, 0]], dtype=np.float32))
    assert applied[0, 0] > 5
    assert applied[0, 1:].tolist() == [0, 0, 0]


def test_nan_outside_the_training_split_becomes_the_mean() -> None:
    fitted = fit_standardiser(np.array([[1.0], [3.0]], dtype=np.float32), "drop")
    assert fitted.apply(np.array([[NAN]], dtype=np.float32)).tolist() == [[0.0]]


def test_a_small_spread_around_a_large_mean_is_kept() -> None:
    values = np.array([[1000.0], [1001.0]], dtype=np.float32)
    fitted = fit_standardiser(values, "drop")
    assert np.allclose(fitted.apply(values), [[-1], [1]], atol=1e-3)


def test_sessions_are_standardised_each_by_itself() -> None:
    raw = np.array([[0.0], [2.0], [10.0], [30.0], [5.0], [5.0]], dtype=np.float32)
    session = np.array(["a", "a", "b", "b", "c", "c"])
    before = beats()
    assert standardise_sessions(raw, session, "drop")[:, 0].tolist() == [-1, 1, -1, 1, 0, 0]
    assert beats() == before + 3


def test_unrecorded_features_stay_unrecorded() -> None:
    raw = np.array([[NAN, 0.0], [NAN, 2.0]], dtype=np.float32)
    standardised = standardise_sessions(raw, np.array(["a", "a"]), "drop")
    assert np.isnan(standardised[:, 0]).all()
    assert standardised[:, 1].tolist() == [-1, 1]


def test_imputed_features_are_fitted_on_what_was_recorded() -> None:
    training = np.array([[1, NAN, NAN], [3, 5, NAN], [NAN, 7, NAN]], dtype=np.float32)
    fitted = fit_standardiser(training, "impute")
    assert fitted.kept.tolist() == [True, True, False]
    assert fitted.mean.tolist() == [2, 6, 0]
    assert fitted.apply(training).tolist() == [[-1, 0, 0], [1, -1, 0], [0, 1, 0]]


def test_infinity_counts_as_not_recorded() -> None:
    training = np.array([[1, 1], [3, float("inf")], [5, 2]], dtype=np.float32)
    assert fit_standardiser(training, "drop").kept.tolist() == [True, False]
    imputed = fit_standardiser(training, "impute")
    assert imputed.mean.tolist() == [3, 1.5]
    assert np.isfinite(imputed.apply(training)).all()


def test_a_session_that_lost_a_few_windows() -> None:
    raw = np.array([[0.0], [NAN], [2.0], [10.0], [20.0]], dtype=np.float32)
    session = np.array(["a", "a", "a", "b", "b"])
    imputed = standardise_sessions(raw, session, "impute")[:, 0]
    assert imputed[[0, 2, 3, 4]].tolist() == [-1, 1, -1, 1]
    assert np.isnan(imputed[1])
    dropped = standardise_sessions(raw, session, "drop")[:, 0]
    assert np.isnan(dropped[:3]).all()
    assert dropped[3:].tolist() == [-1, 1]
