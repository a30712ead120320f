"""The view that tests call a pod's is one."""

import json
import subprocess

from tests.pod import needs_pods, pod_command

_LOOK = """
import json, os, pathlib, sys
def writable(folder):
    try:
        (pathlib.Path(folder) / "probe").write_text("x")
    except OSError as err:
        return err.strerror
    return True
print(json.dumps({
    "user": os.getuid(),
    "groups": os.getgroups(),
    "places": {place: writable(place) for place in ("/", "/etc", "/var", "/tmp", "/dev/shm")},
    "job": pathlib.Path("/etc/pricon/job.yaml").read_text(),
    "account": sorted(os.listdir("/run/secrets/kubernetes.io/serviceaccount")),
    "environment": sorted(os.environ),
}))
"""


@needs_pods
def test_what_a_pod_sees() -> None:
    environment = {"HOME": "/tmp", "ONLY": "this"}
    command, outside = pod_command(
        ["python", "-c", _LOOK], environment, {"job.yaml": b"name: tiny\n"}
    )
    done = subprocess.run(command, env=outside, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["user"] == 65532
    assert seen["groups"] in ([], [65532])
    denied = {place for place, answer in seen["places"].items() if answer is not True}
    assert denied == {"/", "/etc", "/var"}
    assert seen["job"] == "name: tiny\n"
    assert seen["account"] == ["namespace", "token"]
    extra = {"PATH", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "LC_CTYPE"}
    assert {*seen["environment"]} - extra == {"HOME", "ONLY"}
