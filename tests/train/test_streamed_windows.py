"""What is fitted while a corpus passes by is what is fitted on it in memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pricon.corpus.reader import Corpus
from pricon.heartbeat import beats
from pricon.plan.plan import POSITION
from pricon.train.streamed_windows import Pass, StreamedWindows
from tests.corpus.recording import RecordingStorage
from tests.train.test_recipes import Bench
from tests.train.test_streamed import bench_of

BOTH = ("frames", "telemetry")


def streamed(bench: Bench, corpus: Corpus | None = None) -> StreamedWindows:
    streaming = bench.job.optimisation.streaming
    assert streaming is not None
    return StreamedWindows(
        corpus or bench.windows.corpus, bench.job, streaming, bench.windows.stimuli
    )


@pytest.mark.parametrize("as_sequence", [False, True])
@pytest.mark.parametrize(
    "changes",
    [
        {"frames": 4},
        {"frames": 4, "standardise": "session"},
        {"incomplete_features": "impute"},
        {"task": "regression"},
    ],
    ids="+".join,
)
def test_standardisers_are_those_of_memory(
    tmp_path: Path, changes: dict[str, Any], as_sequence: bool
) -> None:
    bench = bench_of(tmp_path, **changes)
    windows = streamed(bench)
    before, batches = beats(), len(bench.windows.index) / bench.job.optimisation.batch_size
    windows.fit(bench.plan.cells, (*BOTH, POSITION), as_sequence)
    assert beats() - before > batches > 2
    for cell in bench.plan.cells:
        for name in (*BOTH, POSITION):
            found = windows.standardiser(cell, name, as_sequence)
            expected = bench.windows.standardiser(cell, name, as_sequence)
            assert found.kept.tolist() == expected.kept.tolist()
            np.testing.assert_allclose(found.mean, expected.mean, rtol=1e-5, atol=1e-6)
            np.testing.assert_allclose(found.scale, expected.scale, rtol=1e-5)
            assert found.kept.any()


@pytest.mark.parametrize(("standardise", "passes"), [("training", 1), ("session", 2)])
def test_all_cells_take_one_pass_and_what_is_fitted_takes_none(
    tmp_path: Path, standardise: str, passes: int
) -> None:
    bench = bench_of(tmp_path, standardise=standardise)
    recording = RecordingStorage(inner=bench.windows.corpus.storage)
    windows = streamed(bench, Corpus(storage=recording, manifest=bench.windows.corpus.manifest))
    recording.ranges.clear()
    windows.fit(bench.plan.cells, BOTH, False)
    shards = bench.windows.corpus.manifest.shards
    starts = [start for _, start, _ in recording.ranges]
    once = len(starts) // passes
    assert once * passes == len(starts)
    assert {path for path, _, _ in recording.ranges} == {shard.path for shard in shards}
    windows.fit(bench.plan.cells, BOTH[:1], False)
    assert len(recording.ranges) == len(starts), "known already"
    windows.fit(bench.plan.cells, BOTH[:1], True)
    assert len(recording.ranges) > len(starts), "frames are not their mean"


def test_rows_name_what_passes_by(tmp_path: Path) -> None:
    bench = bench_of(tmp_path, frames=4)
    windows = streamed(bench)
    for as_sequence in (False, True):
        raw = {name: bench.windows.raw(name, as_sequence) for name in (*BOTH, POSITION)}
        found = list(windows.passing(Pass("evaluation", 3), [*raw], as_sequence))
        assert max(len(one.rows) for one in found) <= bench.job.optimisation.batch_size
        for one in found:
            assert one.features.keys() == raw.keys()
            for name, values in one.features.items():
                np.testing.assert_array_equal(values, raw[name][one.rows])
        rows = np.concatenate([one.rows for one in found])
        assert sorted(rows) == list(range(len(windows.index)))


def test_only_the_people_asked_for_are_read(tmp_path: Path) -> None:
    bench = bench_of(tmp_path)
    windows = streamed(bench)
    people = tuple(bench.plan.cells[0].split.test)
    read = windows.passing(Pass("evaluation", participants=people), ("frames",), False)
    rows = np.concatenate([passing.rows for passing in read])
    assert {*windows.index.participant[rows].tolist()} == {*people}
