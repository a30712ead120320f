"""What is in a bundle, what is not, and what it says of that."""

import json
import re
import tarfile
from pathlib import Path

import pytest

from pricon.errors import LaunchError, SpecError
from pricon.launch.kubernetes.bundle import Bundle, Limits, write_bundle
from pricon.launch.kubernetes.client import Cluster
from pricon.launch.kubernetes.sending import submit_run
from tests.launch.kubernetes.apifaults import SILENT_NODE, ApiServer
from tests.launch.kubernetes.operator import HANDLE, Operator, Rendered, event, plan, pod, running

HEAD = f"{HANDLE}-abc-head"
WORKER = f"{HANDLE}-abc-worker"
SUBMITTER = f"{HANDLE}-sub1"
OBJECTS = ["status.json", "rayjob.json", "config.json", "pods.json", "events.json"]
LOGS = [
    f"pods/{HEAD}/ray-head.log", f"pods/{HEAD}/autoscaler.log",
    f"pods/{HEAD}/autoscaler.previous.log", f"pods/{HANDLE}-head1/ray-head.log",
    f"pods/{SUBMITTER}/ray-job-submitter.log", f"pods/{WORKER}/wait-gcs-ready.log",
]  # fmt: skip
ALLOWED = {
    ("get", "rayjobs"), ("list", "rayjobs"), ("get", "configmaps"), ("get", "pods"),
    ("list", "pods"), ("log", "pods"), ("list", "events"),
    ("get", "/version"),  # /version, of no kind, which everybody may see
}  # fmt: skip
"""What the chart lets submitters do."""


@pytest.fixture
def operator(kube: Cluster, api: ApiServer) -> Operator:
    """A run under way, with a head of two containers and a worker that has only begun."""
    submit_run(kube, Rendered())
    operator = Operator(api.store)
    operator.start()
    operator.say("ordinary", plan())
    twice = {"name": "autoscaler", "state": {"running": {}}, "restartCount": 1}
    head = pod(HEAD, "head", running("ray-head"))
    head["status"]["containerStatuses"].append(twice)
    head["spec"]["containers"].append({"name": "autoscaler"})
    worker = pod(WORKER, "worker", {"phase": "Pending"})
    worker["spec"]["initContainers"] = [{"name": "wait-gcs-ready"}]
    worker["status"] |= {
        "initContainerStatuses": [{"name": "wait-gcs-ready", "state": {"running": {}}}],
        "containerStatuses": [{"name": "ray-worker", "state": {"waiting": {}}}],
    }
    operator.add(head)
    operator.add(worker)
    for output in (HEAD, f"{HEAD}/autoscaler", f"{WORKER}/wait-gcs-ready"):
        api.store.print(output, "2026-11-24T12:00:00Z", f"of {output}")
    api.store.print(f"{HEAD}/autoscaler/previous", "2026-11-24T11:59:00Z", "it crashed")
    operator.add(event("Pod", WORKER, "Pulling", "Pulling image", "12:00:02"))
    operator.add(event("RayJob", HANDLE, "CreatedRayCluster", "Created it", "12:00:01"))
    operator.add(event("Pod", "another-pod", "Pulling", "of somebody else"))
    return operator


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder / "a.tar.gz"


def read(bundle: Bundle) -> dict[str, str]:
    """Name inside the folder of the run -> text."""
    texts = {}
    with tarfile.open(bundle.file) as tar:
        for entry in tar:
            data = tar.extractfile(entry)
            assert data is not None
            assert entry.name.startswith(f"{HANDLE}/")
            texts[entry.name.removeprefix(f"{HANDLE}/")] = data.read().decode()
    assert [*texts] == [*bundle.names]
    return texts


def names_in(text: str) -> list[str]:
    return [item["metadata"]["name"] for item in json.loads(text)["items"]]


def test_all_of_a_run(kube: Cluster, operator: Operator, api: ApiServer, file: Path) -> None:
    api.asked.clear()
    bundle = write_bundle(kube, HANDLE, file, None)
    texts = read(bundle)
    assert [*texts] == [*OBJECTS, "driver.log", *LOGS, "versions.json"]
    assert (bundle.troubles, bundle.missing, bundle.origin) == ([], set(), None)
    assert json.loads(texts["status.json"])["state"] == "running"
    assert json.loads(texts["rayjob.json"])["metadata"]["name"] == HANDLE
    assert json.loads(texts["config.json"])["data"]["job.yaml"] == "name: tiny\n"
    assert names_in(texts["pods.json"]) == [HEAD, f"{HANDLE}-head1", SUBMITTER, WORKER]
    reasons = [item["reason"] for item in json.loads(texts["events.json"])["items"]]
    assert reasons == ["CreatedRayCluster", "Pulling"], "its own, the oldest first"
    assert texts["driver.log"] == f"ordinary\n{plan()}\n"
    assert texts[LOGS[2]] == "2026-11-24T11:59:00Z it crashed\n"
    assert texts[LOGS[-1]] == f"2026-11-24T12:00:00Z of {WORKER}/wait-gcs-ready\n"
    versions = json.loads(texts["versions.json"])
    assert (versions["namespace"], versions["api_server"]) == ("research", "v1.36.2")
    assert {"pricon", "python", "platform"} <= {*versions["laptop"]}
    assert {*api.asked} <= ALLOWED


def test_no_secrets(kube: Cluster, operator: Operator, api: ApiServer, file: Path) -> None:
    body = api.store.get("pods", HEAD)
    spec = json.loads(json.dumps(body["spec"]))
    spec["containers"][0]["env"] = [{"name": "HF_TOKEN", "value": "hunter2"}]
    api.store.update("pods", HEAD, spec=spec)
    run = api.store.get("rayjobs", HANDLE)
    group = {"template": {"spec": spec}, "rayStartParams": {}}
    api.store.update(
        "rayjobs", HANDLE,
        spec=run["spec"] | {"rayClusterSpec": {"headGroupSpec": group}},
        metadata=run["metadata"] | {"managedFields": [{"manager": "hunter2"}]},
    )  # fmt: skip
    texts = read(write_bundle(kube, HANDLE, file, None))
    assert "hunter2" not in "".join(texts.values())
    assert texts["pods.json"].count("(removed)") == 1
    assert texts["rayjob.json"].count("(removed)") == 1


@pytest.mark.parametrize(
    ("verb", "resource", "missing"),
    [
        ("list", "events", ["events.json"]),
        ("get", "configmaps", ["config.json"]),
        ("list", "pods", ["status.json", "pods.json", "driver.log"]),
        ("get", "pods/log", ["status.json", "driver.log", *LOGS]),
        ("get", "/version", []),
    ],
)
def test_what_is_forbidden_is_named(
    verb: str, resource: str, missing: list[str],
    kube: Cluster, operator: Operator, api: ApiServer, file: Path,
) -> None:  # fmt: skip
    api.forbidden.add((verb, resource))
    bundle = write_bundle(kube, HANDLE, file, None)
    texts = read(bundle)
    named = missing or ["versions.json"]
    where = "" if resource == "/version" else " in namespace `research`"
    said = texts["troubles.txt"].splitlines()
    assert said == [f"{name}: user `ada` may not {verb} {resource}{where}" for name in named]
    assert bundle.missing == {*missing}
    assert not bundle.missing & texts.keys()


def test_a_node_that_is_away_and_a_container_that_is_gone(
    kube: Cluster, operator: Operator, api: ApiServer, file: Path
) -> None:
    del api.store.outputs[f"{HEAD}/autoscaler/previous"]
    api.fail("log", status=500, body=SILENT_NODE, times=5)
    bundle = write_bundle(kube, HANDLE, file, None)
    assert bundle.missing == {"driver.log", LOGS[0], LOGS[2]}
    said = read(bundle)["troubles.txt"]
    assert f"{LOGS[0]}: the log of Pod `{HEAD}` cannot be read from its node: Get " in said
    assert (
        f'{LOGS[2]}: the API server refuses Pod `{HEAD}`: previous terminated container "' in said
    )


def test_what_came_before_a_connection_broke_is_there(
    kube: Cluster, operator: Operator, api: ApiServer, file: Path
) -> None:
    operator.say("three", "four")
    api.fail("log", cut_after=2, after=6, times=2)
    bundle = write_bundle(kube, HANDLE, file, None)
    texts = read(bundle)
    assert bundle.missing == set()
    name = f"pods/{SUBMITTER}/ray-job-submitter.log"
    assert re.match(rf"{name}: a stream of \S+ broke: ", texts["troubles.txt"])
    assert "ordinary" in texts[name]
    assert "four" not in texts[name]


def test_of_a_pod_that_goes_meanwhile_what_came_is_there(
    kube: Cluster, operator: Operator, api: ApiServer, file: Path
) -> None:
    operator.say("three", "four")
    gone = {"kind": "Status", "reason": "NotFound", "details": {"kind": "pods"}}
    api.fail("log", cut_after=2, after=6)
    api.fail("log", status=404, body=json.dumps(gone), after=6)
    bundle = write_bundle(kube, HANDLE, file, None)
    texts = read(bundle)
    name = f"pods/{SUBMITTER}/ray-job-submitter.log"
    assert texts["troubles.txt"] == f"{name}: Pod `{SUBMITTER}` is gone\n"
    assert "ordinary" in texts[name]


@pytest.mark.parametrize(
    ("limits", "said", "rest"),
    [
        (Limits(lines=2), "only its last 2 lines are here, if there are more", "three four"),
        (Limits(num_bytes=80), "only the last 8e-05 MB of it are here", "three four"),
    ],
)
def test_of_a_long_log_the_end_counts(
    limits: Limits, said: str, rest: str, kube: Cluster, operator: Operator, file: Path
) -> None:
    operator.say("three", "four")
    bundle = write_bundle(kube, HANDLE, file, None, limits)
    texts = read(bundle)
    name = f"pods/{SUBMITTER}/ray-job-submitter.log"
    assert f"{name}: {said}" in texts["troubles.txt"].splitlines()
    assert " ".join(line.split(" ")[1] for line in texts[name].splitlines()) == rest
    assert bundle.missing == set()


def test_a_config_map_that_is_gone(
    kube: Cluster, operator: Operator, api: ApiServer, file: Path
) -> None:
    api.store.delete("configmaps", HANDLE)
    bundle = write_bundle(kube, HANDLE, file, None)
    assert read(bundle)["troubles.txt"] == f"config.json: there is no ConfigMap `{HANDLE}`\n"


def test_a_run_that_has_not_begun(kube: Cluster, file: Path) -> None:
    submit_run(kube, Rendered())
    bundle = write_bundle(kube, HANDLE, file, None)
    assert bundle.names == [*OBJECTS, "versions.json"]
    assert bundle.troubles == [], "it has said nothing that could be missing"


def test_a_run_that_has_ended_without_a_log(
    kube: Cluster, operator: Operator, api: ApiServer, file: Path, tmp_path: Path
) -> None:
    operator.finish()
    api.store.delete("pods", SUBMITTER)
    bundle = write_bundle(kube, HANDLE, file, f"sqlite:///{tmp_path / 'empty.db'}")
    assert bundle.missing == {"driver.log"}
    assert "driver.log: the run has ended, its log is gone" in read(bundle)["troubles.txt"]
    other = write_bundle(kube, HANDLE, file.with_name("b.tar.gz"), None)
    said = "driver.log: a log that was kept cannot be read from here: no profile of the cluster"
    assert said in read(other)["troubles.txt"]


def test_an_api_server_that_goes_away_is_not_waited_for_long(
    kube: Cluster, operator: Operator, api: ApiServer, file: Path
) -> None:
    api.fail("list", "events", status=503, times=99)
    bundle = write_bundle(kube, HANDLE, file, None)
    assert bundle.missing == {"status.json", "events.json"}
    assert api.times("list", "events") == 4, "two tries for each"


def test_no_such_run(
    kube: Cluster, api: ApiServer, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(LaunchError, match="there is no run `another-1` in namespace `research`"):
        write_bundle(kube, "another-1", file, None)
    assert [*file.parent.iterdir()] == []
    assert "cannot be read from here: no profile of the cluster" in caplog.text
    assert "\n  hint: set MLFLOW_TRACKING_URI to where you reach it" in caplog.text


def test_a_file_that_is_there_is_found_before_the_cluster_is_asked(
    kube: Cluster, operator: Operator, api: ApiServer, file: Path
) -> None:
    file.write_text("mine")
    api.asked.clear()
    with pytest.raises(SpecError, match="is there already"):
        write_bundle(kube, HANDLE, file, None)
    assert (api.asked, file.read_text()) == ([], "mine")


def test_a_run_that_may_not_be_read(
    kube: Cluster, operator: Operator, api: ApiServer, file: Path
) -> None:
    api.forbidden.add(("get", "rayjobs"))
    with pytest.raises(LaunchError, match="may not get rayjobs"):
        write_bundle(kube, HANDLE, file, None)
    assert [*file.parent.iterdir()] == []
