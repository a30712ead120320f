"""What a pack leaves behind, and what it refuses to learn from."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pricon.errors import TrainingError
from pricon.plan.plan import Stage
from pricon.spec.job import JobSpec
from pricon.train.checkpoint import Checkpoints
from pricon.train.pack import Pack
from pricon.train.recipes import PackWork, recipe_for
from pricon.train.records import StageRecord
from pricon.train.stages import count_majority, train_pack
from tests.tiny import build, tiny_job
from tests.train.test_recipes import Bench, embed, linear

ARMS = ("e2e", "lupi", "pricon")


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    encoder = {"encoder": {"width": 12}}
    changes: dict[str, Any] = {"seeds": [0, 1], "teacher": encoder, "student": encoder}
    return Bench.of(build(tiny_job(tmp_path_factory.mktemp("tiny"), **changes)))


def trained(work: PackWork, listen: Callable[[Pack], None] = lambda _: None) -> list[StageRecord]:
    results = train_pack(work, Checkpoints(None, [s.id for s in work.stages], 1e9), listen)
    records = [result for result in results if isinstance(result, StageRecord)]
    assert len(records) == len(work.stages)
    return records


@pytest.fixture(scope="module")
def teachers(bench: Bench) -> dict[str, StageRecord]:
    """Records of all supervised teachers, by stage."""
    stages = bench.stages("teacher", "cross_entropy")
    return {record.facts.stage_id: record for record in trained(bench.work(stages))}


@pytest.mark.parametrize(
    ("role", "objective"), [("teacher", "cross_entropy"), ("teacher", "contrastive")]
)
def test_bf16_moves_results_by_little(role: str, objective: str, bench: Bench) -> None:
    """By less than a tenth of what another fold or seed does; and it does move them."""
    optimisation = bench.job.optimisation.model_copy(update={"precision": "bf16"})
    coarse = replace(bench, job=bench.job.model_copy(update={"optimisation": optimisation}))
    stages = bench.stages(role, objective)
    fine, rough = (
        np.array([record.facts.curves["validation_loss"] for record in trained(one.work(stages))])
        for one in (bench, coarse)
    )
    moved = np.abs(rough - fine).max()
    assert 0 < moved < 0.1 * np.ptp(fine, axis=0).max()


def cell_stages(bench: Bench, cell: int) -> list[Stage]:
    """The three students of one cell, by arm."""
    return [stage for stage in bench.last_stages(*ARMS) if stage.cell == cell]


def test_the_majority_is_counted_among_training_windows(bench: Bench) -> None:
    index, margin = bench.windows.index, bench.job.label.margin
    above = index.affect["arousal"] - index.session_mean["arousal"]
    shares = set()
    for stage in bench.last_stages("majority"):
        cell = bench.plan.cells[stage.cell]
        training = np.isin(index.participant, cell.split.train)
        num_high = int((training & (above > margin)).sum())
        num_low = int((training & (above < -margin)).sum())
        share = num_high / (num_high + num_low)
        record = count_majority(stage, cell, bench.windows, {})
        testing = np.isin(index.participant, cell.split.test) & (np.abs(above) > margin)
        assert record.arrays["test_window"].tolist() == index.window[testing].tolist()
        assert record.arrays["test_label"].tolist() == (above[testing] > 0).astype(int).tolist()
        probability = record.arrays["test_probability_high"]
        assert probability.tolist() == pytest.approx([share] * int(testing.sum()), abs=1e-6)
        assert record.facts.share_high["train"] == pytest.approx(share)
        assert record.facts.num_windows["train"] == num_high + num_low
        assert record.facts.num_windows["test"] == int(testing.sum())
        assert record.facts.best_epoch is None
        shares.add(share)
    assert len(shares) > 1, "every fold has its own"


def foreign(record: StageRecord, part: str, person: str) -> StageRecord:
    people = {**record.facts.participants, part: (*record.facts.participants[part], person)}
    facts = record.facts.model_copy(update={"participants": people})
    return record.model_copy(update={"facts": facts})


@pytest.mark.parametrize("part", ["train", "validation"])
def test_a_teacher_that_saw_a_test_participant_is_refused(
    bench: Bench, teachers: dict[str, StageRecord], part: str
) -> None:
    stage = bench.last_stages("lupi")[0]
    cell = bench.plan.cells[stage.cell]
    assert stage.source is not None
    source = foreign(teachers[stage.source], part, cell.split.test[0])
    heard: list[Pack] = []
    with pytest.raises(
        TrainingError,
        match=rf"leak: teacher {stage.source} of {cell} was trained on participants of another "
        rf"split: {cell.split.test[0]}",
    ) as caught:
        trained(bench.work([stage], [source]), heard.append)
    assert f"remove `stages/{stage.source}.json`" in (caught.value.hint or "")
    assert not heard, "something was trained"


def test_one_leak_stops_the_pack_wherever_it_stands(
    bench: Bench, teachers: dict[str, StageRecord]
) -> None:
    stages = bench.last_stages("lupi")
    sources = [teachers[stage.source or ""] for stage in stages]
    sources[-1] = foreign(sources[-1], "train", bench.plan.cells[stages[-1].cell].split.test[0])
    with pytest.raises(TrainingError, match="leak: teacher"):
        trained(bench.work(stages, sources))


def test_a_source_of_another_stage_is_refused_though_its_people_fit(
    bench: Bench, teachers: dict[str, StageRecord]
) -> None:
    stage = bench.last_stages("pricon")[0]
    supervised = bench.last_stages("lupi")[0].source
    assert supervised is not None
    assert supervised != stage.source
    with pytest.raises(TrainingError, match=f"those of stage {supervised}"):
        trained(bench.work([stage], [teachers[supervised]]))


def test_a_record_is_enough_to_predict_again(
    bench: Bench, teachers: dict[str, StageRecord]
) -> None:
    """Stored standardiser and parameters give the stored predictions, window by window."""
    students = bench.last_stages("lupi")
    sources = [teachers[stage.source or ""] for stage in students]
    records = [*teachers.values(), *trained(bench.work(students, sources))]
    layouts = {
        "teacher": recipe_for(bench.work(bench.stages("teacher", "cross_entropy"))).layout,
        "student": recipe_for(bench.work(students, sources)).layout,
    }
    windows = bench.windows.index.window
    for record in records:
        arrays, facts, layout = record.arrays, record.facts, layouts[record.facts.role]
        inputs = {
            name: np.nan_to_num(
                (bench.windows.raw(name) - arrays[f"mean.{name}"]) * arrays[f"scale.{name}"]
            )
            for name in facts.modalities
        }
        hidden = embed(layout, arrays["parameters"], inputs)
        logits = linear(layout, arrays["parameters"], "head", hidden)
        rows = np.searchsorted(windows, arrays["test_window"])
        high = 1 / (1 + np.exp(logits[rows, 0] - logits[rows, 1]))
        assert np.allclose(high, arrays["test_probability_high"], rtol=0, atol=1e-5)
        assert high.std() > 1e-3
        cell = bench.plan.cells[bench.plan.stage_by_id[facts.stage_id].cell]
        assert np.array_equal(rows, bench.windows.rows(cell, "test"))
        assert np.array_equal(arrays["test_label"], bench.windows.labels(cell)[rows])
        assert facts.participants["test"] == cell.split.test
        assert [(one.name, one.d_in, one.d_out) for one in layout.layers] == [*facts.layers]
        assert ("train_logits" in arrays) == (facts.role == "teacher")
        if facts.role == "teacher":
            rows = np.searchsorted(windows, arrays["train_window"])
            assert np.array_equal(rows, bench.windows.rows(cell, "train"))
            assert np.allclose(logits[rows], arrays["train_logits"], rtol=0, atol=1e-5)


def test_curves_end_where_the_member_stopped(
    bench: Bench, teachers: dict[str, StageRecord]
) -> None:
    for record in teachers.values():
        training, validation = (
            record.facts.curves[name] for name in ("training_loss", "validation_loss")
        )
        best = record.facts.best_epoch
        assert best is not None
        assert len(training) == len(validation) <= bench.job.optimisation.supervised.epochs
        assert validation[best] == min(validation)
        assert record.facts.members == 4


def test_a_contrastive_record_holds_an_encoder_and_no_prediction(bench: Bench) -> None:
    (record,) = trained(bench.work(bench.stages("teacher", "contrastive")[:1]))
    assert {*record.arrays} == {
        "parameters", "mean.frames", "scale.frames", "mean.telemetry", "scale.telemetry",
    }  # fmt: skip
    assert [name for name, _, _ in record.facts.layers][-1] == "fusion"


def test_a_member_that_diverges_names_itself(bench: Bench) -> None:
    schedule = bench.job.optimisation.supervised.model_copy(update={"learning_rate": 1e38})
    optimisation = bench.job.optimisation.model_copy(update={"supervised": schedule})
    job: JobSpec = bench.job.model_copy(update={"optimisation": optimisation})
    bad = Bench(job, bench.plan, bench.windows)
    stages = bench.last_stages("e2e")
    results = train_pack(bad.work(stages), Checkpoints(None, [], 1e9), lambda _: None)
    for stage, result in zip(stages, results, strict=True):
        assert isinstance(result, TrainingError)
        cell = bench.plan.cells[stage.cell]
        assert result.message.startswith(f"student of {cell} failed: validation loss is ")
