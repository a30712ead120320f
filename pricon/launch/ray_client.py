"""Where the dashboard of a `ray://` address is: Ray's client, in a process of its own.

A process whose client could not connect has no usable Ray any more, so nothing could be tried again
in it; and Ray's client waits as long as it likes.
"""

import json
import subprocess
import sys


def ask_dashboard(address: str, timeout_s: float) -> str:
    """Address of the dashboard, without a scheme, as the cluster tells it.

    Args:
        address: `ray://host:10001`.
        timeout_s: for everything, Ray's import included.

    Raises:
        OSError: the cluster answers, but no client gets through to it.
        RuntimeError: it does not want this client (another version, say), or has no dashboard.
    """
    command = [sys.executable, "-P", "-m", "pricon.launch.ray_client", address]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired as err:
        raise TimeoutError(f"Ray's client did not connect within {timeout_s:g} s") from err
    if done.returncode:
        said = done.stderr.strip().splitlines() or [f"exit code {done.returncode}"]
        raise ConnectionError(f"Ray's client did not connect: {said[-1]}")
    answer: dict[str, str] = json.loads(done.stdout.splitlines()[-1])
    if refusal := answer.get("refused"):
        raise RuntimeError(refusal)
    return answer["dashboard"]


def main() -> None:
    """Prints a line of JSON, after whatever Ray says: `dashboard`, or why it was `refused`.

    Connections that do not come about end this process, with Ray's words.
    """
    import ray

    try:
        with ray.init(sys.argv[1]) as client:
            url = client.dashboard_url
        refusal = "this Ray cluster has no dashboard, which takes jobs"
        answer = {"dashboard": url} if url else {"refused": refusal}
    except (RuntimeError, ValueError) as err:
        answer = {"refused": " ".join(str(err).split())}
    print(json.dumps(answer))  # noqa: T201  # for the process that asks


if __name__ == "__main__":
    main()
