"""A job with a grid from its corpus to its report: nobody of a test split is looked at."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pricon.corpus.reader import open_corpus
from pricon.errors import TrainingError
from pricon.launch.compare import surfaces_off
from pricon.launch.events import StagesDone
from pricon.launch.preflight import prepare
from pricon.launch.reproduce import reproduce
from pricon.launch.submit import run
from pricon.plan.plan import Plan
from pricon.report.summary import Report
from pricon.spec.job import JobSpec
from pricon.storage import open_storage
from pricon.track.records import FinishRecord, RunRecord, TrialRecord
from pricon.track.tracker import InMemorySink, Tracker
from pricon.train.records import Records
from tests.launch.rehearsal import Listener, rehearse, stage_files
from tests.tiny import build, tiny_job

GRID = {
    "distillation_weight": [0.25, 1],
    "distillation_temperature": [0.5, 2],
    "contrastive_temperature": [0.1, 0.4],
}
NUM_TRIALS = 4 * (1 + 4 + 8)
"""Two folds under two seeds: e2e, lupi, pricon."""


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    """The tiny job with a grid; its folder holds one run of it."""
    folder = tmp_path_factory.mktemp("grid")
    arms = ["e2e", "lupi", "pricon"]
    return build(tiny_job(folder, arms=arms, sensitivity=GRID, seeds=[0, 1]))


@pytest.fixture(scope="module")
def sink() -> InMemorySink:
    return InMemorySink()


@pytest.fixture(scope="module")
def report(asked: JobSpec, sink: InMemorySink) -> Report:
    corpus = open_corpus(open_storage(asked.corpus.uri))
    return run(prepare(asked, corpus, None), corpus, Tracker(sink), Listener())


def folder_of(job: JobSpec, report: Report) -> Path:
    return Path(job.output) / job.name / report.run_id


def plan_of(job: JobSpec, report: Report) -> Plan:
    return Plan.from_json((folder_of(job, report) / "plan.json").read_bytes())


def test_every_point_has_a_number(report: Report) -> None:
    assert report.complete
    assert len(report.trials) == NUM_TRIALS
    assert [(one.arm, len(one.points)) for one in report.surfaces] == [("lupi", 4), ("pricon", 8)]
    for surface in report.surfaces:
        assert surface.choice is not None
        assert surface.choice.gain.value >= 0
        assert all(point.minus_e2e is not None for point in surface.points)
    assert len([s for s in report.verdict if "validation participants: over" in s]) == 2


def test_no_record_holds_anything_of_a_test_split(asked: JobSpec, report: Report) -> None:
    records = Records(open_storage(f"{asked.output}/stages"))
    plan = plan_of(asked, report)
    assert len(plan.stages) == 4 * (1 + 2 + 2 + 1 + 4 + 8)
    for stage in plan.stages:
        record = records.load(stage.id)
        assert record is not None
        assert not [name for name in record.arrays if name.startswith("test")]
        told = record.facts
        assert not {"test"} & {*told.participants, *told.num_windows, *told.share_high}
        assert ("validation_window" in record.arrays) == (stage.objective != "contrastive")


def test_no_prediction_is_about_a_test_participant(asked: JobSpec, report: Report) -> None:
    plan = plan_of(asked, report)
    splits = {(cell.fold, cell.seed): cell.split for cell in plan.cells}
    rows = pq.read_table(folder_of(asked, report) / "predictions.parquet").to_pylist()
    assert {row["trial_id"] for row in rows} == {trial.id for trial in plan.trials}
    for place, split in splits.items():
        seen = {row["participant"] for row in rows if (row["fold"], row["seed"]) == place}
        assert seen == {*split.validation}


def test_files_tell_of_validation_participants_alone(asked: JobSpec, report: Report) -> None:
    folder = folder_of(asked, report)
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    assert results["judged_on"] == "validation"
    for fold in results["folds"]:
        assert fold["num_windows"]["test"] is None
        assert fold["share_high"]["test"] is None
        assert fold["num_windows"]["validation"] > 0
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 1 + 2, "maps of lupi and of pricon under two tau, and no other"
    for name in ("report.md", "report.html", "report.tex"):
        text = (folder / name).read_text(encoding="utf-8")
        assert "judged on validation participants" in text, name


def test_mlflow_finds_trials_by_their_setting(report: Report, sink: InMemorySink) -> None:
    first, *trials, last = sink.records
    assert isinstance(first, RunRecord)
    assert isinstance(last, FinishRecord)
    assert first.tags["pricon.judged_on"] == "validation"
    assert first.params["sensitivity.distillation_weight"] == "0.25, 1.0"
    assert {*last.artifacts} == {
        "report.md", "report.html", "report.tex", "results.json",
        "figures/fps-arousal-frames-lupi-settings.svg",
        "figures/fps-arousal-frames-pricon-tau-0-1.svg",
        "figures/fps-arousal-frames-pricon-tau-0-4.svg",
    }  # fmt: skip
    tau = [
        trial for trial in trials
        if isinstance(trial, TrialRecord)
        and trial.tags.get("pricon.contrastive_temperature") == "0.4"
    ]  # fmt: skip
    assert len(tau) == 4 * 4
    assert {trial.params["arm"] for trial in tau} == {"pricon"}
    assert {trial.tags["pricon.judged_on"] for trial in tau} == {"validation"}


def test_submitted_again_it_runs_nothing(asked: JobSpec, report: Report) -> None:
    listener = Listener()
    assert rehearse(asked, listener).verdict == report.verdict
    assert not listener.events


def test_it_can_be_reproduced(asked: JobSpec, report: Report, tmp_path: Path) -> None:
    recorded = open_storage(str(folder_of(asked, report)))
    found = reproduce(recorded, tmp_path, "inprocess", 1e-3, lambda prepared: Listener())
    assert (found.num_trials, found.num_planned, found.off) == (NUM_TRIALS, NUM_TRIALS, ())


def test_a_gain_that_its_predictions_do_not_give_is_found(
    asked: JobSpec, report: Report, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(folder_of(asked, report), tmp_path / "run"))
    document = json.loads((copy / "results.json").read_text(encoding="utf-8"))
    document["surfaces"][1]["choice"]["gain"]["mean"] = 0.75
    (copy / "results.json").write_text(json.dumps(document), encoding="utf-8")
    recorded = open_storage(str(copy))
    found = reproduce(recorded, tmp_path / "again", "inprocess", 1e-3, lambda prepared: Listener())
    (line,) = found.off
    assert line.startswith("results.json: fps arousal frames pricon has gain 0.75, its predictions")


Tampering = Callable[[dict[str, Any]], None]


@pytest.mark.parametrize(
    ("tamper", "found"),
    [
        (lambda one: one["choice"]["gain"].update(mean=0.5), "has gain 0.5, its predictions"),
        (lambda one: one["choice"].update(sd_chance=0.5), "has sd_chance 0.5, its predictions"),
        (lambda one: one["choice"]["best"].update(distillation_weight=7), "has best {"),
        (lambda one: one["choice"]["by_fold"]["0"].update(distillation_weight=7), "has by_fold {"),
        (lambda one: one["points"][1]["score"].update(mean=2), "has score at a 0.25, T 0.5, tau 0"),
        (lambda one: one["points"][0]["minus_e2e"].update(mean=2), "has difference to e2e at a 0."),
        (lambda one: one.update(choice=None), "has best None, its predictions give {"),
        (lambda one: one.update(arm="lupi_privileged"), "frames lupi_privileged has best {"),
    ],
)
def test_a_surface_that_its_predictions_do_not_give_is_found(
    tamper: Tampering, found: str, asked: JobSpec, report: Report
) -> None:
    text = (folder_of(asked, report) / "results.json").read_text(encoding="utf-8")
    after, before = json.loads(text), json.loads(text)
    assert [*surfaces_off(before, after, 1e-6)] == []
    tamper(before["surfaces"][-1])
    assert found in "\n".join(surfaces_off(before, after, 1e-6))


def test_another_choice_among_close_ones_is_no_difference(asked: JobSpec, report: Report) -> None:
    text = (folder_of(asked, report) / "results.json").read_text(encoding="utf-8")
    after, before = json.loads(text), json.loads(text)
    choice = before["surfaces"][0]["choice"]
    choice["best"], choice["by_fold"] = {}, {}
    choice["gain"]["mean"] += 0.009
    assert [*surfaces_off(before, after, 0.01)] == []
    assert len([*surfaces_off(before, after, 1e-6)]) == 3


def test_an_ordinary_job_takes_over_the_encoders_and_nothing_else(
    asked: JobSpec, report: Report
) -> None:
    before = stage_files(asked)
    listener = Listener()
    ordinary = asked.model_copy(update={"sensitivity": None})
    assert rehearse(ordinary, listener).judged_on == "test"
    done = [i for e in listener.events if isinstance(e, StagesDone) for i in e.committed]
    assert len(done) == 4 * (1 + 1 + 1 + 2), "teacher of lupi, probe, and three students"
    after = stage_files(asked)
    assert {name: after[name] for name in before} == before
    assert len(after) == len(before) + len(done)


def test_a_record_about_somebody_else_is_a_leak(
    asked: JobSpec, report: Report, tmp_path: Path
) -> None:
    """A record whose predictions are about the test split of its fold."""
    job = asked.model_copy(update={"output": str(tmp_path / "runs")})
    rehearse(job)
    plan = plan_of(job, report)
    corpus = open_corpus(open_storage(job.corpus.uri))
    trial = next(trial for trial in plan.trials if trial.arm == "lupi")
    split = plan.cells[trial.cell].split
    records = Records(open_storage(f"{job.output}/stages"))
    record = records.load(trial.stages[-1])
    assert record is not None
    index = corpus.index(plan.cells[trial.cell].stimuli)
    foreign = index.window[index.participant == split.test[0]]
    arrays = dict(record.arrays)
    num = min(len(foreign), len(arrays["validation_window"]))
    for name in ("window", "label", "probability_high"):
        arrays[f"validation_{name}"] = arrays[f"validation_{name}"][:num]
    arrays["validation_window"] = foreign[:num]
    records.commit(record.model_copy(update={"arrays": arrays}))
    with pytest.raises(
        TrainingError,
        match=rf"leak: stage {trial.stages[-1]} .* was tested on {split.test[0]}, who is not in "
        r"its validation split",
    ):
        rehearse(job)


def test_a_regression_job_may_have_a_grid_of_weights_and_of_tau(tmp_path: Path) -> None:
    grid = {"distillation_weight": [0.25, 1], "contrastive_temperature": [0.1, 0.4]}
    arms = ["e2e", "lupi", "pricon"]
    job = build(tiny_job(tmp_path, task="regression", arms=arms, sensitivity=grid))
    report = rehearse(job)
    assert [len(surface.points) for surface in report.surfaces] == [2, 4]
    for row in report.trials:
        assert row.result.affect.keys() == {"train", "validation"}
    page = (folder_of(job, report) / "report.md").read_text(encoding="utf-8")
    assert "CCC (Lin's concordance correlation" in page
    assert "Accuracy" not in page
    assert "scale_by_temperature_squared" not in page, "embeddings have no temperature"
