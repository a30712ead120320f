"""A survey says what the built corpus will say, without reading features."""

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from pricon.corpus.adapters.open import open_adapter
from pricon.corpus.build import build_corpus
from pricon.corpus.generate_again import generate_again
from pricon.corpus.generate_recola import generate_recola
from pricon.corpus.index import WindowIndex
from pricon.corpus.reader import open_corpus
from pricon.corpus.survey import survey
from pricon.errors import CorpusError
from pricon.spec.corpus import (
    AgainDerivedSpec,
    AgainSpec,
    CorpusSpec,
    GenerateSpec,
    RecolaLayout,
    RecolaSpec,
    WindowSpec,
)
from pricon.storage import open_storage
from tests.corpora import real_corpus
from tests.corpus.tables import TableAdapter, make_spec, write_tables

GENERATE = GenerateSpec(participants=3, session_s=30)


def again(folder: Path) -> AgainSpec:
    generate_again(folder, GENERATE, ("fps", "tiny"))
    return AgainSpec(adapter="again", uri="x", source=str(folder), video_offset_s=3)


def recola(layout: RecolaLayout) -> Callable[[Path], CorpusSpec]:
    def make(folder: Path) -> CorpusSpec:
        generate_recola(folder, GENERATE, layout)
        return RecolaSpec(adapter="recola", uri="x", source=str(folder))

    return make


def derived(folder: Path) -> AgainDerivedSpec:
    return AgainDerivedSpec(
        adapter="again_derived", uri="x", source=str(real_corpus("again_derived"))
    )


MAKERS: dict[str, Callable[[Path], CorpusSpec]] = {
    "again": again,
    "again_derived": derived,
    "recola merged": recola("merged"),
    "recola release": recola("release"),
    "recola avec": recola("avec"),
}


@pytest.mark.parametrize("name", MAKERS)
def test_a_survey_is_the_index_of_the_corpus_that_is_built(name: str, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    spec = MAKERS[name](tmp_path / "source")
    adapter = open_adapter(spec)
    storage = open_storage(str(tmp_path / "corpus"))
    found = survey(adapter, spec, generated=True)
    build_corpus(adapter, spec, storage, generated=True)
    corpus = open_corpus(storage)
    stimuli = corpus.manifest.stimuli
    for asked in ((), stimuli[:1], stimuli):
        check_same(found.index(asked), corpus.index(asked))
    summary = corpus.summary
    assert [s.id for s in found.summary.sessions] == [s.id for s in summary.sessions]
    assert found.summary.participants == summary.participants
    assert found.summary.stimuli == summary.stimuli
    assert found.summary.modalities == summary.modalities
    assert found.summary.affects == summary.affects
    assert found.summary.generated
    assert (found.summary.digest, summary.digest) == ("", corpus.manifest.digest)


def check_same(one: WindowIndex, other: WindowIndex) -> None:
    assert len(one) == len(other) > 0
    for field in fields(WindowIndex):
        mine, theirs = getattr(one, field.name), getattr(other, field.name)
        if not isinstance(mine, dict):
            mine, theirs = {"": mine}, {"": theirs}
        assert mine.keys() == theirs.keys()
        for key in mine:
            np.testing.assert_array_equal(mine[key], theirs[key], err_msg=field.name)


def test_features_are_not_read(tmp_path: Path) -> None:
    """What stands in a feature's cell cannot matter."""
    spec = again(tmp_path)
    (table,) = (tmp_path / "clean_data").iterdir()
    before = survey(open_adapter(spec), spec, generated=False)
    header, *rows = table.read_text(encoding="utf-8").splitlines()
    speed = header.split(",").index("player_speed_x")
    cells = [row.split(",") for row in rows]
    spoiled = [",".join([*row[:speed], "?", *row[speed + 1 :]]) for row in cells]
    table.write_text("\n".join([header, *spoiled]) + "\n", encoding="utf-8")
    check_same(survey(open_adapter(spec), spec, generated=False).index(), before.index())


def test_nothing_long_enough(tmp_path: Path) -> None:
    source = write_tables(tmp_path)
    spec = make_spec("x", source, windows=WindowSpec(window_s=100, hop_s=1))
    with pytest.raises(CorpusError, match="the corpus would be empty: no session is long enough"):
        survey(TableAdapter(folder=source), spec, generated=False)


def test_two_sessions_of_one_name(tmp_path: Path) -> None:
    source = write_tables(tmp_path)
    second = source / "P1.csv"
    second.write_text(second.read_text().replace("P1_0", "P0_0"))
    with pytest.raises(CorpusError, match="two sessions are called `P0_0`\n  expected the rows of"):
        survey(TableAdapter(folder=source), make_spec("x", source), generated=False)


def test_no_recordings(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match="there are no recordings"):
        survey(TableAdapter(folder=tmp_path), make_spec("x", tmp_path), generated=False)
