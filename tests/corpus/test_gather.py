from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pricon.corpus.gather import Column, Place, gather
from pricon.corpus.shards import write_shard
from pricon.errors import CorpusError
from pricon.storage import open_storage

WIDTH, FRAMES = 3, 2


@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_windows_go_where_they_belong(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("gather")
    storage = open_storage(str(folder))
    (folder / "shards").mkdir()
    kept = tuple(sorted(data.draw(st.sets(st.integers(0, WIDTH - 1), min_size=1))))
    places, numbers, features, at = [], [], [], 0
    for shard, num in enumerate(data.draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))):
        values = np.arange(num * FRAMES * WIDTH, dtype=np.float32) + 1000 * shard
        times = np.arange(num, dtype=np.float64) - shard
        lists = pa.FixedSizeListArray.from_arrays(pa.array(values), FRAMES * WIDTH)
        text = {name: ["x"] * num for name in ("participant", "session", "stimulus")}
        table = pa.table({**text, "t_start_s": times, "audio": lists})
        entry = write_shard(folder / f"shards/{shard}", table, path=f"shards/{shard}", unit="x")
        rows = np.array(sorted(data.draw(st.sets(st.integers(0, num - 1), min_size=1))))
        places.append(Place(shard=entry, rows=rows, at=at))
        numbers.append(times[rows])
        features.append(values.reshape(num, FRAMES, WIDTH)[rows][..., kept])
        at += len(rows)
    columns = {
        "t_start_s": Column(values=np.empty(at)),
        "audio": Column(
            values=np.empty((at, FRAMES, len(kept)), np.float32), width=WIDTH, kept=kept
        ),
    }
    gather(storage, places, columns)
    np.testing.assert_array_equal(columns["t_start_s"].values, np.concatenate(numbers))
    np.testing.assert_array_equal(columns["audio"].values, np.concatenate(features))


def test_the_first_bad_shard_is_named(tmp_path: Path) -> None:
    (tmp_path / "shards").mkdir()
    text = {name: ["x"] for name in ("participant", "session", "stimulus")}
    table = pa.table({**text, "t_start_s": [0.5]})
    places = []
    for number in range(30):
        path = f"shards/{number:02}"
        entry = write_shard(tmp_path / path, table, path=path, unit="x")
        places.append(Place(shard=entry, rows=np.array([0]), at=number))
    for number in (7, 20):
        (tmp_path / f"shards/{number:02}").unlink()
    with pytest.raises(CorpusError, match=r"not found: .*shards/07"):
        gather(open_storage(str(tmp_path)), places, {"t_start_s": Column(values=np.empty(30))})
