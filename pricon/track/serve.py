"""What `python -m pricon.track.serve` does: talk with MLflow beside the driver.

Reads an address, then one request a line: `check JOB` or `apply RECORD`. Answers each with one line
of JSON: `{}`, `{"refused": ...}` or `{"failed": ..., "hint": ...}`. Ends with its input.
"""

import json
import os
import sys
from typing import TYPE_CHECKING, BinaryIO

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
    # Nothing that MLflow prints may be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    serve(sys.stdin.buffer, answers)


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
        except RecordRefusedError as err:
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
