"""Streaming gives what memory gives, when memory is read in the orders of the stream."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from pricon.model.network import PackedNetwork
from pricon.spec.job import JobSpec
from pricon.storage import open_storage
from pricon.train.checkpoint import Checkpoints
from pricon.train.examples import PADDING, Batch, Examples, Part
from pricon.train.loop import fit
from pricon.train.pack import Pack
from pricon.train.ranks import Ranks
from pricon.train.reading import examples_of, open_windows
from pricon.train.recipes import PackWork, recipe_for
from pricon.train.resident import Resident, padded
from pricon.train.streamed import Streamed
from pricon.train.streamed_windows import StreamedWindows
from tests.gloo import on_ranks
from tests.tiny import build, tiny_document, tiny_job
from tests.train.problem import CrashError, Crashing
from tests.train.test_recipes import Bench
from tests.train.test_stages import trained

PARTS: tuple[Part, ...] = ("train", "validation")
BUFFER_MB = 0.03
"""Of 152 windows of 129 features in shards of four a third fit, those that are being read included:
sixteen are there in a turn, one batch."""


def bench_of(
    folder: Path,
    *,
    is_streaming: bool = True,
    frames: int = 1,
    buffer_mb: float = BUFFER_MB,
    **changes: Any,
) -> Bench:
    document = tiny_document(folder, arms=["e2e", "lupi", "pricon", "time_only"], **changes)
    windows = {"window_s": 3, "hop_s": 3, "lag_s": 1, "frames": frames}
    document["corpus"] |= {"shard_windows": 4, "windows": windows}
    optimisation = {**document["optimisation"], "batch_size": 16}
    if is_streaming:
        optimisation["streaming"] = {"buffer_mb": buffer_mb * frames}
    return Bench.of(build(tiny_job(folder, **document | {"optimisation": optimisation})))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    return bench_of(tmp_path_factory.mktemp("tiny"))


def streaming(bench: Bench, work: PackWork) -> PackWork:
    """The same stages, their windows passing by."""
    windows = open_windows(bench.windows.corpus, bench.job, bench.windows.stimuli)
    assert isinstance(windows, StreamedWindows)
    return replace(work, windows=windows)


@dataclass(frozen=True, kw_only=True)
class InOrder(Resident):
    """Windows in memory, each member's in the order in which they are dealt to it."""

    streamed: Streamed

    def _order(self, members: torch.Tensor, part: Part, epoch: int) -> torch.Tensor:
        live = tuple(members.tolist())
        orders = self.streamed.dealer(live, part, epoch).orders()
        for member, order in zip(live, orders, strict=True):
            rows = self.rows[part][member]
            assert sorted(order) == rows[rows != PADDING].tolist(), "each window once, no other"
        return padded(orders, PADDING)


def both(bench: Bench, work: PackWork) -> tuple[InOrder, Streamed]:
    """The two ways to read for a pack."""
    recipe = recipe_for(work)
    memory = examples_of(work, recipe)
    streamed = examples_of(streaming(bench, work), recipe_for(streaming(bench, work)))
    assert isinstance(memory, Resident)
    assert isinstance(streamed, Streamed)
    same = {field.name: getattr(memory, field.name) for field in fields(memory)}
    return InOrder(**same, streamed=streamed), streamed


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


def by_member(batches: Iterable[Batch]) -> list[list[dict[str, torch.Tensor]]]:
    """What each live member gets, batch by batch, padding and other members' batches left out."""
    members: list[list[dict[str, torch.Tensor]]] = []
    for batch in batches:
        members = members or [[] for _ in batch.valid]
        for member, valid in enumerate(batch.valid):
            assert batch.has_windows[member] == bool(valid.any())
            if not valid.any():
                continue
            own = valid[batch.own]
            got = {"labels": batch.labels[member][valid]}
            got |= {name: values[member][own] for name, values in batch.inputs.items()}
            if batch.teacher is not None:
                got["teacher"] = batch.teacher[member][own]
            if batch.dropout is not None:
                draw = int(batch.dropout.draws.of[member])
                got["windows"] = batch.dropout.windows[draw][own]
            for values in batch.inputs.values():
                assert torch.isfinite(values).all()
            members[member].append(got)
    return members


def check_same(found: Iterable[Batch], expected: Iterable[Batch]) -> int:
    """The number of batches of the first member, if there is any."""
    ours, theirs = by_member(found), by_member(expected)
    for one, other in zip(ours, theirs, strict=True):
        for got, wanted in zip(one, other, strict=True):
            assert got.keys() == wanted.keys()
            for name, values in got.items():
                assert torch.allclose(
                    values.double(), wanted[name].double(), rtol=1e-4, atol=1e-4, equal_nan=True
                ), name
    return len(ours[0]) if ours else 0


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
            assert check_same(*pairs) >= 2, kind
            assert check_same(streamed.validation(some), memory.validation(some)) >= 1
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


@pytest.fixture(scope="module")
def seeds(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """Four batches are there in a turn."""
    return bench_of(tmp_path_factory.mktemp("seeds"), seeds=[0, 1], buffer_mb=2 * BUFFER_MB)


@pytest.mark.parametrize("size", [1, 2])
def test_seeds_and_folds_have_batches_of_their_own(seeds: Bench, size: int) -> None:
    """Also where they train on the same windows; and each always the same, whoever computes it."""
    work = seeds.work(seeds.stages("teacher", "cross_entropy"))
    _, streamed = both(seeds, work)
    live = tuple(range(len(work.stages)))
    assert len({(cell.fold, cell.seed) for cell in work.cells}) == len(live) == 4
    everything = np.ones_like(streamed.inside["train"])
    for examples in (streamed, replace(streamed, inside={"train": everything})):
        found = batches_of(replace(examples, ranks=Ranks(0, size)), live, epoch=1)
        assert found == batches_of(examples, live, epoch=1)
        assert found != batches_of(examples, live, epoch=2)
        for member in live:
            (alone,) = batches_of(examples, (member,), epoch=1)
            assert alone == found[member]
        pairs = [
            len({*a} & {*b})
            for one, other in combinations(found, 2)
            for a, b in zip(one, other, strict=False)
        ]
        assert max(pairs) < 14
        assert np.mean(pairs) < 8, "half of a batch"


def batches_of(examples: Streamed, live: tuple[int, ...], epoch: int) -> list[list[list[int]]]:
    """Rows of each batch of each member, rising, as all ranks together have them."""
    deals = list(examples.dealer(live, "train", epoch).deal())
    return [
        [
            sorted(rows[rows >= 0].tolist())
            for rows in (deal.rows[draw] for deal in deals)
            if rows.max() >= 0
        ]
        for draw in range(len(live))
    ]


def test_students_of_all_arms_get_the_same_batches(bench: Bench) -> None:
    """Arms differ in their teachers alone."""
    work = packs(bench)["student"]
    _, streamed = both(bench, work)
    assert len(work.stages) == 3 * len(bench.plan.cells)
    for batch in streamed.training(tuple(range(len(work.stages))), epoch=1):
        of_arms = batch.inputs["frames"].chunk(3)
        assert all(torch.equal(frames, of_arms[0]) for frames in of_arms)


def test_a_pass_goes_on_after_any_batch(bench: Bench) -> None:
    """Also for some of the members alone: others may have finished before the crash."""
    work = bench.work(bench.stages("teacher", "cross_entropy"))
    _, streamed = both(bench, work)
    whole = list(streamed.training((0, 1), epoch=1))
    assert len(whole) > 3
    for batch in whole:
        after = batch.number + 1
        rest = [one for one in whole if one.number >= after]
        found = list(streamed.training((0, 1), epoch=1, after=after))
        assert [one.number for one in found] == [one.number for one in rest]
        check_same(found, rest)
        for member in (0, 1):
            alone = by_member(streamed.training((member,), epoch=1, after=after))
            expected = by_member(rest)[member : member + 1]
            assert [len(batches) for batches in alone] == [len(own) for own in expected if own]
            for got, wanted in zip(*alone, *expected, strict=True) if alone else ():
                assert torch.equal(got["windows"], wanted["windows"])


def test_going_on_in_the_middle_of_a_pass_gives_the_very_bits(bench: Bench, tmp_path: Path) -> None:
    work = streaming(bench, bench.work(bench.stages("teacher", "cross_entropy")))
    examples = examples_of(work, recipe_for(work))
    storage = open_storage(str(tmp_path))
    often = Checkpoints(storage, [stage.id for stage in work.stages], 0.0)
    numbers = [batch.number for batch in examples.training((0, 1), epoch=1)]
    with pytest.raises(CrashError):
        fitted(work, Crashing(examples, epoch=1, batch=numbers[2]), often)
    assert not max(storage.list()).endswith("-000000000.pt"), "between epochs"
    found, whole = fitted(work, examples, often), fitted(work, examples)
    assert torch.equal(found.best, whole.best)
    assert [m.training for m in found.members] == [m.training for m in whole.members]


@pytest.mark.parametrize("size", [2, 3])
def test_the_shares_of_ranks_make_the_batch_of_one(bench: Bench, size: int) -> None:
    work = packs(bench)["student"]
    _, streamed = both(bench, work)
    live = tuple(range(len(work.stages)))
    shared = [list(replace(streamed, ranks=Ranks(i, size)).training(live, 2)) for i in range(size)]
    for whole, *shares in zip(streamed.training(live, 2), *shared, strict=True):
        (expected, *_), parts = by_member([whole]), [by_member([one]) for one in shares]
        assert all(one.num_ranks == size for one in shares)
        assert all(torch.equal(one.labels, shares[0].labels) for one in shares)
        assert all(one.has_windows == whole.has_windows for one in shares)
        for name in expected[0].keys() - {"labels"} if expected else ():
            joined = torch.cat([part[0][0][name] for part in parts])
            order = torch.cat([part[0][0]["windows"] for part in parts]).argsort()
            wanted = expected[0][name][expected[0]["windows"].argsort()]
            assert torch.equal(joined[order], wanted), name


def two_ranks_train(folder: Path) -> dict[str, Any]:
    """What one of two ranks trains of streamed teachers of both kinds."""
    bench = bench_of(folder)
    kinds = ("contrastive", "cross_entropy")
    return {kind: [*best_of(bench, kind, Ranks.current())] for kind in kinds}


def best_of(bench: Bench, kind: str, ranks: Ranks) -> torch.Tensor:
    work = streaming(bench, bench.work(bench.stages("teacher", kind)))
    work = replace(work, ranks=ranks)
    return fitted(work, examples_of(work, recipe_for(work))).best


@pytest.mark.multiprocess
def test_two_ranks_train_what_one_trains(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    for found in on_ranks(partial(two_ranks_train, tmp_path)):
        for kind, best in found.items():
            alone = best_of(bench, kind, Ranks())
            assert torch.allclose(torch.stack(best), alone, rtol=0, atol=1e-4), kind


def test_people_of_other_splits_cannot_move_a_model(tmp_path: Path) -> None:
    """Their features may be the largest number that there is: nothing of them gets in."""
    bench = bench_of(tmp_path, incomplete_features="drop")
    stages = bench.stages("teacher", "contrastive")[:1]
    work = streaming(bench, bench.work(stages))
    (expected,) = trained(work)
    held_out = [*work.cells[0].split.test]

    class Spoiled(StreamedWindows):
        def _raw(self, kind: Any, features: Any, rows: NDArray[np.int64]) -> NDArray[np.float32]:
            raw = super()._raw(kind, features, rows).copy()
            raw[np.isin(self.index.participant[rows], held_out)] = np.finfo(np.float32).max
            return raw

    streaming_spec = bench.job.optimisation.streaming
    assert streaming_spec is not None
    spoiled = Spoiled(bench.windows.corpus, bench.job, streaming_spec, bench.windows.stimuli)
    (found,) = trained(replace(work, windows=spoiled))
    for name, values in expected.arrays.items():
        assert np.array_equal(values, found.arrays[name]), name


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
