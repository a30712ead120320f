"""What commands about a cluster share: arguments, and the way there."""

import os
from typing import Annotated

import typer

from pricon.errors import SpecError
from pricon.launch.kubernetes.client import Cluster
from pricon.launch.kubernetes.kubeconfig import NAMESPACE, open_access

Run = Annotated[
    str,
    typer.Argument(metavar="RUN", help="Handle, as `pricon list` shows it.", show_default=False),
]
Namespace = Annotated[
    str | None, typer.Option(help="Where the run is, instead of the context's namespace.")
]
Context = Annotated[
    str | None, typer.Option(help="Of the kubeconfig, instead of its current context.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def open_cluster(context: str | None, namespace: str | None) -> Cluster:
    """The cluster that the user's kubeconfig describes.

    Raises:
        SpecError: no namespace can be called so.
        LaunchError: the kubeconfig cannot be used.
    """
    if namespace is not None and not NAMESPACE.fullmatch(namespace):
        raise SpecError(
            f"`--namespace` is {namespace!r}\n  expected lower-case letters, digits and hyphens",
            "`kubectl get namespaces` lists them",
        )
    kubeconfig = os.environ.get("KUBECONFIG")  # noqa: TID251  # as every client of a cluster
    return Cluster(open_access(context, namespace, kubeconfig))


def tracking_address() -> str | None:
    """Where this user reaches an MLflow, as its own clients find their server."""
    return os.environ.get("MLFLOW_TRACKING_URI") or None  # noqa: TID251
