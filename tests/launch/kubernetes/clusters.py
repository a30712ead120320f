"""A cluster's profile for tests: two pools, an object store and a tracking server with secrets."""

from typing import Any

from pricon import __version__
from pricon.spec.profile import ClusterProfile

IMAGE = "registry.example.org/pricon@sha256:" + "0123456789abcdef" * 4


def make_profile(**changes: Any) -> ClusterProfile:
    """The profile; `changes` replace whole keys."""
    document = {
        "version": __version__,
        "image": IMAGE,
        "serviceAccount": "pricon-run",
        "pools": {
            "cpu": {"cpus": 4, "memory": "8Gi", "maxWorkers": 8, "pricePerHour": 0.2},
            "gpu-a100": {
                "cpus": 8,
                "memory": "32Gi",
                "gpus": 1,
                "maxWorkers": 4,
                "spot": True,
                "pricePerHour": 1.5,
                "nodeSelector": {"cloud.google.com/gke-accelerator": "nvidia-tesla-a100"},
                "tolerations": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}],
            },
        },
        "defaultPool": "cpu",
        "storage": {
            "corpora": "s3://affect/corpora",
            "output": "s3://affect/runs",
            "endpointUrl": "http://objects.example.org:8333",
            "secretName": "pricon-objects",
        },
        "tracking": {"uri": "http://pricon-tracking:5000", "secretName": "pricon-tracking"},
    }
    return ClusterProfile.model_validate({**document, **changes})
