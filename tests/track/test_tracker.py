"""What the driver says becomes records."""

import pytest

from pricon.track.open import no_tracker
from pricon.track.records import FinishRecord, LogRecord, Record, TrialRecord
from pricon.track.tracker import InMemorySink, Tracker
from tests.track.examples import make_results, make_run_record


def test_a_run_in_memory() -> None:
    sink = InMemorySink()
    tracker = Tracker(sink)
    tracker.check("again-tiny")
    run, results = make_run_record(), make_results()
    tracker.start(run)
    for result in results:
        tracker.record(result, {"accuracy": 0.9})
    tracker.finish("FINISHED", {"accuracy/pricon": 0.9}, {"report.md": b"#"})
    tracker.keep_log("tiny-1", "s1.0.log", b"line\n")
    tracker.close()
    first, *trials, last, log = sink.records
    assert first == run
    assert [t.trial_id for t in trials if isinstance(t, TrialRecord)] == [
        result.trial.id for result in results
    ]
    assert isinstance(last, FinishRecord)
    assert last.run_id == run.run_id
    assert last.artifacts == {"report.md": b"#"}
    assert log == LogRecord(
        job_name=run.job_name,
        run_id=run.run_id,
        handle="tiny-1",
        name="s1.0.log",
        text=b"line\n",
    )


def test_nothing_is_recorded_before_the_start() -> None:
    with pytest.raises(AssertionError, match="start"):
        no_tracker().record(make_results()[0], {})


def test_a_log_of_a_run_that_never_began_has_no_place() -> None:
    sink = InMemorySink()
    Tracker(sink).keep_log("tiny-1", "s1.0.log", b"a job that was refused\n")
    assert sink.records == []


class InOrder(InMemorySink):
    """Notes which records overtake others."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[tuple[str, bool]] = []

    def put(self, record: Record, *, first: bool = False) -> None:
        self.order.append((record.kind, first))


def test_that_a_run_was_killed_comes_first_and_last() -> None:
    sink = InOrder()
    tracker = Tracker(sink)
    tracker.start(make_run_record())
    tracker.record(make_results()[0], {})
    tracker.finish("KILLED", {}, {})
    tracker.keep_log("tiny-1", "s1.0.log", b"line\n")
    ends = [("finish", True), ("finish", False), ("log", True), ("log", False)]
    assert sink.order == [("run", False), ("trial", False), *ends]


def test_other_ends_wait_for_their_turn() -> None:
    sink = InOrder()
    tracker = Tracker(sink)
    tracker.start(make_run_record())
    tracker.finish("FAILED", {}, {})
    tracker.keep_log("tiny-1", "s1.0.log", b"line\n")
    assert sink.order == [("run", False), ("finish", False), ("log", False)]
