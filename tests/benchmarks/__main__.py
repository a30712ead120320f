"""Every benchmark, one after the other: `python -m tests.benchmarks [--quick]`."""

import subprocess
import sys

BENCHMARKS = (
    "cross_validation",
    "gpu",
    "roofline",
    "contrastive",
    "reading",
    "startup",
    "tracking",
    "scale",
)
"""Modules of this folder, each of which also runs by itself."""


def main() -> int:
    """Each in a process of its own: none inherits threads or memory of another.

    Returns:
        1 where one has failed, or was killed for want of memory.
    """
    commands = [[sys.executable, "-m", f"tests.benchmarks.{name}"] for name in BENCHMARKS]
    codes = [subprocess.call([*command, *sys.argv[1:]]) for command in commands]
    return int(any(codes))


if __name__ == "__main__":
    sys.exit(main())
