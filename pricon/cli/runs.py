"""`pricon status | logs | cancel | results | list`: runs on a cluster, from any laptop.

Arguments in, words out; `pricon.launch` knows the rest. What the driver says goes to stdout, what
is said about the run to stderr.
"""

import json
from shlex import quote
from typing import Annotated

import typer

from pricon.cli.cluster import AsJson, Context, Namespace, Run, open_cluster, tracking_address
from pricon.cli.status import ago, columns, words_of_status
from pricon.errors import INTERRUPTED, LaunchError
from pricon.launch.account import Account
from pricon.launch.bulletins import EndBulletin, is_small_talk, read
from pricon.launch.kubernetes.client import RAY_JOBS, Cluster, Object
from pricon.launch.kubernetes.driver_log import driver_log
from pricon.launch.kubernetes.ending import Outcome
from pricon.launch.kubernetes.following import Changed, Ended, Heard, Line, Waiting, follow
from pricon.launch.kubernetes.listening import Note
from pricon.launch.kubernetes.pods import Reason
from pricon.launch.kubernetes.runs import ENDED, get_run, list_runs, output_of
from pricon.launch.kubernetes.sending import cancel_run
from pricon.launch.kubernetes.status import brief_status, status_of
from pricon.launch.words import words_of, words_of_usage


def list_all(namespace: Namespace = None, context: Context = None, as_json: AsJson = False) -> None:
    """List runs, the newest first; what failed for good is `stopped`, as it is not tried again.

    Exit codes: 0, 2 an argument is wrong, 3 the cluster does not answer or refuses.
    """
    cluster = open_cluster(context, namespace)
    found = [brief_status(run) for run in list_runs(cluster)]
    if as_json:
        typer.echo(json.dumps([status.to_dict() for status in found], indent=2))
    elif not found:
        typer.echo(f"no runs in namespace `{cluster.namespace}`", err=True)
    else:
        rows = [(one.run, one.job, one.state, ago(one.created)) for one in found]
        typer.echo(columns([("run", "job", "state", "submitted"), *rows]))


def show_status(
    run: Run, namespace: Namespace = None, context: Context = None, as_json: AsJson = False
) -> None:
    """Show a run's state, why it waits, and its trials by arm and fold.

    Exit codes: 0 whatever the state, 2 an argument is wrong, 3 there is no such run, or the cluster
    does not answer or refuses.
    """
    status = status_of(open_cluster(context, namespace), run)
    typer.echo(json.dumps(status.to_dict(), indent=2) if as_json else words_of_status(status))


def show_logs(
    run: Run,
    is_followed: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the run ends; its exit code.")
    ] = False,
    namespace: Namespace = None,
    context: Context = None,
) -> int:
    """Print what a run's driver has said.

    Exit codes: 0, or with --follow that of the run, as pricon-submit has them; 2 an argument is
    wrong, 3 there is no such run, or the cluster does not answer or refuses, 130 detached.
    """
    cluster = open_cluster(context, namespace)
    if is_followed:
        return attend(cluster, run)
    ray_job = cluster.get(RAY_JOBS, run)
    lines = [line for line in _lines(cluster, run, ray_job) if not is_small_talk(line)]
    for line in lines:
        bulletin = read(line)
        echo(line if bulletin is None else words_of(bulletin))
    if not lines:
        status = status_of(cluster, run)
        typer.echo(f"run {run} has no log; it is {status.state}", err=True)
        _tell_reason(status.reason)
        _tell_folder(status.output)
    return 0


def _lines(cluster: Cluster, run: str, ray_job: Object | None) -> list[str]:
    """What the driver of a run said; how that was found goes to stderr."""
    log = driver_log(cluster, run, ray_job, tracking_address())
    for note in log.notes:
        typer.echo(note, err=True)
    return log.lines


def cancel(run: Run, namespace: Namespace = None, context: Context = None) -> None:
    """End a run; what it finished is kept.

    Exit codes: 0 it has ended, 2 an argument is wrong, 3 there is no such run, or the cluster does
    not answer or refuses.
    """
    cluster = open_cluster(context, namespace)
    output = output_of(get_run(cluster, run))
    before = cancel_run(cluster, run)
    if before in {"finished", "failed", "stopped"}:
        typer.echo(f"run {run} had already ended: {before}")
    else:
        typer.echo(f"run {run} is cancelled; submitting its job again goes on where it was")
        _tell_folder(output)


def show_results(run: Run, namespace: Namespace = None, context: Context = None) -> int:
    """Print a run's report, and say where it lies.

    Exit codes: 0, 1 trials are missing, 2 an argument is wrong, 3 there is no report (yet) or no
    such run, or the cluster does not answer or refuses.
    """
    cluster = open_cluster(context, namespace)
    account, ray_job = Account(), cluster.get(RAY_JOBS, run)
    for line in _lines(cluster, run, ray_job):
        account.take(line)
    if account.report is not None:
        typer.echo(words_of(account.report))
        if account.used is not None:
            typer.echo(words_of_usage(account.used))
        return 0 if account.report.complete else 1
    if ray_job is None and account.plan is not None:
        raise _without_report(run, account, "forgotten by the cluster")
    status = status_of(cluster, run)
    if status.state == "finished" and status.output is not None:
        typer.echo(
            f"the log of the run is gone from the cluster; its report is in\n{status.output}"
        )
        return 0
    raise _without_report(run, account, status.state)


def _without_report(run: str, account: Account, state: str) -> LaunchError:
    cells, end = account.cells(), account.end
    done, total = sum(cell.done for cell in cells), sum(cell.total for cell in cells)
    so_far = f", with {done} of {total} trials done" if total else ""
    why = f"\n  {end.message or end.cause}" if end is not None and end.exit_code else ""
    goes_on = f"`pricon status {run}` says more, submitting its job again goes on where it was"
    if state == "forgotten by the cluster":
        goes_on = "submitting its job again goes on where it was"
    elif state not in ENDED:
        goes_on = f"`pricon status {run}` says more, `pricon logs -f {run}` waits for its end"
    return LaunchError(f"run `{run}` has no report: it is {state}{so_far}{why}", goes_on)


def address_of(cluster: Cluster, handle: str) -> str:
    """Arguments that lead to a run, wherever the kubeconfig may point by then."""
    context = f" --context {quote(cluster.access.context)}" if cluster.access.context else ""
    return f"{handle}{context} --namespace {cluster.namespace}"


def attend(cluster: Cluster, handle: str) -> int:
    """Follow a run and print what is heard; its exit code. Ctrl-C leaves the run alone."""
    try:
        for heard in follow(cluster, handle):
            if isinstance(heard, Ended):
                return _tell_outcome(handle, heard.outcome)
            _tell(handle, heard)
    except KeyboardInterrupt:
        run = address_of(cluster, handle)
        typer.echo(
            f"\ndetached; run {handle} goes on\n\nhint: `pricon logs -f {run}` comes back, "
            f"`pricon cancel {run}` ends it",
            err=True,
        )
        raise SystemExit(INTERRUPTED) from None
    raise AssertionError("following ends with `Ended`")


def _tell(handle: str, heard: Heard) -> None:
    match heard:
        case Line(text=text, bulletin=None):
            if not is_small_talk(text):
                typer.echo(text)
        case Line(bulletin=EndBulletin()):
            pass  # said as the outcome
        case Line(bulletin=bulletin):
            assert bulletin is not None
            echo(words_of(bulletin))
        case Changed(state=state):
            typer.echo(f"run {handle}: {state}", err=True)
        case Waiting(reason=reason):
            _tell_reason(reason)
        case Note(text=text):
            typer.echo(text, err=True)


def echo(words: str | None) -> None:
    """Print what is meant for people."""
    if words is not None:
        typer.echo(words)


def _tell_reason(reason: Reason | None) -> None:
    if reason is not None:
        typer.echo(f"waiting: {reason.sentence}", err=True)
        if reason.hint:
            typer.echo(f"  hint: {reason.hint}", err=True)


def _tell_outcome(handle: str, outcome: Outcome) -> int:
    if outcome.exit_code:
        message = outcome.message or f"run {handle} ended: {outcome.cause}"
        typer.echo(f"error: {message}", err=True)
        if outcome.hint:
            typer.echo(f"\nhint: {outcome.hint}", err=True)
    return outcome.exit_code


def _tell_folder(output: str | None) -> None:
    if output is not None:
        typer.echo(f"what it wrote is in {output}", err=True)
