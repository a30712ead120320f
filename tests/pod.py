"""A process as a container of a pod has it, without containers: its own view of the file system.

Root file system read-only, scratch in memory, no home, user 65532 without privileges, service
account and ConfigMap where Kubernetes mounts them. The network is that of this machine.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import pytest

from tests.safeguards.sources import ROOT

_SETUP = r"""
set -euo pipefail
mount --make-rprivate /
hold=/mnt
mount -t tmpfs -o mode=755 tmpfs $hold
mkdir $hold/etc $hold/account
# Interpreter, packages and code may lie where only their owner may enter, or where scratch will be.
number=0
for folder in $FOLDERS; do
    mkdir $hold/$number && mount --bind "$folder" $hold/$number
    number=$((number + 1))
done
cp -a /etc/. $hold/etc
mkdir -p $hold/etc/pricon
unpack='
import base64, json, pathlib, sys
for name, data in json.load(sys.stdin).items():
    (pathlib.Path(sys.argv[1]) / name).write_bytes(base64.b64decode(data))'
printf %s "$FILES" | "$INTERPRETER" -c "$unpack" $hold/etc/pricon
printf %s "$ACCOUNT" | "$INTERPRETER" -c "$unpack" $hold/account
mount --bind $hold/etc /etc
mount -t tmpfs -o mode=755 tmpfs /root
mount -t tmpfs -o mode=755 tmpfs /run
account=/run/secrets/kubernetes.io/serviceaccount
mkdir -p $account
cp $hold/account/* $account
mount -t tmpfs -o mode=1777,size=4g tmpfs /tmp
mount -t tmpfs -o mode=1777,size=1g tmpfs /dev/shm
number=0
for folder in $FOLDERS; do
    case "$folder" in
        /root/* | /tmp/*) mkdir -p "$folder" && mount --bind $hold/$number "$folder" ;;
    esac
    number=$((number + 1))
done
mount -o remount,ro,bind /
cd /tmp
exec setpriv --reuid 65532 --regid 65532 --clear-groups --no-new-privs --bounding-set=-all \
    --inh-caps=-all -- env -i "$@"
"""


@cache
def can_run_pods() -> bool:
    """Whether this machine lets us make mount namespaces: root, on Linux."""
    if os.geteuid() != 0 or not all(map(shutil.which, ("unshare", "setpriv"))):
        return False
    probe = ["unshare", "--mount", "mount", "--make-rprivate", "/"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


needs_pods = pytest.mark.skipif(
    not can_run_pods(), reason="a pod's view of the file system needs root and mount namespaces"
)


_ACCOUNT = {"namespace": b"pricon", "token": b"token-of-a-test"}


def pod_command(
    command: Sequence[str],
    environment: Mapping[str, str],
    files: Mapping[str, bytes],
    account: Mapping[str, bytes] = _ACCOUNT,
) -> tuple[list[str], dict[str, str]]:
    """What to start, and with which environment, for `command` to run as in a pod.

    Args:
        command: as in the container.
        environment: all that it has, besides PATH, which leads to this Python's tools.
        files: name -> content, below `/etc/pricon`.
        account: name -> content, where a pod finds its service account.
    """
    path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
    own = {"PATH": path, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **environment}
    outside = {
        "PATH": os.environ["PATH"],
        "FOLDERS": " ".join(map(str, (sys.base_prefix, sys.prefix, ROOT))),
        "INTERPRETER": sys.executable,
        "FILES": _encoded(files),
        "ACCOUNT": _encoded(account),
    }
    assigned = [f"{key}={value}" for key, value in own.items()]
    return ["unshare", "--mount", "bash", "-c", _SETUP, "pod", *assigned, *command], outside


def _encoded(files: Mapping[str, bytes]) -> str:
    return json.dumps({name: base64.b64encode(data).decode() for name, data in files.items()})
