"""Pods that must go, as spot nodes are taken away: how their workers hear of it.

Kubernetes runs a command in a container before it stops it. `COMMAND` gives notice, and waits until
every lane there has saved what it trains; where nothing trains it ends at once.
"""

import os
from pathlib import Path

from pricon.train.notice import BUSY, GIVEN

FOLDER = "PRICON_LEAVING"
"""Environment variable: folder of the pod in which notice is given."""

WAIT_S = 20
"""Kubernetes takes a container away after 30 s, this command included; spot nodes often sooner."""

COMMAND = f"""\
mkdir -p "${FOLDER}" && touch "${FOLDER}/{GIVEN}" || exit 0
for _ in $(seq {WAIT_S}); do
  busy=
  for file in "${FOLDER}"/*{BUSY}; do
    process="${{file##*/}}"
    kill -0 "${{process%{BUSY}}}" 2>/dev/null && busy=1
  done
  [ -z "$busy" ] && exit 0
  sleep 1
done
"""
"""For `sh -c`. Of a process that has died nothing is waited for."""


def leaving_folder() -> Path | None:
    """Where notice is given to this process, or None."""
    folder = os.environ.get(FOLDER)  # noqa: TID251  # how a pod tells its processes
    return Path(folder) if folder else None
