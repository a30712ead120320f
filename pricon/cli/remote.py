"""`pricon-submit` to another machine's cluster: Kubernetes with pricon's chart, or any Ray.

What the driver says goes to stdout, what is said about the run to stderr.
"""

from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from pricon.cli.main import INTERRUPTED
from pricon.cli.plan import show_plan
from pricon.cli.runs import attend, open_cluster
from pricon.corpus.ensure import look_at
from pricon.errors import CorpusError, LaunchError
from pricon.launch.account import words_of
from pricon.launch.bulletins import EndBulletin, read
from pricon.launch.kubernetes.estimate import Estimate, estimate
from pricon.launch.kubernetes.installation import PROFILE, load_profile, read_profile
from pricon.launch.kubernetes.rayjob import RenderedRun, render
from pricon.launch.kubernetes.sending import Submitted, check_run, submit_run
from pricon.launch.preflight import Prepared, prepare
from pricon.launch.submission import Submission
from pricon.spec.dump import dump
from pricon.spec.job import JobSpec
from pricon.spec.profile import ClusterProfile


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which cluster, and what happens after a job is there.

    Args:
        context: of the kubeconfig; None for its current one.
        namespace: None for the context's.
        profile: ConfigMap of the profile, or a YAML file that holds one.
        detaches: whether to leave the run alone once it is there.
    """

    context: str | None = None
    namespace: str | None = None
    profile: str = PROFILE
    detaches: bool = False


def send(job: JobSpec, submission: Submission, place: Place, *, dry_run: bool) -> int:
    """Send a job to where its target says, or show what would be sent; exit code."""
    if job.target == "kubernetes":
        if dry_run:
            dry_run_of_kubernetes(job, submission, place)
            return 0
        return send_to_kubernetes(job, submission, place)
    if dry_run:
        show_plan(prepare(job, look_at(job.corpus, job.storage), submission.folds), Console())
        return 0
    return send_to_ray(job, submission, place)


def send_to_kubernetes(job: JobSpec, submission: Submission, place: Place) -> int:
    """Submit, or attach to what runs already, and follow; exit code of the run."""
    cluster = open_cluster(place.context, place.namespace)
    rendered = render(job, read_profile(cluster, place.profile), submission)
    _prepared(job, submission.folds)
    _say_about_recordings(job, rendered)
    submitted = submit_run(cluster, rendered, rerun=submission.reruns)
    _say(_FOUND[submitted.found].format(handle=submitted.handle))
    if place.detaches:
        _say(_comes_back(submitted))
        return 0
    return attend(cluster, submitted.handle)


_FOUND = {
    "new": "run {handle}: sent",
    "attached": "run {handle} is there already; attached to it",
    "finished": "run {handle} has finished already; `--rerun` trains again",
    "replaced": "run {handle}: sent again; what it finished before is kept",
}


def _comes_back(submitted: Submitted) -> str:
    handle = submitted.handle
    return f"`pricon logs -f {handle}` follows it, `pricon status {handle}` shows how far it is"


def dry_run_of_kubernetes(job: JobSpec, submission: Submission, place: Place) -> None:
    """Print the very objects that would be sent; plan, cost and checks go to stderr."""
    if Path(place.profile).suffix in {".yaml", ".yml"}:
        profile, cluster = load_profile(Path(place.profile)), None
    else:
        cluster = open_cluster(place.context, place.namespace)
        profile = read_profile(cluster, place.profile)
    rendered = render(job, profile, submission)
    errors = Console(stderr=True)
    prepared = _prepared(job, submission.folds)
    if prepared is not None:
        show_plan(prepared, errors)
        errors.print(_cost(estimate(prepared, rendered.job, profile), profile), soft_wrap=True)
    _say_about_recordings(job, rendered)
    if cluster is None:
        _say("not checked by an API server: the profile comes from a file")
    else:
        check_run(cluster, rendered)
        _say("the API server accepts it")
    typer.echo(dump(rendered.config_map, rendered.ray_job), nl=False)


def _prepared(job: JobSpec, folds: tuple[int, ...] | None) -> Prepared | None:
    """Plan and checks, where recordings or corpus can be read from here."""
    try:
        found = look_at(job.corpus, job.storage)
    except CorpusError as err:
        reason = err.message.splitlines()[0]
        _say(f"plan and labels are checked on the cluster, not here: {reason}")
        return None
    return prepare(job, found, folds)


def _say_about_recordings(job: JobSpec, rendered: RenderedRun) -> None:
    if job.corpus.source is not None:
        _say(
            f"recordings stay here; the run reads the corpus at {rendered.job.corpus.uri}, which "
            "`pricon corpus build` writes there"
        )


def _cost(found: Estimate, profile: ClusterProfile) -> str:
    pods = "1 worker pod" if found.pods == 1 else f"{found.pods} worker pods"
    facts = [f"{found.trials} trials on at most {pods}", f"about {_time(found.hours)}"]
    if found.gpu_hours:
        facts.append(f"{found.gpu_hours:.2g} GPU-hours")
    if found.cost is not None:
        facts.append(f"{found.cost:.2g} {profile.currency}")
    rough = "each worker taken to be as fast as one CPU core; right to a factor of three"
    return f"\nestimate: {', '.join(facts)} ({rough})"


def _time(hours: float) -> str:
    """Hours, or minutes where they are few.

    >>> _time(0.031), _time(30.4)
    ('2 minutes', '30 hours')
    """
    return f"{hours:.0f} hours" if hours >= 2 else f"{max(1, round(60 * hours))} minutes"


def send_to_ray(job: JobSpec, submission: Submission, place: Place) -> int:
    """Submit to a Ray cluster, or attach to what runs there already, and follow."""
    from pricon.launch.ray_jobs import RayJobs  # imports ray

    address = job.target
    jobs = RayJobs(address)
    ray_job = jobs.submit(job, submission)
    _say(f"Ray job {ray_job} at {address}")
    if submission.is_tracked and job.tracking.uri is None:
        _say("nothing is recorded in MLflow: `tracking.uri` is not set")
    end: EndBulletin | None = None
    how = f"submit again to follow it, `ray job stop --address {address} {ray_job}` ends it"
    if place.detaches:
        _say(how)
        return 0
    try:
        for line in jobs.follow(ray_job):
            match read(line):
                case None:
                    typer.echo(line)
                case EndBulletin() as end:
                    pass
                case bulletin:
                    typer.echo(words_of(bulletin))
    except KeyboardInterrupt:
        _say(f"\ndetached; Ray job {ray_job} goes on\n\nhint: {how}")
        raise SystemExit(INTERRUPTED) from None
    if end is None:
        status, said = jobs.outcome(ray_job)
        raise LaunchError(
            f"Ray job {ray_job} ended as {status.value} without a word of its driver\n  {said}",
            f"`ray job logs --address {address} {ray_job}` shows all that it said",
        )
    if end.exit_code:
        _say(f"error: {end.message or end.cause}")
        if end.hint:
            _say(f"\nhint: {end.hint}")
    return end.exit_code


def _say(text: str) -> None:
    typer.echo(text, err=True)
