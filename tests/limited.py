"""Programs in a process of their own whose memory the operating system limits."""

import subprocess
import sys

from tests.safeguards.sources import ROOT

_BEFORE = """
import resource, sys
from pathlib import Path

def status(name):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024

def allow(more_bytes, threads):
    stacks = threads * 8_400_000  # reserved and hardly used
    limit = status("VmData") + stacks + more_bytes
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
    return status("VmRSS")
"""


def limited(code: str, *arguments: object) -> "subprocess.CompletedProcess[str]":
    """Runs Python code, whose arguments are in `sys.argv`.

    The code limits itself: `allow(bytes, threads)` lets it take so much more than it has, and
    returns the resident bytes; `status("VmHWM")` are the most bytes it ever had.
    """
    return subprocess.run(
        [sys.executable, "-c", _BEFORE + code, *map(str, arguments)],
        env={"MALLOC_ARENA_MAX": "1", "ARROW_DEFAULT_MEMORY_POOL": "system"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
