import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from pricon.corpus.modalities import Modality
from pricon.corpus.rows import Rows
from pricon.corpus.session import Session
from pricon.corpus.windows import SessionWindows
from pricon.errors import CorpusError

MODALITIES = (
    Modality(name="audio", features=("a", "b")),
    Modality(name="heart", features=("h", "never")),
)
SESSION = Session(id="s", participant="P1", stimulus="maze", channels=(), traces={})


def make_windows(
    count: int, names: tuple[str, ...] = ("h", "b", "a"), frames: int = 1
) -> SessionWindows:
    """Feature i of frame k of window w is w + 100 i + 1000 k."""
    starts = np.arange(count, dtype=np.float64)
    columns = np.arange(len(names), dtype=np.float64) * 100
    frame = np.arange(frames, dtype=np.float64)[:, None] * 1000
    return SessionWindows(
        t_start_s=starts,
        t_end_s=starts + 1,
        features=(starts[:, None, None] + frame + columns).astype(np.float32),
        feature_names=names,
        affect={"arousal": starts / 10},
        change={"arousal": starts / 100},
        trend={"arousal": -starts / 100},
        trace_mean={"arousal": 0.5},
    )


def test_every_shard_but_the_last_is_full() -> None:
    rows = Rows(MODALITIES, ("arousal",), shard_windows=4)
    tables = [*rows.add(SESSION, make_windows(3)), *rows.add(SESSION, make_windows(6))]
    tables += rows.rest()
    assert [table.num_rows for table in tables] == [4, 4, 1]
    starts = [value for table in tables for value in table["t_start_s"].to_pylist()]
    assert starts == [0, 1, 2, 0, 1, 2, 3, 4, 5]
    assert list(rows.rest()) == []


def features_of(column: pa.ChunkedArray, frames: int) -> NDArray[np.float32]:
    """Lists of features, frame after frame, as an array of shape (windows, frames, width)."""
    flat: NDArray[np.float32] = column.combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(-1, frames, column.type.list_size // frames)


def test_columns_are_aligned_by_name() -> None:
    rows = Rows(MODALITIES, ("arousal", "valence"), shard_windows=2)
    (table,) = rows.add(SESSION, make_windows(2))
    np.testing.assert_array_equal(features_of(table["audio"], 1), [[[200, 100]], [[201, 101]]])
    np.testing.assert_array_equal(features_of(table["heart"], 1), [[[0, np.nan]], [[1, np.nan]]])
    assert table["arousal"].to_pylist() == [0, 0.1]
    assert np.isnan(table["valence"].to_numpy()).all()


def test_frames_stand_one_after_another() -> None:
    rows = Rows(MODALITIES, ("arousal",), shard_windows=2)
    (table,) = rows.add(SESSION, make_windows(2, frames=2))
    assert table["audio"].to_pylist() == [[200, 100, 1200, 1100], [201, 101, 1201, 1101]]
    features = features_of(table["audio"], 2)
    np.testing.assert_array_equal(features[1], [[201, 101], [1201, 1101]])


def test_features_of_a_slice_start_at_the_slice() -> None:
    rows = Rows(MODALITIES, ("arousal",), shard_windows=3)
    _, second = [*rows.add(SESSION, make_windows(6))]
    np.testing.assert_array_equal(features_of(second["audio"], 1)[:, 0, 0], [203, 204, 205])


def test_two_features_of_one_name() -> None:
    rows = Rows(MODALITIES, ("arousal",), shard_windows=2)
    with pytest.raises(CorpusError, match="session s has two features of one name"):
        list(rows.add(SESSION, make_windows(1, names=("a", "a"))))
