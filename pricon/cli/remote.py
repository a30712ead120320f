"""`pricon-submit` to another machine's cluster: Kubernetes with pricon's chart, or any Ray.

What the driver says goes to stdout, what is said about the run to stderr.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import typer
from rich.console import Console

from pricon.cli.cluster import open_cluster
from pricon.cli.plan import show_plan
from pricon.cli.runs import address_of, attend, echo
from pricon.corpus.ensure import look_at
from pricon.errors import INTERRUPTED, CorpusError, LaunchError, SpecError
from pricon.launch.bulletins import EndBulletin, is_small_talk, read
from pricon.launch.kubernetes.client import Cluster
from pricon.launch.kubernetes.estimate import Estimate, estimate
from pricon.launch.kubernetes.installation import PROFILE, load_profile, read_profile
from pricon.launch.kubernetes.rayjob import render
from pricon.launch.kubernetes.resolve import resolve_for_ray
from pricon.launch.kubernetes.sending import check_run, submit_run
from pricon.launch.preflight import Prepared, prepare
from pricon.launch.submission import Submission, handle_of
from pricon.launch.words import words_of, words_of_shares
from pricon.spec.dump import dump
from pricon.spec.job import JobSpec
from pricon.spec.profile import ClusterProfile
from pricon.spec.resources import is_address


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Which cluster, and what happens after a job is there.

    Args:
        context: of the kubeconfig; None for its current one.
        namespace: None for the context's.
        profile: ConfigMap of the profile, or a YAML file that holds one; None for the usual
            ConfigMap on Kubernetes, and for none at all on another Ray cluster.
        detaches: whether to leave the run alone once it is there.
    """

    context: str | None = None
    namespace: str | None = None
    profile: str | None = None
    detaches: bool = False

    @property
    def has_profile_file(self) -> bool:
        """Whether the profile is a file, not a ConfigMap."""
        name = self.profile or PROFILE
        return "/" in name or Path(name).suffix in {".yaml", ".yml"}

    def read_profile(self, cluster: Cluster | None = None) -> ClusterProfile:
        """The profile, out of its file or from a cluster, which is that of the kubeconfig."""
        if self.has_profile_file:
            return load_profile(Path(self.profile or PROFILE))
        cluster = cluster or open_cluster(self.context, self.namespace)
        return read_profile(cluster, self.profile or PROFILE)

    def check_suits(self, target: str) -> None:
        """Refuse what another target would have no use for.

        Raises:
            SpecError: an option for Kubernetes, and the job goes elsewhere.
        """
        is_of_ray = is_address(target)
        reads_map = is_of_ray and self.profile is not None and not self.has_profile_file
        given = {
            "--context": self.context is not None and not reads_map,
            "--namespace": self.namespace is not None and not reads_map,
            "--profile": self.profile is not None and not is_of_ray,
            "--detach": self.detaches and not is_of_ray,
        }
        idle = [option for option, is_given in given.items() if is_given]
        if idle and target != "kubernetes":
            other = (
                "name the ConfigMap by `--profile`" if is_of_ray else "add `--target kubernetes`"
            )
            raise SpecError(
                f"`{idle[0]}` is for Kubernetes, and the target is `{target}`",
                f"{other}, or leave `{idle[0]}` out",
            )


def send(job: JobSpec, submission: Submission, place: Place, *, dry_run: bool) -> int:
    """Send a job to where its target says, or show what would be sent; exit code."""
    if job.target == "kubernetes":
        if dry_run:
            dry_run_of_kubernetes(job, submission, place)
            return 0
        return send_to_kubernetes(job, submission, place)
    if place.profile is None:
        if dry_run:
            show_plan(prepare(job, look_at(job.corpus, job.storage), submission.folds), Console())
            return 0
        return send_to_ray(job, submission, place)
    run = handle_of(job, submission.folds)  # the same on all clusters, wherever they keep things
    resolved = resolve_for_ray(job, place.read_profile(), run)
    prepared = _prepared(job, submission.folds)
    _say_about_recordings(job, resolved)
    if not dry_run:
        return send_to_ray(resolved, replace(submission, handle=run), place)
    if prepared is not None:
        show_plan(replace(prepared, job=resolved), Console())
    _say(f"corpus {resolved.corpus.uri}, results below {resolved.output}")
    return 0


def send_to_kubernetes(job: JobSpec, submission: Submission, place: Place) -> int:
    """Submit, or attach to what runs already, and follow; exit code of the run."""
    if place.has_profile_file:
        raise SpecError(
            f"`--profile {place.profile}` is a file, which `--dry-run` can look at; a run is sent "
            "by the cluster's own profile",
            "add `--dry-run`, or name the ConfigMap of the profile",
        )
    cluster = open_cluster(place.context, place.namespace)
    rendered = render(job, place.read_profile(cluster), submission)
    _prepared(job, submission.folds)
    _say_about_recordings(job, rendered.job)
    submitted = submit_run(cluster, rendered, rerun=submission.reruns)
    _say(_FOUND[submitted.found].format(handle=submitted.handle))
    if place.detaches:
        run = address_of(cluster, submitted.handle)
        _say(f"`pricon logs -f {run}` follows it, `pricon status {run}` shows how far it is")
        return 0
    return attend(cluster, submitted.handle)


_FOUND = {
    "new": "run {handle}: sent",
    "attached": "run {handle} is there already; attached to it",
    "finished": "run {handle} has finished already; `--rerun` trains again",
    "replaced": "run {handle}: sent again; what it finished before is kept",
}


def dry_run_of_kubernetes(job: JobSpec, submission: Submission, place: Place) -> None:
    """Print the very objects that would be sent; plan, cost and checks go to stderr."""
    is_there = not place.has_profile_file
    cluster = open_cluster(place.context, place.namespace) if is_there else None
    profile = place.read_profile(cluster)
    rendered = render(job, profile, submission)
    errors = Console(stderr=True)
    prepared = _prepared(job, submission.folds)
    if prepared is not None:
        show_plan(replace(prepared, job=rendered.job), errors)
        errors.print(_cost(estimate(prepared, rendered.job, profile), profile), soft_wrap=True)
    _say_about_recordings(job, rendered.job)
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


def _say_about_recordings(job: JobSpec, resolved: JobSpec) -> None:
    if job.corpus.source is not None:
        _say(
            f"recordings stay here; the run reads the corpus at {resolved.corpus.uri}, which "
            "`pricon corpus build` writes there"
        )


def _cost(found: Estimate, profile: ClusterProfile) -> str:
    pods = "1 worker pod" if found.pods == 1 else f"{found.pods} worker pods"
    kind = " on spot nodes" if found.is_spot else ""
    facts = [f"{found.trials} trials on at most {pods}{kind}", f"about {_time(found.hours)}"]
    if found.gpu_hours:
        facts.append(f"{found.gpu_hours:.2g} GPU-hours")
    if found.cost is not None:
        facts.append(f"{found.cost:.2g} {profile.currency}")
    rough = "each worker taken to be as fast as one CPU core; right to a factor of three"
    if found.is_spot:
        rough += "; longer where nodes are taken away"
    shares = dict(found.by_arm)
    shares["starting workers"] = 1 - sum(shares.values())
    return f"\nestimate: {', '.join(facts)} ({rough})\n          {words_of_shares(shares)}"


def _time(hours: float) -> str:
    """Hours, or minutes where they are few.

    >>> _time(0.001), _time(0.031), _time(30.4)
    ('a minute', '2 minutes', '30 hours')
    """
    minutes = round(60 * hours)
    if minutes < 2:
        return "a minute"
    return f"{hours:.0f} hours" if hours >= 2 else f"{minutes} minutes"


def send_to_ray(job: JobSpec, submission: Submission, place: Place) -> int:
    """Submit to a Ray cluster, or attach to what runs there already, and follow."""
    from pricon.launch.ray_jobs import RayJobs  # imports ray

    address = job.target
    jobs = RayJobs(address)
    ray_job, is_new = jobs.submit(job, submission)
    _say(f"Ray job {ray_job} at {address}" if is_new else f"attached to Ray job {ray_job}")
    _say_what_ray_does_not_know(job, submission)
    end: EndBulletin | None = None
    how = f"submit again to follow it, `ray job stop --address {address} {ray_job}` ends it"
    if place.detaches:
        _say(how)
        return 0
    try:
        for line in jobs.follow(ray_job):
            match read(line):
                case None if is_small_talk(line):
                    pass
                case None:
                    typer.echo(line)
                case EndBulletin() as end:
                    pass
                case bulletin:
                    echo(words_of(bulletin))
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


def _say_what_ray_does_not_know(job: JobSpec, submission: Submission) -> None:
    """What neither the job nor a profile says."""
    if submission.is_tracked and job.tracking.uri is None:
        _say("nothing is recorded in MLflow: `tracking.uri` is not set")
    if "://" not in job.output:
        _say(f"results lie below {job.output}, as the cluster's machines see it")


def _say(text: str) -> None:
    typer.echo(text, err=True)
