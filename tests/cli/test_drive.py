"""`pricon drive`, as the entrypoint of a cluster calls it."""

import json
import signal
from pathlib import Path

import pytest

from pricon import __version__
from pricon.cli.main import commands, exit_code_of
from pricon.launch.bulletins import (
    EndBulletin,
    PlanBulletin,
    ProgressBulletin,
    ReportBulletin,
    read,
)
from tests.cli.invoke import Document, write_job
from tests.launch.dashboard import dashboard
from tests.tiny import tiny_document


def driven(job: Path, *options: str) -> int:
    arguments = ["drive", str(job), "--submission", "s1", *options]
    return exit_code_of(lambda: commands()(arguments, standalone_mode=False))


def test_everything_it_prints_is_a_bulletin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = write_job(tmp_path / "job.yaml", tiny_document(tmp_path, arms=["majority", "e2e"]))
    assert driven(job, "--only-folds", "1", "--no-track") == 0
    shown = capsys.readouterr()
    said = [read(line) for line in shown.out.splitlines()]
    assert None not in said
    assert shown.err == ""
    plan = next(one for one in said if isinstance(one, PlanBulletin))
    assert plan.folds == (1,)
    words = [one.text for one in said if isinstance(one, ProgressBulletin)]
    assert "building the corpus: 8 of 8 units" in words or "building the corpus" in words[0]
    assert words[-1] == "writing the report"
    report = next(one for one in said if isinstance(one, ReportBulletin))
    assert "accuracy" in report.text
    assert said[-1] == EndBulletin(exit_code=0, cause="done")


def test_an_error_is_a_bulletin_too(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = write_job(tmp_path / "job.yaml", tiny_document(tmp_path, folds={"count": 20}))
    assert driven(job) == 2
    end = read(capsys.readouterr().out.splitlines()[-1])
    assert isinstance(end, EndBulletin)
    assert "20 folds asked for" in str(end.message)
    assert driven(tmp_path / "none.yaml") == 2
    assert "job file not found" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("facts", "words", "hint"),
    [
        (
            {"version": "9.9.9", "image": "pricon@sha256:1"},
            f"pricon 9.9.9 submitted this run, and its image holds pricon {__version__} "
            "(pricon@sha256:1)",
            "the cluster's owner sets `profile.image` of the chart to an image of pricon 9.9.9, or "
            f"`profile.version` to {__version__}, and runs `helm upgrade`; then submit with that "
            "version",
        ),
        (
            {"version": "9.9.9"},
            f"pricon 9.9.9 submitted this run, and the Ray cluster has pricon {__version__}",
            f"install pricon 9.9.9 there, or submit with pricon {__version__}",
        ),
    ],
)
def test_a_submitter_of_another_version(
    facts: Document, words: str, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told before the job's keys, which may be those of that version, and for good."""
    job = write_job(tmp_path / "job.yaml", tiny_document(tmp_path, key_of_the_future=1))
    (tmp_path / "submission.json").write_text(json.dumps(facts), encoding="utf-8")
    assert driven(job) == 3
    (line,) = capsys.readouterr().out.splitlines()
    end = read(line)
    assert end == EndBulletin(exit_code=3, cause="version", message=words, hint=hint)
    assert end.is_final, "else KubeRay would make a cluster to hear it again"


@pytest.mark.parametrize("text", [f'{{"version": "{__version__}", "image": "x"}}', "{}", "{", "[]"])
def test_a_submitter_of_this_version_or_unknown(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = write_job(tmp_path / "job.yaml", tiny_document(tmp_path, key_of_the_future=1))
    (tmp_path / "submission.json").write_text(text, encoding="utf-8")
    assert driven(job) == 2
    said = capsys.readouterr().out
    is_damaged = text in {"{", "[]"}
    assert ("submission.json is no JSON object" in said) is is_damaged
    assert ("key_of_the_future" in said) is not is_damaged


def test_giving_up_where_no_ray_job_is_changes_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = write_job(tmp_path / "job.yaml", tiny_document(tmp_path, folds={"count": 20}))
    before = signal.getsignal(signal.SIGTERM)
    with dashboard() as there:
        monkeypatch.setenv("RAY_ADDRESS", there.url)
        assert driven(job, "--give-up") == 2
    assert there.asked
    assert isinstance(read(capsys.readouterr().out.splitlines()[-1]), EndBulletin)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_wrong_option_is_told_on_stderr(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert driven(tmp_path / "job.yaml", "--only-folds", "one") == 2
    assert "`--only-folds` is 'one'" in capsys.readouterr().err
