"""Jobs on a real Ray cluster, through its real Jobs API, with a token."""

import threading
from collections.abc import Iterator

import pytest
from ray.job_submission import JobStatus

from pricon.errors import LaunchError
from pricon.launch.bulletins import EndBulletin, read
from pricon.launch.ray_dashboard import Patience
from pricon.launch.ray_jobs import RayJobs
from pricon.launch.submission import Submission, handle_of
from pricon.spec.job import JobSpec
from tests.launch.rehearsal import stage_files
from tests.launch.tokens import with_token
from tests.raycluster import TOKEN, RayCluster

pytestmark = pytest.mark.ray


@pytest.fixture
def ray_jobs(cluster: RayCluster) -> Iterator[RayJobs]:
    with with_token(TOKEN):
        yield RayJobs(cluster.dashboard)


def test_the_life_of_a_job(job: JobSpec, ray_jobs: RayJobs) -> None:
    asked = job.model_copy(update={"arms": ("majority", "e2e")})
    ray_job, is_new = ray_jobs.submit(asked, Submission())
    assert ray_job.startswith(handle_of(asked))
    assert is_new
    assert ray_jobs.submit(asked, Submission()) == (ray_job, False), (
        "a second submission attaches to the first"
    )
    other: list[str] = []
    reader = threading.Thread(target=lambda: other.extend(ray_jobs.follow(ray_job)))
    reader.start()
    lines = list(ray_jobs.follow(ray_job))
    reader.join(60)
    assert lines == other, "whoever follows reads the same"
    said = [bulletin for line in lines if (bulletin := read(line)) is not None]
    assert said[-1] == EndBulletin(exit_code=0, cause="done")
    assert len({line for line in lines if '"trial"' in line}) == 4
    assert ray_jobs.outcome(ray_job)[0] is JobStatus.SUCCEEDED
    assert ray_jobs.find(handle_of(asked)) is None
    assert len(stage_files(asked)) == 4
    assert list(ray_jobs.follow(ray_job)) == lines, "a log stays after its end"


def test_a_cluster_of_another_version(job: JobSpec, ray_jobs: RayJobs) -> None:
    ray_job, _is_new = ray_jobs.submit(job, Submission(version="9.9.9"))
    said = [bulletin for line in ray_jobs.follow(ray_job) if (bulletin := read(line)) is not None]
    (end,) = said
    assert isinstance(end, EndBulletin)
    assert (end.cause, end.exit_code) == ("version", 3)
    assert "pricon 9.9.9 submitted this run, and the Ray cluster has" in str(end.message)


def test_a_job_that_is_stopped(job: JobSpec, ray_jobs: RayJobs) -> None:
    asked = job.model_copy(update={"seeds": tuple(range(40))})
    submission = Submission()
    ray_job, _is_new = ray_jobs.submit(asked, submission)
    for line in ray_jobs.follow(ray_job):
        if '"plan"' in line:
            ray_jobs.stop(ray_job)
    assert ray_jobs.outcome(ray_job)[0] is JobStatus.STOPPED
    # As if the answer to the first try had been lost: Ray knows the submission already.
    assert ray_jobs.submit(asked, submission)[0] == ray_job


def test_an_address_of_rays_client(cluster: RayCluster) -> None:
    """Twice: a process that has connected may do so again."""
    with with_token(TOKEN):
        addresses = (cluster.client, cluster.client, cluster.dashboard)
        connected = [RayJobs(address) for address in addresses]  # of which Ray makes jobs, too
        jobs = [[details.submission_id for details in one.client.list_jobs()] for one in connected]
    assert jobs[0] == jobs[1] == jobs[2]


def test_nobody_answers() -> None:
    with pytest.raises(LaunchError, match=r"no Ray cluster answers at http://127\.0\.0\.1:9") as e:
        RayJobs("http://127.0.0.1:9", Patience(first_s=0.5))
    assert e.value.exit_code == 3
    assert "8265" in (e.value.hint or "")


@pytest.mark.parametrize("token", [None, "wrong"])
def test_a_token_is_asked_for(token: str | None, cluster: RayCluster) -> None:
    for address in (cluster.dashboard, cluster.client):
        with with_token(token), pytest.raises(LaunchError, match="asks for a token") as e:
            RayJobs(address, Patience(first_s=0.0))
        assert "RAY_AUTH_TOKEN" in (e.value.hint or "")
