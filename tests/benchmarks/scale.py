"""What grows with trials, participants and lanes, and how fast. `make bench`.

    python -m tests.benchmarks.scale [--quick]

Planning and bookkeeping in this process; the driver on clusters of growing size, simulated on this
machine. Nothing here trains for longer than an epoch: what training costs, other benchmarks say.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.benchmarks import scale_cluster, scale_plan, scale_records
from tests.benchmarks.table import publish

NODES = (2, 4, 8)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="small, without Ray: for tests")
    is_quick = parser.parse_args(arguments).quick
    for table in scale_plan.tables(is_quick=is_quick):
        publish(table)
    with TemporaryDirectory(prefix="pricon-bench-") as name:
        for table in scale_records.tables(Path(name), is_quick=is_quick):
            publish(table)
    if not is_quick:
        publish(scale_cluster.table(NODES))


if __name__ == "__main__":
    main()
