"""`pricon reproduce` as a user types it."""

import json
from pathlib import Path

import pytest
import typer

from pricon.cli.main import exit_code_of
from pricon.cli.reproduce import reproduce_run
from tests.cli.invoke import said
from tests.launch.rehearsal import rehearse
from tests.tiny import build, tiny_job


def reproduce(*arguments: str | Path) -> int:
    app = typer.Typer(add_completion=False)
    app.command()(reproduce_run)
    return exit_code_of(lambda: app([*map(str, arguments)], standalone_mode=False))


def test_a_run_is_reproduced_and_a_tolerance_can_be_missed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = rehearse(build(tiny_job(tmp_path)))
    run = tmp_path / "runs" / "tiny" / report.run_id
    assert reproduce(run) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"run {report.run_id}: 10 of 10 trials compared, predictions differ")
    results = json.loads((run / "results.json").read_text(encoding="utf-8"))
    results["trials"][1]["accuracy"] += 0.05
    (run / "results.json").write_text(json.dumps(results), encoding="utf-8")
    assert reproduce(run) == 1
    assert "results.json: " in capsys.readouterr().err
    for tolerance in ("nan", "-1", "1", "inf"):
        assert reproduce(run, "--tolerance", tolerance) == 2
        assert "error: the tolerance is" in said(capsys)
    assert reproduce(tmp_path) == 2
    assert "hint: give the folder" in said(capsys)
