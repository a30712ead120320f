import numpy as np

from pricon.corpus.index import as_index, index_columns
from pricon.plan.summary import RecordedSession


def test_columns_of_two_traces() -> None:
    assert index_columns(("arousal", "valence"))[5:] == [
        "arousal", "arousal_change", "arousal_trend",
        "valence", "valence_change", "valence_trend",
    ]  # fmt: skip


def test_every_window_gets_what_is_known_of_its_session() -> None:
    sessions = [
        RecordedSession(id="a", participant="P2", stimulus="fps"),
        RecordedSession(id="b", participant="P1", stimulus="race"),
    ]
    numbers = {
        "t_start_s": np.array([0.0, 1.0, 0.0]),
        "t_end_s": np.array([1.0, 2.0, 1.0]),
        "arousal": np.array([0.1, 0.2, 0.3]),
        "arousal_change": np.array([0.4, 0.5, 0.6]),
        "arousal_trend": np.array([-0.4, 0.5, np.nan]),
    }
    index = as_index(
        numbers,
        np.array([4, 5, 9]),
        sessions,
        np.array([1, 1, 0]),
        {"a": {"arousal": None}, "b": {"arousal": 0.7}},
    )
    assert index.session.tolist() == ["b", "b", "a"]
    assert index.stimulus.tolist() == ["race", "race", "fps"]
    assert len(index) == 3
    assert index.window.tolist() == [4, 5, 9]
    assert index.participant.tolist() == ["P1", "P1", "P2"]
    np.testing.assert_array_equal(index.affect["arousal"], [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(index.change["arousal"], [0.4, 0.5, 0.6])
    np.testing.assert_array_equal(index.trend["arousal"], [-0.4, 0.5, np.nan])
    np.testing.assert_array_equal(index.session_mean["arousal"], [0.7, 0.7, np.nan])
