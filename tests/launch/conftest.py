from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from pricon.spec.job import JobSpec
from tests.raycluster import RayCluster, ray_cluster
from tests.tiny import build, tiny_job


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    """The tiny job with its corpus; tests give it an output of their own."""
    return build(tiny_job(tmp_path_factory.mktemp("tiny")))


@pytest.fixture
def job(built: JobSpec, tmp_path: Path) -> JobSpec:
    """The tiny job, writing below this test's folder."""
    return built.model_copy(update={"output": str(tmp_path / "runs")})


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayCluster]:
    """A real Ray cluster of two nodes, which asks for a token."""
    # Paths of sockets may be 107 bytes long, which pytest's folders are not made for.
    with TemporaryDirectory(prefix="ray-") as folder, ray_cluster(Path(folder)) as found:
        yield found
