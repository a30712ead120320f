"""Submissions of one job whose processes are killed: again and again, until it is done."""

import random
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from pricon.errors import LaunchError, SpecError
from pricon.launch.processes import family_of, kill, title_of
from pricon.launch.victims import VICTIMS, WORDS, Victim, at_work, victims_of

LOG = "submission-{}.log"
_LOOK_EVERY_S = 0.2
_GONE_WITHIN_S = 30.0
"""So long Ray's processes may take to see that their driver is gone."""
_LAST_LINES = 12
_SIGKILL = -9
_ENDS_BY_SIGNAL = {"driver", "machine"}
_ENDS_WITH_WORDS = {"mailbox", "raylet", "gcs"}
"""Without one of these a driver cannot go on, and says so. Others are replaced."""
_ENDS_BY_RAY = {"raylet", "gcs"}
"""Who asks one of these just then is ended by Ray, before it can say anything."""
_BY_RAY = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What is killed, and how often.

    Args:
        victims: it is the turn of the one that was killed least often.
        number: of faults, at most.
        every_s: seconds between two, on average.
        within_s: a submission that takes longer has hung.
        seed: of the moments, and of the choice between those whose turn it is.

    Raises:
        SpecError: nothing would be killed.
    """

    victims: tuple[Victim, ...] = VICTIMS
    number: int = 20
    every_s: float = 15.0
    within_s: float = 3600.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.victims and self.number >= 1 and 0 < self.every_s < self.within_s):
            raise SpecError(
                f"nothing is killed by {self.number} faults, one every {self.every_s:g} s, in "
                f"submissions of {self.within_s:g} s",
                "give at least one fault, and seconds above 0",
            )


class DisturbedRun:
    """Submissions of one job, until it is done.

    Args:
        command: one of them.
        folder: for what they say, and what they leave behind.
        faults: what is killed.
        say: told of it.
    """

    def __init__(
        self, command: Sequence[str], folder: Path, faults: Faults, say: Callable[[str], None]
    ) -> None:
        self.command = command
        self.folder = folder
        self.faults = faults
        self.say = say
        self.random = random.Random(faults.seed)
        self.began = time.monotonic()
        self.next_at = self.began  # of the next fault
        self.seconds = 0.0
        self.num_submissions = 0
        self.killed: list[Victim] = []
        self.num_off = 0

    def to_its_end(self) -> bool:
        """Submit until that ends well; False where a submission hung.

        Raises:
            LaunchError: a submission failed by itself.
        """
        while True:
            before = len(self.killed)
            code = self._submit()
            self.seconds = time.monotonic() - self.began
            if code == 0 or code is None:
                return code == 0
            if len(self.killed) == before or code == SpecError.exit_code:
                raise LaunchError(
                    f"submission {self.num_submissions} ended with exit code {code}, and that is "
                    f"no fault's\n{self._last_lines()}",
                    "see that the job runs on this machine by itself (`pricon reproduce`), and "
                    "that there is room for temporary files",
                )
            self._judge(code, {*self.killed[before:]})

    def _submit(self) -> int | None:
        """One submission; its exit code, negative for a signal, None where it hung."""
        self.num_submissions += 1
        self._wait()
        until = time.monotonic() + self.faults.within_s
        family: set[psutil.Process] = set()
        with self._log.open("wb") as log:
            submission = psutil.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
            try:
                while submission.poll() is None and time.monotonic() < until:
                    family.update(family_of(submission))
                    if time.monotonic() > self.next_at and len(self.killed) < self.faults.number:
                        self._strike(submission)
                    time.sleep(_LOOK_EVERY_S)
                code: int | None = submission.poll()
                if code is None:
                    limit = f"{self.faults.within_s:g} s"
                    self._tell_off(f"has not ended within {limit} (`--within`), so it is ended")
                else:
                    self._see_gone(family)
            finally:
                _end({submission, *_expanded(family)})
                with suppress(psutil.TimeoutExpired):
                    submission.wait(timeout=_GONE_WITHIN_S)
        return code

    def _strike(self, submission: psutil.Popen) -> None:
        """Kill what has its turn, as soon as it is there."""
        there = victims_of(submission)
        fewest = min(map(self.killed.count, self.faults.victims))
        kinds = [one for one in self.faults.victims if self.killed.count(one) == fewest]
        kinds = [one for one in kinds if there.get(one)]
        if not kinds or submission.poll() is not None:
            return
        kind = self.random.choice(kinds)
        victims = there[kind] if kind == "machine" else [self.random.choice(there[kind])]
        if kill(victims):
            self.killed.append(kind)
            last = ", the last one" if len(self.killed) == self.faults.number else ""
            self.say(f"{self._clock()}  {len(self.killed)}: killed {WORDS[kind]}{last}")
            self._wait()

    def _wait(self) -> None:
        self.next_at = time.monotonic() + self.random.expovariate(1.0 / self.faults.every_s)

    def _judge(self, code: int, killed: set[Victim]) -> None:
        """Whether what was killed may end a submission, and so."""
        self.say(f"{self._clock()}  submission {self.num_submissions} ended with exit code {code}")
        ends = {
            _SIGKILL: _ENDS_BY_SIGNAL,
            LaunchError.exit_code: _ENDS_WITH_WORDS,
            _BY_RAY: _ENDS_BY_RAY,
        }
        if not killed & ends.get(code, set()):
            words = ", ".join(WORDS[one] for one in VICTIMS if one in killed)
            self._tell_off(f"should not have ended so, where this was killed: {words}")

    def _see_gone(self, family: set[psutil.Process]) -> None:
        """See that nothing outlives a submission; what does would train beside the next."""
        until = time.monotonic() + _GONE_WITHIN_S
        while (alive := at_work(_expanded(family))) and time.monotonic() < until:
            time.sleep(_LOOK_EVERY_S)
        if alive:
            names = ", ".join(sorted({title_of(process) for process in alive}))
            self._tell_off(f"left behind, {_GONE_WITHIN_S:g} s after its end: {names}")

    def _tell_off(self, words: str) -> None:
        self.num_off += 1
        self.say(f"submission {self.num_submissions} {words}\n{self._last_lines()}")

    @property
    def _log(self) -> Path:
        return self.folder / LOG.format(self.num_submissions)

    def _last_lines(self) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-_LAST_LINES:])

    def _clock(self) -> str:
        minutes, seconds = divmod(round(time.monotonic() - self.began), 60)
        return f"{minutes}:{seconds:02d}"


def _expanded(family: Iterable[psutil.Process]) -> set[psutil.Process]:
    """A family with those whom its members have started since."""
    return {one for member in family for one in (member, *family_of(member))}


def _end(processes: set[psutil.Process]) -> None:
    kill(processes)
    psutil.wait_procs(at_work(processes), timeout=_GONE_WITHIN_S)
