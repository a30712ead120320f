"""A job from its checks to its report: what is written, recorded, and kept when it is stopped."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pricon.corpus.reader import open_corpus
from pricon.errors import LaunchError, PlanError
from pricon.launch.events import Event, NodesHeld, StagesDone
from pricon.launch.meter import Meter, Sharer
from pricon.launch.preflight import prepare
from pricon.launch.submit import _headline, _metrics, run, run_storage
from pricon.plan.plan import Plan
from pricon.report.metrics import Metrics
from pricon.report.statistics import summarise
from pricon.report.summary import Report
from pricon.spec.dump import dump_job
from pricon.spec.job import Arm, JobSpec
from pricon.spec.load import load_job, parse_job
from pricon.storage import open_storage
from pricon.track.records import FinishRecord, RunRecord, TrialRecord
from pricon.track.tracker import InMemorySink, Tracker
from tests.launch.rehearsal import Listener, rehearse
from tests.launch.test_driver import diverging
from tests.report.grids import Grid, Wrong, always, make_run, make_value_run


def submitted(
    job: JobSpec,
    sink: InMemorySink | None = None,
    view: Listener | None = None,
    meter: Meter | None = None,
) -> Report:
    corpus = open_corpus(open_storage(job.corpus.uri))
    prepared = prepare(job, corpus, None)
    tracker = Tracker(sink or InMemorySink())
    return run(prepared, corpus, tracker, view or Listener(), meter=meter)


def run_folder(job: JobSpec) -> Path:
    (folder,) = (Path(job.output) / job.name).iterdir()
    return folder


def quick(job: JobSpec, *arms: str) -> JobSpec:
    return job.model_copy(update={"arms": arms or ("majority", "e2e")})


def parts(sink: InMemorySink) -> tuple[RunRecord, list[TrialRecord], FinishRecord]:
    """What was recorded, in the order in which it must come."""
    first, *trials, last = sink.records
    assert isinstance(first, RunRecord)
    assert isinstance(last, FinishRecord)
    return first, [trial for trial in trials if isinstance(trial, TrialRecord)], last


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {
            "optimisation": {
                "contrastive": {"learning_rate": 1e-05, "epochs": 3, "patience": 2},
                "gradient_clip_norm": 1e10,
            },
            "label": {"threshold": 0.5, "margin": 1e-07},
            "modalities": {"available": ["frames", ["frames", "pulse"]], "privileged": ["no"]},
            "storage": {"endpoint_url": "http://127.0.0.1:8333", "region": None},
        },
        {"stimuli": ["yes", "1e3", "007"], "output": "s3://bucket/a b: #c"},
    ],
    ids=["tiny", "numbers", "strings"],
)
def test_the_written_job_is_the_job(job: JobSpec, tmp_path: Path, changes: dict[str, Any]) -> None:
    document = {**job.model_dump(mode="json"), **changes}
    asked = JobSpec.model_validate(document)
    file = tmp_path / "job.yaml"
    file.write_text(dump_job(asked), encoding="utf-8")
    assert load_job(file) == asked


def test_the_written_job_gives_the_same_run(job: JobSpec) -> None:
    report = submitted(quick(job))
    again = load_job(run_folder(job) / "job.yaml")
    assert again == quick(job)
    corpus = open_corpus(open_storage(again.corpus.uri))
    assert prepare(again, corpus, None).plan.run_id == report.run_id
    listener = Listener()
    assert submitted(again, view=listener).run_id == report.run_id
    assert not listener.events, "everything was finished before"


def test_the_folder_of_a_run_has_its_id_and_its_plan(job: JobSpec) -> None:
    prepared = prepare(quick(job), open_corpus(open_storage(job.corpus.uri)), None)
    submitted(quick(job))
    storage = run_storage(prepared.job, prepared.plan)
    assert run_folder(job).name == prepared.plan.run_id
    assert Plan.from_json(storage.read("plan.json")) == prepared.plan
    assert "python" in json.loads(storage.read("environment.json"))


def test_records_come_in_order_and_hold_what_was_written(job: JobSpec) -> None:
    sink = InMemorySink()
    report = submitted(quick(job), sink)
    first, trials, last = parts(sink)
    assert first.job_name == "tiny"
    assert first.params["student.encoder.width"] == 96
    assert first.params["arms"] == "majority, e2e"
    assert first.tags["pricon.generated"] == "true"
    folder = run_folder(job)
    assert {*first.artifacts} == {"job.yaml", "plan.json", "environment.json"}
    figures = {name for name in last.artifacts if name.startswith("figures/")}
    assert "figures/fps-arousal-frames-participants.svg" in figures
    assert {*last.artifacts} - figures == {
        "report.md",
        "report.html",
        "report.tex",
        "results.json",
    }
    for name, content in {**first.artifacts, **last.artifacts}.items():
        assert (folder / name).read_bytes() == content
    plan = Plan.from_json(first.artifacts["plan.json"])
    assert len(sink.records) == len(trials) + 2
    assert sorted(t.trial_id for t in trials) == sorted(t.id for t in plan.trials)
    assert {record.run_id for record in sink.records} == {report.run_id}
    assert {trial.status for trial in trials} == {"FINISHED"}
    accuracies = {
        trial.trial_id: next(point.value for point in trial.points if point.key == "accuracy")
        for trial in trials
    }
    assert accuracies == {
        row.result.trial.id: row.metrics.accuracy
        for row in report.trials
        if isinstance(row.metrics, Metrics)
    }
    assert last.status == "FINISHED"
    (block,) = report.blocks
    assert last.metrics == {
        "trials_finished": 4,
        "accuracy.fps.arousal.frames.majority": block.arms[0].metrics["accuracy"].value,
        "accuracy.fps.arousal.frames.e2e": block.arms[1].metrics["accuracy"].value,
    }


class Stopper(Listener):
    """Raises once the first stages of a role have been committed."""

    def __init__(self, stage_ids: set[str], error: BaseException) -> None:
        super().__init__()
        self.stage_ids = stage_ids
        self.error = error

    def listen(self, event: Event) -> None:
        super().listen(event)
        if isinstance(event, StagesDone) and self.stage_ids & {*event.committed}:
            raise self.error


def stopped(job: JobSpec, error: BaseException) -> tuple[InMemorySink, Plan]:
    """A run that ends when its end-to-end students are committed, before its teachers' students."""
    plan = prepare(job, open_corpus(open_storage(job.corpus.uri)), None).plan
    teachers = {stage.id for stage in plan.stages if stage.role == "teacher"}
    sink = InMemorySink()
    with pytest.raises(type(error), match=str(error)):
        submitted(job, sink, Stopper(teachers, error))
    return sink, plan


def test_a_run_that_is_stopped_is_killed_and_keeps_what_it_finished(job: JobSpec) -> None:
    job = quick(job, "majority", "all_modalities", "lupi")
    sink, plan = stopped(job, KeyboardInterrupt("Ctrl-C"))
    _, trials, last = parts(sink)
    assert last.status == "KILLED"
    arms = {trial.id: trial.arm for trial in plan.trials}
    assert {arms[trial.trial_id] for trial in trials} == {"majority", "all_modalities"}
    assert len(trials) == 4
    assert not (run_folder(job) / "report.md").exists()
    listener = Listener()
    report = submitted(job, view=listener)
    assert report.complete
    trained = {s for e in listener.events if isinstance(e, StagesDone) for s in e.committed}
    assert trained == {stage.id for stage in plan.stages if stage.role == "student"}
    assert [result.trial.id for result in listener.results[:4]] == [
        trial.id for trial in plan.trials if trial.arm != "lupi"
    ]


def test_a_run_that_breaks_is_failed_not_killed(job: JobSpec) -> None:
    sink, _ = stopped(quick(job, "majority", "lupi"), ZeroDivisionError("bug"))
    assert parts(sink)[2].status == "FAILED"


def test_a_failed_trial_fails_the_run_and_the_others_count(job: JobSpec) -> None:
    sink = InMemorySink()
    report = submitted(diverging(quick(job, "majority", "pricon")), sink)
    _, trials, last = parts(sink)
    assert last.status == "FAILED"
    assert last.metrics == {"trials_finished": 2}
    by_status = {trial.trial_id: trial.status for trial in trials}
    assert [*by_status.values()].count("FAILED") == len(report.unfinished) == 2
    failed = next(trial for trial in trials if trial.status == "FAILED")
    assert failed.tags["pricon.error"].startswith("teacher of fps arousal fold ")
    assert failed.points == ()
    assert "INCOMPLETE" in (run_folder(job) / "report.md").read_text(encoding="utf-8")


def test_every_trial_has_its_part_of_what_a_run_took_those_that_failed_as_well(
    job: JobSpec, tmp_path: Path
) -> None:
    job = diverging(quick(job, "majority", "pricon"))
    plan = prepare(job, open_corpus(open_storage(job.corpus.uri)), None).plan
    paid = [trial for trial in plan.trials if trial.arm == "pricon"]
    meter = Meter(open_storage(str(tmp_path / "used")), "s1.0", None)
    lane = [Sharer.of(trial, plan.cells[trial.cell]) for trial in paid]
    meter.add(NodesHeld(nodes=2, gpus=8.0, seconds=3600.0), [lane])
    sink = InMemorySink()
    submitted(job, sink, meter=meter)
    _, trials, last = parts(sink)
    hours = {
        trial.trial_id: {p.key: p.value for p in trial.points if p.key.endswith("_hours")}
        for trial in trials
    }
    assert {trial.status for trial in trials if hours[trial.trial_id]} == {"FAILED"}
    each = {"pod_hours": 2 / len(paid), "gpu_hours": 8 / len(paid)}
    assert hours == {trial.id: each if trial.arm == "pricon" else {} for trial in plan.trials}
    assert last.metrics == {"trials_finished": 2, "pod_hours": 2.0, "gpu_hours": 8.0}


def test_nothing_is_written_for_a_job_that_cannot_run(job: JobSpec) -> None:
    margin = job.model_copy(update={"label": job.label.model_copy(update={"margin": 5.0})})
    with pytest.raises(PlanError, match=r"fold 0 .* has no train window"):
        submitted(margin)
    with pytest.raises(PlanError, match="there is no fold 7"):
        rehearse(job, only_folds=(7,))
    assert not Path(job.output).exists()


def test_preparing_writes_nothing(job: JobSpec) -> None:
    prepared = prepare(job, open_corpus(open_storage(job.corpus.uri)), None)
    assert len(prepared.plan.trials) == 10
    assert [check.name for check in prepared.checks] == [
        "participants", "recordings", "teachers", "students",
    ]  # fmt: skip
    assert [balance.cell for balance in prepared.balances] == [*prepared.plan.cells]
    assert not Path(job.output).exists()


class Closed(InMemorySink):
    """Where nothing can be recorded."""

    def check(self, job_name: str) -> None:
        raise LaunchError(f"no server for {job_name}")


def test_nothing_starts_where_nothing_can_be_recorded(job: JobSpec) -> None:
    sink, view = Closed(), Listener()
    with pytest.raises(LaunchError, match="no server for tiny"):
        submitted(job, sink, view)
    assert not sink.records
    assert not view.events
    assert not Path(job.output).exists()


def test_the_report_says_how_labels_and_features_came_about(job: JobSpec) -> None:
    causal = quick(job, "majority")
    submitted(causal)
    page = (run_folder(job) / "report.md").read_text(encoding="utf-8")
    assert "label: threshold session_mean, margin 0.05" in page
    assert "made with: git_commit" in page
    assert "windows: 3 s every 3 s, input 1 s ahead; frames: 1, each the mean of its ticks" in page
    assert "encoders: teacher mean, width 96, depth 1, student mean, width 96, depth 1" in page
    assert "optimiser: adam, weight decay 0" in page
    assert "looks into the future" not in page
    output = str(Path(job.output).parent / "session")
    update = {"standardise": "session", "output": output}
    looking_ahead = causal.model_copy(update=update)
    submitted(looking_ahead)
    page = (run_folder(looking_ahead) / "report.md").read_text(encoding="utf-8")
    assert "looks into the future" in page


def test_a_written_job_says_every_default(job: JobSpec) -> None:
    submitted(quick(job, "majority"))
    text = (run_folder(job) / "job.yaml").read_text(encoding="utf-8")
    assert parse_job(text, "job.yaml").student == job.student
    for key in ("temperature:", "validation_minimum:", "batch_size:", "checkpoint_interval_s:"):
        assert key in text


def test_headline_numbers_have_names_that_mlflow_takes() -> None:
    arms: dict[Arm, Wrong] = {"majority": always(5), "e2e": always(3), "pricon": always(2)}
    grid = Grid(arms=arms, stimuli=("fps+solid", "tiny"), available=("frames+sound",))
    report = summarise(*make_run(grid))
    headline = _headline(report)
    assert headline["accuracy.fps-solid.arousal.frames-sound.pricon"] == pytest.approx(0.8)
    assert headline[
        "accuracy.macro average over stimuli.arousal.frames-sound.e2e"
    ] == pytest.approx(0.7)
    assert len(headline) == 1 + 3 * 3
    assert all(re.fullmatch(r"[\w\-. :/]+", name) for name in headline)
    some = summarise(*make_run(replace(grid, asked=(0,))))
    assert [*_headline(some)] == ["trials_finished"], "no headline of half a job"


def test_headline_and_trials_of_a_regression_run_are_about_ccc() -> None:
    report = summarise(*make_value_run(Grid(arms={"e2e": always(4)})))
    headline = _headline(report)
    assert headline["ccc.heist.arousal.audio.e2e"] == report.blocks[0].arms[0].primary.value
    assert not any("accuracy" in name for name in headline)
    assert {*_metrics(report.trials[0].result)} == {"num_windows", *report.yardstick.metrics}
