"""What tests with a Ray of their own share."""

from pathlib import Path

import numpy as np
import pytest

from pricon.spec.job import JobSpec
from pricon.spec.resources import ResourcesSpec
from tests.launch.test_driver import predictions

IN_REAL_RAY = [
    pytest.mark.usefixtures("_ray_litter"),
    pytest.mark.filterwarnings(
        # Ray leaves sockets and files of its own to the garbage collector.
        "ignore::ResourceWarning",
        "ignore::pytest.PytestUnraisableExceptionWarning",
        "ignore::DeprecationWarning",
        "ignore::FutureWarning",
    ),
]
"""`pytestmark` of their modules."""


def with_resources(job: JobSpec, target: str, output: str, **resources: float) -> JobSpec:
    return job.model_copy(
        update={
            "resources": ResourcesSpec.model_validate(resources),
            "target": target,
            "output": str(Path(job.output).parent / output),
        }
    )


def assert_same_predictions(one: JobSpec, other: JobSpec) -> None:
    for mine, theirs in zip(predictions(one), predictions(other), strict=True):
        assert (mine["trial_id"], mine["window"]) == (theirs["trial_id"], theirs["window"])
        assert np.isclose(mine["probability_high"], theirs["probability_high"], atol=1e-4)
