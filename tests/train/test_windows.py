"""No leak: what happens to test participants changes nothing that is fitted or trained."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pricon.corpus.index import WindowIndex
from pricon.corpus.reader import Corpus, open_corpus
from pricon.errors import CorpusError
from pricon.heartbeat import beats
from pricon.launch.preflight import prepare
from pricon.plan.plan import Plan, Stage
from pricon.spec.job import JobSpec
from pricon.storage import open_storage
from pricon.train.checkpoint import Checkpoints
from pricon.train.ranks import Ranks
from pricon.train.recipes import PackWork
from pricon.train.records import StageRecord
from pricon.train.stages import train_pack
from pricon.train.windows import GroupWindows, LabelledWindows
from tests.corpus.recording import RecordingStorage
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
        before = beats()
        one, other = (windows.standardiser(cell, modality) for windows in (whole, spoiled))
        assert beats() >= before + 2, "of all cells of a pack, this may take an hour"
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


def as_regression(job: JobSpec) -> JobSpec:
    return JobSpec.model_validate(
        {**job.model_dump(), "task": "regression", "arms": ["pricon"], "student": {}}
    )


def test_regression_uses_every_annotated_window(job: JobSpec) -> None:
    """The margin drops none of them; contrastive stages see what a classification job sees."""
    plan, classes, _ = both(job)
    _, values, _ = both(as_regression(job))
    cell, affect = plan.cells[0], classes.index.affect["arousal"]
    assert classes.counts(cell)["dropped"] > 0
    assert values.counts(cell)["dropped"] == int(np.isnan(affect).sum()) == 0
    assert values.labels(cell).dtype == np.float32
    assert values.labels(cell) == pytest.approx(affect)
    for part in ("train", "validation", "test"):
        everybody = np.isin(values.index.participant, getattr(cell.split, part))
        assert np.array_equal(values.rows(cell, part), np.flatnonzero(everybody))
        assert np.array_equal(values.contrast_rows(cell, part), classes.contrast_rows(cell, part))
        assert np.array_equal(values.contrastive.rows(cell, part), classes.rows(cell, part))
    one, other = (w.standardiser(cell, "frames") for w in (values.contrastive, classes))
    assert np.array_equal(one.mean, other.mean)
    assert not np.array_equal(one.mean, values.standardiser(cell, "frames").mean)
    assert values.contrastive.raw("frames") is values.raw("frames"), "fetched once"
    assert classes.contrastive is classes


def test_a_window_without_annotation_is_dropped_under_regression(job: JobSpec) -> None:
    plan, whole, _ = both(as_regression(job))
    cell = plan.cells[0]
    unknown = whole.rows(cell, "train")[:3]
    affect = whole.index.affect["arousal"].copy()
    affect[unknown] = np.nan
    index = replace(whole.index, affect={**whole.index.affect, "arousal": affect})
    windows = LabelledWindows(index, whole.job)
    assert np.array_equal(windows.rows(cell, "train"), whole.rows(cell, "train")[3:])
    assert windows.counts(cell)["dropped"] == 3
    told = windows.affect(cell)
    assert told["train"][0] == pytest.approx(affect[windows.rows(cell, "train")].mean())
    assert told["train"][1] == pytest.approx(affect[windows.rows(cell, "train")].std())
    assert windows.share_high(cell) == {}
    assert windows.contrastive.affect(cell) == {}


def test_rows_are_those_of_a_splits_people_who_were_recorded(job: JobSpec) -> None:
    """Nobody's name is looked for twice; somebody without a window is in no row."""
    plan, whole, _ = both(as_regression(job))
    missing = plan.cells[0].split.train[0]
    index = whole.index.take(np.flatnonzero(whole.index.participant != missing))
    windows = LabelledWindows(index, whole.job)
    for cell in plan.cells:
        for part in ("train", "validation", "test"):
            inside = np.isin(index.participant, getattr(cell.split, part))
            assert np.array_equal(windows.rows(cell, part), np.flatnonzero(inside))
            assert missing not in windows.participants(cell, part)


@pytest.mark.parametrize("task", ["classification", "regression"])
def test_what_is_forgotten_is_worked_out_again(job: JobSpec, task: str) -> None:
    spec = as_regression(job) if task == "regression" else job
    plan, whole, _ = both(spec)
    windows = LabelledWindows(whole.index, whole.job)
    cell = plan.cells[0]
    before = windows.rows(cell, "train"), windows.contrastive.rows(cell, "train")
    windows.contrast_rows(cell, "test")
    windows.forget()
    for view in (windows, windows.contrastive):
        kept = (view.classes, view.labels, view.contrast, view.rows, view.contrast_rows)
        assert [one.cache_info().currsize for one in kept] == [0] * 5
    after = windows.rows(cell, "train"), windows.contrastive.rows(cell, "train")
    for one, other in zip(before, after, strict=True):
        assert one is not other
        assert np.array_equal(one, other)


def test_values_are_standardised_by_training_windows_alone(job: JobSpec) -> None:
    plan, whole, spoiled = both(as_regression(job))
    cell = plan.cells[0]
    training = whole.index.affect["arousal"][whole.rows(cell, "train")]
    for windows in (whole, spoiled):
        unit = windows.unit(cell)
        assert unit.mean == pytest.approx([training.mean()])
        assert unit.scale == pytest.approx([1 / training.std()])
    told = whole.told(cell)
    assert told[whole.rows(cell, "train")].mean() == pytest.approx(0, abs=1e-5)
    assert told[whole.rows(cell, "train")].std() == pytest.approx(1, abs=1e-5)
    back = told / whole.unit(cell).scale + whole.unit(cell).mean
    assert back == pytest.approx(whole.labels(cell), abs=1e-6)
    assert not np.array_equal(told, spoiled.told(cell)), "test people differ"


def test_regression_never_trains_on_test_participants(job: JobSpec) -> None:
    """The chain teacher -> probe -> student, bit for bit, with and without spoiled people."""
    spec = as_regression(job)
    plan, whole, spoiled = both(spec)
    sources: list[StageRecord | None] = [None, None]
    for stage_id in next(t for t in plan.trials if t.cell == 0).stages:
        stage = plan.stage_by_id[stage_id]
        pairs = zip((whole, spoiled), sources, strict=True)
        sources = [train(windows, plan, spec, stage, source) for windows, source in pairs]
        one, other = sources
        assert one is not None
        assert other is not None
        assert np.array_equal(one.arrays["parameters"], other.arrays["parameters"])
        assert one.facts.curves == other.facts.curves
        if stage.objective != "contrastive":
            for name in ("affect_mean", "affect_scale"):
                assert np.array_equal(one.arrays[name], other.arrays[name])
    told = [record.arrays["test_label"] for record in sources if record is not None]
    assert not np.array_equal(told[0], told[1])


def test_a_window_gets_class_and_value_of_the_same_other_window(job: JobSpec) -> None:
    plan, whole, _ = both(as_regression(job))
    cell = plan.cells[0]
    numbers = np.arange(len(whole.index), dtype=np.float32)
    source = whole.shuffled(cell, numbers).astype(int)
    for part in ("train", "validation", "test"):
        rows = whole.rows(cell, part)
        assert np.array_equal(np.sort(source[rows]), rows), "values stay in their split"
    assert (source != numbers).mean() > 0.9
    classes = whole.classes(cell)
    assert np.array_equal(whole.shuffled(cell, classes), classes[source])
    told = whole.told(cell)
    assert np.array_equal(whole.shuffled(cell, told), told[source])


def test_modalities_that_will_be_asked_for_come_with_the_index(job: JobSpec) -> None:
    recording = RecordingStorage(inner=open_storage(job.corpus.uri))
    corpus = open_corpus(recording)
    stimuli = corpus.manifest.stimuli
    apart = GroupWindows(corpus, job, stimuli)
    expected = {name: apart.raw(name) for name in ("frames", "telemetry")}
    recording.ranges.clear()
    together = GroupWindows(corpus, job, stimuli, ("frames", "telemetry"))
    assert len(recording.ranges) == len(corpus.manifest.shards)
    for name, values in expected.items():
        np.testing.assert_array_equal(together.raw(name), values)
    assert len(recording.ranges) == len(corpus.manifest.shards)


def test_one_damaged_modality_leaves_the_others_usable(job: JobSpec, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(job.corpus.uri, copy)
    storage = open_storage(str(copy))
    corpus = open_corpus(storage)
    shard = corpus.manifest.shards[0]
    data = bytearray(storage.read(shard.path))
    data[shard.columns["frames"].start + 30] ^= 1
    storage.write(shard.path, bytes(data))
    windows = GroupWindows(corpus, job, corpus.manifest.stimuli, ("frames", "telemetry"))
    assert len(windows.raw("telemetry")) == len(windows.index)
    with pytest.raises(CorpusError, match="shard is damaged"):
        windows.raw("frames")
