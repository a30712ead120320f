"""A job whose corpus passes by, as a user submits it."""

import json
from pathlib import Path

import pytest

from tests.cli.invoke import Document, files_below, refused, said, submit, write_job
from tests.tiny import build, tiny_job


@pytest.fixture
def streaming(document: Document) -> Document:
    document["corpus"]["shard_windows"] = 4
    document["optimisation"] = document["optimisation"] | {"streaming": {"buffer_mb": 0.03}}
    return document


def test_a_streamed_comparison_is_whole_and_found_again(
    streaming: Document, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Maps of embeddings included; the second time, nothing is trained."""
    arms = ["majority", "time_only", "e2e", "scl", "lupi", "pricon", "pricon_random"]
    job = write_job(tmp_path / "job.yaml", streaming | {"arms": arms})
    assert submit(job, "--no-track") == 0
    first = capsys.readouterr().out
    (results,) = (tmp_path / "runs" / "tiny").glob("*/results.json")
    found = json.loads(results.read_text(encoding="utf-8"))
    assert found["complete"]
    assert len(found["trials"]) == 2 * len(arms)
    assert [*results.parent.glob("figures/*map*.svg")], "no picture of any embedding"
    report = (results.parent / "report.html").read_text(encoding="utf-8")
    assert "its own among 0.03 MB of features; that of shards is one for all (streaming)" in report
    before = {path for path in files_below(tmp_path / "runs" / "stages") if "." in path}
    assert submit(job, "--no-track") == 0
    assert capsys.readouterr().out == first
    assert {path for path in files_below(tmp_path / "runs" / "stages") if "." in path} == before


@pytest.mark.parametrize("options", [(), ("--dry-run",)], ids=["run", "dry run"])
def test_a_buffer_too_small_for_the_shards_is_refused(
    options: tuple[str, ...],
    streaming: Document,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    build(tiny_job(tmp_path, corpus=streaming["corpus"]))
    streaming["optimisation"]["streaming"]["buffer_mb"] = 0.001
    error = refused(streaming, tmp_path, capsys, *options)
    assert "a buffer of 1,000 bytes is too small for the shards of" in error
    assert "expected at least 18,576, room for 9 shards of up to 4 windows" in error
    assert "`optimisation.streaming.buffer_mb`" in error


def test_a_stream_has_no_strata(
    streaming: Document, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    streaming["teacher"] = {"contrastive": {"sampler": "stratified"}}
    error = refused(streaming, tmp_path, capsys)
    assert "`optimisation.streaming` reads them in the order of their shards" in error


def test_a_damaged_shard_is_named(
    streaming: Document, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(tiny_job(tmp_path, corpus=streaming["corpus"]))
    shard = sorted((tmp_path / "corpus" / "shards").iterdir())[5]
    damaged = bytearray(shard.read_bytes())
    for position in range(200, len(damaged) - 2000, 100):
        damaged[position] ^= 1
    shard.write_bytes(bytes(damaged))
    job = write_job(tmp_path / "job.yaml", streaming)
    assert submit(job, "--no-track") == 2
    assert shard.name in said(capsys)
