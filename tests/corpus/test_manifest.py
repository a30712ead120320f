import hashlib
import json

import pytest

from pricon.corpus.manifest import (
    READER,
    ByteRange,
    Manifest,
    ModalityEntry,
    SessionEntry,
    ShardEntry,
    SourceEntry,
    parse_manifest,
    settings_of,
    write_manifest,
)
from pricon.errors import CorpusError
from pricon.spec.corpus import AgainSpec, GenerateSpec, WindowSpec


def make_manifest(num_windows: int = 3, participant: str = "P1") -> Manifest:
    part = ByteRange(start=4, num_bytes=9, sha256="00")
    return Manifest(
        adapter="again",
        generated=False,
        windows=WindowSpec(window_s=3, hop_s=3),
        settings={"stimuli": []},
        affects=("arousal",),
        modalities=(ModalityEntry(name="audio", features=("a",), present={"maze": (0,)}),),
        sessions=(
            SessionEntry(
                id="s",
                participant=participant,
                stimulus="maze",
                num_windows=num_windows,
                sha256="11",
                trace_mean={"arousal": None},
            ),
        ),
        shards=(
            ShardEntry(
                path="shards/u-0.parquet",
                unit="u",
                num_windows=3,
                num_bytes=99,
                sha256="22",
                stimuli=("maze",),
                participants=("P1",),
                footer=part,
                columns={"audio": part},
            ),
        ),
        sources=(SourceEntry(name="u.csv", num_bytes=5, sha256="33"),),
    )


def test_is_read_as_written() -> None:
    manifest = make_manifest()
    again = parse_manifest(write_manifest(manifest), "here")
    assert again == manifest
    assert again.digest == manifest.digest
    assert (again.participants, again.stimuli, again.num_windows) == (("P1",), ("maze",), 3)
    assert again.modalities[0].width == 1


def test_digest_depends_on_content_alone() -> None:
    assert make_manifest().digest == make_manifest().digest
    assert make_manifest().digest != make_manifest(participant="P2").digest


def test_other_schema_version_is_named() -> None:
    content = {**json.loads(write_manifest(make_manifest())), "schema_version": 99, "new": 1}
    with pytest.raises(CorpusError, match=r"s3://b/manifest.json has schema version 99\n  expec"):
        parse_manifest(json.dumps(content).encode(), "s3://b/manifest.json")


@pytest.mark.parametrize("data", [b"", b"{", b"[1]", b"\xff\xfe", b'{"schema_version": 2}'])
def test_no_manifest(data: bytes) -> None:
    with pytest.raises(CorpusError, match="here is damaged, or no manifest"):
        parse_manifest(data, "here")


def test_edited_manifest_is_refused() -> None:
    data = write_manifest(make_manifest()).replace(b'"P1"', b'"P9"')
    with pytest.raises(CorpusError, match="its digest says"):
        parse_manifest(data, "here")


def test_a_field_that_came_later_makes_no_other_corpus() -> None:
    """A manifest written before `generate.layout` existed is whole, and keeps its digest."""
    manifest = make_manifest().model_copy(update={"generate": GenerateSpec()})
    content = manifest.model_dump(mode="json")
    del content["generate"]["layout"]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    old = parse_manifest(json.dumps({"digest": digest, **content}).encode(), "here")
    assert old == manifest
    assert old.digest == digest != manifest.digest


def test_windows_must_add_up() -> None:
    with pytest.raises(ValueError, match="4 windows in sessions, 3 in shards"):
        make_manifest(num_windows=4)


def test_settings_leave_out_place_and_shards() -> None:
    one = AgainSpec(adapter="again", uri="a", source="b", shard_windows=5)
    other = AgainSpec(adapter="again", uri="c")
    assert settings_of(one) == settings_of(other)
    assert settings_of(one) == {
        "modalities": {},
        "time_passed": False,
        "stimuli": [],
        "video_offset_s": 0.0,
        "reader": READER,
    }
