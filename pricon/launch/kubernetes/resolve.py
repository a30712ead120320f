"""A job and a cluster's profile -> the job as it runs there: every address and size filled in.

Nothing here changes a result.
"""

import math
from pathlib import PurePosixPath

from pricon.errors import SpecError
from pricon.spec.job import JobSpec
from pricon.spec.profile import ClusterProfile, PoolSpec
from pricon.spec.resources import ResourcesSpec

RECORDINGS = "/tmp/pricon/recordings"
"""Of a head: where its driver writes generated recordings."""

_CONTROLLER_BYTES = 288 * 2**20
"""Of the head's memory, for every lane that runs: Ray Train's controller of it. 240 MiB as
`tests/benchmarks/scale_cluster.py` measures it, 280 MiB a lane as the kernel counts for a pod."""

_HEAD_BYTES = 2 * 2**30
"""What a head takes besides, for Ray and the driver."""


def resolve(job: JobSpec, profile: ClusterProfile) -> JobSpec:
    """The job as its driver on the cluster reads it.

    Raises:
        SpecError: the job needs something of this machine, a worker or a lane that is larger than
            its pool, or more lanes at once than the head has room for; or there is room for none.
    """
    pool_name, pool = pool_of(job.resources, profile)
    resources = _resources(job.resources, pool_name, pool, profile)
    _check_fits(resources, pool_name, pool)
    storage = {
        "endpoint_url": job.storage.endpoint_url or profile.storage.endpoint_url,
        "region": job.storage.region or profile.storage.region,
    }
    changes = {
        "corpus": job.corpus.model_copy(update=_corpus(job, profile)),
        "output": _output(job, profile),
        "storage": job.storage.model_copy(update=storage),
        "tracking": job.tracking.model_copy(update={"uri": _tracking(job, profile)}),
        "resources": resources,
        "target": "ray",
    }
    return job.model_copy(update=changes)


def resolve_for_ray(job: JobSpec, profile: ClusterProfile, run: str) -> JobSpec:
    """As `resolve`, for a Ray cluster of the same profile that stays, at the job's own address.

    Others use its head and its workers at the same time: recordings of `run` are apart from theirs.

    Raises:
        SpecError: as `resolve`.
    """
    pool = job.resources.pool or profile.shared_pool
    named = job.model_copy(update={"resources": job.resources.model_copy(update={"pool": pool})})
    found = resolve(named, profile).model_copy(update={"target": job.target})
    if found.corpus.generate is None:
        return found
    into = f"{RECORDINGS}/{run}/{PurePosixPath(str(found.corpus.generate.into)).name}"
    generate = found.corpus.generate.model_copy(update={"into": into})
    corpus = found.corpus.model_copy(update={"generate": generate})
    return found.model_copy(update={"corpus": corpus})


def pool_of(resources: ResourcesSpec, profile: ClusterProfile) -> tuple[str, PoolSpec]:
    """Name and pool that a job's workers run in.

    Raises:
        SpecError: the cluster has no such pool.
    """
    name = resources.pool or profile.default_pool
    if name not in profile.pools:
        names = ", ".join(f"`{known}`" for known in sorted(profile.pools))
        raise SpecError(
            f"`resources.pool` is `{name}`, which this cluster has not\n  expected one of: {names}",
            "take one of these, or ask the cluster's owner for another",
        )
    return name, profile.pools[name]


def workers_of_pod(resources: ResourcesSpec, pool: PoolSpec) -> int:
    """How many of a lane's workers fit into one pod of the pool."""
    by_cpu = math.floor(pool.cpus / resources.cpus_per_worker)
    if not resources.gpus_per_worker:
        return by_cpu
    return min(by_cpu, math.floor(pool.gpus / resources.gpus_per_worker))


def _resources(
    resources: ResourcesSpec, pool_name: str, pool: PoolSpec, profile: ClusterProfile
) -> ResourcesSpec:
    given = resources.gpus_per_worker
    changes = {
        "pool": pool_name,
        "queue": resources.queue or profile.queue,
        "priority_class": resources.priority_class or profile.priority_class,
        "workers_within_s": resources.workers_within_s or profile.pending_limit_s,
        "gpus_per_worker": min(1, pool.gpus) if given is None else given,
        "lanes_at_once": _lanes_at_once(resources, profile),
    }
    if "max_failures" not in resources.model_fields_set:
        changes["max_failures"] = profile.retries.lost_workers
    return resources.model_copy(update=changes)


def _lanes_at_once(resources: ResourcesSpec, profile: ClusterProfile) -> int | None:
    """As asked, where the head has memory for so many; where nothing is asked, as many as it has.

    One lane too many, and the head is killed with all of them.
    """
    room = math.floor((profile.head.memory_bytes - _HEAD_BYTES) / _CONTROLLER_BYTES)
    if room < 1:
        least = (_HEAD_BYTES + _CONTROLLER_BYTES) / 2**20
        raise SpecError(
            f"the head of this cluster has {profile.head.memory} of memory\n  expected {least:g}Mi "
            "or more, for Ray, a driver and one lane",
            "ask the cluster's owner for more `head.memory` in the profile",
        )
    asked = resources.lanes_at_once
    if min(asked or resources.lanes, resources.lanes) <= room:
        return asked
    if asked is None:
        return room
    raise SpecError(
        f"`resources.lanes_at_once` is {asked}, and the head of this cluster, of "
        f"{profile.head.memory}, has room for {room} lanes at once",
        "lower `resources.lanes_at_once`, or ask the cluster's owner for more `head.memory`",
    )


def _check_fits(resources: ResourcesSpec, pool_name: str, pool: PoolSpec) -> None:
    for noun, key, wants, has in (
        ("CPUs", "cpus_per_worker", resources.cpus_per_worker, pool.cpus),
        ("GPUs", "gpus_per_worker", resources.gpus_per_worker or 0, pool.gpus),
    ):
        if wants > has:
            raise SpecError(
                f"`resources.{key}` is {wants:g}, and a pod of pool `{pool_name}` has {has:g} "
                f"{noun}",
                f"lower `resources.{key}`, or take another `resources.pool`",
            )
    most = workers_of_pod(resources, pool) * pool.max_workers
    if resources.workers_per_lane > most:
        raise SpecError(
            f"`resources.workers_per_lane` is {resources.workers_per_lane}, and pool "
            f"`{pool_name}` has room for {most} workers of a run",
            "lower `resources.workers_per_lane`, or take another `resources.pool`",
        )


def _corpus(job: JobSpec, profile: ClusterProfile) -> dict[str, object]:
    """Recordings stay where they are: a cluster reads what was built from them."""
    corpus = job.corpus
    changes: dict[str, object] = {"source": None}
    if not corpus.uri.startswith("s3://"):
        if "uri" in corpus.model_fields_set:
            raise SpecError(
                f"`corpus.uri` is {corpus.uri}, which a cluster cannot read",
                f"leave it out (the corpus then lies below {profile.storage.corpora}), or set it "
                "to `s3://bucket/prefix`",
            )
        changes["uri"] = f"{profile.storage.corpora.rstrip('/')}/{PurePosixPath(corpus.uri).name}"
    if corpus.source is not None:
        changes["generate"] = None  # never in the place of real recordings
    elif corpus.generate is not None:
        into = f"{RECORDINGS}/{PurePosixPath(corpus.uri).name}"
        changes["generate"] = corpus.generate.model_copy(update={"into": into})
    return changes


def _output(job: JobSpec, profile: ClusterProfile) -> str:
    if job.output.startswith("s3://"):
        return job.output.rstrip("/")
    if job.output != JobSpec.model_fields["output"].default:
        raise SpecError(
            f"`output` is {job.output}, which a cluster cannot write to",
            f"leave it out (runs then lie below {profile.storage.output}), or set it to "
            "`s3://bucket/prefix`",
        )
    return profile.storage.output.rstrip("/")


def _tracking(job: JobSpec, profile: ClusterProfile) -> str | None:
    uri = job.tracking.uri
    if uri is None or uri.startswith("sqlite:"):
        return None if profile.tracking is None else profile.tracking.uri
    return uri
