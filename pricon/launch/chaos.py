"""A recorded run once more while its processes are killed, to see whether a job survives here.

It is submitted as somebody would type it. From time to time a process of it is killed, be it a
worker, Ray's own, the driver, or all at once. A submission that ends by that is made again, as its
last words ask for. What is found in the end has to be what the record says.
"""

import random
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from pricon.errors import LaunchError, SpecError
from pricon.launch.compare import Reproduction
from pricon.launch.reproduce import prepare_again
from pricon.launch.victims import (
    VICTIMS,
    WORDS,
    Victim,
    at_work,
    family_of,
    kill,
    title_of,
    victims_of,
)
from pricon.spec.dump import dump_job
from pricon.spec.job import JobSpec
from pricon.storage import Storage

_LOOK_EVERY_S = 0.2
_GONE_WITHIN_S = 30.0
"""So long Ray's processes may take to see that their driver is gone."""
_TOLERANCE = 1e-3
"""As of `pricon reproduce`."""
_LAST_LINES = 12
_SIGKILL = -9


@dataclass(frozen=True, slots=True, kw_only=True)
class Storm:
    """What is killed, and how often.

    Args:
        victims: of what is there, it is the turn of one that was killed least often.
        num_faults: at most so many.
        every_s: seconds between two, on average.
        seed: of the moments and of the choice.

    Raises:
        SpecError: nothing would be killed.
    """

    victims: tuple[Victim, ...] = VICTIMS
    num_faults: int = 20
    every_s: float = 15.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not (self.victims and self.num_faults >= 1 and 0 < self.every_s < float("inf")):
            raise SpecError(
                f"nothing is killed by {self.num_faults} faults, one every {self.every_s:g} s",
                "give at least one fault, and seconds above 0",
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordeal:
    """What became of a run.

    Args:
        killed: what was killed, in that order.
        num_submissions: that it took.
        seconds: from the first submission to the end of the last.
        off: a line for everything that did not go as is promised, besides what differs.
        reproduction: how the results differ from the record.
    """

    killed: tuple[Victim, ...]
    num_submissions: int
    seconds: float
    off: tuple[str, ...]
    reproduction: Reproduction


def survive(
    recorded: Storage,
    folder: Path,
    storm: Storm,
    command: Sequence[str],
    say: Callable[[str], None],
) -> Ordeal:
    """Train a recorded run again, on this machine, through a storm.

    Args:
        recorded: folder of the run.
        folder: where to run; an empty folder.
        storm: what is killed, and how often.
        command: submits the job whose file is added to it.
        say: told of each fault.

    Raises:
        CorpusError, PlanError: see `prepare_again`.
        LaunchError: the run fails without a fault.
        SpecError: the record is not complete; or the run was over before the first fault.
    """
    again = prepare_again(recorded, folder / "runs", "local")
    num_missing = again.recorded.num_missing
    if num_missing:
        raise SpecError(
            f"{num_missing} trials of the run have not finished, and will not without faults",
            "give a run whose report is complete",
        )
    file = folder / "job.yaml"
    file.write_text(dump_job(_hardened(again.prepared.job, storm)), encoding="utf-8")
    folds = [] if again.folds is None else ["--only-folds", ",".join(map(str, again.folds))]
    run = _Run([*command, str(file), "--no-track", *folds], folder / "log", storm, say)
    run.to_its_end()
    if not run.killed:
        raise SpecError(
            f"the run was over before anything was killed, after {run.seconds:.0f} s",
            "give a smaller `--every`, or a run that takes longer",
        )
    return Ordeal(
        killed=tuple(run.killed),
        num_submissions=run.num_submissions,
        seconds=run.seconds,
        off=tuple(run.off),
        reproduction=again.compare({}, _TOLERANCE),
    )


def _hardened(job: JobSpec, storm: Storm) -> JobSpec:
    """The same job; it may lose as many workers as will be killed, and saves between two faults."""
    resources = job.resources.model_copy(
        update={
            "max_failures": storm.num_faults,
            "checkpoint_interval_s": min(job.resources.checkpoint_interval_s, storm.every_s / 4),
        }
    )
    return job.model_copy(update={"resources": resources})


class _Run:
    """Submissions of one job, until it is done.

    Args:
        command: one of them.
        log: file for what they say.
        storm: what is killed.
        say: told of it.
    """

    def __init__(
        self, command: Sequence[str], log: Path, storm: Storm, say: Callable[[str], None]
    ) -> None:
        self.command = command
        self.log = log
        self.storm = storm
        self.say = say
        self.random = random.Random(storm.seed)
        self.began = time.monotonic()
        self.next_at = self.began  # of the next fault
        self.seconds = 0.0
        self.num_submissions = 0
        self.killed: list[Victim] = []
        self.off: list[str] = []

    def to_its_end(self) -> None:
        """Submit until that ends well.

        Raises:
            LaunchError: a submission failed by itself.
        """
        code = None
        while code != 0:
            before = len(self.killed)
            code = self._submit()
            self.seconds = time.monotonic() - self.began
            if code != 0 and len(self.killed) == before:
                raise LaunchError(
                    f"submission {self.num_submissions} ended with exit code {code}, and nothing "
                    f"of it was killed\n{self._last_lines()}",
                    "see that the job runs on this machine by itself: `pricon reproduce`",
                )

    def _submit(self) -> int:
        """One submission; its exit code, negative for a signal."""
        self.num_submissions += 1
        self._wait()
        family: set[psutil.Process] = set()
        with self.log.open("wb") as log:
            submission = psutil.Popen(
                self.command, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                while submission.poll() is None:
                    family.update(family_of(submission))
                    if time.monotonic() > self.next_at and len(self.killed) < self.storm.num_faults:
                        self._strike(submission)
                    time.sleep(_LOOK_EVERY_S)
                code: int = submission.wait()
                self._judge(code)
                self._see_gone(family)
            finally:
                kill([*family, *family_of(submission)])
        return code

    def _strike(self, submission: psutil.Process) -> None:
        """Kill one of what there is."""
        there = victims_of(submission)
        kinds = [kind for kind in self.storm.victims if there.get(kind)]
        if not kinds:
            return  # it is just starting
        fewest = min(map(self.killed.count, kinds))
        kind = self.random.choice([one for one in kinds if self.killed.count(one) == fewest])
        victims = there[kind] if kind == "machine" else [self.random.choice(there[kind])]
        if kill(victims):
            self.killed.append(kind)
            self.say(f"{self._clock()}  {len(self.killed)}: killed {WORDS[kind]}")
            self._wait()

    def _wait(self) -> None:
        self.next_at = time.monotonic() + self.random.expovariate(1.0 / self.storm.every_s)

    def _judge(self, code: int) -> None:
        """Whether a submission that a fault has ended says so: exit code 3, or the signal."""
        if code == 0 or not self.killed:
            return
        self.say(f"{self._clock()}  submission {self.num_submissions} ended with exit code {code}")
        if code not in (LaunchError.exit_code, _SIGKILL):
            self.off.append(
                f"submission {self.num_submissions} ended with exit code {code}, not 3, after "
                f"{WORDS[self.killed[-1]]} was killed\n{self._last_lines()}"
            )

    def _see_gone(self, family: set[psutil.Process]) -> None:
        """See that nothing outlives a submission; what does would train beside the next."""
        _, alive = psutil.wait_procs(at_work(family), timeout=_GONE_WITHIN_S)
        if alive:
            names = ", ".join(sorted({title_of(process) for process in alive}))
            self.off.append(
                f"submission {self.num_submissions} left behind, {_GONE_WITHIN_S:g} s after its "
                f"end: {names}"
            )

    def _last_lines(self) -> str:
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-_LAST_LINES:])

    def _clock(self) -> str:
        minutes, seconds = divmod(round(time.monotonic() - self.began), 60)
        return f"{minutes}:{seconds:02d}"
