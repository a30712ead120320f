"""The whole way, from raw files to the table, against answers that are known otherwise."""

import csv
from math import asin, pi, sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pricon.corpus.reader import open_corpus
from pricon.plan.trials import plan_trials
from pricon.report.summary import Report
from pricon.spec.job import JobSpec
from pricon.storage import open_storage
from pricon.train.windows import GroupWindows
from tests.corpora import real_corpus
from tests.launch.rehearsal import rehearse
from tests.tiny import build

SEEN, LAB = 3, 3
"""Features of the available and of the privileged modality."""

NOISE = {"seen": 2.0, "lab": 1.0}
"""Standard deviation of the noise on each feature, that of affect being 1."""

WINDOWS = 40
TICKS = 12
"""Of 250 ms, in a window of 3 s."""


def optimum(*modalities: str) -> float:
    """Bayes accuracy of telling whether affect is above its mean, from features x = a + noise.

    Affect a and its best estimate are bivariate normal with correlation r, r^2 = s / (1 + s), where
    s adds up what each feature knows; two such variables share their sign with probability
    1/2 + asin(r) / pi.
    """
    knows = sum(SEEN / NOISE[m] ** 2 for m in modalities)
    return 0.5 + asin(sqrt(knows / (1 + knows))) / pi


def write_world(folder: Path, participants: int) -> None:
    """Recordings in AGAIN's layout whose windows are independent draws of a linear-Gaussian world.

    Every tick of a window repeats it, so that its mean is exactly what was drawn.
    """
    rng = np.random.default_rng(11)
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
                window = tick // TICKS
                values = [f"{value:.5f}" for value in features[window]]
                place = [f"p{person:03}", "Heist!", "s", f"{tick / 4:.2f}"]
                rows.writerow([*place, f"{norm.cdf(affect[window]):.6f}", *values])


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
            "label": {"threshold": 0.5, "margin": 0},
            "modalities": {"available": ["seen"], "privileged": ["lab"]},
            "arms": ["majority", "time_only", "e2e", "scl", "lupi", "pricon", "all_modalities",
                     "scl_all_modalities"],
            "folds": {"count": 4},
            "seeds": [0],
            "optimisation": {"supervised": schedule, "probe": schedule},
            "output": str(folder / "runs"),
            "target": "inprocess",
        }
    )  # fmt: skip


def accuracies(report: Report) -> dict[str, float]:
    return {row.arm: row.metrics["accuracy"].value for row in report.blocks[0].arms}


def test_arms_approach_the_optimum_of_a_linear_gaussian_world(tmp_path: Path) -> None:
    """80 people x 40 windows: a standard error of 0.008; and nobody can be above the optimum."""
    found = accuracies(rehearse(build(world_job(tmp_path, participants=80))))
    seen, both = optimum("seen"), optimum("seen", "lab")
    assert seen == pytest.approx(0.727, abs=1e-3)
    assert both == pytest.approx(0.848, abs=1e-3)
    for arm in ("majority", "time_only"):
        assert found[arm] == pytest.approx(0.5, abs=0.03), found
    for arm in ("e2e", "scl", "lupi", "pricon"):
        assert seen - 0.025 < found[arm] < seen + 0.02, found
    for arm in ("all_modalities", "scl_all_modalities"):
        assert both - 0.025 < found[arm] < both + 0.02, found


def by_hand(windows: GroupWindows, cells: Any, modalities: tuple[str, ...]) -> float:
    """Mean accuracy over cells of scikit-learn's logistic regression on the same windows."""
    features: NDArray[np.float32] = np.concatenate([windows.raw(m) for m in modalities], axis=1)
    accuracy = []
    for cell in cells:
        train = np.concatenate([windows.rows(cell, part) for part in ("train", "validation")])
        test, labels = windows.rows(cell, "test"), windows.labels(cell)
        kept = ~np.isnan(features[train]).any(axis=0)
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
        model.fit(features[train][:, kept], labels[train])
        shown = np.nan_to_num(features[test][:, kept])
        accuracy.append(float((model.predict(shown) == labels[test]).mean()))
    return float(np.mean(accuracy))


def test_references_agree_with_another_library_on_real_players(tmp_path: Path) -> None:
    """Heist: logistic regression lies within the intervals of e2e and all_modalities."""
    job = JobSpec.model_validate(
        {
            "name": "heist",
            "corpus": {
                "adapter": "again_derived",
                "source": str(real_corpus("again_derived")),
                "uri": str(tmp_path / "corpus"),
                "stimuli": ["Heist"],
                "modalities": {"player": ["player*", "reticle*"], "rest": ["bot*", "visible*"]},
            },
            "modalities": {"available": ["player"], "privileged": ["rest"]},
            "arms": ["e2e", "all_modalities"],
            "seeds": [0],
            "output": str(tmp_path / "runs"),
            "target": "inprocess",
        }
    )
    report = rehearse(build(job))
    corpus = open_corpus(open_storage(job.corpus.uri))
    plan = plan_trials(job, corpus.summary)
    windows = GroupWindows(corpus, job, plan.cells[0].stimuli)
    for row, modalities in zip(
        report.blocks[0].arms, (("player",), ("player", "rest")), strict=True
    ):
        seen = row.metrics["accuracy"]
        assert seen.low < by_hand(windows, plan.cells, modalities) < seen.high, (row.arm, seen)
