"""Fixtures for all tests."""

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

import pytest
from xdist.remote import Producer

from pricon.spec.resources import StorageSpec
from pricon.storage import Storage, open_storage
from tests.raycluster import RayCluster, ray_cluster
from tests.scheduling import RayTogether, starts_ray
from tests.seaweed import ACCESS_KEY, BUCKET, SECRET_KEY, seaweed

# Tests run as many processes as there are cores; torch threads of all of them would fight.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# From the start: a server of forked processes keeps the environment in which it was first needed.
os.environ.update(
    AWS_ACCESS_KEY_ID=ACCESS_KEY,
    AWS_SECRET_ACCESS_KEY=SECRET_KEY,
    AWS_EC2_METADATA_DISABLED="true",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that start Ray first: they take longest, and all other tests fit beside them."""
    items.sort(key=lambda item: not starts_ray(item.path))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> RayTogether | None:
    return RayTogether(config, log) if config.getoption("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StorageSpec]:
    """A real S3 server with bucket `BUCKET`; its credentials are in the environment."""
    with seaweed(tmp_path_factory.mktemp("seaweed")) as spec:
        yield spec


@pytest.fixture
def s3_uri() -> str:
    """A prefix in the bucket that no other test uses."""
    return f"s3://{BUCKET}/{uuid4().hex}"


@pytest.fixture(params=["folder", pytest.param("s3", marks=pytest.mark.s3)])
def storage(request: pytest.FixtureRequest) -> Storage:
    """An empty storage of each kind."""
    if request.param == "folder":
        return open_storage(str(request.getfixturevalue("tmp_path") / "storage"))
    spec: StorageSpec = request.getfixturevalue("s3")
    return open_storage(request.getfixturevalue("s3_uri"), spec)


@pytest.fixture(scope="session")
def cluster() -> Iterator[RayCluster]:
    """A real Ray cluster of two nodes, which asks for a token."""
    # Paths of sockets may be 107 bytes long, which pytest's folders are not made for.
    with TemporaryDirectory(prefix="ray-") as folder, ray_cluster(Path(folder)) as found:
        yield found


@pytest.fixture
def ray_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """While this lasts, no other test that asks for it has a Ray of its own on this machine.

    Each takes all cores while it starts and ends. Beside another one, after one of 12 interrupted
    runs an agent of Ray's lived for more than 30 s; why is not known.
    """
    with (tmp_path_factory.getbasetemp().parent / "ray_alone.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
