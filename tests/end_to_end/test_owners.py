"""Owners of a corpus point a job at their files and change nothing else."""

import re
from pathlib import Path

import pytest

from pricon.corpus.generate import MARKER, write_recordings
from pricon.spec.corpus import GenerateSpec
from pricon.spec.load import load_job
from tests.cli.invoke import said, submit
from tests.safeguards.sources import ROOT

JOBS = ["again_cv", "recola_cv", "recola_regression", "sensitivity"]


def own(name: str, folder: Path) -> Path:
    """A job file, its line `# source:` brought to life, and files as an owner has them."""
    text = (ROOT / "jobs" / f"{name}.yaml").read_text(encoding="utf-8")
    spec = load_job(ROOT / "jobs" / f"{name}.yaml").corpus
    recordings = folder / "disk" / "Mine"
    recordings.mkdir(parents=True)
    write_recordings(spec, GenerateSpec(participants=12, session_s=60), recordings)
    (recordings / MARKER).unlink()
    text, changes = re.subn(r"# source: .*", f"source: {recordings}", text)
    assert changes == 1
    job = folder / "job.yaml"
    job.write_text(text, encoding="utf-8")
    return job


@pytest.mark.parametrize("name", JOBS)
def test_only_the_source_changes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = own(name, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert submit(job, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert "generated" not in shown
    assert "corpus runs/corpora/Mine  (not built yet)" in shown
    assert not (tmp_path / "runs").exists()


def test_results_are_about_these_people(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = own("again_cv", tmp_path)
    job.write_text(job.read_text(encoding="utf-8") + "stimuli: [fps]\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert submit(job, "--no-track", "--target", "inprocess") == 0
    assert "generated" not in "".join(capsys.readouterr())
    assert "GENERATED" not in next((tmp_path / "runs").rglob("report.md")).read_text()
    assert (tmp_path / "runs" / "corpora" / "Mine" / "manifest.json").is_file()


@pytest.mark.parametrize("name", JOBS[:2])
def test_a_mistyped_source_is_not_filled_with_generated_people(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    job = own(name, tmp_path)
    job.write_text(job.read_text(encoding="utf-8").replace("/Mine", "/Nime"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert submit(job, "--no-track") == 2
    assert "recordings not found: " in said(capsys)
    assert sorted(tmp_path.rglob("*")) == before
