"""The thread between driver and server, with a server that can be switched off."""

import logging
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

from pricon.errors import LaunchError
from pricon.track import background
from pricon.track.background import (
    QUEUE_RECORDS,
    THREAD_NAME,
    BackgroundSink,
    RecordRefusedError,
)
from pricon.track.journal import Journal
from pricon.track.records import Record, RunRecord
from tests.track.examples import make_run_record


class Server:
    """Holds records while it is up; its own recorder."""

    def __init__(self) -> None:
        self.held: list[str] = []
        self.error: Exception | None = None
        self.answers = threading.Event()
        self.answers.set()
        self.threads: set[str] = set()
        self.is_closed = False

    def apply(self, record: Record) -> None:
        self.answers.wait()
        self.threads.add(threading.current_thread().name)
        if self.error is not None:
            raise self.error
        if record.run_id == "refused":
            raise RecordRefusedError("a key has 300 letters")
        self.held.append(record.run_id)

    def close(self) -> None:
        self.is_closed = True

    def abort(self) -> None:
        self.error = LaunchError("given up")
        self.answers.set()


def make_sink(server: Server, folder: Path, retry_after_s: float = 0) -> BackgroundSink:
    journal = Journal(folder / "tracking.jsonl")
    return BackgroundSink(server, journal, check=lambda job_name: None, retry_after_s=retry_after_s)


def waiting(folder: Path) -> list[str]:
    """Runs of the records in the journal."""
    return [one.record.run_id for one in Journal(folder / "tracking.jsonl").read()]


def record(name: str) -> RunRecord:
    return make_run_record(run_id=name)


def test_records_arrive_in_order_from_a_thread_of_its_own(tmp_path: Path) -> None:
    server = Server()
    sink = make_sink(server, tmp_path)
    for name in "abc":
        sink.put(record(name))
    sink.close()
    assert server.held == ["a", "b", "c"]
    assert server.threads == {THREAD_NAME}
    assert server.is_closed
    assert list(tmp_path.iterdir()) == []


def test_what_comes_first_overtakes_what_waits(tmp_path: Path) -> None:
    server = Server()
    server.answers.clear()
    sink = make_sink(server, tmp_path)
    sink.put(record("a"))
    while sink.num_waiting:  # until the thread has it
        time.sleep(0.01)
    for name, first in {"b": False, "c": False, "d": True, "e": True}.items():
        sink.put(record(name), first=first)
    server.answers.set()
    sink.close()
    assert server.held == ["a", "d", "e", "b", "c"]


def test_what_comes_first_overtakes_the_journal_and_is_not_kept_in_it(tmp_path: Path) -> None:
    server = Server()
    server.error = LaunchError("away")
    sink = make_sink(server, tmp_path, retry_after_s=3600)
    sink.put(record("a"))
    while waiting(tmp_path) != ["a"]:
        time.sleep(0.01)
    sink.put(record("lost"), first=True)
    while sink.num_waiting:
        time.sleep(0.01)
    server.error = None
    sink.put(record("b"), first=True)
    sink.close()
    assert server.held == ["b", "a"]


def test_an_outage_is_warned_of_once_and_made_up_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()
    server.error = LaunchError("tracking server http://x does not answer", hint="start it")
    sink = make_sink(server, tmp_path)
    with caplog.at_level(logging.WARNING):
        for name in "abc":
            sink.put(record(name))
        sink.close()
    assert server.held == []
    assert caplog.text.count("training goes on: tracking server http://x does not answer") == 1
    assert "the next start of this run delivers them" in caplog.text
    server.error = None
    again = make_sink(server, tmp_path)
    again.put(record("d"))
    again.close()
    assert server.held == ["a", "b", "c", "d"]
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_failed_is_left_alone_for_a_while(tmp_path: Path) -> None:
    server = Server()
    server.error = LaunchError("down")
    sink = make_sink(server, tmp_path, retry_after_s=3600)
    server.answers.clear()
    sink.put(record("a"))
    sink.put(record("b"))
    server.answers.set()
    while not sink._queue.empty():
        threading.Event().wait(0.01)
    server.error = None  # back before the pause is over: only the end tries again
    sink.close()
    assert server.held == ["a", "b"]


def test_an_end_that_is_patient_waits_for_a_server_that_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "_ASK_AGAIN_S", 0.05)
    server = Server()
    server.error = LaunchError("restarts")
    sink = make_sink(server, tmp_path)
    sink.put(record("a"))
    back = threading.Timer(0.5, setattr, (server, "error", None))
    back.start()
    sink.close(60)
    assert server.held == ["a"]
    assert waiting(tmp_path) == []
    assert [one.message for one in caplog.records] == [
        f"tracking failed, training goes on: restarts   journal={tmp_path / 'tracking.jsonl'}",
        "waiting for the tracking server, for 60 s at most",
    ]


def test_patience_ends_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(background, "_ASK_AGAIN_S", 0.05)
    server = Server()
    server.error = LaunchError("gone")
    sink = make_sink(server, tmp_path)
    sink.put(record("a"))
    sink.close(0.2)
    assert waiting(tmp_path) == ["a"]
    assert caplog.records[-1].message == (
        "the tracking server lacks some records of this run, and finished trials are kept: "
        "`kubectl delete rayjob RUN`, then submit the job again to have them recorded"
    )


@pytest.mark.parametrize("signal_wakes_us", [True, False])
@pytest.mark.usefixtures("ctrl_c")
def test_an_interruption_ends_patience(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, signal_wakes_us: bool
) -> None:
    """As KubeRay ends a driver: with seconds left. Another thread may be the one that takes it."""
    server = Server()
    server.error = LaunchError("gone")
    sink = make_sink(server, tmp_path)
    sink.put(record("a"))

    def interrupt() -> None:
        while not any(one.message.startswith("waiting for") for one in caplog.records):
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt), nullcontext() if signal_wakes_us else no_wake_up():
        sink.close(600)
    assert time.monotonic() - began < 30
    assert waiting(tmp_path) == ["a"]


@pytest.fixture
def ctrl_c() -> Iterator[None]:
    """It interrupts, also where who started the tests has it ignored: in the background, say."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@contextmanager
def no_wake_up() -> Iterator[None]:
    """Ctrl-C does not end what this thread waits in; threads that run already take it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def test_a_journal_that_cannot_be_read_is_no_server_to_wait_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()
    server.error = LaunchError("gone")
    sink = make_sink(server, tmp_path, retry_after_s=600)
    sink.put(record("a"))
    while not waiting(tmp_path):
        time.sleep(0.01)
    (tmp_path / "tracking.jsonl").unlink()
    (tmp_path / "tracking.jsonl").mkdir()
    sink.close(600)
    assert not any(one.message.startswith("waiting for") for one in caplog.records)


def test_a_refused_record_does_not_block_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()
    sink = make_sink(server, tmp_path)
    with caplog.at_level(logging.WARNING):
        for name in ("a", "refused", "b"):
            sink.put(record(name))
        sink.close()
    assert server.held == ["a", "b"]
    assert "a key has 300 letters" in caplog.text
    assert list(tmp_path.iterdir()) == []


def test_an_error_nobody_thought_of_does_not_end_the_thread(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()
    server.error = ZeroDivisionError("surprise")
    sink = make_sink(server, tmp_path)
    sink.put(record("a"))
    sink.close()
    assert "ZeroDivisionError: surprise" in caplog.text
    assert waiting(tmp_path) == ["a"]


def test_a_slow_server_fills_the_journal_and_not_the_memory(tmp_path: Path) -> None:
    server = Server()
    server.answers.clear()
    sink = make_sink(server, tmp_path)
    names = [f"r{i}" for i in range(QUEUE_RECORDS + 20)]
    for name in names:
        sink.put(record(name))  # never waits, though nothing is taken
    assert len(waiting(tmp_path)) >= 19
    assert sink.num_waiting == QUEUE_RECORDS
    server.answers.set()
    sink.close()
    assert sink.num_waiting == 0
    assert sorted(server.held) == sorted(names)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("ctrl_c")
def test_an_interruption_keeps_what_is_left(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A real signal, while `close` waits for a server that does not answer."""
    server = Server()
    server.answers.clear()
    sink = make_sink(server, tmp_path)
    for name in "abc":
        sink.put(record(name))
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with caplog.at_level(logging.WARNING), pytest.raises(KeyboardInterrupt):
            sink.close()
    finally:
        timer.cancel()
    assert server.held == []
    assert waiting(tmp_path) == ["a", "b", "c"]
    assert "the next start of this run delivers them" in caplog.text
    assert "tracking failed" not in caplog.text
    server.error = None
    again = make_sink(server, tmp_path)
    again.put(record("d"))
    again.close()
    assert server.held == ["a", "b", "c", "d"]


def test_a_text_that_no_json_can_hold_costs_its_record_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = Server()
    sink = make_sink(server, tmp_path)
    server.error = LaunchError("down")
    with caplog.at_level(logging.WARNING):
        sink.put(record("caf\udce9.csv"))
        sink.put(record("b"))
        sink.close()
    assert "1 records of the run are lost" in caplog.text
    assert waiting(tmp_path) == ["b"]


def test_closing_without_a_record_starts_nothing(tmp_path: Path) -> None:
    server = Server()
    make_sink(server, tmp_path).close()
    assert server.threads == set()
    assert server.is_closed


def test_what_waits_in_queue_or_journal_is_behind(tmp_path: Path) -> None:
    server = Server()
    sink = make_sink(server, tmp_path)
    assert not sink.is_behind
    server.error = LaunchError("gone")
    sink.put(record("a"))
    while not waiting(tmp_path):
        time.sleep(0.01)
    assert sink.is_behind
    server.error = None
    sink.close()
    assert not sink.is_behind
