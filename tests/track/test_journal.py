"""The journal: nothing lost, nothing believed that is half."""

import logging
import tracemalloc
from pathlib import Path

import pytest

from pricon.track.journal import Journal
from pricon.track.records import Record, to_line
from tests.track.examples import make_run_record

FIRST, SECOND = make_run_record(run_id="first"), make_run_record(run_id="second")


def waiting(journal: Journal) -> list[Record]:
    return [record for record, _ in journal.read()]


def test_records_come_back_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "runs" / "tracking.jsonl")
    assert not journal
    assert waiting(journal) == []
    journal.append(FIRST)
    journal.append(SECOND)
    assert journal
    assert waiting(Journal(journal.path)) == [FIRST, SECOND]


def test_delivered_records_leave_and_the_rest_stays(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "tracking.jsonl")
    journal.append(FIRST)
    journal.append(SECOND)
    (_, first), (_, second) = journal.read()
    journal.drop(0)
    assert waiting(journal) == [FIRST, SECOND]
    journal.drop(first)
    assert waiting(journal) == [SECOND]
    journal.drop(second - first)
    assert list(tmp_path.iterdir()) == []


def test_what_comes_while_it_is_read_waits_for_the_next_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "tracking.jsonl")
    journal.append(FIRST)
    reading = journal.read()
    first, end = next(reading)
    journal.append(SECOND)
    assert [first, *reading] == [FIRST]
    journal.drop(end)
    assert waiting(journal) == [SECOND]


def test_a_long_journal_is_not_read_to_append_to_it(tmp_path: Path) -> None:
    """Holes take no disk: a gigabyte of them would take seconds to read, and all that memory."""
    journal = Journal(tmp_path / "tracking.jsonl")
    with journal.path.open("wb") as file:
        file.truncate(1 << 30)
    tracemalloc.start()
    try:
        journal.append(FIRST)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20


def test_half_a_record_is_skipped_and_spoils_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal = Journal(tmp_path / "tracking.jsonl")
    journal.append(FIRST)
    journal.path.write_bytes(journal.path.read_bytes() + to_line(SECOND)[:40])
    journal.append(SECOND)
    with caplog.at_level(logging.WARNING):
        assert waiting(journal) == [FIRST, SECOND]
    assert "half a record" in caplog.text
    *_, (_, end) = journal.read()
    journal.path.write_bytes(journal.path.read_bytes() + to_line(SECOND)[:40])
    journal.drop(end)
    assert not journal
