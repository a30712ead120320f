"""The latent-affect model behind generated recordings. Owns what can be known from what.

Affect is a sum of *shared* factors, which every modality sees, and *private* factors, which only
the privileged modalities see, plus a drift over the session. A modality mixes the factors that it
sees into its features and adds noise as slow as the factors themselves, so that averaging over a
window does not wash it out. A rater follows affect late, smoothed, and with noise.

Most noise of a modality is common to its features: a model can learn to subtract it, but from few
windows with noisy labels it learns so badly. Privileged features lean towards affect as a whole,
so little has to be learned from them. Hence a teacher that sees them knows affect better than its
labels do, and a student can learn more from it than from labels alone. The constants below were
chosen so that this is so: results in this world show that code works, nothing about people.

    factors -> affect -> rated
    factors -> features of a modality

At a privileged signal of 0 the privileged modalities are independent of affect (but for a column
that tells the time, as affect drifts).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pricon.spec.corpus import GenerateSpec

Floats = NDArray[np.float64]

_NUM_SHARED, _NUM_PRIVATE = 3, 3
_FACTOR_S = 4.0
"""After how long a factor, or a noise of a modality, has mostly forgotten itself."""
_DRIFT = 0.2
"""How far affect is off at either end of an average session, in standard deviations."""
_PERSONAL_WEIGHTS = 0.25
_PERSONAL_LOADINGS = 0.15
"""How much people differ in what moves them and in how it shows, relative to what is common."""
_TOWARDS_AFFECT = 2.0
"""How much more of a privileged feature leans towards affect than any other way."""
_COMMON_NOISE = 0.97
"""Part of the variance of a modality's noise that its features have in common."""
_FEATURES_PER_DISTURBANCE = 2
_MOST_DISTURBANCES = 12
"""How many independent disturbances make up the common noise."""
_RATER_DELAY_S = (0.7, 1.3)
_RATER_SMOOTHING_S = 0.5
_RATER_NOISE_S = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is the same for everyone: how factors make affect.

    Args:
        shared: weight of every shared factor, shape (shared,).
        private: weight of every private factor, shape (private,).
        rater_noise: standard deviation of a rater's noise.
    """

    shared: Floats
    private: Floats
    rater_noise: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What happens in one session, on its finest clock.

    Args:
        shared: factors that every modality sees, shape (ticks, shared).
        private: factors that only the privileged modalities see, shape (ticks, private).
        affect: about zero mean and unit variance, shape (ticks,).
    """

    shared: Floats
    private: Floats
    affect: Floats


def draw_world(rng: np.random.Generator, generate: GenerateSpec) -> World:
    """Weights of the factors, all of similar size, with random signs."""

    def weights(count: int, variance: float) -> Floats:
        raw = rng.choice([-1.0, 1.0], count) * rng.uniform(0.7, 1.3, count)
        scaled: Floats = raw * np.sqrt(variance / (raw**2).sum())
        return scaled

    return World(
        shared=weights(_NUM_SHARED, generate.shared_variance),
        private=weights(_NUM_PRIVATE, 1 - generate.shared_variance),
        rater_noise=generate.rater_noise,
    )


def draw_sources(rng: np.random.Generator, world: World, num_ticks: int, tick_s: float) -> Sources:
    """Factors and affect of one session of one person, who weighs the factors in their own way."""
    shared = wander(rng, num_ticks, _NUM_SHARED, _FACTOR_S / tick_s)
    private = wander(rng, num_ticks, _NUM_PRIVATE, _FACTOR_S / tick_s)
    drift = np.linspace(-1, 1, num_ticks) * _DRIFT * rng.normal(1, 0.5)
    return Sources(
        shared=shared,
        private=private,
        affect=shared @ _personal(rng, world.shared)
        + private @ _personal(rng, world.private)
        + drift,
    )


def wander(rng: np.random.Generator, num_ticks: int, width: int, memory_ticks: float) -> Floats:
    """Independent unit-variance random walks that return to zero, shape (ticks, width).

    Their correlation falls to 1/e in `memory_ticks` ticks.
    """
    from scipy.signal import lfilter  # takes a second; most runs generate nothing

    keep = float(np.exp(-1 / memory_ticks))
    steps = rng.normal(0, np.sqrt(1 - keep**2), (num_ticks, width))
    steps[0] = rng.normal(0, 1, width)
    walks: Floats = lfilter([1.0], [1.0, -keep], steps, axis=0)
    return walks


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensor:
    """A modality: how factors and disturbances get into its features.

    Args:
        loadings: shape (factors, features); columns have unit norm.
        disturbing: shape (disturbances, features); columns have unit norm.
        signal: signal-to-noise ratio, of standard deviations.
    """

    loadings: Floats
    disturbing: Floats
    signal: float

    def record(self, rng: np.random.Generator, factors: Floats, tick_s: float) -> Floats:
        """Features of one session of one person, shape (ticks, features); about unit variance."""
        num_ticks, width = len(factors), self.loadings.shape[1]
        memory_ticks = _FACTOR_S / tick_s
        spread = rng.normal(0, _PERSONAL_LOADINGS, self.loadings.shape)
        own = self.loadings + spread / np.sqrt(len(self.loadings))
        common = wander(rng, num_ticks, len(self.disturbing), memory_ticks) @ self.disturbing
        single = wander(rng, num_ticks, width, memory_ticks)
        noise = np.sqrt(_COMMON_NOISE) * common + np.sqrt(1 - _COMMON_NOISE) * single
        recorded: Floats = (self.signal * factors @ own + noise) / np.sqrt(1 + self.signal**2)
        return recorded


def draw_sensor(
    rng: np.random.Generator, world: World, *, num_features: int, privileged: bool, signal: float
) -> Sensor:
    """A modality that sees the shared factors, and the private ones too if it is privileged."""
    num_disturbances = min(num_features // _FEATURES_PER_DISTURBANCE, _MOST_DISTURBANCES)
    disturbing = _unit_columns(rng.normal(0, 1, (num_disturbances, num_features)))
    if not privileged:
        loadings = _unit_columns(rng.normal(0, 1, (_NUM_SHARED, num_features)))
        return Sensor(loadings=loadings, disturbing=disturbing, signal=signal)
    any_way = _unit_columns(rng.normal(0, 1, (_NUM_SHARED + _NUM_PRIVATE, num_features)))
    affect = _unit_columns(np.concatenate([world.shared, world.private])[:, None])
    towards = _TOWARDS_AFFECT * affect * rng.choice([-1.0, 1.0], num_features)
    return Sensor(loadings=_unit_columns(any_way + towards), disturbing=disturbing, signal=signal)


def _unit_columns(raw: Floats) -> Floats:
    unit: Floats = raw / np.linalg.norm(raw, axis=0)
    return unit


def rate(rng: np.random.Generator, world: World, affect: Floats, tick_s: float) -> Floats:
    """One rater's trace of a session: late, smoothed, noisy, with their own offset and gain."""
    delay = round(rng.uniform(*_RATER_DELAY_S) / tick_s)
    late = np.concatenate([np.full(delay, affect[0]), affect])[: len(affect)]
    keep = float(np.exp(-tick_s / _RATER_SMOOTHING_S))
    from scipy.signal import lfilter, lfiltic  # takes a second; most runs generate nothing

    start = lfiltic([1 - keep], [1, -keep], late[:1])
    smooth, _ = lfilter([1 - keep], [1, -keep], late, zi=start)
    noise = wander(rng, len(affect), 1, _RATER_NOISE_S / tick_s)[:, 0]
    gain, offset = rng.uniform(0.7, 1.3), rng.normal(0, 0.3)
    rated: Floats = gain * (smooth + world.rater_noise * noise) + offset
    return rated


def _personal(rng: np.random.Generator, weights: Floats) -> Floats:
    scale = _PERSONAL_WEIGHTS * np.abs(weights).mean()
    return weights + rng.normal(0, scale, len(weights))
