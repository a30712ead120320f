from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pricon.corpus.modalities import split_features
from pricon.corpus.session import Channel, Session
from pricon.corpus.unit import (
    UnitTask,
    build_unit,
    describe_source,
    hash_recording,
    source_name,
)
from pricon.errors import CorpusError
from pricon.storage import Storage, open_storage
from tests.corpus.tables import FEATURES, MODALITIES, TableAdapter, make_spec, write_tables


@pytest.fixture
def task(tmp_path: Path) -> UnitTask:
    source = write_tables(tmp_path / "source", units=1)
    return make_task(source, open_storage(str(tmp_path / "corpus")))


def make_task(source: Path, storage: Storage, *, shard_windows: int = 7) -> UnitTask:
    adapter = TableAdapter(folder=source)
    (unit,) = adapter.units()
    return UnitTask(
        adapter=adapter,
        spec=make_spec(storage.uri, source, shard_windows=shard_windows),
        storage=storage,
        modalities=split_features(MODALITIES, FEATURES),
        unit=unit,
        sources=tuple(describe_source(path, source) for path in unit.paths),
    )


def go_on() -> bool:
    return False


def test_writes_shards_and_then_a_journal(task: UnitTask) -> None:
    result = build_unit(task, go_on)
    assert result is not None
    paths = [task.shard(number) for number in range(3)]
    assert [shard.path for shard in result.shards] == paths
    assert task.storage.list() == sorted([task.journal, *paths])
    assert task.journal == f"build/P0-{task.fingerprint}.json"


def test_finished_unit_is_not_built_again(task: UnitTask) -> None:
    result = build_unit(task, go_on)
    assert build_unit(task, lambda: pytest.fail("built again")) == result


@pytest.mark.parametrize("damage", ["journal", "shard"])
def test_unfinished_unit_is_built_again(task: UnitTask, damage: str) -> None:
    result = build_unit(task, go_on)
    if damage == "journal":
        task.storage.write(task.journal, b"torn")
    else:
        task.storage.delete(task.shard(1))
    assert build_unit(task, go_on) == result
    assert task.storage.exists(task.shard(1))


def test_fingerprint_knows_bytes_and_settings(task: UnitTask, tmp_path: Path) -> None:
    source = tmp_path / "source"
    assert make_task(source, task.storage).fingerprint == task.fingerprint
    assert make_task(source, task.storage, shard_windows=8).fingerprint != task.fingerprint
    write_tables(source, units=1, seed=1)
    assert make_task(source, task.storage).fingerprint != task.fingerprint


def test_cancelled_unit_leaves_nothing(task: UnitTask) -> None:
    asked: Iterator[bool] = iter([False, True])
    assert build_unit(task, lambda: next(asked)) is None
    assert task.storage.list() == []


def test_wrong_unit_leaves_nothing(task: UnitTask) -> None:
    file = task.unit.paths[0]
    file.write_text(file.read_text()[:-30])
    with pytest.raises(CorpusError, match="is cut"):
        build_unit(task, go_on)
    assert task.storage.list() == []


def test_recording_is_hashed_without_names() -> None:
    def session(name: str, value: float) -> Session:
        channel = Channel(
            times_s=np.arange(3.0),
            features=("a",),
            values=np.full((3, 1), value, dtype=np.float32),
        )
        return Session(id=name, participant=name, stimulus="x", channels=(channel,), traces={})

    assert hash_recording(session("one", 1)) == hash_recording(session("other", 1))
    assert hash_recording(session("one", 1)) != hash_recording(session("one", 2))


def test_source_names_are_the_same_on_every_machine(tmp_path: Path) -> None:
    assert source_name(tmp_path / "a" / "b.csv", tmp_path) == "a/b.csv"
    assert source_name(tmp_path / "b.csv", None) == "b.csv"
    assert source_name(tmp_path / "b.csv", tmp_path / "other") == "b.csv"


def test_unreadable_recording_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"a recording cannot be read: .*gone.csv"):
        describe_source(tmp_path / "gone.csv", tmp_path)
