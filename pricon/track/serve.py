"""What `python -m pricon.track.serve` does: talk with MLflow beside the driver.

Reads an address, then one request a line: `check JOB` or `apply RECORD`. Answers each with one line
of JSON: `{}`, `{"refused": ...}` or `{"failed": ..., "hint": ...}`. Ends with its input.
"""

import json
import os
import select
import signal
import sys
from threading import Thread
from typing import TYPE_CHECKING, BinaryIO

from pydantic import ValidationError

from pricon.errors import LaunchError
from pricon.track.background import RecordRefusedError
from pricon.track.connect import connect
from pricon.track.records import from_line

if TYPE_CHECKING:
    from pricon.track.mlflow import MlflowRecorder

NICENESS = 19
"""Training goes first. Ray's workers have 15 themselves."""


def main() -> None:
    """Serves standard input until it ends."""
    os.nice(NICENESS)
    # Whoever ends a whole group of processes gives the driver time to record how the run ended.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    Thread(target=_end_with, args=(sys.stdin.fileno(),), daemon=True).start()
    # Nothing that MLflow prints may be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, answers)


def _end_with(pipe: int) -> None:
    """Ends this process when nobody holds the other end of a pipe.

    In the middle of a request too: the next driver may begin at once, and must not meet what an
    earlier one had asked for.
    """
    watch = select.poll()
    watch.register(pipe, 0)  # that it hung up is told without being asked for
    watch.poll()
    os._exit(0)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """Answers every request, until the driver closes the pipe or is no more."""
    uri = requests.readline().decode().rstrip("\n")
    recorder: MlflowRecorder | None = None
    for request in requests:
        if not request.endswith(b"\n"):
            return  # the driver died over it
        answer: dict[str, str | None] = {}
        try:
            recorder = recorder or connect(uri)
            _do(recorder, request)
        except (RecordRefusedError, ValidationError) as err:
            answer = {"refused": str(err)}
        except LaunchError as err:
            answer = {"failed": err.message, "hint": err.hint}
        except Exception as err:  # the edge of a process: whatever it is, the driver must hear it
            answer = {"failed": f"{type(err).__name__}: {err}", "hint": "submit with `--no-track`"}
        if "failed" in answer:
            recorder = None  # what it remembers of the server may not be so any more
        answers.write(json.dumps(answer).encode() + b"\n")
        answers.flush()


def _do(recorder: "MlflowRecorder", request: bytes) -> None:
    verb, _, subject = request.rstrip(b"\n").partition(b" ")
    if verb == b"check":
        recorder.check(subject.decode())
    else:
        recorder.apply(from_line(subject))


if __name__ == "__main__":
    main()
