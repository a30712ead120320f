"""What a choice is worth, from scores of single trials, by hand; whole runs: `test_sensitivity`."""

from collections.abc import Sequence
from math import isnan, sqrt

import numpy as np
import pytest

from pricon.plan.plan import Setting
from pricon.report.choice import choose
from pricon.report.scores import Scores
from pricon.report.surface import Choice


def scores(by_fold: Sequence[Sequence[float]]) -> Scores:
    """An arm whose trials reached this, shape (seeds, folds)."""
    values = np.array(by_fold)
    cells = {("heist", "arousal", fold, seed) for seed, fold in np.ndindex(values.shape)}
    return Scores(
        draws={"accuracy": np.full(3, values.mean())},
        by_participant=np.array([]),
        is_tested=np.array([], dtype=bool),
        by_fold=values,
        teacher=np.nan,
        cells=frozenset(cells),
        num_planned=len(cells),
    )


def weights(num: int) -> list[Setting]:
    return [Setting(distillation_weight=float(number)) for number in range(num)]


def chosen(points: Sequence[Sequence[Sequence[float]]], folds: Sequence[int]) -> Choice:
    """The choice among points of shape (seeds, folds); e2e is right half of the time."""
    scored = [scores(point) for point in points]
    e2e = scores(np.full_like(points[0], 0.5).tolist())
    found = choose(weights(len(points)), scored, e2e, folds)
    assert found is not None
    return found


def test_what_a_seed_does_to_all_settings_alike_is_not_chance() -> None:
    points = [
        [[0.6 + effect + seed] for seed in (-0.05, 0, 0.05)] for effect in (0, 0.02, 0.04, 0.06)
    ]
    found = chosen(points, [0])
    assert found.sd_settings == pytest.approx(sqrt((0.03**2 + 0.01**2) * 2 / 3))
    assert found.sd_chance == pytest.approx(0, abs=1e-12)
    assert found.best == weights(4)[3]
    assert found.held_out_gain == pytest.approx(0.06)


def test_what_a_seed_does_to_one_setting_alone_is_chance() -> None:
    """Two settings under two seeds: what is left is a quarter of the interaction, four times."""
    found = chosen([[[0.5], [0.5]], [[0.7], [0.5]]], [0])
    assert found.sd_settings == pytest.approx(0.1 / sqrt(2))
    assert found.sd_chance == pytest.approx(sqrt(4 * 0.05**2 / 1 / 2))


def test_chance_is_as_large_as_what_settings_show_that_do_nothing() -> None:
    """Root mean square over 400 tables of pure noise; the standard error of either is 2 %."""
    generator = np.random.default_rng(0)
    noise = 0.5 + 0.01 * generator.standard_normal((400, 6, 3, 1))
    found = [chosen(table.tolist(), [0]) for table in noise]
    seen = sqrt(np.mean([one.sd_settings**2 for one in found]))
    expected = sqrt(np.mean([one.sd_chance**2 for one in found]))
    assert seen == pytest.approx(0.01 / sqrt(3), rel=0.06)
    assert expected == pytest.approx(0.01 / sqrt(3), rel=0.06)


def test_a_fold_chooses_by_the_mean_of_its_own_seeds() -> None:
    own = [[0.6, 0.6], [0.6, 0.6]]
    other = [[0.9, 0.5], [0.5, 0.6]]
    found = chosen([own, other], [2, 5])
    assert found.by_fold == {2: weights(2)[1], 5: weights(2)[0]}
    assert found.best == weights(2)[1]


def test_equal_points_leave_a_fold_the_first() -> None:
    tie = [[0.1 + 0.2], [0.3]]
    assert chosen([[[0.3], [0.3]], tie], [0]).by_fold == {0: weights(2)[0]}


def test_a_fold_that_nobody_can_score_keeps_the_first() -> None:
    undefined = [[0.6, np.nan], [0.6, np.nan]]
    better = [[0.7, np.nan], [0.7, np.nan]]
    assert chosen([undefined, better], [0, 1]).by_fold == {0: weights(2)[1], 1: weights(2)[0]}


def test_one_seed_says_nothing_of_chance() -> None:
    found = chosen([[[0.6]], [[0.7]]], [0])
    assert isnan(found.sd_chance)
    assert isnan(found.held_out_gain)


def test_a_single_setting_is_no_choice_and_a_missing_trial_none_either() -> None:
    whole, part = scores([[0.6, 0.6]]), scores([[0.6]])
    assert choose(weights(1), [whole], whole, [0, 1]) is None
    assert choose(weights(2), [whole, part], whole, [0, 1]) is None
    assert choose(weights(2), [whole, whole], whole, [0, 1]) is not None
