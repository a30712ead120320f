"""`helm test`: who submits may do what it takes, and nothing else. Asks the API server itself."""

import json
import os
import ssl
import sys
import urllib.request
from pathlib import Path

ACCOUNT = Path(os.environ.get("ACCOUNT", "/var/run/secrets/kubernetes.io/serviceaccount"))
RAY_JOBS, CONFIG_MAPS, PODS = ("ray.io", "rayjobs"), ("", "configmaps"), ("", "pods")

ALLOWED = {
    RAY_JOBS: ("create", "get", "list", "watch", "delete"),
    CONFIG_MAPS: ("create", "get", "delete"),
    PODS: ("get", "list", "watch"),
    ("", "pods/log"): ("get",),
    ("", "events"): ("list",),
}
REFUSED = {
    RAY_JOBS: ("patch", "update"),
    CONFIG_MAPS: ("list", "patch", "update"),
    ("", "secrets"): ("get", "list", "watch", "create"),
    PODS: ("create", "delete", "patch"),
    ("", "events"): ("create", "patch", "delete"),
    ("", "pods/exec"): ("create",),
    ("", "pods/portforward"): ("create",),
    ("", "serviceaccounts/token"): ("create",),
    ("ray.io", "rayclusters"): ("create", "delete", "patch"),
    ("apps", "deployments"): ("create", "patch", "delete"),
    ("rbac.authorization.k8s.io", "roles"): ("create", "patch"),
    ("rbac.authorization.k8s.io", "rolebindings"): ("create", "patch"),
}


def may(verb: str, kind: tuple[str, str]) -> bool:
    """What the API server says about this pod's own account."""
    group, (resource, _, part) = kind[0], kind[1].partition("/")
    attributes = {"namespace": os.environ["NAMESPACE"], "verb": verb, "group": group}
    attributes |= {"resource": resource} | ({"subresource": part} if part else {})
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
    host = f"[{host}]" if ":" in host else host
    request = urllib.request.Request(
        f"https://{host}:{port}/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        data=json.dumps(body).encode(),
        headers={
            "Authorization": f"Bearer {(ACCOUNT / 'token').read_text().strip()}",
            "Content-Type": "application/json",
        },
    )
    trust = ssl.create_default_context(cafile=str(ACCOUNT / "ca.crt"))
    with urllib.request.urlopen(request, timeout=30, context=trust) as answer:
        return bool(json.load(answer)["status"]["allowed"])


def main() -> int:
    wrong = []
    for expected, rules in ((True, ALLOWED), (False, REFUSED)):
        for kind, verbs in rules.items():
            for verb in verbs:
                if may(verb, kind) is not expected:
                    wrong.append(f"{verb} {'.'.join(filter(None, reversed(kind)))}")
                    word = "may not" if expected else "may"
                    print(f"the submitter's account {word} {wrong[-1]}", file=sys.stderr)
    if not wrong:
        num_asked = sum(len(verbs) for rules in (ALLOWED, REFUSED) for verbs in rules.values())
        print(f"{num_asked} permissions are as they should be")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
