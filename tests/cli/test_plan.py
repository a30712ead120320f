"""The dry run, line by line, against a golden file."""

import io
import os
from pathlib import Path

from rich.console import Console

from pricon.cli.plan import show_plan
from pricon.corpus.reader import open_corpus
from pricon.launch.preflight import prepare
from pricon.storage import open_storage
from tests.tiny import build, tiny_job

GOLDEN = Path(__file__).parent.parent / "golden" / "plan.txt"


def test_the_dry_run_reads_as_agreed(tmp_path: Path) -> None:
    job = build(tiny_job(tmp_path, resources={"lanes": 2, "gpus_per_worker": 0.5}))
    out = io.StringIO()
    corpus = open_corpus(open_storage(job.corpus.uri))
    show_plan(prepare(job, corpus, None), Console(file=out, width=80))
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    # What depends on the versions of libraries or on where the test runs is left out.
    shown = (
        "\n".join(line for line in lines if not line.startswith(("tiny (run", "corpus "))) + "\n"
    )
    if os.environ.get("PRICON_GOLDEN") == "update":
        GOLDEN.write_text(shown, encoding="utf-8")
    assert shown == GOLDEN.read_text(encoding="utf-8")


def test_the_dry_run_of_a_grid_counts_settings_and_no_test_window(tmp_path: Path) -> None:
    grid = {"distillation_weight": [0.25, 0.5], "contrastive_temperature": [0.1, 0.2, 0.4]}
    job = build(tiny_job(tmp_path, arms=["e2e", "lupi", "pricon"], sensitivity=grid))
    out = io.StringIO()
    corpus = open_corpus(open_storage(job.corpus.uri))
    show_plan(prepare(job, corpus, None), Console(file=out, width=80))
    lines = [" ".join(line.split()) for line in out.getvalue().splitlines()]
    assert "6 settings, judged on validation participants alone" in lines
    for row in ("e2e frames 2", "lupi frames 4", "pricon frames 12"):
        assert row in lines
    assert "teacher contrastive frames+telemetry 6" in lines
    headings = lines[lines.index("folds (first seed): kept windows and share of class high") + 2]
    assert "test" not in headings
    assert headings.startswith("stimulus affect fold train validation dropped")
    assert "fps arousal 0 45 15 " in "\n".join(lines)


def test_a_regression_job_shows_affect_instead_of_classes(tmp_path: Path) -> None:
    job = build(tiny_job(tmp_path, task="regression"))
    out = io.StringIO()
    prepared = prepare(job, open_corpus(open_storage(job.corpus.uri)), None)
    show_plan(prepared, Console(file=out, width=90))
    text = out.getvalue()
    assert "squared_error" in text
    assert "high" not in text
    headings = next(line for line in text.splitlines() if line.startswith("stimulus"))
    assert "sd, train  sd, test" in headings
    row = next(line for line in text.splitlines() if line.startswith("fps")).split()
    affect = prepared.balances[0].affect
    assert row[-2:] == [f"{affect[part][1]:.3f}" for part in ("train", "test")]
