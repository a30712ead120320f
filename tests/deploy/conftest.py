"""The same binaries and charts as the tests of the chart."""

from tests.helm.conftest import binaries, charts, each_helm, helm, helms

__all__ = ["binaries", "charts", "each_helm", "helm", "helms"]
