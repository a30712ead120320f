"""A recorder in a process of its own, because MLflow is heavy: seconds to load, and then Python.

A trial costs MLflow 20 ms and more of one interpreter. In a thread of the driver these are taken
from the lanes' driver, and on a small machine from training; a process can be told to be nice.
The driver writes one line a request, the process answers each with one line: see `track.serve`.
"""

import json
import sys
from subprocess import PIPE, Popen, TimeoutExpired

from pricon.errors import LaunchError
from pricon.track.background import RecordRefusedError
from pricon.track.records import Record, to_line

GOODBYE_S = 10
"""How long a process may take to end once it has nothing to do."""


class ProcessRecorder:
    """Has records recorded by a process, which starts with the first request.

    It ends with `close`, and by itself when this process is no more, however that ended.

    Args:
        uri: `http(s)://...`, `sqlite:///...` or what else MLflow takes.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._process: Popen[bytes] | None = None

    def check(self, job_name: str) -> None:
        """Raises LaunchError where nothing could be recorded."""
        self._ask(b"check", job_name.encode())

    def apply(self, record: Record) -> None:
        """Records it; what the server holds already is not added again.

        Raises:
            LaunchError: the server failed, or the process did.
            RecordRefusedError: this record cannot be recorded.
        """
        self._ask(b"apply", to_line(record))

    def close(self) -> None:
        """Ends the process."""
        if self._process is not None:
            process, self._process = self._process, None
            _end(process)

    def abort(self) -> None:
        """Kills the process; a request that another thread waits for fails."""
        process = self._process
        if process is not None:
            process.kill()

    def _ask(self, verb: bytes, subject: bytes) -> None:
        process = self._process = self._process or _start(self._uri)
        try:
            answer = _answer(process, b"%s %s\n" % (verb, subject))
        except BaseException:
            self.abort()  # or its answer would be taken for that to the next request
            raise
        if answer is None:
            self._process = None
            raise _ended(_end(process))
        if refusal := answer.get("refused"):
            raise RecordRefusedError(refusal)
        if failure := answer.get("failed"):
            raise LaunchError(failure, hint=answer["hint"])


def _start(uri: str) -> Popen[bytes]:
    """A process that waits for requests.

    The address may hold a password and goes through the pipe, since everybody can read arguments.
    A process group of its own keeps a Ctrl-C at the terminal from it: what is begun is recorded.
    """
    # -P: a file in the folder of the user must not be taken for a package.
    command = [sys.executable, "-P", "-m", "pricon.track.serve"]
    try:
        process = Popen(command, stdin=PIPE, stdout=PIPE, process_group=0)
    except OSError as err:
        raise LaunchError(
            f"no process for MLflow could be started: {err}",
            hint="submit with `--no-track` to do without",
        ) from err
    assert process.stdin is not None
    process.stdin.write(uri.encode() + b"\n")
    return process


def _answer(process: Popen[bytes], request: bytes) -> dict[str, str | None] | None:
    """What the process says to the request; None where it is no more."""
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(request)
        process.stdin.flush()
    except OSError:
        return None
    line = process.stdout.readline()
    answer: dict[str, str | None] | None = json.loads(line) if line.endswith(b"\n") else None
    return answer


def _end(process: Popen[bytes]) -> int:
    """Its exit status, negative for a signal."""
    try:
        process.communicate(timeout=GOODBYE_S)  # closes its input, at which it ends
    except TimeoutExpired:
        process.kill()
        process.communicate()
    return process.returncode


def _ended(status: int) -> LaunchError:
    if status < 0:
        fate, hint = f"signal {-status}", "is there enough memory?"
    else:
        fate, hint = f"exit code {status}", f"is pricon installed for {sys.executable}?"
    return LaunchError(
        f"the process that talks with MLflow ended by itself: {fate}",
        hint=f"{hint} Submit with `--no-track` to do without",
    )
