"""The journal: nothing lost, nothing believed that is half."""

import logging
from pathlib import Path

import pytest

from pricon.track.journal import Journal
from pricon.track.records import to_line
from tests.track.examples import make_run_record

FIRST, SECOND = make_run_record(run_id="first"), make_run_record(run_id="second")


def test_records_come_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "runs" / "tracking.jsonl")
    assert not journal
    assert journal.read() == []
    journal.append(FIRST)
    journal.append(SECOND)
    assert journal
    assert Journal(journal.path).read() == [FIRST, SECOND]


def test_delivered_records_leave_and_the_rest_stays(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "tracking.jsonl")
    journal.append(FIRST)
    journal.append(SECOND)
    journal.drop([FIRST])
    assert journal.read() == [SECOND]
    journal.drop([SECOND])
    assert list(tmp_path.iterdir()) == []


def test_half_a_record_is_skipped_and_spoils_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path / "tracking.jsonl")
    journal.append(FIRST)
    journal.path.write_bytes(journal.path.read_bytes() + to_line(SECOND)[:40])
    journal.append(SECOND)
    with caplog.at_level(logging.WARNING):
        assert journal.read() == [FIRST, SECOND]
    assert "half a record" in caplog.text
    journal.drop([FIRST, SECOND])
    assert not journal
