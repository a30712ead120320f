"""`pricon corpus`: build, inspect, verify, generate. Arguments in, words out; no logic."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pricon.cli.arguments import help_without_command
from pricon.corpus import ensure, generate, verify
from pricon.corpus.inspect import describe
from pricon.corpus.reader import open_corpus
from pricon.spec.load import load_job
from pricon.storage import Storage, open_storage

app = typer.Typer(name="corpus", help="Build and look after corpora.", add_completion=False)
app.callback(invoke_without_command=True)(help_without_command)

_JOB_SUFFIXES = {".yaml", ".yml"}

Job = Annotated[Path, typer.Argument(metavar="JOB", help="Job file (YAML).", show_default=False)]
JobOrUri = Annotated[
    str,
    typer.Argument(
        metavar="JOB_OR_URI", help="Job file, or the corpus' folder or URI.", show_default=False
    ),
]


@app.command("build")
def build(job: Job) -> None:
    """Build the job's corpus; an interrupted build goes on where it stopped."""
    spec = load_job(job)
    with _progress("building", "units") as progress:
        manifest = ensure.build(spec.corpus, spec.storage, progress)
    typer.echo(
        f"{manifest.num_windows:,} windows of {len(manifest.participants)} participants   "
        f"corpus={spec.corpus.uri} digest={manifest.digest[:16]}"
    )


@app.command("inspect")
def inspect(corpus: JobOrUri) -> None:
    """Say what a corpus holds."""
    for line in describe(open_corpus(_storage(corpus))):
        typer.echo(line)


@app.command("verify")
def verify_all(corpus: JobOrUri) -> None:
    """Read every byte of a corpus and check it against the manifest."""
    storage = _storage(corpus)
    with _progress("verifying", "shards") as progress:
        found = verify.verify(storage, progress)
    for path in found.orphans:
        typer.echo(f"not part of the corpus: {path}", err=True)
    typer.echo(
        f"{found.num_shards} shards, {found.num_bytes:,} bytes, all as written   "
        f"corpus={storage.uri} digest={found.digest[:16]}"
    )


@app.command("generate")
def generate_source(job: Job) -> None:
    """Write the generated recordings that a job asks for into its `corpus.generate.into`."""
    spec = load_job(job)
    generate.generate_recordings(spec.corpus)
    typer.echo(f"generated recordings, which say nothing about people   {spec.corpus.recordings}")


def _storage(corpus: str) -> Storage:
    """A job also knows the endpoint of its object store; a URI leaves it to the environment."""
    if Path(corpus).suffix in _JOB_SUFFIXES:
        spec = load_job(Path(corpus))
        return open_storage(spec.corpus.uri, spec.storage)
    return open_storage(corpus)


@contextmanager
def _progress(verb: str, noun: str) -> Iterator[Callable[[int, int], None]]:
    """A bar on a terminal's stderr; nothing elsewhere."""
    columns = (TextColumn(verb), BarColumn(), MofNCompleteColumn(), TextColumn(noun))
    console = Console(stderr=True)
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(verb, total=None)
        yield lambda finished, total: bar.update(task, completed=finished, total=total)
