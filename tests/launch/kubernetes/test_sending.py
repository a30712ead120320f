"""Submitting, from nothing, to a run under way, after an end; and cancelling."""

import time
from dataclasses import replace
from pathlib import Path
from threading import Thread

import pytest

from pricon.errors import LaunchError
from pricon.launch.kubernetes.client import Cluster
from pricon.launch.kubernetes.rayjob import render
from pricon.launch.kubernetes.refusals import ForbiddenError, UnansweredError
from pricon.launch.kubernetes.runs import list_runs, output_of, state_of
from pricon.launch.kubernetes.sending import cancel_run, check_run, submit_run
from pricon.launch.submission import Submission
from pricon.spec.load import load_job
from tests.launch.kubernetes.access import HASTY, connect
from tests.launch.kubernetes.apifaults import ApiServer
from tests.launch.kubernetes.clusters import make_profile
from tests.launch.kubernetes.operator import HANDLE, Operator, Rendered, end, plan, ray_job
from tests.safeguards.sources import ROOT


def owner(api: ApiServer) -> str:
    """Uid of the owner of the run's ConfigMap."""
    (entry,) = api.store.get("configmaps", HANDLE)["metadata"]["ownerReferences"]
    assert (entry["kind"], entry["name"]) == ("RayJob", HANDLE)
    return str(entry["uid"])


def uid(api: ApiServer) -> str:
    return str(api.store.get("rayjobs", HANDLE)["metadata"]["uid"])


def test_a_new_run_owns_its_config_map(kube: Cluster, api: ApiServer) -> None:
    submitted = submit_run(kube, Rendered())
    assert (submitted.handle, submitted.found) == (HANDLE, "new")
    assert owner(api) == uid(api) == submitted.ray_job["metadata"]["uid"]
    api.store.delete("rayjobs", HANDLE)
    api.settle("configmaps", 0)


def test_what_was_rendered_stays_as_it_is(kube: Cluster) -> None:
    rendered = Rendered()
    submit_run(kube, rendered)
    assert rendered == Rendered()


def test_a_check_stores_nothing(kube: Cluster, api: ApiServer) -> None:
    check_run(kube, Rendered())
    assert api.store.objects == {}
    wrong = Rendered()
    wrong.config_map["dada"] = {}
    with pytest.raises(LaunchError, match=r'refuses ConfigMap `.*`: .*unknown field "dada"'):
        check_run(kube, wrong)


def test_a_check_of_a_run_that_is_there(kube: Cluster) -> None:
    submit_run(kube, Rendered())
    check_run(kube, Rendered())


@pytest.mark.parametrize("state", ["", "Initializing", "Running", "Suspended", "Retrying"])
def test_a_run_under_way_is_attached_to(
    state: str, kube: Cluster, operator: Operator, api: ApiServer
) -> None:
    submit_run(kube, Rendered())
    operator.status(jobDeploymentStatus=state)
    before = uid(api)
    assert submit_run(kube, Rendered(), rerun=True).found == "attached"
    assert uid(api) == before
    assert api.times("delete", "rayjobs") == 0


def test_a_finished_run_is_left_alone_unless_told(
    kube: Cluster, operator: Operator, api: ApiServer
) -> None:
    submit_run(kube, Rendered())
    operator.start()
    operator.say(plan(), end())
    operator.finish()
    before = uid(api)
    assert submit_run(kube, Rendered()).found == "finished"
    assert uid(api) == before
    assert submit_run(kube, Rendered(), rerun=True).found == "replaced"
    assert owner(api) == uid(api) != before


def test_a_finished_run_without_a_log_is_finished(kube: Cluster, operator: Operator) -> None:
    submit_run(kube, Rendered())
    operator.start()
    operator.finish()
    operator.store.delete("pods", operator.submitter)
    assert submit_run(kube, Rendered()).found == "finished"


@pytest.mark.parametrize(
    ("job", "deployment", "last"),
    [
        ("FAILED", "Failed", end(3, "infrastructure", "no")),
        ("STOPPED", "Complete", end(130, "interrupted", "asked to end")),
        ("SUCCEEDED", "Complete", end(1, "trials", "one failed")),  # as the driver says
    ],
)  # fmt: skip
def test_a_run_that_did_not_finish_is_replaced(
    job: str, deployment: str, last: str, kube: Cluster, operator: Operator, api: ApiServer
) -> None:
    submit_run(kube, Rendered())
    operator.start()
    operator.say(plan(), last)
    operator.finish(job, deployment)
    before = uid(api)
    assert submit_run(kube, Rendered()).found == "replaced"
    assert owner(api) == uid(api) != before
    api.settle("configmaps", 1)
    assert owner(api) == uid(api), "the garbage collector leaves the new one"


def test_a_run_that_only_repeats_its_error_is_replaced(
    kube: Cluster, operator: Operator, api: ApiServer
) -> None:
    """KubeRay would start it again and again; its driver has said that this does not help."""
    submit_run(kube, Rendered())
    operator.start()
    operator.say(end(2, "input", "no such corpus"))
    before = uid(api)
    assert submit_run(kube, Rendered()).found == "replaced"
    assert owner(api) == uid(api) != before


def test_a_run_that_was_lost_goes_on_by_itself(kube: Cluster, operator: Operator) -> None:
    submit_run(kube, Rendered())
    operator.start()
    operator.say(end(3, "infrastructure", "lost"))
    assert submit_run(kube, Rendered()).found == "attached"


def test_a_run_that_is_being_deleted_is_waited_for(kube: Cluster, api: ApiServer) -> None:
    submit_run(kube, Rendered())
    meta = api.store.get("rayjobs", HANDLE)["metadata"]
    meta = meta | {"finalizers": ["ray.io/rayjob-finalizer"], "deletionTimestamp": "2026-11-24"}
    api.store.update("rayjobs", HANDLE, metadata=meta)

    def let_go() -> None:
        time.sleep(0.3)
        api.store.update("rayjobs", HANDLE, metadata={**meta, "finalizers": []})
        api.store.delete("rayjobs", HANDLE)

    worker = Thread(target=let_go)
    worker.start()
    assert submit_run(kube, Rendered()).found == "replaced"
    worker.join()
    assert owner(api) == uid(api) != meta["uid"]


def test_a_run_that_does_not_go_away(
    api: ApiServer, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kube = connect(tmp_path, api.url, replace(HASTY, silent_s=0.1, gone_s=0.4))
    submit_run(kube, Rendered())
    meta = api.store.get("rayjobs", HANDLE)["metadata"]
    held = meta | {"finalizers": ["ray.io/rayjob-finalizer"]}
    api.store.update("rayjobs", HANDLE, metadata=held, status={"jobDeploymentStatus": "Failed"})
    with pytest.raises(LaunchError, match="was deleted and does not go away") as caught:
        submit_run(kube, Rendered())
    assert "KubeRay operator running" in str(caught.value.hint)
    assert caplog.messages == [f"waiting for RayJob `{HANDLE}` to go away, with all that it owns"]


def test_a_config_map_that_cannot_be_made_undoes_the_run(kube: Cluster, api: ApiServer) -> None:
    api.forbidden.add(("create", "configmaps"))
    with pytest.raises(ForbiddenError, match="create configmaps"):
        submit_run(kube, Rendered())
    api.settle("rayjobs", 0)


def test_the_first_error_is_shown_where_undoing_fails_too(kube: Cluster, api: ApiServer) -> None:
    api.forbidden |= {("create", "configmaps"), ("delete", "rayjobs")}
    with pytest.raises(ForbiddenError, match="create configmaps"):
        submit_run(kube, Rendered())


def test_a_failure_while_attaching_leaves_the_run(kube: Cluster, api: ApiServer) -> None:
    submit_run(kube, Rendered())
    api.fail("create", "configmaps", status=500, times=99)
    with pytest.raises(UnansweredError):
        submit_run(kube, Rendered())
    assert len(api.store.find("rayjobs")) == 1


def test_a_config_map_that_is_missing_is_mended(kube: Cluster, api: ApiServer) -> None:
    submit_run(kube, Rendered())
    api.store.delete("configmaps", HANDLE)
    assert submit_run(kube, Rendered()).found == "attached"
    assert owner(api) == uid(api)


@pytest.mark.parametrize("is_done", [True, False])
@pytest.mark.parametrize("plural", ["rayjobs", "configmaps"])
def test_a_connection_that_breaks_makes_one_run(
    plural: str, is_done: bool, kube: Cluster, api: ApiServer
) -> None:
    api.fail("create", plural, reset=True, is_done=is_done, times=2)
    mine = Rendered(ray_job=ray_job(annotations={"pricon.dev/submission": "a1b2"}))
    assert submit_run(kube, mine).found == "new"
    assert submit_run(kube, Rendered()).found == "attached", "the wish of somebody else"
    assert len(api.store.objects) == 2
    assert owner(api) == uid(api)


def test_two_submit_at_once(kube: Cluster, api: ApiServer) -> None:
    found: list[str] = []
    workers = [
        Thread(target=lambda: found.append(submit_run(kube, Rendered()).found)) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert sorted(found) == ["attached", "attached", "attached", "new"]
    assert owner(api) == uid(api)


def test_cancelling_deletes_the_run_and_what_it_owns(kube: Cluster, api: ApiServer) -> None:
    submit_run(kube, Rendered())
    assert cancel_run(kube, HANDLE) == "starting"
    api.settle("configmaps", 0)
    assert api.store.find("rayjobs") == []
    with pytest.raises(LaunchError, match="there is no run"):
        cancel_run(kube, HANDLE)


def test_cancelling_what_has_ended_keeps_it(
    kube: Cluster, operator: Operator, api: ApiServer
) -> None:
    submit_run(kube, Rendered())
    operator.start()
    operator.finish("FAILED", "Failed")
    assert cancel_run(kube, HANDLE) == "failed"
    assert len(api.store.find("rayjobs")) == 1


@pytest.mark.parametrize("queue", [None, "team-a"])
def test_what_is_rendered_for_a_job_is_accepted_strictly(
    queue: str | None, kube: Cluster, api: ApiServer
) -> None:
    spec = load_job(ROOT / "jobs" / "again_cv.yaml")
    rendered = render(spec, make_profile(queue=queue), Submission())
    check_run(kube, rendered)
    assert submit_run(kube, rendered).handle == rendered.handle
    (run,) = list_runs(kube)
    assert state_of(run) == ("starting" if queue is None else "queued")
    assert str(output_of(run)).endswith("/again-cv")
    assert submit_run(kube, render(spec, make_profile(), Submission())).found == "attached"
