import numpy as np
import pyarrow as pa

from pricon.corpus.index import as_index, index_columns


def test_columns_of_two_traces() -> None:
    assert index_columns(("arousal", "valence"))[5:] == [
        "arousal", "arousal_change", "arousal_trend",
        "valence", "valence_change", "valence_trend",
    ]  # fmt: skip


def test_every_window_gets_the_mean_of_its_own_session() -> None:
    table = pa.table(
        {
            "participant": ["P1", "P1", "P2"],
            "session": ["b", "b", "a"],
            "stimulus": ["fps"] * 3,
            "t_start_s": [0.0, 1.0, 0.0],
            "t_end_s": [1.0, 2.0, 1.0],
            "arousal": [0.1, 0.2, 0.3],
            "arousal_change": [0.4, 0.5, 0.6],
            "arousal_trend": [-0.4, 0.5, None],
        }
    )
    index = as_index(
        table, np.array([4, 5, 9]), {"a": {"arousal": None}, "b": {"arousal": 0.7}}, ("arousal",)
    )
    assert len(index) == 3
    assert index.window.tolist() == [4, 5, 9]
    assert index.participant.tolist() == ["P1", "P1", "P2"]
    np.testing.assert_array_equal(index.affect["arousal"], [0.1, 0.2, 0.3])
    np.testing.assert_array_equal(index.change["arousal"], [0.4, 0.5, 0.6])
    np.testing.assert_array_equal(index.trend["arousal"], [-0.4, 0.5, np.nan])
    np.testing.assert_array_equal(index.session_mean["arousal"], [0.7, 0.7, np.nan])
