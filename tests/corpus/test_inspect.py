from pathlib import Path

from pricon.corpus.build import build_corpus
from pricon.corpus.inspect import describe
from pricon.corpus.reader import open_corpus
from pricon.storage import open_storage
from tests.corpus.tables import TableAdapter, make_spec, write_tables


def describe_tables(source: Path, folder: Path, *, generated: bool = False) -> str:
    storage = open_storage(str(folder))
    spec = make_spec(storage.uri, source)
    build_corpus(TableAdapter(folder=source), spec, storage, generated=generated)
    return "\n".join(describe(open_corpus(storage)))


def test_says_what_there_is(tmp_path: Path) -> None:
    text = describe_tables(write_tables(tmp_path / "source"), tmp_path / "corpus")
    assert "adapter       again (recorded)" in text
    assert "windows       60 of 1 s every 1 s, input 0 s ahead" in text
    assert "frames        1 a window, of 1 s each, features averaged" in text
    assert "participants  3\nsessions      6" in text
    assert "stimulus      maze: 30 windows, 3 people" in text
    assert "modality      physiology: 3 features, 2 to 3 recorded a stimulus" in text
    assert "stored        9 shards" in text
    assert "built from    3 files" in text
    assert "warning" not in text


def test_says_what_is_odd(tmp_path: Path) -> None:
    source = write_tables(tmp_path / "source", units=1, sessions=1)
    (source / "P1.csv").write_text((source / "P0.csv").read_text().replace("P0_", "other_"))
    text = describe_tables(source, tmp_path / "corpus", generated=True)
    assert "GENERATED, says nothing about people" in text
    assert "the same recording 2 times: P0_0, other_0 (participants P0, P1)" in text
