"""Clients of the stand-in, made the way users make theirs: from a kubeconfig."""

from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

from pricon.launch.kubernetes.client import Cluster
from pricon.launch.kubernetes.kubeconfig import open_access
from pricon.launch.kubernetes.patience import Patience
from tests.launch.kubernetes.apiserver import TOKEN
from tests.launch.kubernetes.apistore import NAMESPACE

HASTY = Patience(attempts=4, first_s=0.02, most_s=0.1, connect_s=1.0, read_s=1.0, quiet_s=5.0)


def write_kubeconfig(file: Path, url: str, token: str = TOKEN, **cluster: Any) -> str:
    """A kubeconfig with one context, `lab`."""
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "lab",
        "clusters": [{"name": "lab", "cluster": {"server": url, **cluster}}],
        "users": [{"name": "ada", "user": {"token": token}}],
        "contexts": [
            {"name": "lab", "context": {"cluster": "lab", "user": "ada", "namespace": NAMESPACE}}
        ],
    }
    YAML(typ="safe", pure=True).dump(document, file)
    return str(file)


def connect(
    folder: Path,
    url: str,
    patience: Patience = HASTY,
    token: str = TOKEN,
    namespace: str | None = None,
) -> Cluster:
    """A cluster at this address, and the namespace of the context or another."""
    kubeconfig = write_kubeconfig(folder / "kubeconfig", url, token)
    return Cluster(open_access(kubeconfig=kubeconfig, namespace=namespace), patience)
