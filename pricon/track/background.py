"""A thread that delivers records, so that training neither waits nor dies for a tracking server.

What cannot be delivered goes into a journal, which is tried again every half minute, at the end,
and at the next start. Where the journal may not outlive the process, the end waits for a server
that is away. Delivering twice must be harmless: see `Recorder.apply`.
"""

import logging
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from queue import Full, PriorityQueue
from threading import Event, Thread
from time import monotonic
from typing import Protocol

from pricon.errors import LaunchError
from pricon.track.journal import Journal
from pricon.track.records import Record

_log = logging.getLogger(__name__)

THREAD_NAME = "pricon-tracking"
QUEUE_RECORDS = 1024
RETRY_AFTER_S = 30.0
_ASK_AGAIN_S = 5.0
"""At the end, when there is nothing else to do."""
_STEP_S = 0.5
"""Of waits of the caller's thread. It notices a signal that another thread took, or that came as a
wait began, when that wait ends."""

_FIRST, _IN_TURN, _LAST = range(3)


class RecordRefusedError(ValueError):
    """The server is well and does not want this record; trying again would not help."""


class Recorder(Protocol):
    """Talks with a tracking server, one record after the other. Used by one thread at a time."""

    def apply(self, record: Record) -> None:
        """Records it; what the server holds already is not added again.

        After a failure it takes nothing for granted that it knew of the server.

        Raises:
            LaunchError: the server failed; what it has seen of the record is unknown.
            RecordRefusedError: this record cannot be recorded.
        """
        ...

    def close(self) -> None:
        """Nothing is recorded any more."""
        ...

    def abort(self) -> None:
        """Fails what is being recorded, at once; may be called while another thread records."""
        ...


class BackgroundSink:
    """Delivers records to a recorder from a thread of its own.

    Args:
        recorder: used by the thread, and closed with the sink.
        journal: where undelivered records wait.
        check: what `Tracker.check` calls; runs in the caller's thread.
        retry_after_s: pause before a server that failed is tried again.
    """

    def __init__(
        self,
        recorder: Recorder,
        journal: Journal,
        check: Callable[[str], None],
        retry_after_s: float = RETRY_AFTER_S,
    ) -> None:
        self._recorder = recorder
        self._journal = journal
        self._check = check
        self._retry_after_s = retry_after_s
        self._patience_s = 0.0
        self._queue: PriorityQueue[tuple[int, int, Record | None]] = PriorityQueue(QUEUE_RECORDS)
        self._numbers = count()
        self._retry_at = 0.0
        self._has_warned = False
        self._interrupted = Event()
        self._has_journal = True
        self._has_ended = Event()
        self._num_lost = 0
        self._thread = Thread(target=self._work, name=THREAD_NAME, daemon=True)

    @property
    def num_waiting(self) -> int:
        """Records in the queue; those in the journal are beside them."""
        return self._queue.qsize()

    @property
    def is_behind(self) -> bool:
        """Whether records wait, in the queue or in the journal."""
        return self.num_waiting > 0 or bool(self._journal)

    def check(self, job_name: str) -> None:
        """Raises LaunchError where nothing could be recorded."""
        self._check(job_name)

    def put(self, record: Record, *, first: bool = False) -> None:
        """Leaves the record to the thread, or to the journal where the thread lags far behind.

        What comes `first` overtakes what waits, here and in the journal, and is tried once.
        """
        if self._thread.ident is None:
            self._thread.start()
        try:
            entry = (_FIRST if first else _IN_TURN, next(self._numbers), record)
            self._queue.put_nowait(entry)
        except Full:
            if not first:
                self._keep(record)

    def close(self, patience_s: float = 0.0) -> None:
        """Returns when the queue is empty; what is not delivered then is in the journal.

        An interruption, such as Ctrl-C, puts all that is left into the journal before it is raised.

        Args:
            patience_s: for which a server that fails is waited for, where the journal may be gone
                at the next start. 0: it is kept.
        """
        self._patience_s = patience_s
        try:
            self._finish()
        except BaseException:
            self._interrupted.set()
            self._recorder.abort()
            self._finish()
            raise
        finally:
            self._recorder.close()
            self._tell_what_is_left()

    def _finish(self) -> None:
        if self._thread.ident is None:
            return
        entry = (_LAST, next(self._numbers), None)
        is_put = False
        while not is_put:
            with suppress(Full):
                self._queue.put(entry, timeout=_STEP_S)
                is_put = True
        # Not `join`, which an interruption makes forget the thread.
        while not self._has_ended.wait(_STEP_S):
            pass

    def _tell_what_is_left(self) -> None:
        if self._num_lost:
            _log.warning(
                "%d records of the run are lost; submit again to record them", self._num_lost
            )
        if self._journal and self._patience_s:
            _log.warning(
                "the tracking server lacks some records of this run, and finished trials are kept: "
                "`kubectl delete rayjob RUN`, then submit the job again to have them recorded"
            )
        elif self._journal:
            _log.warning(
                "some records are not in the tracking server yet; the next start of this run "
                "delivers them   journal=%s",
                self._journal.path,
            )

    def _work(self) -> None:
        try:
            while True:
                rank, _, record = self._queue.get()
                if record is None:
                    break
                if rank == _FIRST:
                    self._deliver(record)
                elif not (self._may_try() and self._replay() and self._deliver(record)):
                    self._keep(record)
            self._replay_while_patient()
        finally:
            self._has_ended.set()

    def _replay_while_patient(self) -> None:
        """Delivers what the journal holds at the end."""
        end = monotonic() + self._patience_s
        is_told = False
        while not self._interrupted.is_set() and not self._replay():
            if monotonic() >= end or not self._has_journal:
                return
            if not is_told:
                is_told = True
                _log.warning("waiting for the tracking server, for %g s at most", self._patience_s)
            self._interrupted.wait(_ASK_AGAIN_S)

    def _keep(self, record: Record) -> None:
        """Into the journal; where even that fails the record is lost, and training goes on."""
        try:
            self._journal.append(record)
        except (OSError, ValueError) as err:  # a full disk, or a text that no JSON can hold
            self._num_lost += 1
            if self._num_lost == 1:
                _log.warning("records are lost: the journal cannot be written: %s", err)

    def _may_try(self) -> bool:
        return not self._interrupted.is_set() and monotonic() >= self._retry_at

    def _replay(self) -> bool:
        """Delivers the journal, oldest first; False where the server fails again."""
        if not self._journal:
            return True
        last, is_well = None, True
        self._has_journal = True
        try:
            for entry in self._journal.read():
                is_well = self._deliver(entry.record)
                if not is_well:
                    break
                last = entry
            if last is not None or is_well:
                self._journal.drop(last)
        except OSError as err:
            self._has_journal = False
            self._fail(f"the journal cannot be read or rewritten: {err}")
            return False
        return is_well

    def _deliver(self, record: Record) -> bool:
        """Whether the record needs no further attempt."""
        try:
            self._recorder.apply(record)
        except RecordRefusedError as err:
            _log.warning("the tracking server refused a record, which is left out: %s", err)
        except LaunchError as err:
            self._fail(err.message)
            return False
        except Exception as err:  # the edge of a thread: anything else would end it silently
            _log.debug("recording failed", exc_info=True)
            self._fail(f"{type(err).__name__}: {err}")
            return False
        return True

    def _fail(self, reason: str) -> None:
        self._retry_at = monotonic() + self._retry_after_s
        if not (self._has_warned or self._interrupted.is_set()):
            self._has_warned = True
            _log.warning(
                "tracking failed, training goes on: %s   journal=%s", reason, self._journal.path
            )
