"""Where a run executes and how wide. Nothing in this module changes a result."""

from typing import Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from pricon.spec.base import Spec

Target = Literal["inprocess", "local"]


class ResourcesSpec(Spec):
    """Lanes and what each of their workers gets."""

    lanes: PositiveInt = 1
    """Into how many Ray Train runs the folds and seeds are dealt."""

    lanes_at_once: PositiveInt | None = None
    """Most lanes that run at the same time; null means all of them (they wait where resources
    lack)."""

    workers_per_lane: PositiveInt = 1
    """Processes (torch DDP ranks) in a lane."""

    cpus_per_worker: PositiveFloat = 1.0
    """CPUs that Ray reserves for a worker; also its number of torch threads, at least one."""

    gpus_per_worker: NonNegativeFloat = 0.0
    """GPUs that Ray reserves for a worker; a fraction lets lanes share one."""

    max_failures: NonNegativeInt = 2
    """How often a lane starts again after losing a worker. A trial that fails by itself is not
    retried."""

    checkpoint_interval_s: PositiveFloat = 60.0
    """Seconds between two checkpoints of a pack: the most work that a crash can lose."""

    pack_members: PositiveInt = 256
    """Most models in one pack; bounds memory. Encoders over time take as much room as windows have
    frames, so their packs have so many times fewer."""


class StorageSpec(Spec):
    """The object store. Credentials come from the environment, never from here."""

    endpoint_url: str | None = Field(None, pattern=r"^https?://")
    """S3 endpoint other than AWS, such as `http://127.0.0.1:8333`."""

    region: str | None = None
    """S3 region; null leaves it to the environment."""


class TrackingSpec(Spec):
    """MLflow."""

    uri: str | None = Field(None, pattern=r"^(https?://|sqlite:///)")
    """Tracking server or `sqlite:///path`; null means `<output>/mlflow.db` where output is a
    folder."""
