"""The way to an API server: a kubeconfig, or the service account of the pod that asks.

The only module that imports the `kubernetes` client: what is hard about a kubeconfig (plugins for
tokens, their renewal, certificates, proxies) is its work. It is the extra `k8s`, as neither laptops
without a cluster nor images need it.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pricon.errors import LaunchError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

_DEFAULT_FILE = "~/.kube/config"
_POD_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """An open way to one namespace of a cluster.

    Args:
        client: knows address, certificates and tokens.
        context: name of the kubeconfig's context; None in a pod.
        namespace: where runs live.
    """

    client: "ApiClient"
    context: str | None
    namespace: str

    @property
    def host(self) -> str:
        """Address of the API server."""
        return str(self.client.configuration.host)


def open_access(
    context: str | None = None, namespace: str | None = None, kubeconfig: str | None = None
) -> Access:
    """The way that a kubeconfig describes; without one, that of this pod.

    Args:
        context: of the kubeconfig; None is its current one.
        namespace: None is the context's, then `default`.
        kubeconfig: files as in the variable `KUBECONFIG`; None is `~/.kube/config`.

    Raises:
        LaunchError: the client is not installed, or there is no usable configuration.
    """
    try:
        from kubernetes.client import Configuration
        from kubernetes.config import ConfigException, load_incluster_config
        from kubernetes.config.kube_config import ENV_KUBECONFIG_PATH_SEPARATOR
    except ImportError as err:
        raise LaunchError(
            f"talking to a cluster needs the Python package `kubernetes` ({err})",
            "pip install 'pricon[k8s]'",
        ) from err
    files = kubeconfig or _DEFAULT_FILE
    settings = Configuration()
    settings.retries = False  # pricon.launch.kubernetes decides what is tried again
    if any(Path(file).expanduser().exists() for file in files.split(ENV_KUBECONFIG_PATH_SEPARATOR)):
        return _from_file(files, context, namespace, settings)
    try:
        load_incluster_config(settings)
    except ConfigException as err:
        raise LaunchError(
            f"no kubeconfig: there is no file {files}, and this is not a pod of a cluster",
            "get one from the owner of the cluster, then point `KUBECONFIG` at it",
        ) from err
    if namespace is None:
        namespace = _POD_NAMESPACE.read_text(encoding="utf-8").strip()
    return Access(client=_client(settings), context=None, namespace=namespace)


def _from_file(files: str, context: str | None, namespace: str | None, settings: Any) -> Access:
    """The way that one or several merged files describe."""
    import yaml
    from kubernetes.config import ConfigException, load_kube_config
    from kubernetes.config.kube_config import KubeConfigMerger

    try:
        merged = KubeConfigMerger(files).config.value
        spaces = {
            entry.value["name"]: entry.value.get("context", {}).get("namespace")
            for entry in merged["contexts"]
        }
        chosen = _choose(context or merged.get("current-context"), spaces, files)
        load_kube_config(files, context=chosen, client_configuration=settings)
    except (
        ConfigException,
        yaml.YAMLError,
        OSError,
        LookupError,
        AttributeError,
        TypeError,
    ) as err:
        said = " ".join(str(err).split())
        raise LaunchError(
            f"kubeconfig {files} cannot be used: {said}",
            "`kubectl config view` shows what it says; get a new one from the cluster's owner",
        ) from err
    space = namespace or spaces[chosen] or "default"
    return Access(client=_client(settings), context=chosen, namespace=space)


def _choose(context: str | None, spaces: dict[str, str | None], files: str) -> str:
    names = ", ".join(f"`{name}`" for name in sorted(spaces)) or "none"
    if not context:
        raise LaunchError(
            f"kubeconfig {files} has no current context\n  it has: {names}",
            "add `--context`, or `kubectl config use-context NAME`",
        )
    if context not in spaces:
        close = get_close_matches(context, spaces, n=1)
        raise LaunchError(
            f"kubeconfig {files} has no context `{context}`\n  it has: {names}",
            f"did you mean `{close[0]}`?" if close else "add `--context` with one of these",
        )
    return context


def _client(settings: Any) -> "ApiClient":
    from kubernetes.client import ApiClient

    return ApiClient(settings)
