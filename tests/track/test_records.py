"""Records: what is said of a trial, and that a journal keeps it whole."""

from dataclasses import replace
from math import inf, isnan, nan

from pricon.track.records import (
    FinishRecord,
    Point,
    Record,
    TrialRecord,
    from_line,
    to_line,
    trial_record,
)
from tests.report.grids import fail
from tests.report.surfaces import PLAIN, make_surfaces
from tests.track.examples import make_results, make_run_record


def test_a_finished_trial() -> None:
    result = make_results(num_epochs=2)[1]
    record = trial_record(make_run_record(), result, {"accuracy": 0.9, "auroc": nan})
    assert record.trial_id == result.trial.id == "pricon-audio-heist-0-0"
    assert record.name == "pricon audio heist arousal fold 0 seed 0"
    assert record.status == "FINISHED"
    assert record.params == {
        "arm": "pricon",
        "modality": "audio",
        "stimulus": "heist",
        "affect": "arousal",
        "fold": "0",
        "seed": "0",
    }
    assert record.tags["pricon.arm"] == "pricon"
    assert record.tags["pricon.git_commit"] == "0123abc"
    curve = [p for p in record.points if p.key == "student/training_loss"]
    assert curve == [
        Point(key="student/training_loss", value=1.0, step=0),
        Point(key="student/training_loss", value=0.5, step=1),
    ]
    final = {p.key: p.value for p in record.points if p.step == 0}
    assert final["accuracy"] == 0.9
    assert final["teacher/best_epoch"] == 1
    assert final["windows/dropped"] == 4
    assert "auroc" not in final, "NaN says that the metric is not defined"


def test_points_come_by_step() -> None:
    steps = [p.step for p in trial_record(make_run_record(), make_results()[0], {}).points]
    assert steps == sorted(steps)


def test_a_failed_and_a_missing_trial() -> None:
    failed = fail(make_results()[0])
    record = trial_record(make_run_record(), failed, {})
    assert record.status == "FAILED"
    assert record.tags["pricon.error"] == "loss is not finite in epoch 3"
    missing = replace(failed, status="missing", error=None)
    assert trial_record(make_run_record(), missing, {}).status == "KILLED"


def test_every_record_survives_a_line() -> None:
    run = make_run_record()
    finish = FinishRecord(
        job_name="j", run_id="r", status="KILLED", metrics={"a": 0.1}, artifacts={"r": b"\xff\n"}
    )
    records: list[Record] = [run, trial_record(run, make_results()[0], {"accuracy": 0.1}), finish]
    for record in records:
        line = to_line(record)
        assert b"\n" not in line
        assert from_line(line) == record


def test_a_diverged_curve_survives_a_line() -> None:
    points = tuple(Point(key="loss", value=v, step=i) for i, v in enumerate((nan, inf, -inf)))
    record = TrialRecord(
        job_name="j",
        run_id="r",
        trial_id="t",
        name="n",
        params={},
        tags={},
        points=points,
        status="FAILED",
    )
    back = from_line(to_line(record))
    assert isinstance(back, TrialRecord)
    assert isnan(back.points[0].value)
    assert [p.value for p in back.points[1:]] == [inf, -inf]


def test_a_trial_of_a_grid_is_found_by_its_setting() -> None:
    result = make_surfaces(PLAIN)[1][-1]
    record = trial_record(make_run_record(), result, {})
    assert record.name == "pricon audio a 0.1, T 2, tau 0.05 heist arousal fold 2 seed 1"
    assert record.params["distillation_weight"] == "0.1"
    assert record.tags["pricon.contrastive_temperature"] == "0.05"
    e2e = trial_record(make_run_record(), make_surfaces(PLAIN)[1][0], {})
    assert "distillation_weight" not in e2e.params
