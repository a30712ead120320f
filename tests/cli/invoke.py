"""Calls `pricon-submit` in this process, the way its entry point does."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pricon.cli.main import exit_code_of
from pricon.cli.submit import app

Document = dict[str, Any]
"""A job as its YAML would read."""


def submit(*arguments: str | Path) -> int:
    """Exit code; output goes where the test captures it."""
    return exit_code_of(lambda: app([*map(str, arguments)], standalone_mode=False))


def write_job(file: Path, document: dict[str, Any]) -> Path:
    """`document` as a job file."""
    YAML(typ="safe", pure=True).dump(document, file)
    return file


def files_below(folder: Path) -> set[str]:
    """Everything that lies there, folders as well."""
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """What went to stderr."""
    return capsys.readouterr().err


def refused(
    document: Document,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    *options: str,
    exit_code: int = 2,
) -> str:
    """Submit something wrong: nothing is written, not a folder; what was said."""
    job = write_job(tmp_path / "job.yaml", document)
    before = files_below(tmp_path)
    assert submit(job, *options) == exit_code
    error = said(capsys)
    assert files_below(tmp_path) == before
    assert "error: " in error
    assert "\nhint: " in error
    assert "Traceback" not in error
    return error
