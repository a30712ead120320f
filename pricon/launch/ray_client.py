"""Where the dashboard of a `ray://` address is: Ray's client, in a process of its own.

A process whose client could not connect has no usable Ray any more, so nothing could be tried again
in it; and Ray's client waits as long as it likes.
"""

import subprocess
import sys


def ask_dashboard(address: str, timeout_s: float) -> str:
    """Address of the dashboard, without a scheme, as the cluster tells it.

    Args:
        address: `ray://host:10001`.
        timeout_s: for everything, Ray's import included.

    Raises:
        OSError: the cluster answers, but no client gets through to it.
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
    return done.stdout.splitlines()[-1]


def main() -> None:
    """Prints what `ask_dashboard` returns, after whatever Ray says."""
    import ray

    with ray.init(sys.argv[1]) as client:
        print(client.dashboard_url)  # noqa: T201  # for the process that asks


if __name__ == "__main__":
    main()
