"""What the driver says becomes records."""

import pytest

from pricon.track.open import no_tracker
from pricon.track.records import FinishRecord, TrialRecord
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
    tracker.close()
    first, *trials, last = sink.records
    assert first == run
    assert [t.trial_id for t in trials if isinstance(t, TrialRecord)] == [
        result.trial.id for result in results
    ]
    assert isinstance(last, FinishRecord)
    assert last.run_id == run.run_id
    assert last.artifacts == {"report.md": b"#"}


def test_nothing_is_recorded_before_the_start() -> None:
    with pytest.raises(AssertionError, match="start"):
        no_tracker().record(make_results()[0], {})
