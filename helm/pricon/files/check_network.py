"""`helm test`: a pod without a purpose reaches nobody. Fails where no plugin enforces policies."""

import os
import socket
import sys
import time

TIMEOUT_S = float(os.environ.get("TIMEOUT_S", "5"))
SETTLED_S = float(os.environ.get("SETTLED_S", "20"))
"""A plugin may learn of a pod some seconds after its start."""


def reaches(host: str, port: int) -> bool:
    address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][4]
    end = time.monotonic() + SETTLED_S
    while True:
        try:
            socket.create_connection(address[:2], timeout=TIMEOUT_S).close()
        except OSError:
            return False
        if time.monotonic() > end:
            return True
        time.sleep(1)


def main() -> int:
    reached = []
    for target in os.environ["MUST_NOT_REACH"].split(","):
        host, _, port = target.rpartition(":")
        if reaches(host, int(port)):
            reached.append(target)
        else:
            print(f"{target}: out of reach, as it should be")
    if reached:
        print(
            f"{', '.join(reached)}: reached, against the network policies of the chart\n\n"
            "hint: install a network plugin that enforces policies, such as Calico or Cilium; "
            "`tests.network: false` leaves this test out",
            file=sys.stderr,
        )
    return 1 if reached else 0


if __name__ == "__main__":
    sys.exit(main())
