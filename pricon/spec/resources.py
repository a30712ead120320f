"""Where a run executes and how wide. Nothing in this module changes a result."""

import re
from difflib import get_close_matches
from functools import partial
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from pricon.spec.base import ContradictionError, Spec

TARGETS = ("local", "inprocess", "ray", "kubernetes")
_ADDRESS = re.compile(r"(ray|https?)://\S+")


def known_target(target: str) -> str:
    """`target`, if it is one.

    Raises:
        ContradictionError: it is not; a ValueError with a hint.
    """
    if target in TARGETS:
        return target
    if is_address(target):
        return without_credentials(target, environment="RAY_AUTH_TOKEN")
    near = get_close_matches(target, TARGETS, n=1)
    raise ContradictionError(
        f"there is no target `{target}`\n"
        f"  expected one of: {', '.join(TARGETS)}, or the address of a Ray cluster",
        f"did you mean `{near[0]}`?" if near else "an address is `ray://host:port` or `http://...`",
    )


def is_address(target: str) -> bool:
    """Whether a target is the address of a Ray cluster."""
    return _ADDRESS.fullmatch(target) is not None


def without_credentials(address: str, *, environment: str) -> str:
    """`address`, if all may read it: it is printed, and stored with every run.

    Args:
        address: of a server.
        environment: names of the variables that credentials come from.

    Raises:
        ContradictionError: it holds a user name, a password, a query or a fragment, none of which
            is repeated; or is no address at all.
    """
    try:
        parts = urlsplit(address)
    except ValueError as err:
        raise ContradictionError(f"no address: {err}", "mend it: `https://host:port`") from err
    is_of_server = parts.scheme in {"http", "https", "ray"}
    if "@" in parts.netloc or (is_of_server and (parts.query or parts.fragment)):
        raise ContradictionError(
            "an address with a user name, a password or a query in it, which would be stored with "
            "every run",
            f"leave that out; credentials come from the environment: {environment}",
        )
    return address


Target = Annotated[str, AfterValidator(known_target)]
_KEYLESS = AfterValidator(
    partial(without_credentials, environment="AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY")
)
Place = Annotated[str, Field(pattern=r"^[^\x00]+$"), _KEYLESS]
"""A folder or `s3://bucket/prefix`."""
Endpoint = Annotated[str, Field(pattern=r"^https?://"), _KEYLESS]
"""Address of an object store."""
TrackingUri = Annotated[
    str,
    Field(pattern=r"^(https?://|sqlite:///)"),
    AfterValidator(
        partial(
            without_credentials,
            environment="MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD or "
            "MLFLOW_TRACKING_TOKEN",
        )
    ),
]
"""Address of MLflow."""
NodeName = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]


class CacheSpec(Spec):
    """Parts of a corpus in an object store, kept on the disk of each machine that reads them."""

    folder: str | None = None
    """Where; null is `pricon-cache-<user>` in the folder for temporary files."""

    max_gb: NonNegativeFloat = 0.5
    """Most gigabytes that it takes; 0 keeps nothing. On a cluster it must fit into the scratch
    space of a pod, beside what Ray keeps there."""


class ResourcesSpec(Spec):
    """Lanes and what each of their workers gets."""

    lanes: PositiveInt = 1
    """Into how many Ray Train runs the folds and seeds are dealt."""

    lanes_at_once: PositiveInt | None = None
    """Most lanes that run at the same time; null means all of them (they wait where resources
    lack), on a cluster as many as its head has memory for."""

    workers_per_lane: PositiveInt = 1
    """Processes (torch DDP ranks) in a lane."""

    cpus_per_worker: PositiveFloat = 1.0
    """CPUs that Ray reserves for a worker; also its number of torch threads, at least one."""

    gpus_per_worker: NonNegativeFloat | None = None
    """GPUs that Ray reserves for a worker; a fraction lets lanes of one worker share one. The
    workers of a lane cannot: NCCL, by which they exchange gradients, refuses two on one GPU. Null
    takes one for each worker, a share for lanes of one worker where there are fewer, and works on
    CPUs where there is none."""

    max_failures: NonNegativeInt = 2
    """How often a lane starts again after losing a worker, in training or while it starts, or Ray
    Train's controller. Counted anew, with as many, after a lost node if the lane had got further
    since the last one. A trial that fails by itself is not retried."""

    hung_after_s: PositiveFloat | None = 1800.0
    """A worker that has got no further for so long (no batch, shard or record) is ended, which
    counts as lost: its lane goes on from its checkpoint. One that waits for others has a quarter
    more. Null waits for ever. Where workers are not replaced, as in `inprocess`, nobody looks."""

    checkpoint_interval_s: PositiveFloat = 60.0
    """Seconds between two checkpoints of a pack: the most training that a crash can lose, beside
    a validation or evaluation under way."""

    pack_members: PositiveInt = 256
    """Most models in one pack; bounds memory. Encoders over time take as much room as windows have
    frames, so their packs have so many times fewer."""

    cache: CacheSpec = CacheSpec()
    """What all lanes and runs on a machine download once. A corpus in a folder is never copied."""

    pool: NodeName | None = None
    """Node pool of a cluster; null is the one that the cluster's owner calls its default."""

    workers_within_s: PositiveInt | None = None
    """A run whose cluster has had for so long no nodes on which all workers of a lane fit ends, and
    is not tried again. Null is the cluster's custom; without one it waits as long as it may run."""

    queue: NodeName | None = None
    """Kueue's LocalQueue in which the run waits for its turn; null is the cluster's custom."""

    priority_class: NodeName | None = None
    """PriorityClass of the run's pods; null is the cluster's custom."""

    @model_validator(mode="after")
    def _ranks_have_gpus_of_their_own(self) -> "ResourcesSpec":
        gpus = self.gpus_per_worker or 0.0
        if self.workers_per_lane > 1 and not gpus.is_integer():
            raise ContradictionError(
                f"`gpus_per_worker: {gpus:g}` with `workers_per_lane: {self.workers_per_lane}`: "
                "the workers of a lane cannot share a GPU, only lanes beside each other can",
                "set `resources.workers_per_lane: 1` and more `resources.lanes`, or whole GPUs, or "
                "`resources.gpus_per_worker: 0` to train on CPUs",
            )
        return self


class StorageSpec(Spec):
    """The object store. Credentials come from the environment, never from here."""

    endpoint_url: Endpoint | None = None
    """S3 endpoint other than AWS, such as `http://127.0.0.1:8333`."""

    region: str | None = None
    """S3 region; null leaves it to the environment."""


class TrackingSpec(Spec):
    """MLflow."""

    uri: TrackingUri | None = None
    """Tracking server or `sqlite:///path`; null means `<output>/mlflow.db` where output is a
    folder."""
