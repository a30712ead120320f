"""The whole way, from raw files to the table, in worlds whose best answer is a formula.

How many windows and people there are says how far off the formula chance may take an arm: margins
are three standard errors. Only to fall short of the optimum is allowed a little more, for no
network has learned everything; above it there is nothing but chance.
"""

from dataclasses import replace
from itertools import product
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.end_to_end.world import Answers, Floats, World, ask

SEES: dict[str, tuple[str, ...]] = {
    "e2e": ("seen",),
    "scl": ("seen",),
    "lupi": ("seen",),
    "pricon": ("seen",),
    "all_modalities": ("seen", "lab"),
    "scl_all_modalities": ("seen", "lab"),
}
"""Arm -> what its model sees at test."""

UNLEARNED = 0.01
"""How far an arm may stay below the optimum besides chance, with the people of `World`."""


def chance(accuracy: float, world: World) -> float:
    """Three standard errors of an accuracy over all windows of a world."""
    return 3 * sqrt(accuracy * (1 - accuracy) / (world.participants * world.windows))


def check_near(accuracy: float, optimum: float, margin: float, about: str) -> None:
    assert optimum - margin - UNLEARNED < accuracy < optimum + margin, (about, accuracy, optimum)


def test_arms_approach_the_optimum_of_a_linear_gaussian_world(tmp_path: Path) -> None:
    world = World()
    assert world.optimum("seen") == pytest.approx(0.727, abs=1e-3)
    assert world.optimum("seen", "lab") == pytest.approx(0.848, abs=1e-3)
    found = ask(world, tmp_path, arms=["majority", "time_only", *SEES])
    for arm in ("majority", "time_only"):
        assert found.accuracy(arm) == pytest.approx(0.5, abs=chance(0.5, world)), arm
    for arm, modalities in SEES.items():
        optimum = world.optimum(*modalities)
        check_near(found.accuracy(arm), optimum, chance(optimum, world), arm)


def mean_and_error(values: Floats) -> tuple[float, float]:
    """Of independent values, such as a figure for each person."""
    return float(values.mean()), float(values.std(ddof=1) / sqrt(values.size))


def test_teachers_and_students_approach_the_optimum_as_the_corpus_grows(tmp_path: Path) -> None:
    """Many weak features with noisy labels, so that there is much to learn from little.

    Compared with the best rule on the same windows, which takes the luck of the draw out. Seen: it
    is right 0.139 more often than the mean arm with 10 people, 0.050 with 40, 0.023 with 160; the
    standard errors over people are 0.018, 0.007 and 0.004.
    """
    shortfall = {}
    for participants, seeds in ((10, (1, 2, 3)), (40, (1, 2)), (160, (1,))):
        over_people = []
        for seed in seeds:
            world = World(
                participants=participants,
                windows=20,
                features={"seen": 30, "lab": 30},
                signal={"seen": 0.15, "lab": 0.25},
                blur=1.0,
                seed=seed,
            )
            found = ask(world, tmp_path / f"{participants}-{seed}", arms=[*SEES])
            each = [found.shortfall(arm, *sees).mean(axis=1) for arm, sees in SEES.items()]
            over_people.append(np.mean(each, axis=0))
        shortfall[participants] = mean_and_error(np.concatenate(over_people))
    for few, many in ((10, 40), (40, 160)):
        (less, error), (more, other) = shortfall[many], shortfall[few]
        assert more - less > 2 * sqrt(error**2 + other**2), shortfall
    assert shortfall[160][0] < 0.03, shortfall


@pytest.mark.parametrize("noise", [{"flipped": 0.2}, {"blur": 1.0}], ids=["flipped", "blurred"])
def test_noise_on_labels_costs_what_the_formula_says(noise: dict[str, Any], tmp_path: Path) -> None:
    """Against the labels that is; of what there is to learn it hides little from 80 people."""
    clean = World()
    noisy = replace(clean, **noise)
    arms = ["e2e", "lupi", "all_modalities"]
    before, after = (
        ask(clean, tmp_path / "clean", arms=arms),
        ask(noisy, tmp_path / "noisy", arms=arms),
    )
    for arm in arms:
        modalities = SEES[arm]
        optimum = noisy.optimum_of_labels(*modalities)
        check_near(after.accuracy(arm), optimum, chance(optimum, noisy), arm)
        lost = before.accuracy(arm) - after.accuracy(arm)
        lost_in_truth = float(before.right(arm).mean() - after.right(arm).mean())
        assert lost > 0.05, arm
        assert lost_in_truth < 0.4 * lost, arm


def test_offsets_of_people_cost_what_the_formula_says_and_centring_pays_it_back(
    tmp_path: Path,
) -> None:
    """People differ in how well an offset lets them be read, so they are the unit of chance."""
    world = World(offset=1.0, signal={"seen": 1.0, "lab": 1.0})
    arms = ["e2e", "all_modalities"]
    as_recorded = ask(world, tmp_path / "recorded", arms=arms)
    centred = ask(world, tmp_path / "centred", arms=arms, standardise="session")
    for arm in arms:
        modalities = SEES[arm]
        optimum, best = world.optimum(*modalities), world.optimum_of_centred(*modalities)
        assert optimum < best - 0.03, "else there is nothing to see"
        for found, expected in ((as_recorded, optimum), (centred, best)):
            accuracy, error = mean_and_error(found.right(arm).mean(axis=1))
            check_near(accuracy, expected, 3 * error, arm)
        paid_back, error = mean_and_error(gain(centred, arm, as_recorded, arm))
        assert paid_back > 3 * error, arm


def gain(one: Answers, arm: str, other: Answers, reference: str) -> Floats:
    """How much more often one is right than the other, for each person of the same draw."""
    difference: Floats = (one.right(arm) - other.right(reference)).mean(axis=1)
    return difference


def test_what_distillation_gains_goes_with_the_signal_of_the_privileged_modality(
    tmp_path: Path,
) -> None:
    """Forty people with blurred labels: a teacher that sees affect better than they tell it helps.

    Both worlds have the same affect, labels and seen features, so e2e is the same in both. Seen on
    draws 1 to 6, when all this was chosen: lupi +0.013 with signal and -0.001 without, standard
    error 0.004; pricon +0.006 and -0.004. Seen on the
    draws below then: lupi +0.012 and +0.000, pricon +0.009 and -0.000, standard error 0.003.
    """
    gains: dict[tuple[str, float], list[Floats]] = {}
    for seed, signal in product(range(7, 13), (1.0, 0.0)):
        world = World(
            participants=40,
            features={"seen": 30, "lab": 5},
            signal={"seen": 0.25, "lab": signal},
            blur=2.0,
            seed=seed,
        )
        found = ask(
            world,
            tmp_path / f"{seed}-{signal}",
            arms=["e2e", "lupi", "pricon"],
            student={"distillation": {"weight": 0.75, "temperature": 1.0}},
        )
        for arm in ("lupi", "pricon"):
            gains.setdefault((arm, signal), []).append(gain(found, arm, found, "e2e"))
    pooled = {key: np.concatenate(values) for key, values in gains.items()}
    seen = {key: mean_and_error(values) for key, values in pooled.items()}
    helped, error = seen["lupi", 1.0]
    assert helped > 3 * error, seen
    for arm in ("lupi", "pricon"):
        left, error = seen[arm, 0.0]
        assert left < min(3 * error, 0.01), seen
        lost, error = mean_and_error(pooled[arm, 1.0] - pooled[arm, 0.0])
        assert lost > 2 * error, seen
