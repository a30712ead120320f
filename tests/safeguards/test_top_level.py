"""The repository's first page stays short: what git tracks at the top."""

import shutil
import subprocess

import pytest

from tests.safeguards.sources import ROOT

ALLOWED = {
    *("pyproject.toml", "README.md", "Makefile", "CHANGELOG.md", "LICENSE"),
    *("pricon", "deploy", "helm", "jobs", "tests"),
    *(".ci", ".gitignore", ".pre-commit-config.yaml", ".dockerignore", ".github"),
}


@pytest.mark.skipif(
    shutil.which("git") is None or not (ROOT / ".git").exists(), reason="not a git checkout"
)
def test_nothing_else_is_tracked_at_the_top() -> None:
    listed = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    assert {line.split("/")[0] for line in listed.splitlines()} - ALLOWED == set()
