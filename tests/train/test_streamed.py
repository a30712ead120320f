"""Streaming gives what memory gives, when memory is read in the order of the stream."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pricon.model.network import Dropout, PackedNetwork
from pricon.spec.job import JobSpec
from pricon.storage import open_storage
from pricon.train.checkpoint import Checkpoints
from pricon.train.examples import Batch, Evaluation, Examples, Part
from pricon.train.loop import fit
from pricon.train.pack import Pack
from pricon.train.ranks import Ranks
from pricon.train.reading import examples_of, open_windows
from pricon.train.recipes import PackWork, recipe_for
from pricon.train.resident import Resident
from pricon.train.streamed import Streamed
from pricon.train.streamed_windows import Pass, StreamedWindows
from tests.tiny import build, tiny_document, tiny_job
from tests.train.problem import CrashError, Crashing
from tests.train.test_recipes import Bench
from tests.train.test_stages import trained

PARTS: tuple[Part, ...] = ("train", "validation")
BUFFER_MB = 0.03
"""152 windows of 129 features in shards of four: about a third of them fit."""


def bench_of(folder: Path, *, is_streaming: bool = True, frames: int = 1, **changes: Any) -> Bench:
    document = tiny_document(folder, arms=["e2e", "lupi", "pricon", "time_only"], **changes)
    windows = {"window_s": 3, "hop_s": 3, "lag_s": 1, "frames": frames}
    document["corpus"] |= {"shard_windows": 4, "windows": windows}
    optimisation = {**document["optimisation"], "batch_size": 32}
    if is_streaming:
        optimisation["streaming"] = {"buffer_mb": BUFFER_MB * frames}
    return Bench.of(build(tiny_job(folder, **document | {"optimisation": optimisation})))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return bench_of(tmp_path_factory.mktemp("tiny"))


def streaming(bench: Bench, work: PackWork) -> PackWork:
    """The same stages, their windows passing by."""
    windows = open_windows(bench.windows.corpus, bench.job, bench.windows.stimuli)
    assert isinstance(windows, StreamedWindows)
    return replace(work, windows=windows)


@dataclass(frozen=True)
class InOrder:
    """Windows in memory, read in the order of a stream."""

    memory: Resident
    streamed: Streamed
    splits: dict[Part, list[NDArray[np.int64]]]

    @property
    def keys(self) -> torch.Tensor:
        return self.memory.keys

    def training(self, live: tuple[int, ...], epoch: int, after: int = 0) -> Iterator[Batch]:
        given = self.streamed.training(live, epoch, after)
        yield from self._batches(live, "train", Pass("train", epoch, after), given)

    def validation(self, live: tuple[int, ...]) -> Iterator[Batch]:
        given = self.streamed.validation(live)
        yield from self._batches(live, "validation", Pass("validation"), given)

    def evaluate(
        self, network: PackedNetwork, rows: Sequence[NDArray[np.int64]], *, embedded: bool = False
    ) -> list[Evaluation]:
        return self.memory.evaluate(network, rows, embedded=embedded)

    def _batches(
        self, live: tuple[int, ...], part: Part, one: Pass, given: Iterator[Batch]
    ) -> Iterator[Batch]:
        """Only rows, and keys of dropout, are taken from the stream."""
        members, known = torch.tensor(live), self.memory.known
        draws = known.draws(live)
        passing = self.streamed.source.passing(one, self.streamed.modalities, False)
        for rows, batch in zip((p.rows[0] for p in passing), given, strict=True):
            valid = np.stack([np.isin(rows, self.splits[part][member]) for member in live])
            every = torch.from_numpy(rows).expand(len(live), -1)
            dropout = batch.dropout
            if dropout is not None:
                windows = self.memory.windows[every[: len(draws.first)]]
                dropout = Dropout(dropout.keys, windows, draws)
            yield Batch(
                members=members,
                inputs=self.memory.inputs.gather(members, draws, every[: len(draws.first)]),
                labels=known.labels_at(members, every, torch.from_numpy(valid)),
                valid=torch.from_numpy(valid),
                first=0,
                teacher=known.taught_at(members, every, torch.from_numpy(valid)),
                dropout=dropout,
                has_windows=tuple(bool(own.any()) for own in valid),
            )


def both(bench: Bench, work: PackWork) -> tuple[InOrder, Streamed]:
    """The two ways to read for a pack."""
    recipe = recipe_for(work)
    memory = examples_of(work, recipe)
    streamed = examples_of(streaming(bench, work), recipe_for(streaming(bench, work)))
    assert isinstance(memory, Resident)
    assert isinstance(streamed, Streamed)
    splits = {part: [recipe.rows(cell, part) for cell in work.cells] for part in PARTS}
    return InOrder(memory, streamed, splits), streamed


def packs(bench: Bench) -> dict[str, PackWork]:
    """One of each kind of stage, sources trained in memory."""
    encoders = trained(bench.work(bench.stages("teacher", "contrastive")))
    task = "squared_error" if bench.job.task == "regression" else "cross_entropy"
    teachers = trained(bench.work(bench.stages("teacher", task)))
    probes = bench.work(bench.stages("probe", task), encoders)
    by_id = {one.facts.stage_id: one for one in [*teachers, *trained(probes)]}
    students = bench.last_stages("e2e", "lupi", "pricon")
    return {
        "contrastive": bench.work(bench.stages("teacher", "contrastive")),
        "supervised": bench.work(bench.stages("teacher", task)),
        "probe": probes,
        "student": bench.work(students, [by_id.get(one.source or "") for one in students]),
        "time_only": bench.work(bench.last_stages("time_only")),
    }


def check_same_batches(found: Iterator[Batch], expected: Iterator[Batch]) -> int:
    num = 0
    for one, other in zip(found, expected, strict=True):
        for name in ("members", "labels", "valid"):
            assert torch.equal(getattr(one, name), getattr(other, name)), name
        assert one.has_windows == other.has_windows
        assert one.inputs.keys() == other.inputs.keys()
        for name, values in one.inputs.items():
            assert torch.allclose(values, other.inputs[name], rtol=1e-4, atol=1e-4), name
        assert (one.teacher is None) == (other.teacher is None)
        if one.teacher is not None and other.teacher is not None:
            assert torch.equal(one.teacher.isnan(), other.teacher.isnan())
            assert torch.equal(one.teacher.nan_to_num(), other.teacher.nan_to_num())
            assert one.dropout is None or torch.isfinite(one.teacher).all()
        if one.dropout is not None and other.dropout is not None:
            assert torch.equal(one.dropout.windows, other.dropout.windows)
        num += 1
    return num


def fitted(work: PackWork, examples: Examples, checkpoints: Checkpoints | None = None) -> Pack:
    recipe = recipe_for(work)
    pack = Pack(recipe.layout, examples.keys, recipe.training, work.job.optimisation, work.ranks)
    none = Checkpoints(None, [stage.id for stage in work.stages], 1e9)
    fit(pack, examples, recipe.objective, checkpoints or none, lambda _: None)
    return pack


def check_same_models(found: Pack, expected: Pack) -> None:
    assert torch.allclose(found.best, expected.best, rtol=0, atol=1e-4)
    for one, other in zip(found.members, expected.members, strict=True):
        assert one.best_epoch == other.best_epoch
        assert one.training == pytest.approx(other.training, abs=1e-4)
        assert one.validation == pytest.approx(other.validation, abs=1e-4)


CASES: dict[str, dict[str, Any]] = {
    "training": {},
    "session": {"standardise": "session"},
    "regression": {"task": "regression"},
    "imitation": {"student": {"distillation": {"imitate": "embedding"}}},
    "sequences": {
        "frames": 4,
        "teacher": {"encoder": {"kind": "gru", "width": 12}},
        "student": {"encoder": {"kind": "transformer", "width": 12}},
    },
}


@pytest.mark.parametrize("case", CASES)
def test_batches_models_and_predictions_are_those_of_memory_in_the_same_order(
    tmp_path: Path, case: str
) -> None:
    bench = bench_of(tmp_path, **CASES[case])
    for kind, work in packs(bench).items():
        memory, streamed = both(bench, work)
        live = tuple(range(len(work.stages)))
        for some in (live, live[1:]):
            pairs = streamed.training(some, epoch=3), memory.training(some, epoch=3)
            assert check_same_batches(*pairs) == 5, kind
            assert check_same_batches(streamed.validation(some), memory.validation(some)) == 5
        found, expected = fitted(work, streamed), fitted(work, memory)
        check_same_models(found, expected)
        network = PackedNetwork(recipe_for(work).layout, expected.best)
        rows = [bench.windows.rows(cell, "test") for cell in work.cells]
        for one, other in zip(
            streamed.evaluate(network, rows, embedded=True),
            memory.evaluate(network, rows, embedded=True),
            strict=True,
        ):
            assert torch.allclose(one.scores, other.scores, rtol=0, atol=1e-4)
            assert one.embeddings is not None
            assert other.embeddings is not None
            assert torch.allclose(one.embeddings, other.embeddings, rtol=0, atol=1e-4)


def test_a_pass_goes_on_after_any_batch(bench: Bench) -> None:
    work = bench.work(bench.stages("teacher", "cross_entropy"))
    _, streamed = both(bench, work)
    whole = list(streamed.training((0, 1), epoch=1))
    for after in (1, 4, 5):
        rest = streamed.training((0, 1), epoch=1, after=after)
        assert check_same_batches(rest, iter(whole[after:])) == 5 - after


def test_going_on_in_the_middle_of_a_pass_gives_the_very_bits(bench: Bench, tmp_path: Path) -> None:
    work = streaming(bench, bench.work(bench.stages("teacher", "cross_entropy")))
    examples = examples_of(work, recipe_for(work))
    storage = open_storage(str(tmp_path))
    often = Checkpoints(storage, [stage.id for stage in work.stages], 0.0)

    with pytest.raises(CrashError):
        fitted(work, Crashing(examples, epoch=1, batch=3), often)
    assert "epoch-000001-000000003.commit.json" in storage.list()
    found, whole = fitted(work, examples, often), fitted(work, examples)
    assert torch.equal(found.best, whole.best)
    assert [m.training for m in found.members] == [m.training for m in whole.members]


@pytest.mark.parametrize("size", [2, 3])
def test_the_shares_of_ranks_make_the_batch_of_one(bench: Bench, size: int) -> None:
    work = bench.work(bench.stages("teacher", "contrastive"))
    _, streamed = both(bench, work)
    shared = [
        list(replace(streamed, ranks=Ranks(i, size)).training((0, 1), 2)) for i in range(size)
    ]
    for whole, *shares in zip(streamed.training((0, 1), 2), *shared, strict=True):
        assert all(torch.equal(one.labels, shares[0].labels) for one in shares)
        assert all(one.num_ranks == size for one in shares)
        for member in (0, 1):
            own = [one.valid[member, one.own] for one in shares]
            for name, values in whole.inputs.items():
                parts = [one.inputs[name][member] for one in shares]
                joined = torch.cat([part[mask] for part, mask in zip(parts, own, strict=True)])
                expected = values[member][whole.valid[member]]
                assert torch.equal(joined.sort(dim=0).values, expected.sort(dim=0).values)


def test_a_member_does_not_depend_on_its_pack(bench: Bench) -> None:
    stages = bench.stages("teacher", "cross_entropy")
    together = trained(streaming(bench, bench.work(stages)))
    for stage, expected in zip(stages, together, strict=True):
        (alone,) = trained(streaming(bench, bench.work([stage])))
        for name, values in alone.arrays.items():
            np.testing.assert_allclose(values, expected.arrays[name], rtol=0, atol=1e-5)


def test_streamed_stages_are_other_stages(tmp_path: Path, bench: Bench) -> None:
    """They see another order; and how much of it is shuffled at once is part of the order."""
    memory = bench_of(tmp_path, is_streaming=False)
    optimisation = bench.job.optimisation.model_dump() | {"streaming": {"buffer_mb": 1}}
    document = bench.job.model_dump() | {"optimisation": optimisation}
    larger = Bench.of(JobSpec.model_validate(document))
    ids = [{stage.id for stage in one.plan.stages} for one in (memory, bench, larger)]
    assert len(set.union(*ids)) == sum(map(len, ids))
