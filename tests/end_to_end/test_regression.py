"""Regression, the whole way from raw files to the table, against answers that are known otherwise.

In a linear-Gaussian world nobody predicts better than the conditional mean, whose CCC over all
windows is known.
"""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pricon.corpus.ensure import ensure_corpus
from pricon.launch.submit import run_storage
from pricon.report.summary import Report
from pricon.report.write import REPORT, RESULTS
from pricon.spec.job import JobSpec
from tests.launch.rehearsal import rehearse
from tests.tiny import QUICK, build

SEEN, LAB = 3, 3
"""Features of the available and of the privileged modality."""

NOISE = {"seen": 2.0, "lab": 1.0}
"""Standard deviation of the noise on each feature, that of affect being 1."""

WINDOWS, TICKS = 40, 12
"""Windows of a person, of 3 s and so many ticks of 250 ms."""


def optimum(*modalities: str) -> float:
    """CCC over all windows of E[a | x] with affect a, where features are x = a + noise.

    With s summing up what each feature knows, r^2 = s / (1 + s) of the variance of a is explained.
    The conditional mean has the mean of a, variance r^2 and covariance r^2 with it (that of a being
    1), so its CCC is 2 r^2 / (1 + r^2).
    """
    knows = sum(SEEN / NOISE[m] ** 2 for m in modalities)
    explained = knows / (1 + knows)
    return 2 * explained / (1 + explained)


def write_world(folder: Path, participants: int) -> None:
    """Recordings in AGAIN's layout; windows are independent draws, arousal is 0.5 + a / 12.

    Every tick of a window repeats it, so that its mean is exactly what was drawn.
    """
    rng = np.random.default_rng(23)
    names = [f"{m}_{i}" for m, count in (("seen", SEEN), ("lab", LAB)) for i in range(count)]
    scale = np.array([NOISE[name.partition("_")[0]] for name in names])
    (folder / "clean_data").mkdir(parents=True)
    with (folder / "clean_data" / "clean_data.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        keys = [f"[control]{key}" for key in ("player_id", "game", "session_id", "time_stamp")]
        rows.writerow([*keys, "[output]arousal", *names])
        for person in range(participants):
            affect = rng.standard_normal(WINDOWS)
            features = affect[:, None] + scale * rng.standard_normal((WINDOWS, len(names)))
            for tick in range(WINDOWS * TICKS):
                values = [f"{value:.5f}" for value in features[tick // TICKS]]
                place = [f"p{person:03}", "Heist!", "s", f"{tick / 4:.2f}"]
                rows.writerow([*place, f"{0.5 + affect[tick // TICKS] / 12:.7f}", *values])


def world_job(folder: Path, participants: int) -> JobSpec:
    write_world(folder / "recordings", participants)
    schedule = {"learning_rate": 3e-3, "epochs": 60, "patience": 6}
    return JobSpec.model_validate(
        {
            "name": "world",
            "corpus": {
                "adapter": "again",
                "source": str(folder / "recordings"),
                "uri": str(folder / "corpus"),
                "windows": {"window_s": 3, "hop_s": 3, "lag_s": 0},
                "modalities": {"seen": ["telemetry.seen_*"], "lab": ["telemetry.lab_*"]},
            },
            "task": "regression",
            "label": {"threshold": 0.5, "margin": 0.01},
            "modalities": {"available": ["seen"], "privileged": ["lab"]},
            "arms": ["time_only", "e2e", "scl", "lupi", "pricon", "all_modalities",
                     "scl_all_modalities"],
            "folds": {"count": 4},
            "seeds": [0],
            "optimisation": {"supervised": schedule, "probe": schedule},
            "output": str(folder / "runs"),
            "target": "inprocess",
        }
    )  # fmt: skip


def pooled(report: Report) -> dict[str, float]:
    return {row.arm: row.metrics["ccc_pooled"].value for row in report.blocks[0].arms}


def test_arms_approach_the_ccc_of_the_conditional_mean(tmp_path: Path) -> None:
    """80 people x 40 windows: a standard error of 0.010 (0.004 with both); none is above the best.

    Probes on frozen encoders shrink a little more than their encoder's knowledge would ask for.
    """
    report = rehearse(build(world_job(tmp_path, participants=80)))
    found = pooled(report)
    seen, both = optimum("seen"), optimum("seen", "lab")
    assert seen == pytest.approx(0.6)
    assert both == pytest.approx(0.882, abs=1e-3)
    assert found["time_only"] == pytest.approx(0, abs=0.03), found
    for arm in ("e2e", "lupi", "pricon"):
        assert seen - 0.04 < found[arm] < seen + 0.02, found
    assert both - 0.015 < found["all_modalities"] < both + 0.01, found
    assert seen - 0.08 < found["scl"] < seen + 0.02, found
    assert both - 0.03 < found["scl_all_modalities"] < both + 0.01, found
    for row in report.blocks[0].arms:
        own = row.primary.value
        assert own == pytest.approx(found[row.arm], abs=0.03), "levels are the same for everybody"
    explained = {"e2e": 3 / 7, "all_modalities": 15 / 19}
    for row in report.blocks[0].arms:
        if row.arm in explained:
            best = np.sqrt(1 - explained[row.arm]) / 12
            assert best * 0.96 < row.metrics["rmse"].value < best * 1.08, row.arm


def recola(folder: Path, **changes: Any) -> JobSpec:
    """All arms on seven generated people in RECOLA's layout, barely trained."""
    return JobSpec.model_validate(
        {
            "name": "recola-values",
            "corpus": {
                "adapter": "recola",
                "generate": {"into": str(folder / "recordings"), "participants": 7},
                "uri": str(folder / "corpus"),
                "windows": {"window_s": 4, "hop_s": 4},
                "modalities": {"audio": ["audio.*"], "lab": ["video.*", "ecg.*", "eda.*"]},
            },
            "task": "regression",
            "affects": ["arousal", "valence"],
            "modalities": {"available": ["audio"], "privileged": ["lab"]},
            "arms": ["time_only", "e2e", "scl", "lupi", "lupi_privileged", "pricon",
                     "pricon_privileged", "pricon_shuffled", "pricon_random", "all_modalities",
                     "scl_all_modalities"],
            "folds": {"count": 2, "validation_share": 0, "validation_minimum": 1},
            "seeds": [0],
            "optimisation": QUICK,
            "output": str(folder / "runs"),
            "target": "inprocess",
            **changes,
        }
    )  # fmt: skip


def test_every_arm_predicts_both_affects_on_recola_s_layout(tmp_path: Path) -> None:
    job = recola(tmp_path)
    ensure_corpus(job.corpus, job.storage)
    report = rehearse(job)
    assert report.complete
    assert [block.affect for block in report.blocks] == ["arousal", "valence"]
    for block in report.blocks:
        assert [row.arm for row in block.arms] == [*job.arms]
        assert all(np.isfinite(row.primary.value) for row in block.arms)
        taught = {row.arm for row in block.arms if np.isfinite(row.teacher_score)}
        assert taught == {
            "lupi", "lupi_privileged", "pricon", "pricon_privileged", "pricon_shuffled",
            "pricon_random",
        }  # fmt: skip
    fold = report.folds[0]
    assert fold.num_windows["dropped"] == 0
    assert fold.num_windows["test"] == 4 * 75
    assert 0.05 < fold.affect_sd["train"] < 0.6
    assert fold.constant_rmse >= fold.affect_sd["test"] - 1e-9
    folder = run_storage(job, rehearsed_plan(job))
    text = folder.read(REPORT).decode()
    assert "- label: the affect value; classes of the contrastive stages alone" in text
    assert "- students imitate: embedding" in text
    assert json.loads(folder.read(RESULTS))["primary"] == "ccc"


def rehearsed_plan(job: JobSpec) -> Any:
    from pricon.corpus.reader import open_corpus
    from pricon.plan.trials import plan_trials
    from pricon.storage import open_storage

    return plan_trials(job, open_corpus(open_storage(job.corpus.uri)).summary)


def test_a_classification_job_hands_its_encoders_to_a_regression_job(tmp_path: Path) -> None:
    """Submitting the other task trains no contrastive encoder again."""
    job = recola(tmp_path, affects=["arousal"], arms=["pricon", "e2e"])
    ensure_corpus(job.corpus, job.storage)
    document = {**job.model_dump(), "task": "classification", "student": {}, "statistics": {}}
    rehearse(JobSpec.model_validate(document))
    stages = Path(job.output) / "stages"
    before = {file.name: file.stat().st_mtime_ns for file in stages.glob("*.json")}
    rehearse(job)
    after = {file.name: file.stat().st_mtime_ns for file in stages.glob("*.json")}
    assert before.items() <= after.items()
    new = [json.loads((stages / name).read_text())["facts"] for name in after.keys() - before]
    objectives = sorted(facts["objective"] for facts in new)
    assert objectives == ["distillation"] * 4 + ["squared_error"] * 2
