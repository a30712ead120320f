"""A real S3 server (SeaweedFS), on loopback or in a pod."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from pricon.spec.resources import StorageSpec
from tests.pod_network import Place
from tests.ports import free_ports

BUCKET = "pricon"
ACCESS_KEY, SECRET_KEY = "pricon-test", "pricon-test-secret"
POD_PORT = 8333
"""Where the chart's own has it."""
_LOOPBACK = "127.0.0.1"
_START_S = 60
_PORTS = (
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "s3.port",
    "s3.port.grpc",
)


@contextmanager
def seaweed(folder: Path, place: Place | None = None) -> Iterator[StorageSpec]:
    """A server with an empty bucket `BUCKET` that only takes `ACCESS_KEY`."""
    ports = dict(zip(_PORTS, free_ports(len(_PORTS)), strict=True))
    if place is not None:
        ports["s3.port"] = POD_PORT
    address = place.address if place else _LOOPBACK
    spec = StorageSpec(endpoint_url=f"http://{address}:{ports['s3.port']}", region="us-east-1")
    log = folder / "weed.log"
    command = _command(folder, address, ports)
    with (
        log.open("wb") as output,
        subprocess.Popen(
            place.command(*command) if place else command, stdout=output, stderr=output
        ) as server,
    ):
        try:
            _create_bucket(spec, server, log)
            yield spec
        finally:
            server.kill()  # a polite end takes ten seconds, and nothing of it is kept


def _command(folder: Path, address: str, ports: dict[str, int]) -> list[str]:
    data, config = folder / "data", folder / "s3.json"
    data.mkdir()
    identity = {
        "name": "tests",
        "credentials": [{"accessKey": ACCESS_KEY, "secretKey": SECRET_KEY}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config.write_text(json.dumps({"identities": [identity]}), encoding="utf-8")
    return [
        str(Path(sys.executable).with_name("weed")),
        "server",
        f"-dir={data}",
        f"-ip={address}",
        f"-ip.bind={address}",
        "-filer",
        "-s3",
        f"-s3.config={config}",
        "-s3.autoCreateBucket=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-master.telemetry=false",
        "-master.electionTimeout=1s",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=0",
        *(f"-{name}={port}" for name, port in ports.items()),
    ]


def _create_bucket(spec: StorageSpec, server: "subprocess.Popen[bytes]", log: Path) -> None:
    client = boto3.client(
        "s3",
        endpoint_url=spec.endpoint_url,
        region_name=spec.region,
        aws_access_key_id=ACCESS_KEY,
        aws_secret_access_key=SECRET_KEY,
    )
    deadline = time.monotonic() + _START_S
    while True:
        try:
            client.create_bucket(Bucket=BUCKET)
            client.put_object(Bucket=BUCKET, Key="ready", Body=b"ready")
        except (BotoCoreError, ClientError):
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"SeaweedFS did not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.2)
        else:
            return
