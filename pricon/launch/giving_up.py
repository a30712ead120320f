"""A driver that has failed for good has its own Ray job stopped, so that nobody tries it again.

KubeRay makes a new cluster, up to `backoffLimit` times, for every Ray job that FAILED, whatever the
cause: `backoffLimit` is all that its RayJob knows of causes. What was STOPPED it takes for complete
and leaves alone. What went wrong is in the driver's last bulletin, which is said before.
"""

import signal
from threading import Event

from pricon.errors import LaunchError
from pricon.launch.ray_dashboard import Patience
from pricon.launch.ray_jobs import RayJobs

_ASKED_S = 20.0
"""So long Ray may take to ask us to end; then this is an ordinary failure, which is tried again."""


def give_up(
    submission: str,
    address: str = "auto",
    asked_s: float = _ASKED_S,
    patience: Patience | None = None,
) -> bool:
    """Have Ray stop the job of a submission, whose entrypoint this process is.

    Ray counts a job as stopped that was asked to end while it ran, so this returns when SIGTERM has
    come. From then on the process has three seconds, and twenty on Kubernetes; its exit code counts
    no more.

    Args:
        submission: identity, which the entrypoint names.
        address: of the Ray cluster; a driver's environment says the same.
        asked_s: so long is waited.
        patience: with the cluster.

    Returns:
        Whether Ray has asked.
    """
    asked = Event()
    before = signal.signal(signal.SIGTERM, lambda *_: asked.set())
    try:
        jobs = RayJobs(address, patience)
        mine = jobs.find_entrypoint(submission)
        if mine is not None:
            jobs.stop(mine)
            asked.wait(asked_s)
    except LaunchError:
        pass  # the words are said, and nothing is lost but time
    if not asked.is_set():
        signal.signal(signal.SIGTERM, before)
    return asked.is_set()
