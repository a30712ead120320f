"""Calls `pricon-submit` in this process, the way its entry point does."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pricon.cli.main import exit_code_of
from pricon.cli.submit import app


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
