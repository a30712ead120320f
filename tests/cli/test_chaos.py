"""`pricon chaos` as a user types it."""

import shutil
from pathlib import Path

import pytest
import typer

from pricon.cli.chaos import chaos
from pricon.cli.main import exit_code_of
from tests.cli.invoke import said
from tests.launch.rehearsal import rehearse
from tests.tiny import QUICK, build, tiny_job

LONG = {"learning_rate": 1e-3, "epochs": 1000, "patience": 1000}


def run_chaos(*arguments: str | Path) -> int:
    app = typer.Typer(add_completion=False)
    app.command()(chaos)
    return exit_code_of(lambda: app([*map(str, arguments)], standalone_mode=False))


@pytest.mark.ray
@pytest.mark.usefixtures("ray_alone")
def test_a_run_is_disturbed_and_is_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    optimisation = {**QUICK, "supervised": LONG}
    job = build(tiny_job(tmp_path, arms=["majority", "e2e"], optimisation=optimisation))
    report = rehearse(job)
    run = tmp_path / "runs" / "tiny" / report.run_id
    assert run_chaos(run, "--kill", "machine", "--faults", "1", "--every", "3") == 0
    shown = capsys.readouterr()
    first, second, third = shown.out.splitlines()
    assert first.startswith("1 fault in ")
    assert first.endswith(" s: machine 1; submitted 2 times")
    assert second.startswith(f"run {report.run_id}: 4 of 4 trials compared, predictions differ by")
    assert third == "every submission ended as it should, and MLflow has every trial once"
    assert "  1: killed everything at once, the last one\n" in shown.err


def test_what_cannot_be_disturbed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_chaos(tmp_path) == 2
    assert "hint: give the folder" in said(capsys)
    assert run_chaos(tmp_path, "--kill", "worker,laptop") == 2
    assert "error: `--kill` names 'laptop'\n\nhint: give some of worker, controller," in said(
        capsys
    )
    assert run_chaos(tmp_path, "--every", "0") == 2
    assert "error: nothing is killed by 20 faults, one every 0 s" in said(capsys)


def test_what_submissions_said_is_kept_where_they_did_not_do_well(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = rehearse(build(tiny_job(tmp_path, arms=["majority"])))
    run = tmp_path / "runs" / "tiny" / report.run_id
    assert run_chaos(run, "--kill", "worker", "--every", "0.2", "--within", "0.5") == 1
    shown = capsys.readouterr()
    assert shown.out.startswith("0 faults in ")
    assert shown.out.endswith(" s; submitted once\n")
    told = shown.err
    assert "submission 1 has not ended within 0.5 s (`--within`), so it is ended" in told
    assert "what went otherwise than it should is told above: 1" in told
    kept = Path(told.partition("are kept in ")[2].splitlines()[0])
    assert (kept / "submission-1.log").exists()
    shutil.rmtree(kept)
