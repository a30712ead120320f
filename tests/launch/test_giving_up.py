"""What a real Ray makes of a driver that fails for good: stopped, not failed."""

from pathlib import Path

import pytest
from ray.job_submission import JobStatus

from pricon.launch.bulletins import EndBulletin, read
from pricon.launch.giving_up import give_up
from pricon.launch.ray_dashboard import Patience
from pricon.launch.ray_jobs import RayJobs
from pricon.launch.submission import Submission
from tests.cli.invoke import write_job
from tests.launch.tokens import with_token
from tests.raycluster import TOKEN, RayCluster
from tests.tiny import tiny_document

pytestmark = pytest.mark.ray


def test_who_gives_up_is_stopped_and_who_does_not_has_failed(
    cluster: RayCluster, tmp_path: Path
) -> None:
    """Both have said the same, and both have exit code 2: the mistake is in the job."""
    wrong = write_job(tmp_path / "job.yaml", tiny_document(tmp_path, folds={"count": 20}))
    found: dict[bool, tuple[JobStatus, str]] = {}
    with with_token(TOKEN):
        jobs = RayJobs(cluster.dashboard)
        for gives_up in (True, False):
            submission = Submission()
            command = submission.command(str(wrong), gives_up=gives_up)
            ray_job = jobs.client.submit_job(entrypoint=command)
            last = [*jobs.follow(ray_job)][-1]
            end = read(last)
            assert isinstance(end, EndBulletin), last
            assert (end.exit_code, end.cause) == (2, "input")
            found[gives_up] = jobs.outcome(ray_job)
            assert jobs.find_entrypoint(submission.id) is None, "it has ended"
    assert found[True][0] is JobStatus.STOPPED
    assert found[False][0] is JobStatus.FAILED
    assert "exit code 2" in found[False][1]


def test_who_is_no_ray_job_fails_as_ever(cluster: RayCluster) -> None:
    with with_token(TOKEN):
        assert not give_up("nobody-has-this", cluster.dashboard)
    assert not give_up("nobody-has-this", "http://127.0.0.1:9", patience=Patience(first_s=0.0))
