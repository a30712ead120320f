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

    @property
    def is_behind(self) -> bool:
        """Whether records wait, tried or not."""
        ...

    def check(self, job_name: str) -> None:
        """Raises LaunchError where nothing could be recorded."""
        ...

    def put(self, record: Record, *, first: bool = False) -> None:
        """Takes a record; the same one again adds nothing.

        What comes `first` is tried before all that waits, and not kept where that fails.
        """
        ...

    def close(self, patience_s: float = 0.0) -> None:
        """Waits until everything is recorded, or safe until the next start.

        So long is a server waited for that fails.
        """
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
        self.sink.put(run)

    def record(self, result: TrialResult, metrics: Mapping[str, float]) -> None:
        """A trial ended."""
        self.sink.put(trial_record(self._started(), result, metrics))

    def finish(
        self, status: EndStatus, metrics: Mapping[str, float], artifacts: Mapping[str, bytes]
    ) -> None:
        """The run ended. Trials that are open are closed as killed with it, or else as failed.

        That a run was killed is recorded before all that waits, as there may be no time for that,
        and once more in its turn, as what comes before it there may open the run again.
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
        self._end_with(record)

    def keep_log(self, handle: str, name: str, text: bytes) -> None:
        """What the driver of a run said, under a name that each attempt has for itself.

        Nothing where the run never began: there is nothing in MLflow to which it would belong.
        """
        if self._run is not None:
            self._end_with(
                LogRecord(
                    job_name=self._run.job_name,
                    run_id=self._run.run_id,
                    handle=handle,
                    name=name,
                    text=text,
                )
            )

    def _end_with(self, record: FinishRecord | LogRecord) -> None:
        if self._is_killed:
            self.sink.put(record, first=True)
        self.sink.put(record)

    @property
    def num_waiting(self) -> int:
        """Records that have not been tried yet, beside those in a journal."""
        return self.sink.num_waiting

    @property
    def is_behind(self) -> bool:
        """Whether the server has not heard of everything yet."""
        return self.sink.is_behind

    def close(self, patience_s: float = 0.0) -> None:
        """Waits until everything is recorded, or safe in a journal. Call it whatever happened.

        Args:
            patience_s: for which a server that fails is waited for.
        """
        self.sink.close(patience_s)

    def _started(self) -> RunRecord:
        assert self._run is not None, "start() comes first"
        return self._run


class InMemorySink:
    """Keeps what it gets: for `--no-track` and for tests."""

    num_waiting = 0
    is_behind = False

    def __init__(self) -> None:
        self.records: list[Record] = []

    def check(self, job_name: str) -> None:
        """Memory is always there."""

    def put(self, record: Record, *, first: bool = False) -> None:
        """Keeps the record."""
        self.records.append(record)

    def close(self, patience_s: float = 0.0) -> None:
        """Nothing to wait for."""
