"""The way to an API server: a kubeconfig, or the service account of the pod that asks.

The only module that imports the `kubernetes` client: what is hard about a kubeconfig (plugins for
tokens, their renewal, certificates, proxies) is its work. It is the extra `k8s`, as neither laptops
without a cluster nor images need it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from shutil import which
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pricon.errors import LaunchError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

_DEFAULT_FILE = "~/.kube/config"
NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""Names that a namespace may have."""
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
            "`pip install -c deploy/constraints.txt -e '.[k8s]'` in pricon's checkout",
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
        contexts = {
            entry.value["name"]: entry.value.get("context") or {} for entry in merged["contexts"]
        }
        users = {
            entry.value["name"]: entry.value.get("user") or {}
            for entry in merged.get("users") or ()
        }
        chosen = _choose(context or merged.get("current-context"), contexts, files)
        _check_login(chosen, contexts[chosen], users, files)
    except (AttributeError, LookupError, TypeError, UnicodeDecodeError) as err:
        raise _unusable(files, "expected YAML with `clusters`, `contexts` and `users`") from err
    except (ConfigException, yaml.YAMLError, OSError, ValueError) as err:
        raise _unusable(files, " ".join(str(err).split())) from err
    try:
        load_kube_config(files, context=chosen, client_configuration=settings)
    except (ConfigException, OSError, LookupError, AttributeError, TypeError, ValueError) as err:
        raise _unusable(files, " ".join(str(err).split())) from err
    _check_address(chosen, settings.host, files)
    plugin = users.get(contexts[chosen].get("user") or "", {}).get("exec")
    if plugin and not plugin.get("command"):
        raise _unusable(files, f"`exec` of the user of context `{chosen}` has no `command`")
    if plugin and not settings.auth_settings() and not settings.cert_file:
        raise LaunchError(
            f"context `{chosen}` logs in with the program `{plugin['command']}`, which gave no "
            "credentials",
            "log in again as the cluster's owner describes, then repeat the command",
        )
    space = namespace or contexts[chosen].get("namespace") or "default"
    if not (isinstance(space, str) and NAMESPACE.fullmatch(space)):
        raise _unusable(files, f"the namespace of context `{chosen}` is {space!r}, no such name")
    return Access(client=_client(settings), context=chosen, namespace=space)


def _unusable(files: str, why: str) -> LaunchError:
    return LaunchError(
        f"kubeconfig {files} cannot be used: {why}",
        "`kubectl config view` shows what it says; get a new one from the cluster's owner",
    )


def _check_address(context: str, address: str, files: str) -> None:
    """Refuse what is no address before it is asked again and again."""
    try:
        parts = urlsplit(address)
        is_one = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:  # no port is so high, or it is no number
        is_one = False
    if not is_one:
        why = f"`server` of context `{context}` is {address}, expected `https://host:port`"
        raise _unusable(files, why)


def _check_login(
    name: str, context: Mapping[str, Any], users: Mapping[str, Mapping[str, Any]], files: str
) -> None:
    """Refuse a context whose user or plugin is missing: the client would go on as nobody."""
    user = context.get("user")
    if user is not None and user not in users:
        raise _unusable(files, f"context `{name}` is of user `{user}`, whom it does not have")
    plugin = users.get(user or "", {}).get("exec") or {}
    command = plugin.get("command")
    if command is not None and "/" not in command and which(command) is None:
        raise LaunchError(
            f"context `{name}` logs in with the program `{command}`, which is not installed",
            " ".join((plugin.get("installHint") or f"install `{command}`, then try again").split()),
        )


def _choose(context: str | None, contexts: Mapping[str, Any], files: str) -> str:
    names = ", ".join(f"`{name}`" for name in sorted(contexts)) or "none"
    if not context:
        raise LaunchError(
            f"kubeconfig {files} has no current context\n  it has: {names}",
            "add `--context`, or `kubectl config use-context NAME`",
        )
    if context not in contexts:
        close = get_close_matches(context, contexts, n=1)
        raise LaunchError(
            f"kubeconfig {files} has no context `{context}`\n  it has: {names}",
            f"did you mean `{close[0]}`?" if close else "add `--context` with one of these",
        )
    return context


def _client(settings: Any) -> "ApiClient":
    from kubernetes.client import ApiClient

    return ApiClient(settings)
