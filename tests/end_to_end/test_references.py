"""The references against another library, on real players."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from pricon.corpus.reader import open_corpus
from pricon.plan.trials import plan_trials
from pricon.spec.job import JobSpec
from pricon.storage import open_storage
from pricon.train.windows import GroupWindows
from tests.corpora import real_corpus
from tests.launch.rehearsal import rehearse
from tests.tiny import build


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
