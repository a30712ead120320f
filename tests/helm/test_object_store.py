"""The chart's own object store: its own arguments, on loopback."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import requests
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.helm.binaries import Binary
from tests.helm.render import (
    CHART,
    KubernetesObject,
    ci_file,
    containers,
    environment,
    named,
    pods,
    render,
)
from tests.ports import free_ports
from tests.seaweed import ACCESS_KEY, SECRET_KEY

KEYS = {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY}
PARTS = ("master.port", "volume.port", "filer.port")
PATH = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"

pytestmark = pytest.mark.s3


@pytest.fixture(scope="module")
def endpoint(
    charts: dict[str, list[KubernetesObject]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The server, started as in its pod, but for its ports and its folder."""
    folder = tmp_path_factory.mktemp("object-store")
    port, master, master_grpc, *ports = free_ports(8)
    (container,) = containers(dict(pods(charts["object-store"]))["StatefulSet/pricon-object-store"])
    assert container["command"] == ["weed"]
    assert environment(container) == {name: f"secret:pricon-storage/{name}" for name in KEYS}
    moved = {"-dir=/data": f"-dir={folder}", "-s3.port=8333": f"-s3.port={port}"}
    arguments = [moved.get(argument, argument) for argument in container["args"]]
    names = [f"{name}{kind}" for name in PARTS for kind in ("", ".grpc")] + ["s3.port.grpc"]
    places = zip(names, (master, master_grpc, *ports), strict=True)
    elsewhere = [f"-{name}={port}" for name, port in places] + ["-master.electionTimeout=1s"]
    hook = container["lifecycle"]["postStart"]["exec"]["command"]
    assert hook[-2:] == ["make-buckets", "pricon"]
    there = [part.replace("127.0.0.1:9333", f"127.0.0.1:{master}.{master_grpc}") for part in hook]
    with (
        (folder / "weed.log").open("wb") as log,
        subprocess.Popen(
            [str(Path(sys.executable).with_name("weed")), *arguments, *elsewhere],
            stdout=log,
            stderr=log,
            env=KEYS,
            start_new_session=True,
        ) as server,
    ):
        try:
            for _ in range(2):  # a pod that starts again finds its buckets
                subprocess.run(there, env={"PATH": PATH}, timeout=120, check=True)
            wait(f"http://127.0.0.1:{port}{container['readinessProbe']['httpGet']['path']}")
            yield f"http://127.0.0.1:{port}"
        except subprocess.SubprocessError:
            pytest.fail((folder / "weed.log").read_text(encoding="utf-8")[-4000:])
        finally:
            os.killpg(server.pid, signal.SIGKILL)


def wait(probe: str) -> None:
    """Until the readiness probe of the chart is answered as a kubelet wants it."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        try:
            if requests.get(probe, timeout=2).status_code == 200:
                return
        except requests.RequestException:
            pass
        time.sleep(0.2)
    raise AssertionError(f"{probe} is not answered")


def test_helm_test_finds_nothing_wrong(
    endpoint: str, charts: dict[str, list[KubernetesObject]], tmp_path: Path
) -> None:
    """The script of `helm test`, in the bucket that its pod has made."""
    config = named(charts["object-store"], "ConfigMap", "pricon-profile")["data"]["profile.yaml"]
    profile = tmp_path / "profile.yaml"
    there = "http://pricon-object-store.affect.svc:8333"
    assert there in config
    profile.write_text(config.replace(there, endpoint), encoding="utf-8")
    script = (CHART / "files" / "check_storage.py").read_text(encoding="utf-8")
    assert '"/profile/profile.yaml"' in script
    moved = tmp_path / "check_storage.py"
    moved.write_text(script.replace("/profile/profile.yaml", str(profile)), encoding="utf-8")
    deadline = time.monotonic() + 60
    while True:  # volumes are ready some seconds after the probe
        done = subprocess.run(
            [sys.executable, str(moved)],
            env=KEYS | {"PATH": PATH, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if done.returncode == 0 or time.monotonic() > deadline:
            break
    assert done.stdout.splitlines() == [
        "s3://pricon/runs: written, read, listed, deleted",
        "s3://pricon/corpora: 0 objects",
    ], done.stderr


def test_buckets_are_there_before_anything_is_written(endpoint: str) -> None:
    """A run asks what earlier ones left; without a bucket, the first of all would end there."""
    keys = {name.lower(): key for name, key in KEYS.items()}
    store = boto3.client("s3", endpoint_url=endpoint, region_name="us-east-1", **keys)
    assert [bucket["Name"] for bucket in store.list_buckets()["Buckets"]] == ["pricon"]
    assert store.list_objects_v2(Bucket="pricon")["KeyCount"] == 0


def test_every_bucket_that_is_named_is_made_once(helm: Binary) -> None:
    settings = (
        "profile.storage.corpora=s3://shared/corpora",
        "tracking.artifacts=s3://kept/mlflow",
    )
    objects = dict(pods(render(helm, ci_file("object-store"), settings=settings)))
    (container,) = containers(objects["StatefulSet/pricon-object-store"])
    hook = container["lifecycle"]["postStart"]["exec"]["command"]
    assert hook[hook.index("make-buckets") + 1 :] == ["shared", "pricon", "kept"]


def test_strangers_are_refused(endpoint: str) -> None:
    stranger = boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id="somebody",
        aws_secret_access_key="else",
        config=Config(retries={"total_max_attempts": 1}),
    )
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        stranger.list_buckets()
    assert requests.get(f"{endpoint}/pricon", timeout=10).status_code == 403
