import numpy as np
import torch

from pricon.corpus.keyed import bits, key_of, uniform
from pricon.model import keyed

KEYS = (0, -1, 2**63 - 1, -(2**63), key_of("seed", 3))


def test_the_same_as_on_any_device() -> None:
    counters = np.array([0, 1, 2, 10**12, 2**62])
    for key in KEYS:
        expected = keyed.bits(torch.tensor(key), torch.from_numpy(counters)).numpy()
        np.testing.assert_array_equal(bits(key, counters).view(np.int64), expected)
    assert key_of("a", 1) == keyed.key_of("a", 1)


def test_uniform() -> None:
    draws = uniform(key_of("x"), np.arange(100_000))
    assert 0 <= draws.min() < 1e-4
    assert 1 - 1e-4 < draws.max() < 1
    assert abs(draws.mean() - 0.5) < 0.005
    assert abs(draws.var() - 1 / 12) < 0.001
