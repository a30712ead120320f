"""Starting Ray, or joining one, so that this process can still be interrupted."""

import logging
import os
import signal
import threading
from collections.abc import Mapping
from typing import Any

import ray


def start_ray(environment: Mapping[str, str], **options: Any) -> None:
    """`ray.init(**options)`, quiet, with our answer to SIGTERM left as it was.

    Args:
        environment: defaults of variables that Ray's own processes inherit.
        **options: of `ray.init`.

    Raises:
        KeyboardInterrupt: SIGTERM came while Ray started.
        Exception: whatever failed inside Ray.
    """
    for name, value in environment.items():
        os.environ.setdefault(name, value)  # noqa: TID251  # how Ray is told
    on_sigterm = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(log_to_driver=False, logging_level=logging.ERROR, **options)
    except SystemExit as err:
        if err.code != signal.SIGTERM:  # what Ray's own handler makes of it
            raise
        raise KeyboardInterrupt from err
    finally:
        is_ours = threading.current_thread() is threading.main_thread()
        if is_ours and on_sigterm is not None:
            signal.signal(signal.SIGTERM, on_sigterm)
    logging.getLogger("ray.train").setLevel(logging.ERROR)
