"""Cluster profile: what the owner of a cluster says once, so that job files need not.

`helm/pricon` writes it into a ConfigMap, from values of the same names; `pricon-submit` reads it
there. Secrets are named, never held.
"""

import re
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.config import JsonDict

from pricon.spec.base import ContradictionError, Spec
from pricon.spec.resources import Endpoint, TrackingUri

Quantity = Annotated[str, Field(pattern=r"^[0-9]+(\.[0-9]+)?(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?$")]
_FACTORS = {
    **{"": 1.0, "m": 1e-3, "k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15},
    **{f"{prefix}i": 2.0**power for prefix, power in zip("KMGTP", range(10, 60, 10), strict=True)},
}
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Label = Annotated[
    str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?)?$")
]
LabelKey = Annotated[
    str,
    Field(
        max_length=253 + 1 + 63,
        pattern=r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*/)?"
        r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?$",
    ),
]
Image = Annotated[str, Field(pattern=r"^[^\s@]+(:[\w][\w.-]*|@sha256:[0-9a-f]{64})$")]


def _without_query(uri: str) -> str:
    """The URI, if all may read it: everybody in the namespace may.

    Raises:
        ContradictionError: it holds a query or a fragment, which is not repeated.
    """
    if {"?", "#"} & {*uri}:
        raise ContradictionError(
            "an address with a query or a fragment in it, which everybody may read",
            "leave that out; keys go into the secret that `secretName` names",
        )
    return uri


ObjectUri = Annotated[
    str, Field(pattern=r"^s3://[^/\s@]+(/[^\s]*)?$"), AfterValidator(_without_query)
]


class ProfilePart(Spec):
    """A part of a profile: keys as Kubernetes writes them, `camelCase`."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)


_VALUE_IS_FOR_EQUAL: JsonDict = {
    "if": {"required": ["operator"], "properties": {"operator": {"const": "Equal"}}},
    "else": {"properties": {"value": {"maxLength": 0}}},
}


class TolerationSpec(ProfilePart):
    """A taint that pods put up with, as Kubernetes has it."""

    model_config = ConfigDict(json_schema_extra=_VALUE_IS_FOR_EQUAL)

    key: LabelKey
    """Key of the taint."""

    operator: Literal["Exists", "Equal"] = "Exists"
    """Whether the value matters."""

    value: Label | None = None
    """Value of the taint, for `Equal`."""

    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; null is every effect."""

    @model_validator(mode="after")
    def _value_matters(self) -> "TolerationSpec":
        if self.operator == "Exists" and self.value:
            raise ContradictionError(
                f"a `value`, {self.value}, with the operator `Exists`, which takes none",
                "say `operator: Equal`, or leave the value out",
            )
        return self


class PlacementSpec(ProfilePart):
    """Which nodes a pod may run on, and how much of one it takes."""

    cpus: PositiveFloat
    """CPUs of a pod: request and limit."""

    memory: Quantity
    """Memory of a pod, such as `16Gi`: request and limit."""

    scratch: Quantity = "10Gi"
    """Room for Ray's logs and spilled objects on the node's own disk."""

    node_selector: dict[LabelKey, Label] = Field(default_factory=dict)
    """Labels that a node must have."""

    tolerations: tuple[TolerationSpec, ...] = ()
    """Taints that pods put up with."""

    @property
    def memory_bytes(self) -> float:
        """`memory` as a number."""
        number, unit = re.findall(r"^([0-9.]+)(.*)$", self.memory)[0]
        return float(number) * _FACTORS[unit]


class PoolSpec(PlacementSpec):
    """Nodes of one kind, and the worker pods that a run may have on them."""

    gpus: NonNegativeInt = 0
    """GPUs of a worker pod."""

    gpu_resource: str = Field("nvidia.com/gpu", pattern=r"^[a-z0-9.-]+/[a-zA-Z0-9._-]+$")
    """Name under which the device plugin offers them."""

    min_workers: NonNegativeInt = 0
    """Worker pods that a run always has. 0: the pool scales from zero."""

    max_workers: PositiveInt
    """Most worker pods of one run."""

    spot: bool = False
    """Whether nodes may be taken away, which estimates tell. It asks for no such nodes:
    `nodeSelector` does. A loss of a node costs a lane no retry, on any pool, as long as it got
    further since the last one."""

    price_per_hour: NonNegativeFloat | None = None
    """What a worker pod costs an hour, in `currency`; null leaves estimates, and what runs took,
    without a price."""

    runtime_class_name: str | None = None
    """Runtime class of the pods, where GPUs need one."""

    @model_validator(mode="after")
    def _bounds_in_order(self) -> "PoolSpec":
        if self.min_workers > self.max_workers:
            raise ValueError(
                f"`minWorkers` is {self.min_workers}, above `maxWorkers`, {self.max_workers}"
            )
        return self


class ObjectStorageSpec(ProfilePart):
    """The object store of the cluster."""

    corpora: ObjectUri
    """Below it lie the corpora of jobs that give no `corpus.uri`."""

    output: ObjectUri
    """Below it lie the runs of jobs whose `output` is a folder."""

    endpoint_url: Endpoint | None = None
    """S3 endpoint other than AWS."""

    region: str | None = None
    """S3 region."""

    secret_name: Name | None = None
    """Secret with `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`; null where the service account
    is enough (workload identity)."""


class TrackingServerSpec(ProfilePart):
    """The MLflow server, as pods of a run reach it."""

    uri: Annotated[TrackingUri, Field(pattern=r"^https?://")]
    """Its address inside the cluster."""

    secret_name: Name | None = None
    """Secret with `MLFLOW_TRACKING_USERNAME` and `MLFLOW_TRACKING_PASSWORD`."""

    public_url: Annotated[TrackingUri, Field(pattern=r"^https?://")] | None = None
    """Its address for people; null where it has none."""


class RetrySpec(ProfilePart):
    """How a run goes on after it lost something. Each kind of loss has its own budget."""

    cluster_failures: NonNegativeInt = 2
    """New Ray clusters after the head, or all of a cluster, was lost. None after an error of a job
    or a defect: the driver then has its Ray job stopped, which KubeRay, unlike a failed one, leaves
    alone. 0 leaves it failed."""

    lost_workers: NonNegativeInt = 2
    """Restarts of a lane that lost a worker or its controller. Overrides `resources.max_failures`
    of jobs that do not give it."""


class ClusterProfile(ProfilePart):
    """What the owner of a cluster says about it."""

    version: str = Field(pattern=r"^[0-9]+\.[0-9]+\.[0-9]+([a-z0-9.+-]*)$")
    """Version of pricon in `image`; a submitter of another one is refused."""

    image: Image
    """Image of head, workers and submitter pod, by tag or, better, by digest."""

    image_pull_policy: Literal["IfNotPresent", "Always", "Never"] = "IfNotPresent"
    """When nodes ask the registry."""

    image_pull_secrets: tuple[Name, ...] = ()
    """Secrets for a private registry."""

    service_account: Name
    """Of the pods of a run."""

    pools: dict[Name, PoolSpec] = Field(min_length=1)
    """Node pools by the name that jobs say in `resources.pool`."""

    default_pool: Name
    """For jobs that name none."""

    shared_pool: Name | None = None
    """That of a Ray cluster which stays, as the chart's shared one: for jobs that name none and are
    sent to its address."""

    head: PlacementSpec = PlacementSpec(cpus=2, memory="8Gi")
    """The head pod: plans, watches and reports; trains nothing."""

    storage: ObjectStorageSpec
    """Where corpora and runs lie."""

    tracking: TrackingServerSpec | None = None
    """Where runs are recorded; null records nothing in MLflow."""

    queue: Name | None = None
    """Kueue's LocalQueue for jobs that name none."""

    priority_class: Name | None = None
    """PriorityClass of the pods of jobs that name none."""

    currency: str = Field("USD", pattern=r"^[A-Z]{3}$")
    """Of all prices."""

    time_limit_s: PositiveInt = 7 * 24 * 3600
    """An attempt of a run that takes longer is ended, and the run with it: KubeRay begins to count
    anew with each Ray cluster that it makes for a run (`retries.clusterFailures`)."""

    pending_limit_s: PositiveInt = 24 * 3600
    """A run whose head has not started by then is ended, and one that has had no nodes on which all
    workers of a lane fit for so long. Each attempt counts for itself, and waiting in a queue does
    not count."""

    keep_s: NonNegativeInt = 300
    """How long the pods of an ended run stay, so that `pricon status` can say what ended them. Its
    object, and the log of its last attempt, stay until somebody removes them."""

    ray_version: str = Field("2.60.0", pattern=r"^[0-9]+\.[0-9]+\.[0-9]+$")
    """Version of Ray in `image`; KubeRay asks for it."""

    retries: RetrySpec = RetrySpec()
    """Budgets."""

    isolate_runs: bool = False
    """Ask KubeRay for network policies that keep pods of different runs apart; needs its feature
    gate `RayClusterNetworkPolicy`."""

    @model_validator(mode="after")
    def _pools_exist(self) -> "ClusterProfile":
        for key, pool in (("defaultPool", self.default_pool), ("sharedPool", self.shared_pool)):
            if pool is not None and pool not in self.pools:
                names = ", ".join(f"`{name}`" for name in sorted(self.pools))
                raise ValueError(f"`{key}` is `{pool}`, `pools` has {names}")
        return self
