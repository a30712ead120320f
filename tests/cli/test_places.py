"""`pricon-submit` where a corpus or results cannot lie where the job wants them."""

from pathlib import Path

import pytest

from pricon.spec.resources import StorageSpec
from tests.cli.invoke import Document, refused, said, submit, write_job
from tests.seaweed import BUCKET


@pytest.mark.parametrize("what", ["into", "uri", "output"])
def test_a_place_that_cannot_be_written_is_found_before_anything_is(
    what: str, document: Document, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Recordings have to be generated, a corpus built and results kept below a file."""
    (tmp_path / "file").write_text("")
    document["corpus"]["generate"]["into"] = str(tmp_path / "new" / "recordings")
    place = str(tmp_path / "file" / "below")
    owner = {"into": document["corpus"]["generate"], "uri": document["corpus"], "output": document}
    owner[what][what] = place
    for options in (["--no-track"], ["--dry-run"]) if what == "output" else (["--no-track"],):
        error = refused(document, tmp_path, capsys, *options, exit_code=3)
        assert "part of this path is a file, not a folder" in error


@pytest.mark.s3
@pytest.mark.parametrize("what", ["corpus", "output"])
def test_a_bucket_that_does_not_exist(
    what: str,
    s3: StorageSpec,
    document: Document,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    document["storage"] = s3.model_dump()
    if what == "corpus":
        document["corpus"]["uri"] = "s3://no-such-bucket/tiny"
    else:
        document["output"] = "s3://no-such-bucket/runs"
    assert "no-such-bucket" in refused(document, tmp_path, capsys, "--no-track")


@pytest.mark.s3
def test_wrong_credentials(
    s3: StorageSpec,
    document: Document,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    document["storage"] = s3.model_dump()
    document["corpus"]["uri"] = f"s3://{BUCKET}/wrong-credentials"
    assert "AWS_SECRET_ACCESS_KEY" in refused(document, tmp_path, capsys)


@pytest.mark.s3
def test_corpus_and_results_in_a_bucket(
    s3: StorageSpec,
    s3_uri: str,
    document: Document,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    document["storage"] = s3.model_dump()
    document["corpus"]["uri"] = f"{s3_uri}/corpus"
    document["output"] = f"{s3_uri}/runs"
    job = write_job(tmp_path / "job.yaml", document)
    assert submit(job) == 2
    assert "`tracking.uri` is not set, and `output` is not a folder" in said(capsys)
    assert submit(job, "--no-track") == 0
    first = capsys.readouterr().out
    assert submit(job, "--no-track") == 0
    assert capsys.readouterr().out == first
    assert f"report   {s3_uri}/runs/tiny/" in first
