"""The journal: nothing lost, nothing believed that is half."""

import logging
import tracemalloc
from dataclasses import replace
from pathlib import Path

import pytest

from pricon.track.journal import Journal
from pricon.track.records import Record, to_line
from tests.track.examples import make_run_record

FIRST, SECOND = make_run_record(run_id="first"), make_run_record(run_id="second")


def waiting(journal: Journal) -> list[Record]:
    return [entry.record for entry in journal.read()]


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
    first, _ = journal.read()
    journal.drop(None)
    assert waiting(journal) == [FIRST, SECOND]
    journal.drop(first)
    assert waiting(journal) == [SECOND]
    (second,) = journal.read()
    journal.drop(second)
    assert list(tmp_path.iterdir()) == []


def test_what_comes_while_it_is_read_waits_for_the_next_time(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "tracking.jsonl")
    journal.append(FIRST)
    reading = journal.read()
    first = next(reading)
    journal.append(SECOND)
    assert [*reading] == []
    journal.drop(first)
    assert waiting(journal) == [SECOND]


def test_another_process_has_delivered_meanwhile(tmp_path: Path) -> None:
    journal, other = (Journal(tmp_path / "tracking.jsonl") for _ in range(2))
    journal.append(FIRST)
    (first,) = journal.read()
    other.drop(first)
    other.append(SECOND)
    journal.drop(first)
    assert waiting(other) == [SECOND]


def test_one_record_at_a_time_is_in_memory(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "tracking.jsonl")
    for _ in range(20):
        journal.append(replace(FIRST, artifacts={"plan.json": bytes(1 << 20)}))
    tracemalloc.start()
    try:
        assert sum(1 for _ in journal.read()) == 20
        journal.drop(next(journal.read()))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(waiting(journal)) == 19
    assert peak < 10 << 20


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
    *_, last = journal.read()
    journal.path.write_bytes(journal.path.read_bytes() + to_line(SECOND)[:40])
    journal.drop(last)
    assert not journal
