"""Tracker: what the driver tells about a run. Importing this module loads no MLflow.

A tracker turns what it is told into records and puts them into a sink, which is a list in memory
or a thread that hands them to a process, which talks with MLflow.
"""

from collections.abc import Mapping
from typing import Protocol

from pricon.report.results import TrialResult
from pricon.track.records import (
    EndStatus,
    FinishRecord,
    LogRecord,
    Record,
    RunRecord,
    trial_record,
)


class Sink(Protocol):
    """Takes records. Only `check` may fail, only `check` and `close` may wait."""

    @property
    def num_waiting(self) -> int:
        """Records that were taken and not tried yet."""
        ...

    def check(self, job_name: str) -> None:
        """Raises LaunchError where nothing could be recorded."""
        ...

    def put(self, record: Record, *, first: bool = False) -> None:
        """Takes a record, before those that wait if it comes `first`; again, it adds nothing."""
        ...

    def close(self) -> None:
        """Waits until everything is recorded, or safe until the next start."""
        ...


class Tracker:
    """Records one run: check, start, any number of trials, finish, its log, close.

    Recording a trial again adds nothing, so a resumed driver may record every result it finds.
    Nothing here fails or waits because a server does, except `check`, which is there for it.
    """

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self._run: RunRecord | None = None
        self._is_killed = False

    def check(self, job_name: str) -> None:
        """Refuses settings with which nothing could be recorded, before training starts.

        Raises:
            LaunchError: the server cannot be reached, refuses the user, or is none.
        """
        self.sink.check(job_name)

    def start(self, run: RunRecord) -> None:
        """The run begins, or goes on."""
        self._run = run
        self.sink.put(run, first=True)  # or it would open again what it follows

    def record(self, result: TrialResult, metrics: Mapping[str, float]) -> None:
        """A trial ended."""
        self.sink.put(trial_record(self._started(), result, metrics))

    def finish(
        self, status: EndStatus, metrics: Mapping[str, float], artifacts: Mapping[str, bytes]
    ) -> None:
        """The run ended. Trials that are open are closed as killed with it, or else as failed.

        That a run was killed comes first: whoever ends it may not wait for all its trials.
        """
        run = self._started()
        record = FinishRecord(
            job_name=run.job_name,
            run_id=run.run_id,
            status=status,
            metrics=metrics,
            artifacts=artifacts,
        )
        self._is_killed = status == "KILLED"
        self.sink.put(record, first=self._is_killed)

    def keep_log(self, name: str, text: bytes) -> None:
        """What the driver said, under a name that each attempt has for itself.

        Nothing where the run never began: there is nothing in MLflow to which it would belong.
        """
        if self._run is not None:
            run = self._run
            record = LogRecord(job_name=run.job_name, run_id=run.run_id, name=name, text=text)
            self.sink.put(record, first=self._is_killed)

    @property
    def num_waiting(self) -> int:
        """Records that have not been tried yet, beside those in a journal."""
        return self.sink.num_waiting

    def close(self) -> None:
        """Waits until everything is recorded, or safe in a journal. Call it whatever happened."""
        self.sink.close()

    def _started(self) -> RunRecord:
        assert self._run is not None, "start() comes first"
        return self._run


class InMemorySink:
    """Keeps what it gets: for `--no-track` and for tests."""

    num_waiting = 0

    def __init__(self) -> None:
        self.records: list[Record] = []

    def check(self, job_name: str) -> None:
        """Memory is always there."""

    def put(self, record: Record, *, first: bool = False) -> None:
        """Keeps the record."""
        self.records.append(record)

    def close(self) -> None:
        """Nothing to wait for."""
