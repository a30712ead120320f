from pathlib import Path

import pytest

from pricon.corpus.agreement import check_agreement, source_hashes, source_sizes
from pricon.corpus.build import build_corpus
from pricon.corpus.manifest import Manifest
from pricon.errors import CorpusError
from pricon.spec.corpus import AgainSpec, GenerateSpec, WindowSpec
from pricon.storage import open_storage
from tests.corpus.tables import TableAdapter, make_spec, write_tables

GENERATE = GenerateSpec(participants=3, seed=1)


@pytest.fixture
def spec(tmp_path: Path) -> AgainSpec:
    source = write_tables(tmp_path / "source")
    generate = GENERATE.model_copy(update={"into": str(source)})
    changes = {"source": None, "generate": generate}
    return make_spec(tmp_path / "corpus", source).model_copy(update=changes)


@pytest.fixture
def manifest(spec: AgainSpec, tmp_path: Path) -> Manifest:
    adapter = TableAdapter(folder=tmp_path / "source")
    return build_corpus(adapter, spec, open_storage(spec.uri), generated=True)


def test_equal_settings_and_bytes_agree(
    manifest: Manifest, spec: AgainSpec, tmp_path: Path
) -> None:
    sizes = source_sizes(TableAdapter(folder=tmp_path / "source"), tmp_path / "source")
    check_agreement(manifest, spec, sizes)
    check_agreement(manifest, spec, source_hashes(manifest.sources))
    elsewhere = {"shard_windows": 99, "uri": "s3://other/place", "generate": None}
    check_agreement(manifest, spec.model_copy(update=elsewhere), None)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"windows": WindowSpec(window_s=2, hop_s=1)}, "`corpus.windows`: built with"),
        ({"modalities": {}}, "`corpus.modalities`: built with"),
        ({"time_passed": True}, "`corpus.time_passed`: built with False, the job says True"),
        ({"generate": GenerateSpec(participants=3)}, "`corpus.generate`: built with"),
    ],
)
def test_names_the_key_that_differs(
    manifest: Manifest, spec: AgainSpec, change: dict[str, object], line: str
) -> None:
    with pytest.raises(CorpusError, match=f"not what the job describes\n  {line}"):
        check_agreement(manifest, spec.model_copy(update=change), None)


def test_names_the_recordings_that_differ(
    manifest: Manifest, spec: AgainSpec, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    (source / "P0.csv").write_text("shorter")
    (source / "P1.csv").rename(source / "P9.csv")
    with pytest.raises(CorpusError, match=r"recording P0.csv: other bytes") as caught:
        check_agreement(manifest, spec, source_sizes(TableAdapter(folder=source), source))
    assert "recording P1.csv: was built in, is not in `corpus.source` now" in caught.value.message
    assert "recording P9.csv: is in `corpus.source`, was not built in" in caught.value.message
