"""No leak: what happens to test participants changes nothing that is fitted or trained."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pricon.corpus.index import WindowIndex
from pricon.corpus.reader import Corpus, open_corpus
from pricon.launch.preflight import prepare
from pricon.plan.plan import Plan, Stage
from pricon.spec.job import JobSpec
from pricon.storage import open_storage
from pricon.train.checkpoint import Checkpoints
from pricon.train.ranks import Ranks
from pricon.train.recipes import PackWork
from pricon.train.records import StageRecord
from pricon.train.stages import train_pack
from pricon.train.windows import GroupWindows
from tests.tiny import build, tiny_job


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    return build(tiny_job(tmp_path_factory.mktemp("tiny"), label={"threshold": "training_median"}))


@dataclass(frozen=True)
class Spoiled:
    """A corpus in which some participants' features and affect are garbage."""

    corpus: Corpus
    people: tuple[str, ...]

    @property
    def manifest(self) -> Any:
        return self.corpus.manifest

    def index(self, stimuli: tuple[str, ...]) -> WindowIndex:
        index = self.corpus.index(stimuli)
        spoiled = np.isin(index.participant, self.people)
        # Still in both classes, so that there is something to predict; but nothing like before.
        values = np.where(spoiled, 50.0 - 100.0 * index.affect["arousal"], index.affect["arousal"])
        return replace(index, affect={**index.affect, "arousal": values})

    def features(self, modality: str, stimuli: tuple[str, ...]) -> NDArray[np.float32]:
        features = self.corpus.features(modality, stimuli).copy()
        spoiled = np.isin(self.corpus.index(stimuli).participant, self.people)
        features[spoiled] = 1e6
        features[np.flatnonzero(spoiled)[::3]] = np.nan
        return features


def both(job: JobSpec) -> tuple[Plan, GroupWindows, GroupWindows]:
    """Windows of the tiny corpus, whole and with the test participants of cell 0 spoiled."""
    corpus = open_corpus(open_storage(job.corpus.uri))
    plan = prepare(job, corpus, None).plan
    cell = plan.cells[0]
    spoiled: Any = Spoiled(corpus, cell.split.test)
    return plan, GroupWindows(corpus, job, cell.stimuli), GroupWindows(spoiled, job, cell.stimuli)


def test_thresholds_and_standardisers_see_training_participants_only(job: JobSpec) -> None:
    plan, whole, spoiled = both(job)
    cell = plan.cells[0]
    rest = np.isin(whole.index.participant, [*cell.split.train, *cell.split.validation])
    assert np.array_equal(whole.labels(cell)[rest], spoiled.labels(cell)[rest])
    assert not np.array_equal(whole.labels(cell)[~rest], spoiled.labels(cell)[~rest])
    for modality in ("frames", "telemetry"):
        one, other = (windows.standardiser(cell, modality) for windows in (whole, spoiled))
        assert np.array_equal(one.mean, other.mean)
        assert np.array_equal(one.scale, other.scale)
        assert one.kept.any()


def test_another_fold_that_trains_on_them_does_see_them(job: JobSpec) -> None:
    plan, whole, spoiled = both(job)
    other = next(cell for cell in plan.cells if cell.fold != plan.cells[0].fold)
    assert not np.array_equal(
        whole.standardiser(other, "frames").mean, spoiled.standardiser(other, "frames").mean
    )


def train(
    windows: GroupWindows, plan: Plan, job: JobSpec, stage: Stage, source: Any
) -> StageRecord:
    work = PackWork(
        stages=[stage],
        cells=[plan.cells[0]],
        sources=[source],
        windows=windows,
        job=job,
        ranks=Ranks(),
        device=torch.device("cpu"),
        made_with={},
    )
    (result,) = train_pack(work, Checkpoints(None, [stage.id], 1e9), lambda _: None)
    assert isinstance(result, StageRecord)
    return result


def test_training_and_early_stopping_never_see_test_participants(job: JobSpec) -> None:
    """The whole chain teacher -> probe -> student, bit for bit, with and without spoiled people."""
    plan, whole, spoiled = both(job)
    trial = next(t for t in plan.trials if t.arm == "pricon" and t.cell == 0)
    sources: list[StageRecord | None] = [None, None]
    for stage_id in trial.stages:
        stage = plan.stage_by_id[stage_id]
        sources = [
            train(windows, plan, job, stage, source)
            for windows, source in zip((whole, spoiled), sources, strict=True)
        ]
        one, other = sources
        assert one is not None
        assert other is not None
        assert np.array_equal(one.arrays["parameters"], other.arrays["parameters"])
        assert one.facts.curves == other.facts.curves
        assert one.facts.best_epoch == other.facts.best_epoch
    students = [record.arrays["test_label"] for record in sources if record is not None]
    assert not np.array_equal(students[0], students[1])


def test_every_record_names_the_people_it_saw(job: JobSpec) -> None:
    plan, whole, _ = both(job)
    stage = next(s for s in plan.stages if s.objective == "contrastive" and s.cell == 0)
    record = train(whole, plan, job, stage, None)
    split = plan.cells[0].split
    assert record.facts.participants["train"] == split.train
    assert record.facts.participants["validation"] == split.validation


def test_a_teacher_is_asked_about_training_windows_only(job: JobSpec) -> None:
    plan, whole, _ = both(job)
    stage = next(s for s in plan.stages if s.objective == "cross_entropy" and s.cell == 0)
    record = train(whole, plan, job, stage, None)
    people = whole.index.participant[
        np.searchsorted(whole.index.window, record.arrays["train_window"])
    ]
    assert {*map(str, people)} == {*plan.cells[0].split.train}
    assert len(record.arrays["train_logits"]) == record.facts.num_windows["train"]


def test_a_students_inputs_hold_no_privileged_feature(job: JobSpec) -> None:
    plan, whole, _ = both(job)
    trial = next(t for t in plan.trials if t.arm == "e2e" and t.cell == 0)
    record = train(whole, plan, job, plan.stage_by_id[trial.stages[0]], None)
    width = whole.raw("frames").shape[1]
    assert record.facts.modalities == ("frames",)
    assert record.facts.layers[0] == ("encoder.frames.0", width, 96)
    assert {name for name in record.arrays if name.startswith("mean.")} == {"mean.frames"}


def test_shuffled_labels_stay_in_their_split_and_change_hands(job: JobSpec) -> None:
    plan, whole, _ = both(job)
    cell = plan.cells[0]
    labels = whole.labels(cell)
    dealt = whole.shuffled(cell, labels)
    assert np.array_equal(dealt == -1, labels == -1), "what was dropped stays dropped"
    for part in ("train", "validation", "test"):
        rows = whole.rows(cell, part)
        assert np.sort(dealt[rows]).tolist() == np.sort(labels[rows]).tolist()
    rows = whole.rows(cell, "train")
    agree = (dealt[rows] == labels[rows]).mean()
    expected = labels[rows].mean() ** 2 + (1 - labels[rows].mean()) ** 2
    assert agree == pytest.approx(expected, abs=4 * np.sqrt(0.25 / len(rows)))
    assert np.array_equal(dealt, whole.shuffled(cell, labels)), "the same for every stage"
    assert not np.array_equal(dealt, whole.shuffled(replace(cell, seed=9), labels))


def test_the_position_is_the_time_in_the_session(job: JobSpec) -> None:
    _, whole, _ = both(job)
    assert np.array_equal(whole.raw("position")[:, 0], whole.index.t_start_s.astype(np.float32))
