"""`helm test`: a pod without a purpose reaches nobody. Fails where no plugin enforces policies."""

import os
import socket
import sys

TIMEOUT_S = float(os.environ.get("TIMEOUT_S", "5"))


def main() -> int:
    reached = []
    for target in os.environ["MUST_NOT_REACH"].split(","):
        host, _, port = target.rpartition(":")
        address = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0][4]
        try:
            socket.create_connection(address[:2], timeout=TIMEOUT_S).close()
        except OSError:
            print(f"{target}: out of reach, as it should be")
        else:
            reached.append(target)
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
