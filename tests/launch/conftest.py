import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from pricon.launch.kubernetes.client import Cluster
from pricon.spec.job import JobSpec
from tests.launch.kubernetes.access import connect
from tests.launch.kubernetes.apifaults import ApiServer
from tests.launch.kubernetes.apiserver import api_server
from tests.launch.kubernetes.operator import Operator
from tests.launch.rehearsal import rehearse
from tests.tiny import build, tiny_job


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    """The tiny job with its corpus; tests give it an output of their own."""
    return build(tiny_job(tmp_path_factory.mktemp("tiny")))


@pytest.fixture(scope="session")
def finished(built: JobSpec, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of the tiny job; who changes it takes a copy."""
    output = tmp_path_factory.mktemp("finished")
    report = rehearse(built.model_copy(update={"output": str(output)}))
    return output / "tiny" / report.run_id


@pytest.fixture
def job(built: JobSpec, tmp_path: Path) -> JobSpec:
    """The tiny job, writing below this test's folder."""
    return built.model_copy(update={"output": str(tmp_path / "runs")})


@pytest.fixture
def _ray_litter(ray_alone: None) -> Iterator[None]:
    """What Ray leaves is collected here, not in whichever test comes next."""
    yield
    gc.collect()


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """A stand-in for an API server, with nothing in it."""
    with api_server() as server:
        yield server


@pytest.fixture
def kube(api: ApiServer, tmp_path: Path) -> Cluster:
    """A client of `api`."""
    return connect(tmp_path, api.url)


@pytest.fixture
def operator(api: ApiServer) -> Operator:
    """What happens to runs in `api`."""
    return Operator(api.store)
