from pathlib import Path

import pytest
from typer.testing import CliRunner

from pricon.cli.corpus import app
from pricon.errors import CorpusError, SpecError

JOB = """
name: tiny
corpus:
  adapter: recola
  uri: {folder}/corpus
  generate: {{into: {folder}/source, participants: 2, session_s: 300}}
  windows: {{window_s: 4, hop_s: 4}}
modalities: {{available: [audio], privileged: [eda]}}
"""


@pytest.fixture
def job(tmp_path: Path) -> str:
    file = tmp_path / "job.yaml"
    file.write_text(JOB.format(folder=tmp_path), encoding="utf-8")
    return str(file)


def call(*arguments: str) -> str:
    return CliRunner().invoke(app, [*arguments], catch_exceptions=False).stdout


def test_from_generating_to_verifying(job: str, tmp_path: Path) -> None:
    assert f"generated recordings, which say nothing about people   {tmp_path}" in call(
        "generate", job
    )
    built = call("build", job)
    assert "150 windows of 2 participants" in built
    digest = built.strip().rpartition("digest=")[2]
    for corpus in (job, str(tmp_path / "corpus")):
        assert "participants  2" in call("inspect", corpus)
        assert f"digest={digest}" in call("verify", corpus)


def test_leftovers_are_named_on_stderr(job: str, tmp_path: Path) -> None:
    call("build", job)
    (tmp_path / "corpus" / "notes.txt").write_text("mine")
    result = CliRunner().invoke(app, ["verify", job], catch_exceptions=False)
    assert result.stderr == "not part of the corpus: notes.txt\n"


def test_damage_is_an_error(job: str, tmp_path: Path) -> None:
    call("build", job)
    shard = min((tmp_path / "corpus" / "shards").iterdir())
    shard.write_bytes(shard.read_bytes()[:-1])
    with pytest.raises(CorpusError, match=r"1 of 2 shards of .* are damaged"):
        call("verify", job)


def test_missing_job() -> None:
    with pytest.raises(SpecError, match="job file not found"):
        call("build", "absent.yaml")
