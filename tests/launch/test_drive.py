"""What a cluster runs: told in bulletins, and not run again where that could not help."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from pricon.errors import LaunchError
from pricon.launch.bulletins import (
    Bulletin,
    EndBulletin,
    PlanBulletin,
    ProgressBulletin,
    ReportBulletin,
    TrainingBulletin,
    UsageBulletin,
    read,
)
from pricon.launch.drive import drive
from pricon.launch.events import LaneDone, StagesDone
from pricon.launch.preflight import Prepared
from pricon.launch.run_log import Say
from pricon.launch.submission import FACTS, Submission
from pricon.launch.submit import View
from pricon.launch.words import words_of
from pricon.report.summary import Report
from pricon.spec.job import JobSpec
from pricon.track.open import no_tracker
from pricon.track.records import FinishRecord, LogRecord, Record
from pricon.track.tracker import InMemorySink, Tracker
from tests.cli.invoke import write_job
from tests.launch.rehearsal import Listener, stage_files
from tests.tiny import build, tiny_document, tiny_job


class Words:
    def __init__(self, say: Say) -> None:
        self.say = say

    def building(self, done: int, total: int) -> None:
        return None

    def view(self, prepared: Prepared) -> View:
        self.say(ProgressBulletin(text="a moment"))
        return Listener()

    def table(self, report: Report) -> str:
        return f"{len(report.trials)} trials"


def untracked(job: JobSpec) -> Tracker:
    return no_tracker()


def unreachable(job: JobSpec) -> Tracker:
    raise LaunchError("no tracking server", "start it")


@pytest.fixture
def document(tmp_path: Path) -> dict[str, Any]:
    build(tiny_job(tmp_path))
    return tiny_document(tmp_path, arms=["majority", "e2e"])


def driven(
    document: Mapping[str, Any], folder: Path, submission: str = "s1", track: Any = untracked
) -> list[Bulletin]:
    """What a driver says, the last of it before it gives up, if it does."""
    said: list[Bulletin] = []
    given_up: list[Bulletin] = []
    job = write_job(folder / "job.yaml", dict(document))
    code = drive(
        job, Submission(id=submission), said.append, Words, track,
        lambda: given_up.append(said[-1]),
    )  # fmt: skip
    end = said[-1]
    assert isinstance(end, EndBulletin)
    assert end.exit_code == code
    assert given_up == ([end] if code and end.is_final else [])
    return said


def test_a_run_is_told_from_plan_to_end(document: dict[str, Any], tmp_path: Path) -> None:
    said = driven(document, tmp_path)
    trained = ["training", "trial", "trial", "training"]
    kinds = ["plan", "progress", "trial", "trial", *trained, "report", "end"]
    assert [bulletin.pricon for bulletin in said] == kinds
    begun, over = (one for one in said if isinstance(one, TrainingBulletin))
    assert begun == TrainingBulletin(lane=0, trials={"e2e": {0: 1, 1: 1}})
    assert over == TrainingBulletin(lane=0, trials={})
    plan, report, end = said[0], said[-2], said[-1]
    assert isinstance(plan, PlanBulletin)
    assert isinstance(report, ReportBulletin)
    assert end == EndBulletin(exit_code=0, cause="done")
    assert report.text == "4 trials"
    assert Path(report.uri).is_file()
    assert report.uri == f"{plan.output}/report.html"


class Behind(InMemorySink):
    """A sink that is behind, and notes what was said when it is waited for."""

    num_waiting = 100
    is_behind = True

    def __init__(self, said: Callable[[], str]) -> None:
        super().__init__()
        self.said = said
        self.before_waiting = ""

    def close(self, patience_s: float = 0.0) -> None:
        self.before_waiting = self.said()


def test_what_was_found_is_told_before_the_rest_is_recorded(
    document: dict[str, Any], tmp_path: Path
) -> None:
    said: list[Bulletin] = []
    sink = Behind(lambda: f"{said[-2].pricon} {words_of(said[-1])}")
    job = write_job(tmp_path / "job.yaml", document)
    assert drive(job, Submission(id="s1"), said.append, Words, lambda _: Tracker(sink)) == 0
    assert sink.before_waiting == "report recording in MLflow what it has not heard yet"


def test_the_log_outlives_the_driver(document: dict[str, Any], tmp_path: Path) -> None:
    said = driven(document, tmp_path)
    driven(document, tmp_path, track=unreachable)
    folder = tmp_path / "runs" / "tiny" / "submissions"
    assert sorted(file.name for file in folder.glob("*.log")) == ["s1.0.log", "s1.1.log"]
    kept = (folder / "s1.0.log").read_text(encoding="utf-8").splitlines()
    assert [read(line) for line in kept] == said


def logs_in(sink: InMemorySink) -> dict[str, list[Bulletin | None]]:
    """Logs that a tracker was given, by name."""
    return {
        f"{record.handle} {record.name}": [*map(read, record.text.decode().splitlines())]
        for record in sink.records
        if isinstance(record, LogRecord)
    }


def write_facts(folder: Path) -> None:
    """As a cluster mounts them beside the job."""
    facts = Submission(id="s1", handle="tiny-1").facts()
    (folder / "submission.json").write_text(facts, encoding="utf-8")


def test_the_tracker_has_the_log_too(document: dict[str, Any], tmp_path: Path) -> None:
    sink = InMemorySink()
    write_facts(tmp_path)
    said = driven(document, tmp_path, track=lambda _: Tracker(sink))
    assert logs_in(sink) == {"tiny-1 s1.0.log": said}


def test_who_drives_by_hand_has_a_terminal(document: dict[str, Any], tmp_path: Path) -> None:
    sink = InMemorySink()
    driven(document, tmp_path, track=lambda _: Tracker(sink))
    assert logs_in(sink) == {}


def test_a_log_of_a_failure_ends_with_it(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise LaunchError("lanes cannot be started", "start Ray")

    monkeypatch.setattr("pricon.launch.submit.run_plan", fail)
    sink = InMemorySink()
    write_facts(tmp_path)
    said = driven(document, tmp_path, track=lambda _: Tracker(sink))
    assert logs_in(sink) == {"tiny-1 s1.0.log": said}
    assert isinstance(said[-1], EndBulletin)
    assert said[-1].message == "lanes cannot be started"


def test_a_wrong_job_is_refused_once_and_for_all(document: dict[str, Any], tmp_path: Path) -> None:
    wrong = {**document, "folds": {"count": 20}}
    first = driven(wrong, tmp_path)
    assert [bulletin.pricon for bulletin in first] == ["end"]
    end = first[0]
    assert isinstance(end, EndBulletin)
    assert (end.cause, end.exit_code) == ("input", 2)
    # A retry of the same submission repeats the words, even if the job would run by now.
    assert driven(document, tmp_path) == first
    assert driven(document, tmp_path, "s2")[-1] == EndBulletin(exit_code=0, cause="done")


def test_another_version_is_refused_until_it_is_this_one(
    document: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "submission.json"
    file.write_text('{"version": "9.9.9"}', encoding="utf-8")
    (end,) = driven(document, tmp_path)  # and gives up
    assert isinstance(end, EndBulletin)
    assert (end.cause, end.exit_code) == ("version", 3)
    file.unlink()
    assert driven(document, tmp_path)[-1] == EndBulletin(exit_code=0, cause="done")


def test_trouble_of_the_cluster_is_tried_again(document: dict[str, Any], tmp_path: Path) -> None:
    end = driven(document, tmp_path, track=unreachable)[-1]
    assert isinstance(end, EndBulletin)
    assert (end.cause, end.exit_code, end.hint) == ("infrastructure", 3, "start it")
    assert driven(document, tmp_path)[-1] == EndBulletin(exit_code=0, cause="done")


def test_a_retry_goes_on_where_the_first_stopped(document: dict[str, Any], tmp_path: Path) -> None:
    driven({**document, "arms": ["majority"]}, tmp_path)
    before = stage_files(tiny_job(tmp_path))
    driven(document, tmp_path, "s2")
    after = stage_files(tiny_job(tmp_path))
    assert before.items() < after.items()


class CutOff(Words):
    """A driver whose machine goes when all is trained."""

    def table(self, report: Report) -> str:
        raise LaunchError("the machine is gone", "try again")


def test_training_again_is_done_once_a_submission(document: dict[str, Any], tmp_path: Path) -> None:
    driven(document, tmp_path, "s1")
    job = tmp_path / "job.yaml"
    wish = Submission(id="s2", reruns=True)
    first = stage_files(tiny_job(tmp_path))
    said: list[Bulletin] = []
    assert drive(job, wish, said.append, CutOff, untracked) == 3
    second = stage_files(tiny_job(tmp_path))
    assert drive(job, wish, said.append, Words, untracked) == 0
    assert first.keys() == second.keys()
    assert not {*first.items()} & {*second.items()}, "trained again"
    assert stage_files(tiny_job(tmp_path)) == second, "and not once more"


class Losing:
    """Lanes whose workers are lost, or that cannot do their work."""

    def __init__(self, lost: bool) -> None:
        self.lost = lost

    def run(self, lanes: Any, listen: Any) -> None:
        listen(StagesDone(lane=0))
        listen(LaneDone(lane=0, error="its workers were lost: OOM", lost=self.lost))


@pytest.mark.parametrize(
    ("lost", "cause", "code"), [(True, "infrastructure", 3), (False, "trials", 1)]
)
def test_missing_trials_say_whether_another_try_may_help(
    lost: bool,
    cause: str,
    code: int,
    document: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pricon.launch.submit.lanes_for", lambda *_: Losing(lost))
    end = driven(document, tmp_path)[-1]
    assert isinstance(end, EndBulletin)
    assert (end.cause, end.exit_code) == (cause, code)
    assert end.message == "4 of 4 trials have no result\n  lane 0: its workers were lost: OOM"
    monkeypatch.undo()
    again = driven(document, tmp_path)[-1]
    assert (again == EndBulletin(exit_code=0, cause="done")) is lost


def test_a_defect_is_raised_and_not_tried_again(
    document: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(job: JobSpec) -> Tracker:
        raise ZeroDivisionError("1 / 0")

    said: list[Bulletin] = []
    given_up: list[Bulletin] = []
    job = write_job(tmp_path / "job.yaml", document)
    with pytest.raises(ZeroDivisionError):
        drive(
            job, Submission(id="s1"), said.append, Words, broken,
            lambda: given_up.append(said[-1]),
        )  # fmt: skip
    end = said[-1]
    assert given_up == [end]
    assert end == EndBulletin(exit_code=70, cause="defect", message="ZeroDivisionError: 1 / 0")
    assert driven(document, tmp_path) == [end]


class Interrupted(InMemorySink):
    """A tracking server that is still listening when Ctrl-C or SIGTERM comes."""

    def close(self, patience_s: float = 0.0) -> None:
        raise KeyboardInterrupt


def test_a_run_that_has_ended_stays_so_when_recording_is_interrupted(
    document: dict[str, Any], tmp_path: Path
) -> None:
    said: list[Bulletin] = []
    sink = Interrupted()
    job = write_job(tmp_path / "job.yaml", document)
    assert drive(job, Submission(id="s1"), said.append, Words, lambda _: Tracker(sink)) == 0
    assert said[-1] == EndBulletin(exit_code=0, cause="done")


PRICED = {"pool": {"price_per_hour": 2.0, "currency": "EUR"}}


@pytest.fixture
def used(document: dict[str, Any], tmp_path: Path) -> UsageBulletin:
    """What an attempt before took of a run that is counted."""
    facts = Submission(id="s1", handle="tiny-1").facts(**PRICED)
    (tmp_path / FACTS).write_text(facts, encoding="utf-8")
    folder = Path(document["output"]) / document["name"] / "submissions/used/tiny-1"
    folder.mkdir(parents=True)
    took = {"pod_hours": 1.5, "gpu_hours": 3.0, "cost": 3.0, "currency": "EUR"}
    (folder / "s0.0.json").write_text(json.dumps({"total": took, "parts": []}), encoding="utf-8")
    return UsageBulletin.model_validate(took)


def test_what_a_run_took_is_told_first_and_last_and_recorded(
    document: dict[str, Any], tmp_path: Path, used: UsageBulletin
) -> None:
    sink = InMemorySink()
    said = driven(document, tmp_path, track=lambda _: Tracker(sink))
    told = [bulletin for bulletin in said if isinstance(bulletin, UsageBulletin)]
    assert told == [used, used.model_copy(update={"is_last": True})]
    assert said.index(told[0]) == 0
    assert said.index(told[1]) == len(said) - 3, "before the report and the end"
    (finish,) = (record for record in sink.records if isinstance(record, FinishRecord))
    assert finish.metrics["pod_hours"] == 1.5
    assert finish.metrics["cost.EUR"] == 3.0


def test_what_a_run_took_is_told_by_an_attempt_that_does_not_get_far(
    document: dict[str, Any], tmp_path: Path, used: UsageBulletin
) -> None:
    document["folds"] = {"count": 50}
    first, *_, end = driven(document, tmp_path)
    assert first == used
    assert isinstance(end, EndBulletin)
    assert end.cause == "input"
    assert driven(document, tmp_path) == [used, end], "an end on record is repeated"


class Stopped(InMemorySink):
    """Ctrl-C or SIGTERM comes when the log of a run is handed over."""

    patience_s: float | None = None

    def put(self, record: Record, *, first: bool = False) -> None:
        if isinstance(record, LogRecord):
            raise KeyboardInterrupt
        super().put(record, first=first)

    def close(self, patience_s: float = 0.0) -> None:
        self.patience_s = patience_s


class Closing(Stopped):
    """Nobody stops it; it is closed."""

    def put(self, record: Record, *, first: bool = False) -> None:
        self.records.append(record)


def test_a_run_that_has_ended_stays_so_when_its_last_words_are_interrupted(
    document: dict[str, Any], tmp_path: Path, used: UsageBulletin
) -> None:
    sink = Stopped()
    said = driven(document, tmp_path, track=lambda _: Tracker(sink))
    assert said[-1] == EndBulletin(exit_code=0, cause="done")
    assert sink.patience_s == 0


@pytest.mark.parametrize(("pool", "patience_s"), [(PRICED, 600), ({}, 0)])
def test_a_run_that_goes_with_its_pods_waits_for_a_tracking_server(
    document: dict[str, Any], tmp_path: Path, pool: dict[str, Any], patience_s: float
) -> None:
    facts = Submission(id="s1", handle="tiny-1").facts(**pool)
    (tmp_path / FACTS).write_text(facts, encoding="utf-8")
    sink = Closing()
    driven(document, tmp_path, track=lambda _: Tracker(sink))
    assert sink.patience_s == patience_s


@pytest.mark.parametrize(("lost", "patience_s"), [(True, 0), (False, 600)])
def test_a_run_that_is_tried_again_waits_for_no_tracking_server(
    lost: bool,
    patience_s: float,
    document: dict[str, Any],
    tmp_path: Path,
    used: UsageBulletin,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pricon.launch.submit.lanes_for", lambda *_: Losing(lost))
    sink = Closing()
    driven(document, tmp_path, track=lambda _: Tracker(sink))
    assert sink.patience_s == patience_s


def test_a_failure_is_closed_even_when_its_last_words_are_interrupted(
    document: dict[str, Any], tmp_path: Path, used: UsageBulletin
) -> None:
    class Failing(Stopped):
        def check(self, job_name: str) -> None:
            raise LaunchError("no tracking server", "start it")

    sink = Failing()
    said = driven(document, tmp_path, track=lambda _: Tracker(sink))
    end = said[-1]
    assert isinstance(end, EndBulletin)
    assert end.exit_code == 3
    assert sink.patience_s == 0
