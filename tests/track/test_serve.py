"""The process that talks with MLflow, asked over pipes in memory."""

import json
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from pricon.track.records import FinishRecord, to_line
from pricon.track.serve import serve
from tests.track.examples import make_run_record


def answers(uri: str, *requests: bytes) -> list[dict[str, str]]:
    """What is said to each request."""
    out = BytesIO()
    serve(BytesIO(b"".join(line + b"\n" for line in (uri.encode(), *requests))), out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_what_goes_wrong_is_told_and_the_next_request_is_served(tmp_path: Path) -> None:
    record, uri = make_run_record(), f"sqlite:///{tmp_path}/mlflow.db"
    good = FinishRecord(job_name=record.job_name, run_id=record.run_id, status="FINISHED")
    bad = replace(good, metrics={"not a $ key": 1.0})
    told = answers(
        uri,
        b"apply " + to_line(record),
        b"apply " + to_line(bad),
        b"apply {}",
        b"apply " + to_line(good),
    )
    started, refused, unreadable, finished = told
    assert started == finished == {}
    assert "not a $ key" in refused["refused"]
    assert "validation error" in unreadable["refused"], "another try would not make it better"


def test_what_nobody_thought_of_is_told_with_a_way_out() -> None:
    (failed,) = answers("sqlite:////proc/nowhere/mlflow.db", b"check job")
    assert failed["failed"].startswith("FileNotFoundError")
    assert "--no-track" in failed["hint"]


def test_a_driver_that_dies_over_a_request_has_asked_nothing(tmp_path: Path) -> None:
    out = BytesIO()
    serve(BytesIO(f"sqlite:///{tmp_path}/mlflow.db\ncheck jo".encode()), out)
    assert out.getvalue() == b""
    assert list(tmp_path.iterdir()) == []
