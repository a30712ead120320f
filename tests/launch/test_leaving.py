"""The command that Kubernetes runs in a container of workers before it stops it."""

import os
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest
import torch

from pricon.corpus.reader import open_corpus
from pricon.launch.events import CheckpointKept, EpochDone, Event
from pricon.launch.lanes import Assignment
from pricon.launch.leaving import COMMAND, FOLDER, leaving_folder
from pricon.launch.worker import run_lane
from pricon.plan.trials import plan_trials
from pricon.spec.job import JobSpec
from pricon.storage import open_storage
from pricon.train.notice import GIVEN, Notice
from pricon.train.ranks import Ranks
from tests.gloo import on_ranks
from tests.tiny import QUICK, tiny_document


def give_notice(folder: Path) -> "subprocess.Popen[bytes]":
    environment = {"PATH": os.environ["PATH"], FOLDER: str(folder)}
    return subprocess.Popen(["sh", "-c", COMMAND], env=environment)


def test_it_waits_for_what_trains(tmp_path: Path) -> None:
    notice = Notice(tmp_path / "leaving")
    with notice.awaits(), give_notice(tmp_path / "leaving") as command:
        try:
            while not notice.is_new:
                notice.look()
                time.sleep(0.05)
            time.sleep(0.5)
            assert command.poll() is None
            notice.heed()
            assert command.wait(timeout=5) == 0
        finally:
            command.kill()


def test_it_waits_for_nobody_where_nothing_trains(tmp_path: Path) -> None:
    with subprocess.Popen(["true"]) as dead:
        dead.wait()
    (tmp_path / f"{dead.pid}.busy").touch()
    begun = time.monotonic()
    with give_notice(tmp_path) as command:
        assert command.wait(timeout=10) == 0
    assert time.monotonic() - begun < 5
    assert (tmp_path / GIVEN).exists()


def test_a_full_or_strange_pod_is_stopped_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with give_notice(tmp_path / "file" / "leaving") as command:
        assert command.wait(timeout=10) == 0


def test_processes_outside_of_a_pod_hear_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(FOLDER, raising=False)
    assert leaving_folder() is None
    monkeypatch.setenv(FOLDER, str(tmp_path))
    assert leaving_folder() == tmp_path


class Telling:
    """Hears of a lane in its rank's process; as the second rank, gives its pod notice."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.num_kept = 0
        self.waited: list[bool] = []

    def tell(self, event: Event) -> None:
        if isinstance(event, CheckpointKept):
            self.num_kept += 1
        if isinstance(event, EpochDone):
            time.sleep(0.1)  # a pack that takes some seconds, on any machine
            self.waited.append(any(self.folder.glob("*.busy")))
            if Ranks.current().index == 1:
                (self.folder / GIVEN).touch()


def train_in_two_pods(job: JobSpec, folder: Path) -> tuple[int, list[bool]]:
    """How many checkpoints this rank was told of; after each epoch, whether its pod is busy."""
    ranks = Ranks.current()
    told = Telling(folder / str(ranks.index))
    os.environ[FOLDER] = str(told.folder)
    plan = plan_trials(job, open_corpus(open_storage(job.corpus.uri)).summary)
    run_lane(Assignment.of(job, plan, 0), ranks, torch.device("cpu"), told.tell)
    return told.num_kept, told.waited


@pytest.mark.multiprocess
def test_notice_to_the_pod_of_another_rank_has_the_first_one_save(
    job: JobSpec, tmp_path: Path
) -> None:
    """Rank 0 writes, and its own pod stays."""
    long = {"learning_rate": 1e-3, "epochs": 30, "patience": 30}
    document = tiny_document(tmp_path, arms=["e2e"], optimisation=QUICK | {"supervised": long})
    asked = JobSpec.model_validate({**document, "corpus": job.corpus.model_dump()})
    first, second = on_ranks(partial(train_in_two_pods, asked, tmp_path))
    assert first[0] > 0, "saved long before the interval of a minute"
    assert all(first[1])
    assert second[1][0], "who gives notice waits"
    assert not second[1][-1], "until it is saved"
