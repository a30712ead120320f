"""The latent-affect model: sizes, memories, and who can know what."""

import numpy as np
import pytest

from pricon.corpus.generate_world import (
    Floats,
    Sensor,
    draw_sensor,
    draw_sources,
    draw_world,
    rate,
    wander,
)
from pricon.spec.corpus import GenerateSpec

TICK_S = 0.25
WORLD = draw_world(np.random.default_rng(0), GenerateSpec())


def explained(target: Floats, features: Floats) -> float:
    """Part of the variance that a linear model of the features explains."""
    centred = features - features.mean(axis=0)
    weights, *_ = np.linalg.lstsq(centred, target - target.mean(), rcond=None)
    return 1 - float((target - target.mean() - centred @ weights).var() / target.var())


def sensor(*, privileged: bool, signal: float) -> Sensor:
    rng = np.random.default_rng(1)
    world = draw_world(np.random.default_rng(0), GenerateSpec())
    return draw_sensor(rng, world, num_features=24, privileged=privileged, signal=signal)


def test_affect_has_unit_variance_but_for_drift() -> None:
    world = draw_world(np.random.default_rng(0), GenerateSpec())
    weights = np.concatenate([world.shared, world.private])
    assert (weights**2).sum() == pytest.approx(1)


def test_wander_forgets_and_keeps_its_size() -> None:
    walks = wander(np.random.default_rng(0), 40_000, 4, memory_ticks=20)
    assert walks.var() == pytest.approx(1, abs=0.1)
    later = [np.corrcoef(walks[:-20, i], walks[20:, i])[0, 1] for i in range(4)]
    assert np.mean(later) == pytest.approx(np.exp(-1), abs=0.05)
    assert abs(np.corrcoef(walks[:, 0], walks[:, 1])[0, 1]) < 0.1


@pytest.mark.parametrize("signal", [0.0, 0.35, 3.0])
def test_features_have_unit_variance_at_any_signal(signal: float) -> None:
    rng = np.random.default_rng(2)
    factors = wander(rng, 40_000, 6, memory_ticks=16)
    recorded = sensor(privileged=True, signal=signal).record(rng, factors, TICK_S)
    assert recorded.var() == pytest.approx(1, abs=0.15)


def test_privileged_modality_knows_more() -> None:
    rng = np.random.default_rng(3)
    sources = draw_sources(
        rng, draw_world(np.random.default_rng(0), GenerateSpec()), 20_000, TICK_S
    )
    both = np.concatenate([sources.shared, sources.private], axis=1)
    available = sensor(privileged=False, signal=1).record(rng, sources.shared, TICK_S)
    privileged = sensor(privileged=True, signal=1).record(rng, both, TICK_S)
    nothing = sensor(privileged=True, signal=0).record(rng, both, TICK_S)
    assert 0.2 < explained(sources.affect, available) < 0.7
    assert explained(sources.affect, privileged) > 0.8
    assert explained(sources.affect, nothing) < 0.1


def test_rater_is_late_and_noisy() -> None:
    rng = np.random.default_rng(4)
    affect = wander(rng, 20_000, 1, memory_ticks=16)[:, 0]
    traces = np.mean([rate(rng, WORLD, affect, TICK_S) for _ in range(20)], axis=0)
    by_delay = [np.corrcoef(affect[: -delay or None], traces[delay:])[0, 1] for delay in range(12)]
    assert 0.7 <= np.argmax(by_delay) * TICK_S <= 2
    assert 0.5 < np.corrcoef(affect[:-5], rate(rng, WORLD, affect, TICK_S)[5:])[0, 1] < 0.85
