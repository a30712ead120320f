"""Pod Security Standards, "restricted", and a read-only root file system: what a pod does wrong."""

from collections.abc import Iterator

from tests.helm.render import KubernetesObject, containers

VOLUMES = {"configMap", "emptyDir", "persistentVolumeClaim", "secret", "projected"}
HOST = {"hostNetwork", "hostPID", "hostIPC"}


def violations(pod: KubernetesObject) -> list[str]:
    """Every rule that a pod breaks, in words."""
    return [*_of_pod(pod["spec"]), *(v for c in containers(pod) for v in of_container(c))]


def _of_pod(spec: KubernetesObject) -> Iterator[str]:
    context = spec.get("securityContext", {})
    if not context.get("runAsNonRoot") or not context.get("runAsUser"):
        yield "may run as root"
    if context.get("seccompProfile") != {"type": "RuntimeDefault"}:
        yield "has no seccomp profile"
    yield from (f"shares {key}" for key in sorted(HOST & spec.keys()))
    for volume in spec.get("volumes", []):
        yield from (f"mounts {kind}" for kind in sorted(volume.keys() - VOLUMES - {"name"}))


def of_container(container: KubernetesObject) -> list[str]:
    """Every rule that a container breaks, in words."""
    name, context = container["name"], container.get("securityContext", {})
    mounts = {mount["mountPath"] for mount in container.get("volumeMounts", [])}
    rules = {
        "may gain privileges": context.get("allowPrivilegeEscalation") is False,
        "keeps capabilities": context.get("capabilities") == {"drop": ["ALL"]},
        "writes its root": context.get("readOnlyRootFilesystem") is True,
        "is privileged": "privileged" not in context,
        "takes a port of the node": all("hostPort" not in p for p in container.get("ports", [])),
        "has nowhere to write": "/tmp" in mounts,  # of a pod
    }
    return [f"{name} {rule}" for rule, is_kept in rules.items() if not is_kept]
