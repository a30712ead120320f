"""How long requests to a cluster are tried again, and waited for. Nothing else."""

import time
from dataclasses import dataclass, replace
from random import SystemRandom


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long is waited for what, in seconds.

    Args:
        attempts: tries of a request that the server may answer another time.
        first_s: pause after the first of them; doubles each time.
        most_s: longest pause.
        connect_s: for a connection.
        read_s: for the next bytes of an answer.
        silent_s: for a first try, without a word about it: who hears nothing presses Ctrl-C.
        quiet_s: for the next bytes of a log or a watch. Proxies drop quiet connections without a
            word, so one that was quiet for so long is opened again.
        gone_s: for an object that was deleted to go away.
    """

    attempts: int = 6
    first_s: float = 0.5
    most_s: float = 8.0
    connect_s: float = 5.0
    read_s: float = 20.0
    silent_s: float = 3.0
    quiet_s: float = 60.0
    gone_s: float = 180.0

    def pause(self, attempt: int, asked_s: float = 0.0) -> None:
        """Sleep before try number `attempt + 1`, at least as long as the server asked."""
        time.sleep(max(asked_s, self.pause_s(attempt)))

    def pause_s(self, attempt: int) -> float:
        """How long to wait before try number `attempt + 1`."""
        spread = SystemRandom().uniform(0.8, 1.2)  # many followers must not come back at once
        return spread * min(self.most_s, self.first_s * 2.0 ** min(attempt, 30))

    @property
    def hasty(self) -> "Patience":
        """For who asks again by itself, and says what it waits for."""
        return replace(self, attempts=min(self.attempts, 2))
