"""The benchmark of reading runs, and everybody in it reads the same; it says nothing of speed."""

import json
from pathlib import Path

import pytest

from tests.benchmarks import reading
from tests.benchmarks.reading_peers import Arrays

OURS = {reading.RAW, reading.HASHED, reading.PRICON, reading.LANE}


@pytest.mark.s3
def test_quick_form_compares_and_writes_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    reading.main(["--quick", "--peers"])
    for name in ("folder-all", "folder-one", "s3-all", "s3-one"):
        table = json.loads((tmp_path / f"runs/bench/reading-{name}.json").read_text())
        assert {row[0] for row in table["rows"]} == OURS
        assert all(row[3] > 0 for row in table["rows"])
        steps = json.loads((tmp_path / f"runs/bench/reading-{name}-profile.json").read_text())
        assert len(steps["rows"]) == 5
    compression = json.loads((tmp_path / "runs/bench/reading-compression.json").read_text())
    shares = {row[0]: row[1] for row in compression["rows"]}
    assert shares["80 % zeros, zstd"] < shares["wandering, zstd"] < shares["wandering, none"]
    assert "600 windows from S3 on loopback, index and `eda` only" in capsys.readouterr().out


def test_a_peer_that_does_not_work_is_not_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: dict[str, str] = {}

    def broken(columns: tuple[str, ...]) -> Arrays:
        raise ImportError(f"no module for {columns}")

    work = reading._checked("WebDataset", broken, ("eda",), {}, failed)
    work()
    work()
    assert failed == {"WebDataset": "ImportError: no module for ('eda',)"}


def test_wrong_values_are_noticed() -> None:
    import numpy as np

    zeros = {"eda": np.zeros((2, 54), np.float32)}
    ones = {"eda": np.ones((2, 54), np.float32)}
    work = reading._checked(reading.PRICON, lambda columns: zeros, ("eda",), ones, {})
    with pytest.raises(AssertionError, match="Arrays are not equal"):
        work()
