"""`pricon-submit` to a cluster, as a user types it: what is sent, shown, and refused."""

import json
import re
import shutil
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from ruamel.yaml import YAML

from pricon.launch.kubernetes.client import CONFIG_MAPS, RAY_JOBS
from pricon.launch.kubernetes.sending import submission_of
from pricon.launch.submission import handle_of
from pricon.spec.dump import dump
from pricon.spec.load import load_job
from pricon.spec.resources import StorageSpec
from pricon.storage import open_storage
from tests.cli.invoke import Document, said, submit, write_job
from tests.kuberay import check_strictly
from tests.launch.kubernetes.access import connect, write_kubeconfig
from tests.launch.kubernetes.apifaults import ApiServer
from tests.launch.kubernetes.apiserver import api_server
from tests.launch.kubernetes.apistore import NAMESPACE
from tests.launch.kubernetes.clusters import make_profile
from tests.launch.kubernetes.operator import Operator, end, plan, progress, report
from tests.launch.tokens import with_token
from tests.raycluster import TOKEN, RayCluster, ray_cluster
from tests.seaweed import ACCESS_KEY, BUCKET, SECRET_KEY
from tests.tiny import build, tiny_document, tiny_job

PROFILE = dump(make_profile().model_dump(mode="json", by_alias=True))


@pytest.fixture
def api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ApiServer]:
    """A cluster with the chart in it; the user's kubeconfig names it."""
    with api_server() as server:
        monkeypatch.setenv("KUBECONFIG", write_kubeconfig(tmp_path / "kubeconfig", server.url))
        profile = {"metadata": {"name": "pricon-profile"}, "data": {"profile.yaml": PROFILE}}
        connect(tmp_path, server.url).create(
            CONFIG_MAPS, {"apiVersion": "v1", "kind": "ConfigMap", **profile}
        )
        yield server


@pytest.fixture
def document(tmp_path: Path) -> Document:
    return by_profile(tmp_path, target="kubernetes", resources={"pool": "gpu-a100"})


@pytest.fixture
def job(tmp_path: Path, document: Document) -> Path:
    return write_job(tmp_path / "job.yaml", document)


def sent(api: ApiServer, folder: Path) -> list[dict[str, Any]]:
    return connect(folder, api.url).find(RAY_JOBS)


ADDED = {"namespace", "uid", "creationTimestamp", "generation", "resourceVersion"}
"""Metadata that are the API server's."""


def as_sent(stored: Document) -> Document:
    """An object without what the API server adds."""
    assert stored["metadata"].keys() >= ADDED
    meta = {key: value for key, value in stored["metadata"].items() if key not in ADDED}
    return stored | {"metadata": meta}


def test_a_dry_run_prints_the_very_objects(
    api: ApiServer, job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit(job, "--dry-run") == 0
    shown = capsys.readouterr()
    printed = [*YAML(typ="safe", pure=True).load_all(shown.out)]
    check_strictly(printed[1])
    assert "tiny: 10 trials" in shown.err
    told = "estimate: 10 trials on at most 1 worker pod on spot nodes, about a minute, 0.0"
    assert told in shown.err
    assert "; longer where nodes are taken away)\n          e2e 0%, " in shown.err
    assert ", starting workers 100%\n" in shown.err
    assert "GPU-hours" in shown.err
    assert "USD" in shown.err
    assert "the API server accepts it" in shown.err
    assert sent(api, tmp_path) == []
    assert submit(job, "--detach") == 0
    (ray_job,) = sent(api, tmp_path)
    config_map = connect(tmp_path, api.url).get(CONFIG_MAPS, ray_job["metadata"]["name"])
    assert config_map is not None
    (owner,) = config_map["metadata"].pop("ownerReferences")
    assert owner["uid"] == ray_job["metadata"]["uid"], "which no dry run can know"
    stored = [as_sent(entry) for entry in (config_map, ray_job)]
    ours, theirs = (submission_of(objects[1]) for objects in (printed, stored))
    assert ours != theirs
    assert json.loads(json.dumps(printed).replace(str(ours), str(theirs))) == stored


def test_a_dry_run_needs_no_cluster(
    job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "profile.yaml"
    file.write_text(PROFILE, encoding="utf-8")
    assert submit(job, "--dry-run", "--profile", file) == 0
    shown = capsys.readouterr()
    assert "not checked by an API server" in shown.err
    assert "kind: RayJob" in shown.out
    assert submit(job, "--dry-run", "--profile", tmp_path / "none.yaml") == 2
    assert "profile cannot be read" in said(capsys)


def test_submitting_twice_is_one_run(
    api: ApiServer, job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit(job, "--detach") == 0
    first = said(capsys)
    assert ": sent" in first
    (ray_job,) = sent(api, tmp_path)
    run = f"{ray_job['metadata']['name']} --context lab --namespace research"
    assert f"`pricon logs -f {run}` follows it, `pricon status {run}` shows" in first
    assert submit(job, "--detach") == 0
    assert "is there already; attached to it" in said(capsys)
    assert len(sent(api, tmp_path)) == 1
    assert submit(job, "--detach", "--only-folds", "0") == 0
    assert len(sent(api, tmp_path)) == 2, "other folds are another run"
    entrypoints = [run["spec"]["entrypoint"] for run in sent(api, tmp_path)]
    assert sum("--only-folds 0" in entrypoint for entrypoint in entrypoints) == 1


def test_a_run_is_followed_to_its_end(
    api: ApiServer, job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit(job, "--detach") == 0
    (ray_job,) = sent(api, tmp_path)
    operator = Operator(api.store, ray_job["metadata"]["name"])

    def work() -> None:
        deadline = time.monotonic() + 60.0
        while not api.times("watch", "rayjobs") and time.monotonic() < deadline:
            time.sleep(0.02)  # until it is followed
        operator.say(plan(), progress("lane 0: epoch 1"), report(), end())
        operator.finish()

    operator.start()
    threading.Thread(target=work).start()
    capsys.readouterr()
    assert submit(job) == 0
    shown = capsys.readouterr()
    assert "lane 0: epoch 1" in shown.out
    assert "pricon 0.61  e2e 0.58" in shown.out
    assert "attached to it" in shown.err


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"folds": {"count": 20}}, "20 folds asked for, but the corpus has 8 participants"),
        ({"resources": {"pool": "tpu"}}, "`resources.pool` is `tpu`, which this cluster has not"),
        ({"output": "/data"}, "`output` is /data, which a cluster cannot write to"),
    ],
)
def test_what_is_wrong_is_not_sent(
    change: Document,
    expected: str,
    api: ApiServer,
    document: Document,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert submit(write_job(tmp_path / "job.yaml", {**document, **change})) == 2
    assert expected in said(capsys)
    assert sent(api, tmp_path) == []


def test_what_cannot_be_checked_here_is_said(
    api: ApiServer, document: Document, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document["corpus"] = {"adapter": "again", "uri": "file:///nowhere", "source": "/nowhere/AGAIN"}
    del document["corpus"]["uri"]
    assert submit(write_job(tmp_path / "job.yaml", document), "--detach") == 0
    shown = said(capsys)
    assert "plan and labels are checked on the cluster, not here: recordings not found" in shown
    assert "recordings stay here; the run reads the corpus at s3://affect/corpora/AGAIN" in shown


def test_another_version_of_pricon(
    api: ApiServer, job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    newer = make_profile(version="9.9.9").model_dump(mode="json", by_alias=True)
    file = tmp_path / "profile.yaml"
    file.write_text(json.dumps(newer), encoding="utf-8")
    assert submit(job, "--dry-run", "--profile", file) == 2
    assert "holds pricon 9.9.9" in said(capsys)


def test_an_unknown_target(job: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert submit(job, "--target", "kubernets") == 2
    shown = said(capsys)
    assert "there is no target `kubernets`" in shown
    assert "did you mean `kubernetes`?" in shown


@pytest.mark.ray
def test_a_ray_cluster_by_its_address(
    cluster: RayCluster, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(tiny_job(tmp_path))
    document = tiny_document(tmp_path, arms=["majority", "e2e"])
    job = write_job(tmp_path / "job.yaml", document)
    assert submit(job, "--target", cluster.dashboard, "--dry-run") == 0
    assert "tiny" in capsys.readouterr().out
    with with_token(TOKEN):
        assert submit(job, "--target", cluster.dashboard) == 0
    shown = capsys.readouterr()
    first, *_ = (
        line for line in shown.err.splitlines() if not line.startswith("no good answer from")
    )
    assert first.startswith("Ray job tiny-"), "nothing of Ray's own upload"
    assert "nothing is recorded in MLflow: `tracking.uri` is not set" in shown.err
    there = f"results lie below {tmp_path / 'runs'}, as the cluster's machines see it"
    assert there in shown.err
    assert "accuracy" in shown.out
    assert "Running entrypoint" not in shown.out
    assert list((tmp_path / "runs" / "tiny").glob("*/report.html"))
    document["folds"] = {"count": 20}
    with with_token(TOKEN):
        assert submit(write_job(job, document), "--target", cluster.dashboard) == 2
    assert "20 folds asked for" in said(capsys)


@pytest.mark.ray
@pytest.mark.s3
def test_a_ray_cluster_by_the_profile_of_its_owner(
    s3: StorageSpec, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The very job that Kubernetes takes, as the same run: places are the profile's."""
    there = tmp_path / "there"  # /tmp of a head, which is this machine here
    monkeypatch.setattr("pricon.launch.kubernetes.resolve.RECORDINGS", str(there))
    job = write_job(tmp_path / "job.yaml", by_profile(tmp_path, arms=["majority", "e2e"]))
    runs = f"s3://{BUCKET}/by-profile"
    storage = {
        "corpora": f"{runs}/corpora", "output": f"{runs}/runs",
        "endpointUrl": s3.endpoint_url, "region": s3.region,
    }  # fmt: skip
    profile = tmp_path / "profile.yaml"
    found = make_profile(storage=storage, tracking=None)
    profile.write_text(dump(found.model_dump(mode="json", by_alias=True)), encoding="utf-8")
    keys = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
    with (
        TemporaryDirectory(prefix="ray-") as folder,
        ray_cluster(Path(folder), keys) as cluster,
        with_token(TOKEN),
    ):
        assert submit(job, "--target", cluster.dashboard, "--profile", profile) == 0
    shown = capsys.readouterr()
    run = handle_of(load_job(job))
    assert f"Ray job {run}-" in shown.err
    assert (there / run / "recordings" / "GENERATED.json").is_file(), "apart from those of others"
    assert "accuracy" in shown.out
    (report,) = re.findall(r"^report   (\S+)/report\.html$", shown.out, re.MULTILINE)
    assert report.startswith(f"{runs}/runs/tiny/")
    assert open_storage(report, s3).exists("results.json")


def by_profile(folder: Path, **more: object) -> Document:
    """A job that says nothing of places."""
    found = tiny_document(folder, **more)
    del found["output"], found["corpus"]["uri"]
    return found


def test_a_look_at_a_job_for_ray_by_a_profile(
    api: ApiServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the cluster, or a file; nothing is asked of Ray."""
    build(tiny_job(tmp_path))
    job = write_job(tmp_path / "job.yaml", by_profile(tmp_path))
    file = tmp_path / "profile.yaml"
    file.write_text(PROFILE, encoding="utf-8")
    look = ("--target", "http://127.0.0.1:9", "--dry-run")
    shown = []
    for options in (("pricon-profile",), ("pricon-profile", "--namespace", NAMESPACE), (file,)):
        assert submit(job, *look, "--profile", *options) == 0
        shown.append(capsys.readouterr())
    assert len({*shown}) == 1
    assert "tiny: 10 trials" in shown[0].out
    places = "corpus s3://affect/corpora/recordings, results below s3://affect/runs"
    assert places in shown[0].err
    shutil.rmtree(tmp_path / "corpus")
    shutil.rmtree(tmp_path / "recordings")
    assert submit(job, *look, "--profile", file) == 0
    assert places in said(capsys), "also where plan and labels cannot be checked here"
    assert submit(job, *look, "--namespace", NAMESPACE) == 2
    told = said(capsys)
    assert "`--namespace` is for Kubernetes, and the target is `http://" in told
    assert "name the ConfigMap by `--profile`, or leave" in told
    assert submit(job, *look, "--profile", "elsewhere") == 3
    assert "there is no ConfigMap `elsewhere`" in said(capsys)


@pytest.mark.parametrize(
    ("options", "option"),
    [
        (("--detach",), "--detach"),
        (("--namespace", "lab"), "--namespace"),
        (("--context", "lab"), "--context"),
        (("--profile", "x.yaml", "--dry-run"), "--profile"),
    ],
)
def test_options_that_another_target_has_no_use_for(
    options: tuple[str, ...], option: str, job: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert submit(job, "--target", "local", *options) == 2
    shown = said(capsys)
    assert f"`{option}` is for Kubernetes, and the target is `local`" in shown
    assert "add `--target kubernetes`" in shown


def test_a_profile_from_a_file_sends_nothing(
    api: ApiServer, job: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "profile.txt"
    file.write_text(PROFILE, encoding="utf-8")
    assert submit(job, "--profile", str(file)) == 2
    assert "is a file, which `--dry-run` can look at" in said(capsys)
    assert sent(api, tmp_path) == []
    assert submit(job, "--profile", str(file), "--dry-run") == 0
