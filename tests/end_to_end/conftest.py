"""The same binaries and charts as the tests of the chart."""

from tests.helm.conftest import binaries, charts, helm, helms

__all__ = ["binaries", "charts", "helm", "helms"]
