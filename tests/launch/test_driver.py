"""A run and its second submission, without Ray: what runs, what is kept, what fails."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from pricon.corpus.reader import open_corpus
from pricon.errors import TrainingError
from pricon.launch.events import LaneDone, StagesDone
from pricon.launch.preflight import prepare
from pricon.launch.submit import run
from pricon.plan.plan import Plan
from pricon.report.markdown import markdown
from pricon.report.metrics import Metrics, ValueMetrics
from pricon.spec.job import JobSpec
from pricon.storage import open_storage
from pricon.track.open import no_tracker
from pricon.train.records import Records
from tests.launch.rehearsal import Listener, rehearse, stage_files
from tests.tiny import build, tiny_job


def predictions(job: JobSpec) -> list[dict[str, Any]]:
    (file,) = Path(job.output).glob("*/*/predictions.parquet")
    rows: list[dict[str, Any]] = pq.read_table(file).to_pylist()
    return rows


def test_a_run_leaves_everything_that_was_promised(job: JobSpec) -> None:
    listener = Listener()
    report = rehearse(job, listener)
    assert report.complete
    assert report.generated
    assert len(listener.results) == 10
    (folder,) = (Path(job.output) / "tiny").iterdir()
    assert folder.name == report.run_id
    assert {file.name for file in folder.iterdir()} == {
        "job.yaml", "plan.json", "environment.json", "report.md", "report.html", "report.tex",
        "results.json", "trials.parquet", "predictions.parquet", "figures",
    }  # fmt: skip
    assert not (Path(job.output) / "checkpoints").exists() or not list(
        (Path(job.output) / "checkpoints").rglob("*.pt")
    )
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert results["complete"]
    assert results["generated"]
    assert pq.read_table(folder / "trials.parquet").num_rows == 10


def test_every_window_is_predicted_once_by_every_arm(job: JobSpec) -> None:
    rehearse(job)
    rows = predictions(job)
    seen: dict[str, list[int]] = {}
    for row in rows:
        seen.setdefault(row["arm"], []).append(row["window"])
    assert len(seen) == 5
    assert all(len(windows) == len(set(windows)) for windows in seen.values())
    assert len({tuple(sorted(windows)) for windows in seen.values()}) == 1


def test_a_second_submission_runs_nothing_and_says_the_same(job: JobSpec) -> None:
    first = rehearse(job)
    before = stage_files(job)
    listener = Listener()
    second = rehearse(job, listener)
    assert not listener.events
    assert len(listener.results) == 10
    assert stage_files(job) == before
    assert markdown(second, {}) == markdown(first, {})


def test_rerun_trains_again_and_finds_the_same(job: JobSpec) -> None:
    first = rehearse(job)
    before = stage_files(job)
    second = rehearse(job, rerun=True)
    after = stage_files(job)
    assert before.keys() == after.keys()
    assert all(after[name] > before[name] for name in before)
    assert markdown(second, {}) == markdown(first, {})


def test_a_changed_student_reuses_the_teachers(job: JobSpec) -> None:
    rehearse(job)
    before = stage_files(job)
    student = job.student.model_copy(
        update={"distillation": job.student.distillation.model_copy(update={"weight": 0.5})}
    )
    listener = Listener()
    rehearse(job.model_copy(update={"student": student}), listener)
    committed = [s for e in listener.events if isinstance(e, StagesDone) for s in e.committed]
    assert len(committed) == 4, "two folds, lupi and pricon"
    assert len(stage_files(job)) == len(before) + 4


def test_lost_records_are_trained_again_and_nothing_else(job: JobSpec) -> None:
    rehearse(job)
    first, before = predictions(job), stage_files(job)
    lost = sorted(before)[0]
    (Path(job.output) / "stages" / lost).unlink()
    rehearse(job)
    after = stage_files(job)
    # Alone in its pack it is the same to float tolerance, which may turn a best epoch.
    for one, two in zip(first, predictions(job), strict=True):
        assert (one["trial_id"], one["window"]) == (two["trial_id"], two["window"])
        assert np.isclose(one["probability_high"], two["probability_high"], atol=1e-5)
    untouched = {name for name in before if name != lost}
    rewritten = {name for name in untouched if after[name] != before[name]}
    assert not rewritten


@pytest.mark.parametrize("lanes", [2, 5])
def test_lanes_and_packs_do_not_change_results(job: JobSpec, tmp_path: Path, lanes: int) -> None:
    rehearse(job)
    resources = job.resources.model_copy(update={"lanes": lanes, "pack_members": 2})
    other = job.model_copy(update={"resources": resources, "output": str(tmp_path / "other")})
    rehearse(other)
    for one, two in zip(predictions(job), predictions(other), strict=True):
        assert one["trial_id"] == two["trial_id"]
        assert one["window"] == two["window"]
        assert np.isclose(one["probability_high"], two["probability_high"], atol=1e-5)


def diverging(job: JobSpec) -> JobSpec:
    """A learning rate that drives the contrastive teacher out of the numbers."""
    schedule = job.optimisation.contrastive.model_copy(update={"learning_rate": 1e38})
    optimisation = job.optimisation.model_copy(update={"contrastive": schedule})
    return job.model_copy(update={"optimisation": optimisation})


def test_a_failed_teacher_fails_its_students_and_no_one_else(job: JobSpec) -> None:
    report = rehearse(diverging(job))
    failed = report.unfinished
    assert {result.trial.arm for result in failed} == {"pricon"}
    assert all(result.status == "failed" for result in failed)
    assert "teacher of fps arousal fold 0 seed 0 failed: validation loss is" in (
        failed[0].error or ""
    )
    assert not report.complete
    assert not report.verdict
    finished = [row for row in report.trials if row.metrics is not None]
    assert len(finished) == 8


def test_a_failed_trial_is_tried_again_when_the_job_is_submitted_again(job: JobSpec) -> None:
    bad = diverging(job)
    rehearse(bad)
    listener = Listener()
    rehearse(bad, listener)
    failed = [e.failed for e in listener.events if isinstance(e, StagesDone) and e.failed]
    assert failed
    assert len(listener.results) == 8


def test_only_some_folds_say_so(job: JobSpec) -> None:
    report = rehearse(job, only_folds=(1,))
    assert report.folds_asked == (1,)
    assert not report.complete
    whole = rehearse(job)
    assert whole.complete
    assert len(stage_files(job)) == 14


def test_a_lane_that_cannot_read_its_corpus_names_the_reason(job: JobSpec, tmp_path: Path) -> None:
    copy = tmp_path / "corpus"
    shutil.copytree(job.corpus.uri, copy)
    elsewhere = job.corpus.model_copy(update={"uri": str(copy)})
    broken = job.model_copy(update={"corpus": elsewhere})
    corpus = open_corpus(open_storage(str(copy)))
    prepared = prepare(broken, corpus, None)
    (shard,) = (copy / "shards").iterdir()
    damaged = bytearray(shard.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    shard.write_bytes(damaged)
    listener = Listener()
    report = run(prepared, corpus, no_tracker(), listener)
    (done,) = [event for event in listener.events if isinstance(event, LaneDone)]
    assert done.error is not None
    assert "shard is damaged" in done.error
    assert all("shard is damaged" in (result.error or "") for result in report.unfinished)
    # The byte that was flipped lies in telemetry: what does not need it has finished.
    finished = {row.result.trial.arm for row in report.trials if row.metrics}
    assert finished == {"majority", "e2e"}


def test_students_do_not_fetch_a_byte_of_privileged_columns(job: JobSpec, tmp_path: Path) -> None:
    """Privileged bytes are destroyed after the teachers are done; students neither see nor mind."""
    copy = tmp_path / "corpus"
    shutil.copytree(job.corpus.uri, copy)
    corpus = job.corpus.model_copy(update={"uri": str(copy)})
    job = job.model_copy(update={"corpus": corpus})
    rehearse(job)
    before = predictions(job)
    (file,) = Path(job.output).glob("tiny/*/plan.json")
    plan = Plan.from_json(file.read_bytes())
    records = Records(open_storage(f"{job.output}/stages"))
    for stage in plan.stages:
        if stage.role == "student":
            records.forget(stage.id)
    for shard in open_corpus(open_storage(str(copy))).manifest.shards:
        destroyed = bytearray((copy / shard.path).read_bytes())
        column = shard.columns["telemetry"]
        destroyed[column.start : column.start + column.num_bytes] = bytes(column.num_bytes)
        (copy / shard.path).write_bytes(destroyed)
    report = rehearse(job)
    assert report.complete
    assert predictions(job) == before
    unreadable = rehearse(job, rerun=True)
    assert {result.trial.arm for result in unreadable.unfinished} >= {"lupi", "pricon"}


def test_a_record_of_the_wrong_fold_is_a_leak(job: JobSpec) -> None:
    """A teacher's record under another stage's name: its people are not those of the fold."""
    rehearse(job)
    (file,) = Path(job.output).glob("tiny/*/plan.json")
    plan = Plan.from_json(file.read_bytes())
    teachers = [s for s in plan.stages if s.objective == "cross_entropy" and s.role == "teacher"]
    records = Records(open_storage(f"{job.output}/stages"))
    foreign = records.load(teachers[1].id)
    assert foreign is not None
    facts = foreign.facts.model_copy(update={"stage_id": teachers[0].id})
    records.commit(foreign.model_copy(update={"facts": facts}))
    for stage in plan.stages:
        if stage.role == "student":
            records.forget(stage.id)
    with pytest.raises(
        TrainingError, match=r"leak: stage .* was tested on .* not in its test split"
    ):
        rehearse(job)
    only_lupi = job.model_copy(update={"arms": ("lupi",)})
    report = rehearse(only_lupi)
    assert {result.status for result in report.unfinished} == {"failed"}
    assert "leak: teacher" in (report.unfinished[0].error or "")


def test_every_taught_student_tells_how_good_its_teacher_was(job: JobSpec) -> None:
    report = rehearse(job)
    by_arm = {(row.result.trial.arm, row.result.cell): row for row in report.trials}
    for (arm, cell), row in by_arm.items():
        found = row.result.teacher_score
        if arm == "lupi":
            reference = by_arm["all_modalities", cell].metrics
            assert isinstance(reference, Metrics)
            assert found == pytest.approx(reference.accuracy)
        elif arm == "pricon":
            assert found is not None
            assert 0 < found < 1
        else:
            assert found is None


def test_regression_students_tell_the_ccc_of_their_teachers(tmp_path: Path) -> None:
    job = build(tiny_job(tmp_path, task="regression"))
    report = rehearse(job)
    by_arm = {(row.result.trial.arm, row.result.cell): row for row in report.trials}
    for (arm, cell), row in by_arm.items():
        if arm == "lupi":
            reference = by_arm["all_modalities", cell].metrics
            assert isinstance(reference, ValueMetrics)
            assert row.result.teacher_score == pytest.approx(reference.ccc)
        assert row.result.affect.keys() == {"train", "validation", "test"}
        assert row.result.share_high == {}


def test_trials_of_a_cell_share_what_is_known_of_their_windows(job: JobSpec) -> None:
    """Who and when, once a cell and not once a trial: most of what a large run holds in memory."""
    listener = Listener()
    rehearse(job, listener)
    by_fold: dict[int, set[int]] = {}
    for result in listener.results:
        seen = result.predictions
        assert seen is not None
        arrays = seen.window, seen.participant, seen.session, seen.t_start_s
        assert len({len(array) for array in arrays}) == 1
        by_fold.setdefault(result.cell.fold, set()).add(id(seen.participant))
    assert [len(arrays) for arrays in by_fold.values()] == [1, 1]
