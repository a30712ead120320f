import resource
import shutil
from pathlib import Path

import pytest

from pricon.corpus.ensure import build, ensure_corpus, look_at
from pricon.corpus.reader import Corpus
from pricon.corpus.survey import Survey
from pricon.errors import CorpusError, PlanError, StorageError
from pricon.spec.corpus import GenerateSpec, RecolaSpec, WindowSpec
from pricon.spec.resources import StorageSpec

GENERATE = GenerateSpec(participants=2, session_s=300)


def into(folder: Path) -> GenerateSpec:
    return GENERATE.model_copy(update={"into": str(folder)})


@pytest.fixture
def spec(tmp_path: Path) -> RecolaSpec:
    return RecolaSpec(
        adapter="recola",
        uri=str(tmp_path / "corpus"),
        generate=into(tmp_path / "recordings"),
        windows=WindowSpec(window_s=4, hop_s=4),
    )


def test_generates_builds_and_opens(spec: RecolaSpec) -> None:
    seen: list[tuple[int, int]] = []
    built = ensure_corpus(
        spec, StorageSpec(), lambda finished, total: seen.append((finished, total))
    )
    assert built.manifest.generated
    assert built.manifest.generate == spec.generate
    assert len(built.manifest.participants) == 2
    assert seen[-1] == (2, 2)
    again = ensure_corpus(spec, StorageSpec(), lambda finished, total: pytest.fail("built again"))
    assert again.manifest == built.manifest


def test_needs_no_recordings_once_built(spec: RecolaSpec) -> None:
    built = ensure_corpus(spec, StorageSpec())
    shutil.rmtree(str(spec.recordings))
    assert ensure_corpus(spec, StorageSpec()).manifest == built.manifest
    sourceless = spec.model_copy(update={"generate": None})
    assert ensure_corpus(sourceless, StorageSpec()).manifest == built.manifest


def test_generated_people_never_stand_in_for_recordings_that_are_not_there(
    spec: RecolaSpec, tmp_path: Path
) -> None:
    ensure_corpus(spec, StorageSpec())
    mistyped = spec.model_copy(update={"source": str(tmp_path / "RECOAL")})
    with pytest.raises(
        CorpusError, match=r"RECOAL\n  and the corpus at .* from generated ones"
    ) as e:
        ensure_corpus(mistyped, StorageSpec())
    assert e.value.hint == "mend `corpus.source`, or take it out to use the generated corpus"


def test_other_settings_are_refused(spec: RecolaSpec) -> None:
    ensure_corpus(spec, StorageSpec())
    windows = WindowSpec(window_s=8, hop_s=4)
    with pytest.raises(CorpusError, match=r"`corpus.windows`: built with"):
        ensure_corpus(spec.model_copy(update={"windows": windows}), StorageSpec())


def test_other_recordings_are_refused(spec: RecolaSpec) -> None:
    ensure_corpus(spec, StorageSpec())
    file = min(Path(str(spec.recordings)).glob("*.csv"))
    file.write_text(file.read_text() + "1\n")
    with pytest.raises(CorpusError, match=f"recording {file.name}: other bytes"):
        ensure_corpus(spec, StorageSpec())


def test_recordings_of_another_generator_are_refused(spec: RecolaSpec, tmp_path: Path) -> None:
    ensure_corpus(spec, StorageSpec())
    other = into(tmp_path / "recordings").model_copy(update={"seed": 7})
    elsewhere = {"generate": other, "uri": str(tmp_path / "other")}
    with pytest.raises(CorpusError, match=r"generated with `seed` 0\n  `corpus.generate.seed` sa"):
        build(spec.model_copy(update=elsewhere), StorageSpec())
    assert not (tmp_path / "other").exists()


def test_neither_corpus_nor_recordings(spec: RecolaSpec) -> None:
    with pytest.raises(CorpusError, match="no recordings to build it from"):
        ensure_corpus(spec.model_copy(update={"generate": None}), StorageSpec())


@pytest.mark.s3
def test_missing_bucket_is_found_before_anything_is_generated(
    spec: RecolaSpec, s3: StorageSpec
) -> None:
    with pytest.raises(CorpusError, match="there is no bucket `absent`"):
        ensure_corpus(spec.model_copy(update={"uri": "s3://absent/x"}), s3)
    assert not Path(str(spec.recordings)).exists()


@pytest.mark.s3
def test_object_store_and_folder_hold_the_same(
    spec: RecolaSpec, s3: StorageSpec, s3_uri: str
) -> None:
    in_folder = ensure_corpus(spec, StorageSpec())
    in_store = ensure_corpus(spec.model_copy(update={"uri": s3_uri}), s3)
    assert in_store.manifest.digest == in_folder.manifest.digest


def test_looking_at_what_is_not_built_leaves_nothing(spec: RecolaSpec, tmp_path: Path) -> None:
    found = look_at(spec, StorageSpec())
    assert isinstance(found, Survey)
    assert found.summary.generated
    assert [*tmp_path.iterdir()] == []
    assert isinstance(ensure_corpus(spec, StorageSpec()), Corpus)
    assert isinstance(look_at(spec, StorageSpec()), Corpus)


def test_looking_without_room_for_generated_recordings(
    spec: RecolaSpec,
) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limit[1]))
    try:
        with pytest.raises(StorageError, match=r"cannot be generated in the temporary folder") as e:
            look_at(spec, StorageSpec())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert "TMPDIR" in (e.value.hint or "")


def test_what_is_not_approved_is_not_written(spec: RecolaSpec, tmp_path: Path) -> None:
    def refuse(found: Survey) -> None:
        raise PlanError(f"{len(found.summary.participants)} are too few")

    deep = spec.model_copy(update={"generate": into(tmp_path / "a" / "b" / "recordings")})
    with pytest.raises(PlanError, match="2 are too few"):
        ensure_corpus(deep, StorageSpec(), None, refuse)
    assert [*tmp_path.iterdir()] == []
