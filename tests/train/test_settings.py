"""Members of one pack that differ in their settings, and whose windows judge them."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from pricon.errors import TrainingError
from pricon.plan.plan import Stage
from pricon.train.records import StageRecord
from tests.tiny import QUICK, build, tiny_job
from tests.train.test_recipes import Bench
from tests.train.test_stages import trained

SCHEDULE = {
    **QUICK,
    "contrastive": {"learning_rate": 3e-3, "epochs": 12, "patience": 2},
    "supervised": {"learning_rate": 3e-3, "epochs": 25, "patience": 2},
}
ENCODER = {"encoder": {"width": 12}}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    changes: dict[str, Any] = {
        "arms": ["e2e", "lupi", "pricon"],
        "sensitivity": {
            "distillation_weight": [0, 0.25, 1],
            "distillation_temperature": [0.5, 2],
            "contrastive_temperature": [0.1, 0.5],
        },
        "teacher": ENCODER,
        "student": ENCODER,
        "optimisation": SCHEDULE,
    }
    return Bench.of(build(tiny_job(tmp_path_factory.mktemp("tiny"), **changes)))


@pytest.fixture(scope="module")
def encoders(bench: Bench) -> list[StageRecord]:
    """Contrastive teachers of both folds and temperatures, from one pack."""
    return trained(bench.work(bench.stages("teacher", "contrastive")))


@pytest.fixture(scope="module")
def sources(bench: Bench, encoders: list[StageRecord]) -> dict[str, StageRecord]:
    """What students may learn from, by stage."""
    by_id = {record.facts.stage_id: record for record in encoders}
    probes = bench.stages("probe", "cross_entropy")
    found = trained(bench.work(probes, [by_id[stage.source or ""] for stage in probes]))
    found += trained(bench.work(bench.stages("teacher", "cross_entropy")))
    return {record.facts.stage_id: record for record in found}


@pytest.fixture(scope="module")
def students(bench: Bench, sources: dict[str, StageRecord]) -> list[tuple[Stage, StageRecord]]:
    """All students of the grid, from one pack."""
    stages = bench.stages("student", "distillation")
    assert len(stages) == 2 * (1 + 6 + 12)
    taught = [sources.get(stage.source or "") for stage in stages]
    return [*zip(stages, trained(bench.work(stages, taught)), strict=True)]


def same(one: StageRecord, other: StageRecord) -> None:
    assert one.facts.best_epoch == other.facts.best_epoch
    for name in ("training_loss", "validation_loss"):
        assert one.facts.curves[name] == pytest.approx(other.facts.curves[name], abs=1e-5)
    assert one.arrays.keys() == other.arrays.keys()
    for name, array in one.arrays.items():
        assert np.allclose(array, other.arrays[name], rtol=0, atol=1e-5), name


def test_a_teacher_does_not_depend_on_the_other_temperatures(
    bench: Bench, encoders: list[StageRecord]
) -> None:
    stages = bench.stages("teacher", "contrastive")
    assert {stage.setting.contrastive_temperature for stage in stages} == {0.1, 0.5}
    for stage, record in zip(stages, encoders, strict=True):
        (alone,) = trained(bench.work([stage]))
        same(alone, record)
    first, second = (r for s, r in zip(stages, encoders, strict=True) if s.cell == 0)
    assert not np.allclose(first.arrays["parameters"], second.arrays["parameters"], atol=1e-3)


def test_a_student_does_not_depend_on_the_other_settings(
    bench: Bench, sources: dict[str, StageRecord], students: list[tuple[Stage, StageRecord]]
) -> None:
    for stage, record in students:
        (alone,) = trained(bench.work([stage], [sources.get(stage.source or "")]))
        same(alone, record)
    assert len({record.facts.best_epoch for _, record in students}) > 2, "they stop when they like"


def test_every_setting_is_another_student_except_without_weight(
    students: list[tuple[Stage, StageRecord]],
) -> None:
    for cell in (0, 1):
        own = [(stage, record) for stage, record in students if stage.cell == cell]
        (e2e,) = (record for stage, record in own if stage.source is None)
        unheard = [r for stage, r in own if stage.setting.distillation_weight == 0]
        assert len(unheard) == 2 * (1 + 2)
        for record in unheard:
            same(record, e2e)
        heard = [r.arrays["parameters"] for s, r in own if s.setting.distillation_weight]
        heard.append(e2e.arrays["parameters"])
        assert len(heard) == 4 * (1 + 2) + 1
        for position, one in enumerate(heard):
            for other in heard[:position]:
                assert np.abs(one - other).max() > 1e-3


def holds(records: Sequence[StageRecord], bench: Bench) -> None:
    """Nothing of the test split, and every kept window of the validation split."""
    for record in records:
        cell = bench.plan.cells[bench.plan.stage_by_id[record.facts.stage_id].cell]
        assert not [name for name in record.arrays if name.startswith("test")]
        for counted in (record.facts.participants, record.facts.num_windows):
            assert "test" not in counted
        assert {*record.facts.share_high} == {"train", "validation"}
        rows = bench.windows.rows(cell, "validation")
        index = bench.windows.index
        assert np.array_equal(record.arrays["validation_window"], index.window[rows])
        assert {*index.participant[rows]} <= {*cell.split.validation}
        labels = bench.windows.labels(cell)[rows]
        assert np.array_equal(record.arrays["validation_label"], labels)
        said = np.where(labels == 1, *_both(record.arrays["validation_probability_high"]))
        last = -np.log(said).mean()
        assert record.facts.best_epoch is not None
        kept = record.facts.curves["validation_loss"][record.facts.best_epoch]
        assert last == pytest.approx(kept, abs=1e-5), "what early stopping saw"


def _both(high: Any) -> tuple[Any, Any]:
    return high, 1 - high


def test_records_of_a_grid_know_validation_participants_alone(
    bench: Bench,
    sources: dict[str, StageRecord],
    students: list[tuple[Stage, StageRecord]],
) -> None:
    holds([*sources.values(), *(record for _, record in students)], bench)


def test_encoders_are_judged_by_nobody(encoders: list[StageRecord]) -> None:
    for record in encoders:
        assert not [n for n in record.arrays if n.startswith(("test", "validation"))]
        assert {*record.facts.participants} == {"train", "validation"}


def test_who_asks_for_test_windows_of_a_grid_is_refused(bench: Bench) -> None:
    cell = bench.plan.cells[0]
    with pytest.raises(TrainingError, match="leak: test participants of fps arousal fold 0 seed 0"):
        bench.windows.rows(cell, "test")
    with pytest.raises(TrainingError, match="by a job that is judged on validation participants"):
        bench.windows.participants(cell, "test")
    dropped = bench.windows.counts(cell)["dropped"]
    index, labels = bench.windows.index, bench.windows.labels(cell)
    seen = np.isin(index.participant, cell.split.train + cell.split.validation)
    assert dropped == int((seen & (labels == -1)).sum()) < int((labels == -1).sum())
