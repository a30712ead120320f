"""`pricon-submit` as a user types it: what it prints, writes, refuses, and its exit codes."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pricon.corpus.generate_recola import generate_recola
from pricon.spec.corpus import GenerateSpec
from pricon.track.tracker import InMemorySink, Tracker
from tests.cli.invoke import Document, files_below, refused, said, submit, write_job
from tests.tiny import build, tiny_job


def set_unknown_key(document: Document, _: Path) -> None:
    document["student"] = {"temprature": 3}


def set_wrong_type(document: Document, _: Path) -> None:
    document["seeds"] = "many"


def name_a_modality_twice(document: Document, _: Path) -> None:
    document["modalities"] = {"available": ["frames"], "privileged": ["frames"]}


def point_nowhere(document: Document, folder: Path) -> None:
    document["corpus"]["source"] = str(folder / "nowhere")


def empty_the_recordings(document: Document, folder: Path) -> None:
    table = folder / "recordings" / "clean_data" / "clean_data.csv"
    table.write_bytes(table.read_bytes().split(b"\n")[0] + b"\n")


def cut_the_table(document: Document, folder: Path) -> None:
    table = folder / "recordings" / "clean_data" / "clean_data.csv"
    whole = table.read_bytes()
    table.write_bytes(whole[: len(whole) // 2])


def use_a_short_arff(document: Document, folder: Path) -> None:
    source = folder / "avec"
    source.mkdir()
    generate_recola(source, GenerateSpec(participants=2), "avec")
    ratings = next((source / "ratings_gold_standard" / "arousal").glob("*.arff"))
    ratings.write_text("".join(ratings.read_text(encoding="utf-8").splitlines(True)[:-500]))
    document["corpus"] = {"adapter": "recola", "source": str(source), "uri": str(folder / "c")}
    document["modalities"] = {"available": ["audio"], "privileged": ["ecg"]}


WRONG: dict[str, tuple[Callable[[Document, Path], None], str]] = {
    "unknown key": (set_unknown_key, "unknown key `student.temprature`"),
    "wrong type": (set_wrong_type, "`seeds` is 'many'\n  expected a list"),
    "modality named twice": (name_a_modality_twice, "`frames` is named twice"),
    "missing recordings": (point_nowhere, "nowhere"),
    "empty corpus": (empty_the_recordings, "no session of any game"),
    "table cut in the middle": (cut_the_table, r"clean_data\.csv:\d+: "),
    "arff of the wrong length": (use_a_short_arff, r"7,?001 rows"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_bad_input_is_refused_with_a_message_and_nothing_written(
    wrong: str, document: Document, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import re

    break_it, expected = WRONG[wrong]
    break_it(document, tmp_path)
    error = refused(document, tmp_path, capsys)
    assert re.search(expected, error), error


def test_missing_job_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert submit(tmp_path / "nope.yaml") == 2
    assert "error: job file not found" in said(capsys)


@pytest.mark.parametrize("is_generated_yet", [True, False])
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"folds": {"count": 20}}, "20 folds asked for, but the corpus has 8 participants"),
        (
            {"label": {"threshold": 0.0, "margin": 0.0}},
            "fold 0 (seed 0, fps, arousal) has no train window of class `low`",
        ),
        (
            {"modalities": {"available": ["frames"], "privileged": ["telemetrie"]}},
            "did you mean `telemetry`?",
        ),
        ({"affects": "valence"}, "the corpus has no affect `valence`"),
    ],
)
def test_what_only_recordings_can_tell_is_found_before_a_corpus_is_built(
    change: Document,
    expected: str,
    is_generated_yet: bool,
    document: Document,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if not is_generated_yet:
        document["corpus"]["generate"]["into"] = str(tmp_path / "new" / "recordings")
    assert expected in refused(document | change, tmp_path, capsys)


@pytest.mark.parametrize("options", [(), ("--dry-run",)], ids=["run", "dry run"])
@pytest.mark.parametrize("is_built", [True, False])
def test_maps_that_cannot_be_drawn_are_refused_before_anything_starts(
    options: tuple[str, ...],
    is_built: bool,
    document: Document,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "umap", None)  # as Python marks what cannot be imported
    if is_built:
        build(tiny_job(tmp_path))
    document["report"] = {"maps": "umap"}
    error = refused(document, tmp_path, capsys, *options)
    assert "`report.maps: umap` needs umap-learn" in error
    assert "-e '.[umap]'` in pricon's checkout" in error


@pytest.mark.parametrize("folds", ["x", "0,,1", "-1", ""])
def test_folds_that_are_no_numbers(
    folds: str, document: Document, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(document, tmp_path, capsys, f"--only-folds={folds}")
    assert "expected numbers of folds" in error


def test_a_dry_run_shows_everything_and_writes_nothing(
    document: Document, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(tmp_path / "recordings")
    job = write_job(tmp_path / "job.yaml", document)
    before = files_below(tmp_path)
    assert submit(job, "--dry-run") == 0
    surveyed = capsys.readouterr().out
    assert files_below(tmp_path) == before
    assert "(not built yet)" in surveyed
    build(tiny_job(tmp_path))
    before = files_below(tmp_path)
    assert submit(job, "--dry-run") == 0
    shown = capsys.readouterr().out
    assert files_below(tmp_path) == before
    assert shown.split("stages")[1].split("leakage")[0] in surveyed
    assert shown.split("\nfolds")[1] in surveyed, "the survey counts as the corpus does"
    assert "10 trials" in shown
    assert "generated data: says nothing about people" in shown
    for check in ("participants", "recordings", "teachers", "students"):
        assert check in shown


def test_a_failed_trial_is_exit_code_1_and_finished_ones_are_kept(
    document: Document, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    schedule = {"learning_rate": 1e38, "epochs": 3, "patience": 2}
    document["optimisation"] = document["optimisation"] | {"contrastive": schedule}
    job = write_job(tmp_path / "job.yaml", document)
    assert submit(job, "--no-track") == 1
    shown = capsys.readouterr().out
    assert "INCOMPLETE: 2 of 10 trials missing or failed" in shown
    assert "pricon (frames), fps arousal fold 0 seed 0" in " ".join(shown.split())
    (results,) = (tmp_path / "runs" / "tiny").glob("*/results.json")
    found = json.loads(results.read_text(encoding="utf-8"))
    assert not found["complete"]
    assert len([row for row in found["trials"] if row["status"] == "finished"]) == 8
    assert found["verdict"] in (None, [])


def test_the_second_submission_prints_the_same_and_adds_nothing_to_mlflow(
    document: Document, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import sqlite3

    def rows() -> tuple[int, int]:
        with sqlite3.connect(tmp_path / "runs" / "mlflow.db") as database:
            counts = [
                database.execute(f"select count(*) from {table}").fetchone()[0]
                for table in ("runs", "metrics")
            ]
        database.close()
        return counts[0], counts[1]

    job = write_job(tmp_path / "job.yaml", document)
    assert submit(job) == 0
    first, before = capsys.readouterr().out, rows()
    assert submit(job) == 0
    assert capsys.readouterr().out == first
    assert rows() == before
    assert before[0] == 11, "one run a trial, and their parent"


class Behind(InMemorySink):
    """A sink that is behind, and notes what was printed when it is waited for."""

    num_waiting = 100

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        super().__init__()
        self.capsys = capsys

    def close(self, patience_s: float = 0.0) -> None:
        self.before_waiting = self.capsys.readouterr()


def test_what_was_found_is_shown_before_the_rest_is_recorded(
    document: Document,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sink = Behind(capsys)
    monkeypatch.setattr("pricon.cli.submit.open_tracker", lambda *_: Tracker(sink))
    document["arms"] = ["majority"]
    assert submit(write_job(tmp_path / "job.yaml", document)) == 0
    assert "report.html" in sink.before_waiting.out
    assert "MLflow is still to hear 100 records; those that a Ctrl-C" in sink.before_waiting.err
    assert capsys.readouterr().err == "MLflow has heard them all\n"


class Lost(Behind):
    """One that gave up: what it had is in its journal, as it has said itself."""

    is_behind = True


def test_mlflow_has_not_heard_what_is_left_in_the_journal(
    document: Document,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sink = Lost(capsys)
    monkeypatch.setattr("pricon.cli.submit.open_tracker", lambda *_: Tracker(sink))
    document["arms"] = ["majority"]
    assert submit(write_job(tmp_path / "job.yaml", document)) == 0
    assert capsys.readouterr().err == ""


def test_a_damaged_shard_is_named_and_other_trials_are_kept(
    document: Document, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    job = write_job(tmp_path / "job.yaml", document)
    build(tiny_job(tmp_path))
    shard = next((tmp_path / "corpus" / "shards").iterdir())
    damaged = bytearray(shard.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    shard.write_bytes(damaged)
    assert submit(job, "--no-track") == 1
    shown = capsys.readouterr()
    assert "INCOMPLETE" in shown.out
    assert "shard is damaged" in shown.err


def test_output_that_cannot_be_written(
    document: Document, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("not a folder", encoding="utf-8")
    job = write_job(tmp_path / "job.yaml", document | {"output": str(tmp_path / "file" / "runs")})
    assert submit(job) == 3
    assert "error: cannot write into" in said(capsys)


def test_the_schema_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert submit("--schema") == 0
    assert json.loads(capsys.readouterr().out)["title"] == "JobSpec"


def test_the_options_are_these_and_no_others(capsys: pytest.CaptureFixture[str]) -> None:
    """Flags choose where to run and what to show; hyperparameters belong in the job file."""
    assert submit("--help") == 0
    words = capsys.readouterr().out.split()
    assert {word for word in words if word.startswith("--")} == {
        "--dry-run", "--target", "--only-folds", "--no-track", "--rerun", "--schema", "--version",
        "--namespace", "--context", "--profile", "--detach",
        "--help",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code"), [(["--version"], 0), (["--nonsense"], 2), ([], 2), (["nope.yaml"], 2)]
)
def test_the_installed_command(arguments: list[str], code: int) -> None:
    command = Path(sys.executable).with_name("pricon-submit")
    done = subprocess.run(
        [command, *arguments], capture_output=True, text=True, check=False, env=dict(os.environ)
    )
    assert done.returncode == code
    assert "Traceback" not in done.stderr
    assert not code or "hint: " in done.stderr
