import pickle
from pathlib import Path

import numpy as np
import pytest

from pricon.corpus.build import build_corpus
from pricon.corpus.manifest import MANIFEST_PATH, Manifest
from pricon.corpus.reader import Corpus, open_corpus
from pricon.corpus.windows import cut
from pricon.errors import CorpusError, StorageError
from pricon.storage import Storage, open_storage
from tests.corpus.recording import RecordingStorage
from tests.corpus.tables import MODALITIES, WINDOWS, TableAdapter, make_spec, write_tables


@pytest.fixture
def corpus(tmp_path: Path, storage: Storage) -> Corpus:
    source = write_tables(tmp_path / "source", units=2, sessions=3)
    spec = make_spec(storage.uri, source)
    build_corpus(TableAdapter(folder=source), spec, storage, generated=False)
    return open_corpus(storage)


@pytest.fixture
def adapter(tmp_path: Path) -> TableAdapter:
    return TableAdapter(folder=tmp_path / "source")


def test_arrays_are_the_windows_of_the_recordings(corpus: Corpus, adapter: TableAdapter) -> None:
    sessions = [session for unit in adapter.units() for session in adapter.sessions(unit)]
    windows = [cut(session, WINDOWS) for session in sessions]
    index = corpus.index(("maze", "race"))
    assert index.window.tolist() == list(range(60))
    assert index.session.tolist() == [session.id for session in sessions for _ in range(10)]
    assert index.participant.tolist() == ["P0"] * 30 + ["P1"] * 30
    assert index.stimulus.tolist() == (["maze"] * 10 + ["race"] * 10 + ["maze"] * 10) * 2
    np.testing.assert_array_equal(index.t_start_s, np.concatenate([w.t_start_s for w in windows]))
    np.testing.assert_array_equal(index.t_end_s, np.concatenate([w.t_end_s for w in windows]))
    np.testing.assert_array_equal(
        index.affect["arousal"], np.concatenate([w.affect["arousal"] for w in windows])
    )
    means = np.repeat([w.trace_mean["arousal"] for w in windows], 10)
    np.testing.assert_array_equal(index.session_mean["arousal"], means)
    features = np.concatenate([w.features for w in windows])
    assert corpus.features("audio").dtype == np.float32
    np.testing.assert_array_equal(corpus.features("audio", ("maze", "race")), features[:, :, :2])
    np.testing.assert_array_equal(corpus.features("physiology"), features[:, :, 2:4])


def test_one_stimulus(corpus: Corpus) -> None:
    everything, race = corpus.index(), corpus.index(("race",))
    rows = everything.stimulus == "race"
    np.testing.assert_array_equal(race.window, np.flatnonzero(rows))
    np.testing.assert_array_equal(race.t_start_s, everything.t_start_s[rows])
    np.testing.assert_array_equal(
        corpus.features("audio", ("race",)), corpus.features("audio")[rows]
    )


def test_columns_are_those_recorded_in_every_stimulus(corpus: Corpus) -> None:
    assert corpus.feature_names("physiology", ("maze",)) == ("heart_1", "heart_2", "heart_3")
    assert corpus.feature_names("physiology", ("race",)) == ("heart_1", "heart_2")
    assert corpus.feature_names("physiology") == ("heart_1", "heart_2")
    assert corpus.features("physiology", ("maze",)).shape == (40, 1, 3)
    assert corpus.features("physiology", ("maze", "race")).shape == (60, 1, 2)


def test_privileged_bytes_are_never_fetched(corpus: Corpus) -> None:
    recording = RecordingStorage(inner=corpus.storage)
    student = open_corpus(recording)
    student.index()
    student.features("audio")
    assert recording.whole == ["manifest.json"]
    shards = {shard.path: shard for shard in corpus.manifest.shards}
    assert {path for path, _, _ in recording.ranges} == {*shards}
    for path, start, end in recording.ranges:
        hidden = shards[path].columns["physiology"]
        assert end <= hidden.start or start >= hidden.start + hidden.num_bytes


def test_shards_of_other_stimuli_are_not_touched(tmp_path: Path, storage: Storage) -> None:
    source = write_tables(tmp_path / "source", units=2, sessions=2, session_s=14)
    build_corpus(
        TableAdapter(folder=source), make_spec(storage.uri, source), storage, generated=False
    )
    recording = RecordingStorage(inner=storage)
    corpus = open_corpus(recording)
    corpus.features("audio", ("race",))
    touched = {path for path, _, _ in recording.ranges}
    assert touched == {s.path for s in corpus.manifest.shards if s.stimuli == ("race",)}
    assert len(touched) < len(corpus.manifest.shards)


def test_unknown_names(corpus: Corpus) -> None:
    with pytest.raises(CorpusError, match="no modality `adio`\n  it has: audio, physi") as caught:
        corpus.features("adio")
    assert caught.value.hint == "did you mean `audio`?"
    with pytest.raises(CorpusError, match="no stimulus `mace`\n  it has: maze, race"):
        corpus.index(("race", "mace"))


def test_nothing_recorded_in_common(corpus: Corpus) -> None:
    audio, physiology = corpus.manifest.modalities
    apart = physiology.model_copy(update={"present": {"maze": (0, 2), "race": (1,)}})
    content: Manifest = corpus.manifest.model_copy(update={"modalities": (audio, apart)})
    with pytest.raises(CorpusError, match="no feature of modality `physiology`"):
        Corpus(storage=corpus.storage, manifest=content).features("physiology", ("maze", "race"))


def test_damaged_shard_is_named(corpus: Corpus) -> None:
    shard = corpus.manifest.shards[1]
    data = bytearray(corpus.storage.read(shard.path))
    data[shard.columns["audio"].start + 40] ^= 4
    corpus.storage.write(shard.path, bytes(data))
    with pytest.raises(CorpusError, match=f"shard is damaged: .*/{shard.path}"):
        corpus.features("audio")
    assert len(corpus.index()) == 60


def test_survives_pickling(corpus: Corpus) -> None:
    again = pickle.loads(pickle.dumps(corpus))
    np.testing.assert_array_equal(again.features("audio"), corpus.features("audio"))


def test_a_corpus_opens_with_one_request(corpus: Corpus) -> None:
    recording = RecordingStorage(inner=corpus.storage)
    open_corpus(recording)
    assert recording.whole == [MANIFEST_PATH]
    assert recording.sought == []


def test_a_store_that_fails_is_not_asked_again(tmp_path: Path) -> None:
    (tmp_path / MANIFEST_PATH).symlink_to(MANIFEST_PATH)  # to itself
    recording = RecordingStorage(inner=open_storage(str(tmp_path)))
    with pytest.raises(StorageError, match="too many levels"):
        open_corpus(recording)
    assert recording.sought == []


def test_no_corpus(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="there is no corpus at") as caught:
        open_corpus(open_storage(str(tmp_path)))
    assert "pricon corpus build" in str(caught.value.hint)


def test_modalities_of_the_job(corpus: Corpus) -> None:
    assert [entry.name for entry in corpus.manifest.modalities] == sorted(MODALITIES)
