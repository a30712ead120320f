"""`pricon-submit JOB`: check a job, show its plan, run it, print what was found."""

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from pricon import __version__
from pricon.cli.arguments import parse_folds, parse_target
from pricon.cli.plan import show_plan
from pricon.cli.progress import Progress, building
from pricon.cli.remote import Place, send
from pricon.corpus.ensure import look_at
from pricon.errors import SpecError
from pricon.launch.preflight import Prepared, prepare
from pricon.launch.sizing import check_fits
from pricon.launch.submission import Submission
from pricon.launch.submit import approved_corpus, run, run_storage
from pricon.report.tables import terminal
from pricon.spec.job import JobSpec
from pricon.spec.load import load_job
from pricon.spec.resources import TARGETS, is_address
from pricon.track.open import default_uri, no_tracker, open_tracker
from pricon.track.tracker import Tracker

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


def print_schema(wanted: bool) -> None:
    """The JSON Schema of job files, for editors."""
    if wanted:
        typer.echo(json.dumps(JobSpec.model_json_schema(), indent=2))
        raise typer.Exit


def print_version(wanted: bool) -> None:
    """The version of pricon."""
    if wanted:
        typer.echo(f"pricon {__version__}")
        raise typer.Exit


Job = Annotated[Path, typer.Argument(help="Job file, such as jobs/again_cv.yaml.")]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Show the plan and its checks; run nothing.")
]
ToTarget = Annotated[
    str | None,
    typer.Option(help=f"Instead of the job's own: {', '.join(TARGETS)}, or an address of Ray."),
]
OnlyFolds = Annotated[
    str | None, typer.Option(help="Run these folds alone, such as 0,1; the report says so.")
]
NoTrack = Annotated[bool, typer.Option("--no-track", help="Record nothing in MLflow.")]
Rerun = Annotated[bool, typer.Option("--rerun", help="Train again what is already finished.")]
Namespace = Annotated[
    str | None, typer.Option(help="On a cluster: instead of the context's namespace.")
]
Context = Annotated[
    str | None, typer.Option(help="On a cluster: instead of the kubeconfig's current context.")
]
Profile = Annotated[
    str | None,
    typer.Option(
        help="On a cluster: ConfigMap of its profile; a YAML file with --dry-run or to an address "
        "of Ray."
    ),
]
Detach = Annotated[
    bool, typer.Option("--detach", help="On a cluster: send the job and leave it alone.")
]
Schema = Annotated[
    bool,
    typer.Option(
        "--schema",
        help="Print the JSON Schema of job files and exit.",
        callback=print_schema,
        is_eager=True,
    ),
]
Version = Annotated[
    bool,
    typer.Option(
        "--version", help="Print the version and exit.", callback=print_version, is_eager=True
    ),
]


MANY_RECORDS = 40
"""About a second's work for MLflow; less is not worth a word."""


@app.command()
def submit(  # noqa: PLR0913  # options of a command
    job: Job,
    dry_run: DryRun = False,
    target: ToTarget = None,
    only_folds: OnlyFolds = None,
    no_track: NoTrack = False,
    rerun: Rerun = False,
    namespace: Namespace = None,
    context: Context = None,
    profile: Profile = None,
    detach: Detach = False,
    schema: Schema = False,
    version: Version = False,
) -> None:
    """Run the comparison that JOB describes; what is already finished is not run again.

    Exit codes: 0 done, 1 a trial failed, 2 job file, arguments or recordings are wrong, 3 the
    cluster or a service failed or is of another version, 70 a defect of pricon, 130 interrupted,
    141 nobody reads on.
    """
    spec = load_job(job)
    if target is not None:
        spec = spec.model_copy(update={"target": parse_target(target)})
    folds = parse_folds(only_folds)
    submission = Submission(folds=folds, reruns=rerun, is_tracked=not no_track)
    place = Place(context=context, namespace=namespace, profile=profile, detaches=detach)
    place.check_suits(spec.target)
    if spec.target == "kubernetes" or is_address(spec.target):
        raise typer.Exit(send(spec, submission, place, dry_run=dry_run))
    check_fits(spec.target, spec.resources)
    raise typer.Exit(look(spec, folds) if dry_run else run_here(spec, submission))


def look(spec: JobSpec, folds: tuple[int, ...] | None) -> int:
    """Show what would run on this machine, and whether results can be written; exit code."""
    prepared = prepare(spec, look_at(spec.corpus, spec.storage), folds)
    show_plan(prepared, Console())
    run_storage(spec, prepared.plan).check_writable()
    return 0


def run_here(spec: JobSpec, submission: Submission) -> int:
    """Run a job on this machine and print what was found; exit code."""
    errors = Console(stderr=True)
    tracker = _tracker(spec) if submission.is_tracked else no_tracker()
    corpus = approved_corpus(spec, submission.folds, building(errors))
    prepared = prepare(spec, corpus, submission.folds)
    view = Progress(prepared.plan, spec, errors, "writing the report")
    try:
        report = run(prepared, corpus, tracker, view, rerun=submission.reruns)
        out = Console()
        out.print(terminal(report))
        out.print(_where(prepared, is_tracked=submission.is_tracked), soft_wrap=True)
        for lane, error in sorted(view.errors.items()):
            errors.print(f"\nlane {lane} ended early: {error}", soft_wrap=True, markup=False)
        is_behind = tracker.num_waiting >= MANY_RECORDS
        if is_behind:
            errors.print(
                f"\nMLflow is still to hear {tracker.num_waiting} records; those that a Ctrl-C "
                "leaves out are recorded when the job is submitted again",
                soft_wrap=True,
                highlight=False,
            )
    finally:
        tracker.close()
    if is_behind and not tracker.is_behind:
        errors.print("MLflow has heard them all")
    return 1 if report.unfinished else 0


def _tracker(job: JobSpec) -> Tracker:
    """MLflow as the job wants it; its database lies beside the runs where they are in a folder."""
    is_remote = "://" in job.output
    if job.tracking.uri is None and is_remote:
        raise SpecError(
            f"`tracking.uri` is not set, and `output` is not a folder: {job.output}",
            "set `tracking.uri` to a server or `sqlite:///path`, or add `--no-track`",
        )
    folder = Path(".pricon") if is_remote else Path(job.output)
    return open_tracker(job.tracking.uri, folder, folder / job.name / "tracking.jsonl")


def _where(prepared: Prepared, is_tracked: bool) -> Text:
    """Where the report lies, and how to see curves."""
    job = prepared.job
    lines = [f"\nreport   {run_storage(job, prepared.plan).uri}/report.html"]
    if is_tracked:
        uri = job.tracking.uri or default_uri(Path(job.output))
        command = os.path.relpath(Path(sys.executable).with_name("mlflow"))
        how = f"{command} ui --backend-store-uri {uri}" if uri.startswith("sqlite:") else uri
        lines.append(f"MLflow   {how}")
        lines.append(f"         choose `Model training` at the top left, then `{job.name}`")
    return Text("\n".join(lines))
