"""A job that works, for tests that break it."""

import shutil
from pathlib import Path

import pytest

from tests.cli.invoke import Document
from tests.tiny import build, tiny_document, tiny_job


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generated recordings in AGAIN's layout, for tests that damage a copy of them."""
    folder = tmp_path_factory.mktemp("recordings")
    build(tiny_job(folder))
    return folder / "recordings"


@pytest.fixture
def document(tmp_path: Path, recordings: Path) -> Document:
    """A job that works, on a copy of the recordings."""
    shutil.copytree(recordings, tmp_path / "recordings")
    return tiny_document(tmp_path)
