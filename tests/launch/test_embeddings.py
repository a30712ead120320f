"""Maps show what the stored networks make of test windows; what is damaged has none."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from pricon.corpus.reader import open_corpus
from pricon.launch.embeddings import embedding_maps
from pricon.plan.trials import plan_trials
from pricon.report.embeddings import EmbeddingMap
from pricon.spec.job import JobSpec
from pricon.storage import open_storage
from pricon.train.records import Records
from tests.launch.rehearsal import rehearse
from tests.tiny import build, tiny_job


def maps_of(job: JobSpec) -> tuple[EmbeddingMap, ...]:
    corpus = open_corpus(open_storage(job.corpus.uri))
    records = Records(open_storage(job.output).child("stages"))
    return embedding_maps(plan_trials(job, corpus.summary), job, corpus, records)


def test_every_kind_of_stage_has_a_map_of_the_first_cell(job: JobSpec) -> None:
    rehearse(job)
    maps = maps_of(job)
    assert [one.title for one in maps] == [
        "all_modalities teacher (frames+telemetry)",
        "pricon teacher (frames+telemetry)",
        "e2e student (frames)",
        "lupi student (frames)",
        "pricon student (frames)",
    ]
    corpus = open_corpus(open_storage(job.corpus.uri))
    cell = plan_trials(job, corpus.summary).cells[0]
    for one in maps:
        assert one.place == "fps, arousal"
        assert {*one.participant.tolist()} == {*cell.split.test}
        assert np.isfinite(one.points).all()
        assert {*one.label.tolist()} == {0, 1}
    same = maps_of(job)
    assert all(np.array_equal(a.points, b.points) for a, b in zip(maps, same, strict=True))


def test_without_results_there_are_no_maps(job: JobSpec) -> None:
    assert maps_of(job) == ()


def test_a_damaged_shard_costs_maps_and_nothing_else(
    job: JobSpec, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    copy = tmp_path / "corpus"
    shutil.copytree(job.corpus.uri, copy)
    elsewhere = job.corpus.model_copy(update={"uri": str(copy)})
    job = job.model_copy(update={"corpus": elsewhere})
    rehearse(job)
    (shard,) = (copy / "shards").iterdir()
    damaged = bytearray(shard.read_bytes())
    damaged[len(damaged) // 2] ^= 1  # in telemetry
    shard.write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        maps = maps_of(job)
    assert len(maps) < 5
    assert "no map of embeddings" in caplog.text


def test_maps_of_a_regression_job_show_affect(tmp_path: Path) -> None:
    job = build(tiny_job(tmp_path, task="regression", arms=["pricon", "all_modalities"]))
    rehearse(job)
    maps = maps_of(job)
    assert len(maps) == 3
    corpus = open_corpus(open_storage(job.corpus.uri))
    affect = corpus.index(("fps",)).affect["arousal"]
    for one in maps:
        assert one.label.dtype == np.float32
        assert np.isin(one.label, affect.astype(np.float32)).all()
        assert len(np.unique(one.label)) > 10


def test_an_embedding_of_one_width_has_no_map_and_costs_no_report(tmp_path: Path) -> None:
    narrow = {"encoder": {"width": 1}}
    job = build(tiny_job(tmp_path, arms=["e2e", "all_modalities"], teacher=narrow, student=narrow))
    assert rehearse(job).complete
    assert maps_of(job) == ()
