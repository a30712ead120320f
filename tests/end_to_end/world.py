"""Worlds whose answers are known: linear, Gaussian, and written in AGAIN's file layout.

    affect a ~ N(0, 1), for every window anew
    feature = signal * a + the person's offset ~ N(0, offset^2) + noise ~ N(0, 1)
    label   = whether the trace is above 1/2; trace = Phi(a), unless it is mirrored or blurred

Windows are independent but for the offsets, so folds differ by nothing but chance, and what the
best rule achieves is a short formula. Owns draws, formulas, files and the job that reads them; what
arms should make of them is up to the tests.
"""

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from math import asin, pi, sqrt
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from pricon.report.results import Predictions
from pricon.report.summary import Report
from pricon.spec.job import JobSpec
from tests.launch.rehearsal import rehearse
from tests.tiny import build

Floats = NDArray[np.float64]

WINDOW_S, TICK_S = 3, 0.25


@dataclass(frozen=True, kw_only=True)
class World:
    """What there is to know about affect, and for whom.

    Args:
        participants: each has one session.
        windows: of a session.
        features: modality -> how many.
        signal: modality -> what affect adds to each of its features, noise being 1.
        offset: standard deviation of what a person adds to each feature, in all windows.
        flipped: share of windows whose trace is mirrored, which turns their label over.
        blur: standard deviation of noise on affect on its way into the trace.
        seed: of everything that is drawn.
    """

    participants: int = 80
    windows: int = 40
    features: Mapping[str, int] = field(default_factory=lambda: {"seen": 3, "lab": 3})
    signal: Mapping[str, float] = field(default_factory=lambda: {"seen": 0.5, "lab": 1.0})
    offset: float = 0.0
    flipped: float = 0.0
    blur: float = 0.0
    seed: int = 11

    def knows(self, *modalities: str) -> float:
        """Correlation r of affect and its best linear estimate from one window's features.

        n features of signal g and noise 1 + offset^2 know s = n g^2 / (1 + offset^2) together;
        modalities add up; r^2 = s / (1 + s).
        """
        s = sum(self.features[m] * self.signal[m] ** 2 for m in modalities) / (1 + self.offset**2)
        return sqrt(s / (1 + s))

    def optimum(self, *modalities: str) -> float:
        """Bayes accuracy of telling whether affect is above its mean from one window.

        An offset is noise to somebody who sees one window, though it is shared by all of a session.
        """
        return same_sign(self.knows(*modalities))

    def optimum_of_centred(self, *modalities: str) -> float:
        """The same where each session's own means are taken off its features.

        That removes offsets, and with them the session's mean affect, a share 1 / windows of its
        variance: what is left of signal and noise is scaled alike, so r^2 becomes
        (1 - 1 / windows) * r^2 of the world without offsets.
        """
        r = replace(self, offset=0.0).knows(*modalities)
        return same_sign(sqrt(1 - 1 / self.windows) * r)

    def optimum_of_labels(self, *modalities: str) -> float:
        """The same against labels as they are.

        Blur b makes the correlation with what is labelled r / sqrt(1 + b^2); of the right answers
        a share q of flips makes wrong ones, and of wrong ones right ones.
        """
        blurred = same_sign(self.knows(*modalities) / sqrt(1 + self.blur**2))
        return self.flipped + (1 - 2 * self.flipped) * blurred


def same_sign(correlation: float) -> float:
    """Probability that two standard normal variables have one sign: 1/2 + asin(r) / pi."""
    return 0.5 + asin(correlation) / pi


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One draw of a world.

    Args:
        world: that was drawn from.
        affect: shape (participants, windows).
        trace: what is annotated, in [0, 1], same shape.
        features: modality -> shape (participants, windows, features).
    """

    world: World
    affect: Floats
    trace: Floats
    features: Mapping[str, Floats]

    def best_guess(self, *modalities: str) -> Floats:
        """Mean of affect given one window's features, up to a factor: (participants, windows)."""
        guess: Floats = sum(
            (self.world.signal[m] * self.features[m].sum(axis=2) for m in modalities),
            np.zeros_like(self.affect),
        )
        return guess


def draw(world: World) -> Draw:
    """The same world gives the same draw."""
    rng = np.random.default_rng(world.seed)
    shape = (world.participants, world.windows)
    affect = rng.standard_normal(shape)
    rated = affect + world.blur * rng.standard_normal(shape)
    rated = np.where(rng.random(shape) < world.flipped, -rated, rated)
    features = {}
    for name, count in world.features.items():
        offset = world.offset * rng.standard_normal((world.participants, 1, count))
        noise = rng.standard_normal((*shape, count))
        features[name] = world.signal[name] * affect[:, :, None] + offset + noise
    return Draw(world=world, affect=affect, trace=norm.cdf(rated), features=features)


def write(drawn: Draw, folder: Path) -> None:
    """`clean_data/clean_data.csv`; a window's ticks repeat it, so its mean is what was drawn."""
    names = [f"{m}_{i}" for m, count in drawn.world.features.items() for i in range(count)]
    values = np.concatenate([drawn.features[m] for m in drawn.world.features], axis=2)
    ticks = round(WINDOW_S / TICK_S)
    (folder / "clean_data").mkdir(parents=True)
    with (folder / "clean_data" / "clean_data.csv").open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        keys = [f"[control]{key}" for key in ("player_id", "game", "session_id", "time_stamp")]
        rows.writerow([*keys, "[output]arousal", *names])
        for person, window in np.ndindex(drawn.affect.shape):
            cells = [f"{value:.5f}" for value in values[person, window]]
            told = [f"{drawn.trace[person, window]:.6f}", *cells]
            for tick in range(window * ticks, (window + 1) * ticks):
                rows.writerow([f"p{person:03}", "Heist!", "s", f"{tick * TICK_S:.2f}", *told])


def world_job(folder: Path, **changes: Any) -> JobSpec:
    """A job on the recordings in `folder`; `changes` replace whole keys."""
    schedule = {"learning_rate": 3e-3, "epochs": 60, "patience": 6}
    document = {
        "name": "world",
        "corpus": {
            "adapter": "again",
            "source": str(folder / "recordings"),
            "uri": str(folder / "corpus"),
            "windows": {"window_s": WINDOW_S, "hop_s": WINDOW_S, "lag_s": 0},
            "modalities": {"seen": ["telemetry.seen_*"], "lab": ["telemetry.lab_*"]},
        },
        "label": {"threshold": 0.5, "margin": 0},
        "modalities": {"available": ["seen"], "privileged": ["lab"]},
        "arms": ["e2e", "lupi", "pricon", "all_modalities"],
        "folds": {"count": 4},
        "seeds": [0],
        "optimisation": {"supervised": schedule, "probe": schedule},
        "output": str(folder / "runs"),
        "target": "inprocess",
        **changes,
    }
    return JobSpec.model_validate(document)


@dataclass(frozen=True, kw_only=True)
class Answers:
    """What the arms of a job said about a draw, window by window.

    Args:
        drawn: the truth.
        report: what pricon says about it.
    """

    drawn: Draw
    report: Report

    def accuracy(self, arm: str) -> float:
        """As the report has it, against the labels."""
        row = self.report.blocks[0].arm(arm)
        assert row is not None
        return row.metrics["accuracy"].value

    def right(self, arm: str) -> Floats:
        """Share of seeds that told the sign of affect itself: (participants, windows)."""
        shape = self.drawn.affect.shape
        hits, count = np.zeros(shape), np.zeros(shape)
        for result in (row.result for row in self.report.trials if row.result.trial.arm == arm):
            seen = result.predictions
            assert isinstance(seen, Predictions)
            person = np.char.lstrip(seen.participant, "p").astype(np.int64)
            window = np.round(seen.t_start_s / WINDOW_S).astype(np.int64)
            high = seen.probability_high >= 0.5
            hits[person, window] += high == (self.drawn.affect[person, window] > 0)
            count[person, window] += 1
        return hits / count

    def shortfall(self, arm: str, *modalities: str) -> Floats:
        """How much rarer than the best rule it was right, by window: (participants, windows)."""
        best = (self.drawn.best_guess(*modalities) > 0) == (self.drawn.affect > 0)
        missing: Floats = best - self.right(arm)
        return missing


def ask(world: World, folder: Path, **changes: Any) -> Answers:
    """Draw a world, write it, and run a job on it."""
    drawn = draw(world)
    write(drawn, folder / "recordings")
    return Answers(drawn=drawn, report=rehearse(build(world_job(folder, **changes))))
