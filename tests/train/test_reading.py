"""A pack's examples: whose keys, labels and teachers they have."""

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pricon.model.network import initial_parameters
from pricon.train.reading import _keys, _taught, examples_of
from pricon.train.recipes import PackWork, recipe_for
from pricon.train.records import StageRecord
from pricon.train.resident import Resident
from tests.tiny import build, tiny_job
from tests.train.test_recipes import Bench
from tests.train.test_stages import cell_stages, trained

ARMS = ("e2e", "lupi", "pricon")


def resident(work: PackWork) -> Resident:
    found = examples_of(work, recipe_for(work))
    assert isinstance(found, Resident)
    return found


def labels_of(work: PackWork) -> NDArray[Any]:
    """What each member learns, shape (members, windows)."""
    known = resident(work).known
    labels: NDArray[Any] = known.labels[known.draw_of].numpy()
    return labels


def answers_of(work: PackWork) -> torch.Tensor:
    """What each member's teacher says, shape (members, windows, c)."""
    taught, teacher_of = _taught(work)
    assert taught is not None
    assert teacher_of is not None
    return taught[:, teacher_of].permute(1, 2, 0)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    encoder = {"encoder": {"width": 12}}
    changes: dict[str, Any] = {"seeds": [0, 1], "teacher": encoder, "student": encoder}
    return Bench.of(build(tiny_job(tmp_path_factory.mktemp("tiny"), **changes)))


@pytest.fixture(scope="module")
def teachers(bench: Bench) -> dict[str, StageRecord]:
    """Records of all supervised teachers, by stage."""
    stages = bench.stages("teacher", "cross_entropy")
    return {record.facts.stage_id: record for record in trained(bench.work(stages))}


def test_students_of_all_arms_start_and_shuffle_alike(
    bench: Bench, teachers: dict[str, StageRecord]
) -> None:
    stages = cell_stages(bench, 0)
    sources = [
        None, teachers[stages[1].source or ""],
        bench.record(
            bench.plan.stage_by_id[stages[2].source or ""],
            train_window=np.zeros(1, np.int64) + bench.windows.index.window[0],
            train_logits=np.zeros((1, 2), np.float32),
        ),
    ]  # fmt: skip
    work = bench.work(stages, sources)
    keys = _keys(work)
    assert len({*keys}) == 1
    recipe = recipe_for(work)
    start = initial_parameters(recipe.layout, torch.tensor(keys))
    assert torch.equal(start[0], start[1])
    assert torch.equal(start[0], start[2])
    for batch in examples_of(work, recipe).training((0, 1, 2), epoch=1):
        assert batch.dropout is not None
        assert len(batch.dropout.keys) == len(batch.dropout.windows) == 1
        assert batch.dropout.draws.of.tolist() == [0, 0, 0]
        for member in (1, 2):
            assert torch.equal(batch.inputs["frames"][member], batch.inputs["frames"][0])


def test_folds_seeds_and_kinds_of_stage_have_keys_of_their_own(bench: Bench) -> None:
    assert len(bench.plan.cells) == 4
    packs = [
        bench.last_stages("e2e"),
        bench.stages("teacher", "contrastive"),
        bench.stages("teacher", "cross_entropy"),
        bench.stages("probe", "cross_entropy"),
    ]
    keys = [key for stages in packs for key in _keys(bench.work(stages))]
    assert len({*keys}) == len(keys) == 16


def test_teachers_say_nothing_outside_their_training_split(
    bench: Bench, teachers: dict[str, StageRecord]
) -> None:
    stages = cell_stages(bench, 1)[:2]
    source = teachers[stages[1].source or ""]
    logits = answers_of(bench.work(stages, [None, source]))
    assert not logits[0].any(), "an end-to-end student has no teacher"
    training = np.zeros(len(bench.windows.index), bool)
    training[bench.windows.rows(bench.plan.cells[1], "train")] = True
    assert torch.isnan(logits[1, ~training]).all()
    assert np.array_equal(logits[1, training].numpy(), source.arrays["train_logits"])
    assert _taught(bench.work(bench.last_stages("e2e"))) == (None, None)
