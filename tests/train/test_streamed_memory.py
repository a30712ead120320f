"""Training on a corpus ten times the memory that it gets, under a limit of the operating system."""

from pathlib import Path

import pytest

from pricon.corpus.manifest import Manifest, write_manifest
from pricon.corpus.reader import open_corpus
from pricon.spec.corpus import WindowSpec
from pricon.storage import open_storage
from tests.benchmarks.reading_corpus import WIDTHS, build
from tests.limited import limited

NUM_SHARDS, SHARD_WINDOWS, FRAMES = 800, 90, 10
ALLOWED_BYTES = NUM_SHARDS * SHARD_WINDOWS * FRAMES * 4 * sum(WIDTHS.values()) // 10

LIMITED = """
import torch
from pricon.corpus.reader import open_corpus
from pricon.plan.trials import plan_trials
from pricon.spec.job import JobSpec
from pricon.storage import open_storage
from pricon.train.checkpoint import Checkpoints
from pricon.train.memory import keep_freed_memory
from pricon.train.ranks import Ranks
from pricon.train.reading import open_windows
from pricon.train.recipes import PackWork
from pricon.train.stages import train_pack

folder, how, allowed_bytes = sys.argv[1], sys.argv[2], int(sys.argv[3])
torch.set_num_threads(1)
quick = {"learning_rate": 1e-3, "epochs": 1, "patience": 1}
job = JobSpec.model_validate({
    "name": "large",
    "corpus": {"adapter": "again", "source": folder, "uri": folder, "windows": {
        "window_s": 10, "hop_s": 10, "lag_s": 0, "frames": 10}},
    "modalities": {"available": ["video"], "privileged": ["audio", "ecg", "eda"]},
    "arms": ["lupi"], "seeds": [0], "folds": {"count": 2}, "output": folder + "/runs",
    "optimisation": {"contrastive": quick, "probe": quick, "supervised": quick,
        "streaming": {"buffer_mb": 20} if how == "streaming" else None},
})
corpus = open_corpus(open_storage(folder))
plan = plan_trials(job, corpus.summary)
# The first step loads code and starts threads, whose memory is not that of the corpus.
weight = torch.zeros(8, 8, requires_grad=True)
(weight @ weight).sum().backward()
before = allow(allowed_bytes, threads=4)
windows = open_windows(corpus, job, plan.cells[0].stimuli)
records = {}
for role in ("teacher", "student"):
    stages = [stage for stage in plan.stages if stage.role == role]
    work = PackWork(stages=stages, cells=[plan.cells[stage.cell] for stage in stages],
        sources=[records.get(stage.source) for stage in stages], windows=windows, job=job,
        ranks=Ranks(), device=torch.device("cpu"), made_with={})
    for record in train_pack(work, Checkpoints(None, [], 1e9), lambda _: None):
        records[record.facts.stage_id] = record
judged = [len(one.arrays["test_window"]) for one in records.values() if "test_window" in one.arrays]
print(sum(judged), status("VmHWM") - before)
"""


def large(folder: Path) -> Manifest:
    """Eight hundred people in shards of a megabyte that are one file under as many names."""
    storage = open_storage(str(folder))
    windows = WindowSpec(window_s=10, hop_s=10, lag_s=0, frames=FRAMES)
    build(storage, folder / "source", 1, SHARD_WINDOWS * FRAMES, windows)
    content = open_corpus(storage).manifest
    (session,), (shard,) = content.sessions, content.shards
    names = [f"P{number:03}" for number in range(NUM_SHARDS)]
    for name in names:
        (folder / f"shards/{name}").hardlink_to(folder / shard.path)
    many = Manifest(
        **content.model_dump(exclude={"sessions", "shards"}),
        sessions=tuple(
            session.model_copy(update={"id": name, "participant": name}) for name in names
        ),
        shards=tuple(
            shard.model_copy(update={"path": f"shards/{name}", "participants": (name,)})
            for name in names
        ),
    )
    storage.write("manifest.json", write_manifest(many))
    return many


@pytest.mark.multiprocess
def test_trains_teachers_and_students_on_ten_times_the_allowed_memory(tmp_path: Path) -> None:
    many = large(tmp_path)

    streamed = limited(LIMITED, tmp_path, "streaming", ALLOWED_BYTES)
    assert streamed.returncode == 0, streamed.stderr
    num_judged, peak_bytes = map(int, streamed.stdout.split())
    assert num_judged > 1.9 * many.num_windows, "a teacher and a student, on all that have a label"
    assert peak_bytes < ALLOWED_BYTES
    in_memory = limited(LIMITED, tmp_path, "in memory", ALLOWED_BYTES)
    assert in_memory.returncode != 0
    assert "MemoryError" in in_memory.stderr
