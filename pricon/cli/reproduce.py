"""`pricon reproduce RUN`: train a recorded run again and say how far it lands from the record."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer
from rich.console import Console

from pricon.cli.arguments import parse_target
from pricon.cli.progress import Progress
from pricon.launch.compare import TOLERANCE, Reproduction
from pricon.launch.preflight import Prepared
from pricon.launch.reproduce import reproduce
from pricon.storage import open_storage

SHOWN = 10
"""So many deviating trials are named; the rest is counted."""


def reproduce_run(
    run: Annotated[str, typer.Argument(help="Folder of the run, such as runs/again-cv/<run id>.")],
    target: Annotated[
        str | None, typer.Option(help="Where to run, instead of the job's own `target`.")
    ] = None,
    tolerance: Annotated[
        float, typer.Option(help="Largest difference of predictions that counts as none.")
    ] = TOLERANCE,
) -> int:
    """Train a recorded run again, in a temporary folder; compare predictions and metrics.

    Exit codes: 0 the same within the tolerance, 1 not, 2 the run or its corpus is not there or
    has changed.
    """

    def view(prepared: Prepared) -> Progress:
        return Progress(prepared.plan, prepared.job, Console(stderr=True))

    wanted = None if target is None else parse_target(target)
    with TemporaryDirectory(prefix="pricon-") as folder:
        found = reproduce(open_storage(run), Path(folder), wanted, tolerance, view)
    return tell_deviations(found)


def tell_deviations(found: Reproduction) -> int:
    """Say how far a run is from its record; exit code, 0 where it is the same."""
    typer.echo(
        f"run {found.run_id}: {found.num_trials} of {found.num_planned} trials compared, "
        f"predictions differ by at most {found.largest:.2g}"
    )
    for line in found.off[:SHOWN]:
        typer.echo(line, err=True)
    if len(found.off) > SHOWN:
        typer.echo(f"... and {len(found.off) - SHOWN} more", err=True)
    return 1 if found.off else 0
