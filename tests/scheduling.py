"""Which process runs which tests, where several processes do."""

from functools import cache
from pathlib import Path

from xdist.scheduler import LoadFileScheduling

from tests.safeguards.sources import ROOT


class RayTogether(LoadFileScheduling):  # type: ignore[misc]
    """A file is run by one process, and all files that start Ray by the same one.

    A Ray takes every core while it starts, and then mostly waits: two of them wait for each other,
    one leaves a core to tests that compute.
    """

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return "ray" if starts_ray(ROOT / file) else file


@cache
def starts_ray(file: Path) -> bool:
    """Whether a test in this file does, by its text: who shares out the tests has not read them."""
    return "mark.ray" in file.read_text(encoding="utf-8")
