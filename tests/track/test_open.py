"""Addresses, and what is refused before a run starts."""

import subprocess
import sys
from pathlib import Path

import pytest

from pricon.errors import LaunchError
from pricon.track.open import default_uri, open_tracker
from tests.nobody import as_nobody


def test_a_folder_has_its_own_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_uri(Path("runs")) == f"sqlite:///{tmp_path}/runs/mlflow.db"


def test_checking_a_folder_makes_nothing(tmp_path: Path) -> None:
    open_tracker(None, tmp_path / "runs", tmp_path / "tracking.jsonl").check("job")
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_folder_is_refused_before_anything_starts(tmp_path: Path) -> None:
    place = Path("/")
    tracker = open_tracker(None, place / "runs-of-nobody", tmp_path / "tracking.jsonl")
    error = as_nobody(lambda: tracker.check("job"))
    assert error.startswith("LaunchError: ")
    assert "is read-only" in error


def test_a_port_that_nobody_listens_on_is_refused(tmp_path: Path) -> None:
    tracker = open_tracker("http://ada:secret@127.0.0.1:9", tmp_path, tmp_path / "tracking.jsonl")
    with pytest.raises(LaunchError, match=r"server http://127\.0\.0\.1:9 does not answer") as err:
        tracker.check("job")
    tracker.close()
    assert "--no-track" in (err.value.hint or "")


def test_opening_loads_no_mlflow(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from pricon.track.open import open_tracker; "
        f"open_tracker(None, Path({str(tmp_path)!r}), Path('j')).check('job'); "
        "sys.exit('mlflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
