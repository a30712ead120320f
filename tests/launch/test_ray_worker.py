"""Which errors of a worker are worth another attempt, what is said of them, and of none at all."""

import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pricon.errors import CorpusError, StorageError
from pricon.launch.events import EpochDone, Event, LaneDone, LaneRestarted, WorkerHung
from pricon.launch.ray_worker import _may_pass, _said, collective_timeout_s
from pricon.spec.job import JobSpec
from pricon.spec.training import StageSpec
from pricon.train.ranks import Ranks
from tests.launch.real_ray import IN_REAL_RAY, assert_same_predictions, with_resources
from tests.launch.rehearsal import Listener, rehearse
from tests.launch.train_workers import train_workers

pytestmark = IN_REAL_RAY


@pytest.mark.parametrize(
    ("error", "alone", "among_others"),
    [
        (StorageError("away"), True, True),
        (CorpusError("damaged"), False, False),
        (ConnectionResetError("peer"), True, True),
        (RuntimeError("Connection closed by peer"), False, True),
        (KeyError("width"), False, False),
        (MemoryError(), False, False),
    ],
)
def test_only_what_may_pass_is_tried_again(
    error: Exception, alone: bool, among_others: bool
) -> None:
    assert _may_pass(error, Ranks()) is alone
    assert _may_pass(error, Ranks(0, 2)) is among_others


def test_a_bug_is_told_with_its_kind() -> None:
    assert _said(KeyError("width")) == "KeyError: 'width'"
    assert _said(CorpusError("damaged", "build it again")) == "damaged\n\nhint: build it again"


@pytest.mark.parametrize(
    ("hung_after_s", "timeout_s"),
    [(1800.0, 2700), (1801.0, 2702), (3.0, 600), (None, 20 * 86400), (1e9, 20 * 86400)],
)
def test_ranks_wait_for_each_other_longer_than_a_hang_takes(
    hung_after_s: float | None, timeout_s: int
) -> None:
    assert collective_timeout_s(hung_after_s) == timeout_s


ENDED = """
from pricon.launch.ray_worker import _end
from pricon.train.ranks import Ranks
try:
    _end(None, Ranks(), None, "`read`")
finally:
    print("goes on")
"""


def test_a_worker_that_hangs_is_ended_even_if_nobody_can_be_told() -> None:
    done = subprocess.run([sys.executable, "-c", ENDED], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"most recent call first" in done.stderr, "where all its threads were"


class Stalling(Listener):
    """From its first lane on, a file of the corpus never answers, until somebody has noticed."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.file = file
        self.kept = file.with_suffix(".kept")

    def __enter__(self) -> "Stalling":
        self.file.rename(self.kept)
        os.mkfifo(self.file)  # who opens it waits for a writer
        return self

    def listen(self, event: Event) -> None:
        super().listen(event)
        if isinstance(event, WorkerHung) and self.kept.exists():
            self.kept.replace(self.file)


@pytest.fixture
def own_corpus(job: JobSpec, tmp_path: Path) -> JobSpec:
    """The job on a copy of its corpus."""
    corpus = shutil.copytree(job.corpus.uri, tmp_path / "corpus")
    update = {"corpus": job.corpus.model_copy(update={"uri": str(corpus)})}
    return job.model_copy(update=update)


def first_shard(job: JobSpec) -> Path:
    return min(Path(job.corpus.uri).glob("**/*.parquet"))


WORDS = (
    r"worker 0 got no further for 6 s, in `gather` \(pricon/corpus/gather\.py:\d+\), "
    r"`read_range` \(pricon/stores/folder\.py:\d+\)"
)


@pytest.mark.ray
def test_a_lane_whose_worker_hangs_goes_on(own_corpus: JobSpec) -> None:
    alone = with_resources(own_corpus, "inprocess", "alone")
    rehearse(alone)
    lane = with_resources(own_corpus, "local", "lane", hung_after_s=6)
    disk = Stalling(first_shard(lane))
    report = rehearse(lane, disk)
    hung, begun_again, *_, done = told_of(disk)
    assert isinstance(hung, WorkerHung)
    assert re.fullmatch(WORDS, hung.words), hung.words
    assert begun_again == LaneRestarted(lane=0)
    assert done == LaneDone(lane=0)
    assert report.complete
    assert_same_predictions(alone, lane)


@pytest.mark.ray
def test_a_lane_that_hangs_more_often_than_allowed_ends_with_the_place(
    own_corpus: JobSpec, capfd: pytest.CaptureFixture[str]
) -> None:
    lane = with_resources(own_corpus, "local", "lane", hung_after_s=6, max_failures=0)
    disk = Stalling(first_shard(lane))
    report = rehearse(lane, disk)
    (done,) = (event for event in disk.events if isinstance(event, LaneDone))
    assert re.fullmatch(f"its workers hung: {WORDS}", str(done.error)), done.error
    assert done.lost, "another try may help"
    assert not report.complete
    out, err = capfd.readouterr()
    assert "most recent call first" not in out + err, "stacks are for the worker's own log"


class Freezing(Listener):
    """Stops one of two workers in the middle of the first pack that trains."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen: int | None = None

    def listen(self, event: Event) -> None:
        super().listen(event)
        if isinstance(event, EpochDone) and self.frozen is None:
            self.frozen = max(train_workers())
            os.kill(self.frozen, signal.SIGSTOP)


@pytest.mark.ray
def test_a_rank_that_waits_for_one_that_is_frozen_is_noticed_as_well(job: JobSpec) -> None:
    """It trains for long enough not to be done when it is to be frozen."""
    long = StageSpec(learning_rate=0.01, epochs=300, patience=300)
    optimisation = job.optimisation.model_copy(update={"supervised": long})
    job = job.model_copy(update={"arms": ("majority", "e2e"), "optimisation": optimisation})
    alone = with_resources(job, "inprocess", "alone")
    rehearse(alone)
    ranks = with_resources(
        job, "local", "ranks", workers_per_lane=2, cpus_per_worker=0.5, hung_after_s=6
    )
    freezer = Freezing()
    report = rehearse(ranks, freezer)
    hung, begun_again, *_, done = told_of(freezer)
    assert isinstance(hung, WorkerHung)
    assert begun_again == LaneRestarted(lane=0)
    assert done == LaneDone(lane=0)
    assert report.complete
    assert_same_predictions(alone, ranks)


def told_of(listener: Listener) -> list[Event]:
    """Hangs, and how lanes went on."""
    kinds = WorkerHung | LaneRestarted | LaneDone
    return [event for event in listener.events if isinstance(event, kinds)]
