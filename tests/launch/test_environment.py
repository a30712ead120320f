"""What a result was made with: true, and nothing that must stay private."""

import json
import os
import shutil
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

import pricon
from pricon.launch.environment import environment

COMMIT = (
    "git", "-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false", "commit",
    "--quiet", "--message", "one",
)  # fmt: skip


def test_versions_are_those_of_the_installed_packages() -> None:
    facts = environment()
    assert facts["pricon"] == pricon.__version__
    assert facts["python"] == ".".join(map(str, sys.version_info[:3]))
    for package in ("torch", "numpy", "ray", "mlflow"):
        assert facts[package] == version(package)


def test_no_secret_no_folder_and_no_name_of_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "wJalrXUtnFEMI")
    text = json.dumps(environment())
    assert "wJalrXUtnFEMI" not in text
    assert str(Path(pricon.__file__).parent) not in text
    assert socket.gethostname() not in environment().values()


def commit_seen_by(checkout: Path) -> str:
    """`git_commit` as a fresh interpreter that runs the code of this folder says it."""
    code = "from pricon.launch.environment import environment\nprint(environment()['git_commit'])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=checkout,
        env={**os.environ, "GIT_CEILING_DIRECTORIES": str(checkout.parent)},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return done.stdout.strip()


def test_the_commit_says_whether_the_code_is_that_of_the_commit(tmp_path: Path) -> None:
    checkout = tmp_path / "checkout"
    package = checkout / "pricon"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(pricon.__file__).parent, package, ignore=ignored)
    assert commit_seen_by(checkout) == "unknown"
    (package / "COMMIT").write_text("of the image\n", encoding="utf-8")
    assert commit_seen_by(checkout) == "of the image"
    (package / "COMMIT").unlink()

    def git(*command: str) -> str:
        done = subprocess.run(
            command, cwd=checkout, capture_output=True, text=True, check=True, timeout=60
        )
        return done.stdout.strip()

    (checkout / ".gitignore").write_text("__pycache__/\n", encoding="utf-8")
    git("git", "init", "--quiet")
    git("git", "add", ".")
    git(*COMMIT)
    head = git("git", "rev-parse", "HEAD")
    assert commit_seen_by(checkout) == head
    (checkout / "notes.txt").write_text("beside the package", encoding="utf-8")
    assert commit_seen_by(checkout) == head
    (package / "errors.py").write_text(
        (package / "errors.py").read_text(encoding="utf-8") + "\n# changed\n", encoding="utf-8"
    )
    assert commit_seen_by(checkout) == f"{head}+changes"
