from pathlib import Path

import pytest

from pricon.spec.job import JobSpec
from tests.tiny import build, tiny_job


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> JobSpec:
    """The tiny job with its corpus; tests give it an output of their own."""
    return build(tiny_job(tmp_path_factory.mktemp("tiny")))


@pytest.fixture
def job(built: JobSpec, tmp_path: Path) -> JobSpec:
    """The tiny job, writing below this test's folder."""
    return built.model_copy(update={"output": str(tmp_path / "runs")})
