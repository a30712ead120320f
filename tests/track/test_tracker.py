"""What the driver says becomes records."""

import pytest

from pricon.track.open import no_tracker
from pricon.track.records import FinishRecord, LogRecord, TrialRecord
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
    tracker.keep_log("s1.0.log", b"line\n")
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
        job_name=run.job_name, run_id=run.run_id, name="s1.0.log", text=b"line\n"
    )


def test_nothing_is_recorded_before_the_start() -> None:
    with pytest.raises(AssertionError, match="start"):
        no_tracker().record(make_results()[0], {})


def test_a_log_of_a_run_that_never_began_has_no_place() -> None:
    sink = InMemorySink()
    Tracker(sink).keep_log("s1.0.log", b"a job that was refused\n")
    assert sink.records == []
