"""The same binaries as the tests of the chart."""

from tests.helm.conftest import binaries, helm, helms

__all__ = ["binaries", "helm", "helms"]
