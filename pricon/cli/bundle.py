"""`pricon bundle`: a run in one file, for whoever must help with it."""

from pathlib import Path
from typing import Annotated

import typer

from pricon.cli.cluster import Context, Namespace, Run, open_cluster, tracking_address
from pricon.launch.kubernetes.bundle import Bundle, write_bundle


def bundle(
    run: Run,
    into: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Instead of ./RUN-bundle.tar.gz.", show_default=False),
    ] = None,
    namespace: Namespace = None,
    context: Context = None,
) -> None:
    """Write what the cluster has of a run into one .tar.gz, and print its path.

    What looks like a credential is left out of objects; logs are as they are: look before you send
    it. Exit codes: 0, even where parts could not be read; 2 an argument is wrong or the file is
    there already, 3 there is no such run, or the cluster does not answer or refuses.
    """
    cluster = open_cluster(context, namespace)
    file = into or Path(f"{run}-bundle.tar.gz")
    written = write_bundle(cluster, run, file, tracking_address())
    if written.origin is not None:
        typer.echo(written.origin, err=True)
    typer.echo(_words(written), err=True)
    typer.echo(str(file))


def _words(written: Bundle) -> str:
    """How much it is, and what to look at first."""
    num, size = len(written.names), written.file.stat().st_size
    words = f"{num} files, {_megabytes(size)}"
    if missing := len(written.missing):
        them = "it" if missing == 1 else "them"
        return f"{words}; {missing} could not be read (troubles.txt names {them})"
    return f"{words}; troubles.txt says what they lack" if written.troubles else words


def _megabytes(num_bytes: int) -> str:
    """A size, as laptops show it.

    >>> _megabytes(3_400_000), _megabytes(8_200)
    ('3.4 MB', '8 kB')
    """
    if num_bytes < 100_000:
        return f"{num_bytes / 1e3:.0f} kB"
    return f"{num_bytes / 1e6:.1f} MB"
