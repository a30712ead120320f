"""A driver on a Ray cluster that others started; lanes run on its worker node."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pricon.launch.bulletins import (
    EndBulletin,
    PlanBulletin,
    ProgressBulletin,
    ReportBulletin,
    UsageBulletin,
    read,
)
from pricon.launch.leaving import COMMAND, FOLDER
from pricon.launch.submission import FACTS, Submission
from pricon.spec.dump import dump_job
from pricon.spec.job import JobSpec
from pricon.train.notice import BUSY
from tests.helm.dashboard import asked
from tests.launch.rehearsal import stage_files
from tests.raycluster import RayCluster
from tests.scraping import Scraper, wait_until

SLOW_PACK = """
import sys, threading, time
import ray
from pricon.launch.events import EpochDone, LaneDone, StagesDone
from pricon.launch.gauges import Gauges

ray.init(address="auto", log_to_driver=False)
gauges = Gauges()
epoch = EpochDone(
    lane=77, pack="", role="student", objective="distillation", epoch=5, epochs=9, live=2,
    members=2, validation_loss=0.5,
)
gauges.show(StagesDone(lane=77, failed={"a": "diverged"}))
gauges.show(epoch)
reader = threading.Thread(target=sys.stdin.read, daemon=True)
reader.start()
while True:
    time.sleep(0.2)
    if not reader.is_alive():
        gauges.show(LaneDone(lane=77))
    gauges.repeat()
"""
"""A driver whose only pack takes longer for an epoch than Ray keeps a gauge."""

WITHOUT_LANES = """
import ray
from pricon.launch.joined import joined_ray
from pricon.launch.ray_lanes import RayLanes
from pricon.spec.resources import ResourcesSpec

RayLanes(ResourcesSpec(), joined_ray(grows=False)).run([], print)
print(ray.is_initialized())
"""

PRICON = (sys.executable, "-c", "from pricon.cli.main import main; main()")


@pytest.mark.ray
def test_a_driver_runs_its_lanes_on_the_workers(
    job: JobSpec, cluster: RayCluster, tmp_path: Path
) -> None:
    asked = job.model_copy(
        update={
            "target": "ray",
            "arms": ("majority", "e2e", "lupi"),
            "resources": job.resources.model_copy(update={"workers_within_s": 300}),
        }
    )
    file = tmp_path / "job.yaml"
    file.write_text(dump_job(asked), encoding="utf-8")
    pool = {"price_per_hour": 36.0, "currency": "EUR"}
    (tmp_path / FACTS).write_text(
        Submission(id="s1", handle="tiny-1").facts(pool=pool), encoding="utf-8"
    )
    begun = time.monotonic()
    with Scraper(cluster.metrics) as scraper:
        done = subprocess.run(
            [*PRICON, "drive", str(file), "--submission", "s1"],
            env=dict(cluster.environment),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-3000:]
    said = [bulletin for line in done.stdout.splitlines() if (bulletin := read(line))]
    assert len(said) == len(done.stdout.splitlines()), "nothing but bulletins"
    assert isinstance(said[0], PlanBulletin)
    assert isinstance(said[-2], ReportBulletin)
    assert said[-1] == EndBulletin(exit_code=0, cause="done")
    assert sum(bulletin.pricon == "trial" for bulletin in said) == 6
    assert "accuracy" in said[-2].text
    (used,) = (bulletin for bulletin in said if isinstance(bulletin, UsageBulletin))
    assert 2 < used.pod_hours * 3600 < time.monotonic() - begun, "one node, while lanes ran"
    assert used.gpu_hours == 0.0
    assert used.cells.keys() == {"e2e", "lupi"}, "nothing trains for the others"
    assert 0 < sum(sum(folds.values()) for folds in used.cells.values()) < used.pod_hours
    assert used.cost == pytest.approx(36 * used.pod_hours, abs=0.01)
    assert_training_was_shown(scraper, asked)


def assert_training_was_shown(scraper: Scraper, job: JobSpec) -> None:
    """Prometheus could read of every stage, and how lanes trained."""
    committed = scraper.values("ray_pricon_stages_committed_total")
    assert sum(values[-1] for values in committed.values()) == len(stage_files(job))
    lanes = {dict(labels)["lane"] for labels in committed}
    losses = scraper.values("ray_pricon_validation_loss")
    # Lanes tell of a few epochs a second, so of packs of milliseconds the first one is sure.
    for lane in lanes:
        teacher = {"lane": lane, "stage": "teacher", "objective": "cross_entropy"}
        assert [labels for labels in losses if teacher.items() <= dict(labels).items()]
    assert all(0 < loss < 5 for values in losses.values() for loss in values)
    epochs = scraper.values("ray_pricon_epoch")
    assert {dict(labels)["lane"] for labels in epochs} == lanes
    assert {epoch for values in epochs.values() for epoch in values} <= {1.0, 2.0, 3.0}
    live = scraper.values("ray_pricon_live_members")
    assert [values[-1] for values in live.values()] == [0.0] * len(lanes)
    elsewhere = ("node_gpus", "node_gram", "cluster_", "pricon_stages_failed")
    shown = {f"ray_{name}" for name in asked() if not name.startswith(elsewhere)}
    of_nodes = {name for name in scraper.names if name.startswith("ray_node_")}
    assert shown - {*scraper.seen} - of_nodes == set(), "panels of the dashboard that stay empty"


@pytest.mark.ray
def test_what_is_shown_of_a_slow_pack_stays(cluster: RayCluster, tmp_path: Path) -> None:
    """Ray forgets a gauge that is not set again for two of its intervals, here 2 s."""
    script = tmp_path / "slow.py"
    script.write_text(SLOW_PACK, encoding="utf-8")
    scraper = Scraper(cluster.metrics)
    with subprocess.Popen(
        [sys.executable, str(script)], env=dict(cluster.environment), stdin=subprocess.PIPE
    ) as driver:
        try:
            wait_until(lambda: scraper.now("ray_pricon_epoch", lane="77") == [5.0], "exported")
            for _ in range(20):
                time.sleep(0.3)
                assert scraper.now("ray_pricon_epoch", lane="77") == [5.0]
            assert driver.stdin is not None
            driver.stdin.close()  # the lane has ended
            wait_until(lambda: not scraper.now("ray_pricon_epoch", lane="77"), "forgotten")
            assert scraper.now("ray_pricon_stages_failed_total", lane="77") == [1.0]
            assert driver.poll() is None
        finally:
            driver.kill()


@pytest.mark.ray
def test_a_cluster_of_others_is_left_at_the_end(cluster: RayCluster) -> None:
    """Ray's client crashed a driver between its shutdown and the report."""
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_LANES],
        env=dict(cluster.environment),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stdout) == (0, "True\n"), done.stderr[-2000:]


def that_may_not_fail(job: JobSpec, *, epochs: int, checkpoint_interval_s: float) -> JobSpec:
    """A job of one arm that trains for so many epochs, and whose lanes have no retry."""
    update = {"max_failures": 0, "checkpoint_interval_s": checkpoint_interval_s}
    resources = job.resources.model_copy(update=update)
    update = {"epochs": epochs, "patience": epochs}
    stage = job.optimisation.supervised.model_copy(update=update)
    optimisation = job.optimisation.model_copy(update={"supervised": stage})
    asked = {"arms": ("majority", "e2e"), "resources": resources, "optimisation": optimisation}
    return job.model_copy(update={**asked, "target": "ray"})


@pytest.mark.ray
def test_a_lost_node_costs_no_retry(job: JobSpec, cluster: RayCluster, tmp_path: Path) -> None:
    """A lane that may not fail even once goes on after the node of its worker has gone."""
    asked = that_may_not_fail(job, epochs=2000, checkpoint_interval_s=0.1)
    file = tmp_path / "job.yaml"
    file.write_text(dump_job(asked), encoding="utf-8")
    with subprocess.Popen(
        [*PRICON, "drive", str(file), "--submission", "s1"],
        env=dict(cluster.environment),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        checkpoints = Path(job.output) / "checkpoints"
        while not [*checkpoints.rglob("*.json")]:
            assert driver.poll() is None, "ended before it was disturbed"
            time.sleep(0.1)
        cluster.kill_worker()
        cluster.start_worker()
        assert driver.stdout is not None
        lines = [*driver.stdout]
    assert driver.returncode == 0, "".join(lines[-5:])
    assert read(lines[-1].strip()) == EndBulletin(exit_code=0, cause="done")


@pytest.mark.ray
def test_a_node_that_goes_on_notice_loses_next_to_nothing(
    job: JobSpec, cluster: RayCluster, tmp_path: Path
) -> None:
    """A lane that makes no checkpoints by itself, and may not fail even once, goes on.

    Ray says of such a node that it was to be expected that it went.
    """
    asked = that_may_not_fail(job, epochs=6000, checkpoint_interval_s=3600)
    file = tmp_path / "job.yaml"
    file.write_text(dump_job(asked), encoding="utf-8")
    before, notice = cluster.environment, {FOLDER: str(tmp_path / "leaving")}
    cluster.kill_worker()
    cluster.environment = {**before, **notice, "RAY_GRACEFUL_SHUTDOWN_DRAIN_TIMEOUT_S": "3"}
    cluster.start_worker()
    cluster.environment = before
    with subprocess.Popen(
        [*PRICON, "drive", str(file), "--submission", "s1"],
        env=dict(cluster.environment),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        text=True,
    ) as driver:
        while not [*(tmp_path / "leaving").glob(f"*{BUSY}")]:
            assert driver.poll() is None, "ended before it was disturbed"
            time.sleep(0.1)
        time.sleep(1.0)
        kept = Path(job.output) / "checkpoints"
        assert not [*kept.rglob("*.commit.json")]
        # As Kubernetes stops a pod: first the command, then SIGTERM, which busy workers survive for
        # as long as Ray lets them.
        subprocess.run(["sh", "-c", COMMAND], env=os.environ | notice, check=True, timeout=15)
        (first,) = kept.rglob("*.commit.json")
        assert cluster.worker is not None
        cluster.worker.terminate()
        cluster.worker.wait(timeout=60)
        assert max(kept.rglob("*.commit.json")) > first, "who goes on goes on saving"
        cluster.kill_worker()
        cluster.start_worker()
        assert driver.stdout is not None
        lines = [*driver.stdout]
    assert driver.returncode == 0, "".join(lines[-5:])
    said = [read(line.strip()) for line in lines]
    assert said[-1] == EndBulletin(exit_code=0, cause="done")
    lost = ProgressBulletin(text="lane 0 begins again, from what it saved")
    assert said.count(lost) == 1
    assert None not in said, "Ray's own lines about it"


@pytest.mark.ray
def test_workers_that_find_no_memory_are_tried_again_and_then_told(
    job: JobSpec, cluster: RayCluster, tmp_path: Path
) -> None:
    """Ray kills workers of a node whose memory is taken before the kernel does."""
    resources = job.resources.model_copy(update={"max_failures": 1, "lanes": 1})
    update = {"target": "ray", "arms": ("majority", "e2e"), "resources": resources}
    file = tmp_path / "job.yaml"
    file.write_text(dump_job(job.model_copy(update=update)), encoding="utf-8")
    before = cluster.environment
    cluster.kill_worker()
    scarce = {"RAY_memory_usage_threshold": "0.01", "RAY_memory_monitor_refresh_ms": "100"}
    try:
        cluster.environment = {**before, **scarce}
        cluster.start_worker()
        cluster.environment = before
        done = subprocess.run(
            [*PRICON, "drive", str(file), "--submission", "s1"],
            env=dict(cluster.environment),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )
    finally:
        cluster.environment = before
        if cluster.worker is not None:
            cluster.kill_worker()
        cluster.start_worker()
    said = [read(line) for line in done.stdout.splitlines()]
    end = said[-1]
    assert isinstance(end, EndBulletin), done.stderr[-2000:]
    assert (done.returncode, end.cause) == (3, "infrastructure")
    assert re.search(
        r"lane 0: its workers were killed for want of memory: [\d.]+GB of [\d.]+GB were taken on "
        "their node; fewer `resources.pack_members` take less",
        str(end.message),
    ), end.message
    lost = ProgressBulletin(text="lane 0 begins again, from what it saved")
    assert said.count(lost) == 1, "as often as it may"


@pytest.mark.ray
def test_a_run_for_which_no_worker_comes_ends(
    job: JobSpec, cluster: RayCluster, tmp_path: Path
) -> None:
    """It ends by itself, and says that trying again would take as long."""
    resources = job.resources.model_copy(update={"workers_within_s": 3, "pool": "cpu"})
    update = {"target": "ray", "arms": ("majority",), "resources": resources}
    file = tmp_path / "job.yaml"
    file.write_text(dump_job(job.model_copy(update=update)), encoding="utf-8")
    cluster.kill_worker()
    try:
        done = subprocess.run(
            [*PRICON, "drive", str(file), "--submission", "s1"],
            env=dict(cluster.environment),
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
        )
    finally:
        cluster.start_worker()
    end = read(done.stdout.splitlines()[-1])
    assert isinstance(end, EndBulletin), done.stderr[-2000:]
    assert (done.returncode, end.exit_code, end.cause) == (3, 3, "capacity")
    assert end.message == (
        "no node for workers has come within 3 s\n  expected one large enough for a worker: CPU 1"
    )
    assert "`resources.workers_within_s`" in str(end.hint)


@pytest.mark.ray
def test_a_run_whose_lanes_never_fit_ends(
    job: JobSpec, cluster: RayCluster, tmp_path: Path
) -> None:
    """One worker would, but they start together, and Ray would wait for the others for a day."""
    resources = job.resources.model_copy(
        update={"workers_within_s": 2, "workers_per_lane": 3, "pool": "cpu"}
    )
    file = tmp_path / "job.yaml"
    update = {"target": "ray", "arms": ("majority",), "resources": resources}
    file.write_text(dump_job(job.model_copy(update=update)), encoding="utf-8")
    done = subprocess.run(
        [*PRICON, "drive", str(file), "--submission", "s1"],
        env=dict(cluster.environment),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    end = read(done.stdout.splitlines()[-1])
    assert isinstance(end, EndBulletin), done.stderr[-2000:]
    assert (done.returncode, end.exit_code, end.cause) == (3, 3, "capacity")
    assert end.message == (
        "too few nodes for the workers of a lane have come within 2 s\n"
        "  expected room for 3 at once, each: CPU 1; there is room for 2"
    )


@pytest.mark.ray
def test_no_cluster_to_join(tmp_path: Path, job: JobSpec) -> None:
    asked = job.model_copy(update={"target": "ray", "arms": ("majority",)})
    file = tmp_path / "job.yaml"
    file.write_text(dump_job(asked), encoding="utf-8")
    alone = {"RAY_TMPDIR": str(tmp_path), "RAY_ADDRESS": "auto"}
    # Ray looks through the processes of the machine, where other tests may have one running.
    unseen = ("unshare", "--user", "--map-root-user", "--pid", "--fork", "--mount-proc")
    done = subprocess.run(
        [*unseen, *PRICON, "drive", str(file), "--submission", "s1"],
        env=os.environ | alone,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    end = read(done.stdout.splitlines()[-1])
    assert isinstance(end, EndBulletin)
    assert (end.exit_code, end.cause, done.returncode) == (3, "infrastructure", 3)
    assert "no Ray cluster to be joined from here" in str(end.message)
    assert "`--target local` starts a Ray of its own" in str(end.hint)
