"""Random numbers as functions of a key and a counter, without torch.

The same numbers as those of `pricon.model.keyed`, which tests hold together: SplitMix64's finaliser
(Steele, Lea, Flood 2014).
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_FIRST = np.uint64(0xBF58476D1CE4E5B9)
_SECOND = np.uint64(0x94D049BB133111EB)


def key_of(*parts: str | int) -> int:
    """Signed 64-bit key of some words and numbers."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def bits(key: int, counters: NDArray[np.int64]) -> NDArray[np.uint64]:
    """64 random bits for each counter, shape (n,)."""
    mixed = np.uint64(key % 2**64) + (counters.astype(np.uint64) + np.uint64(1)) * _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(30))) * _FIRST
    mixed = (mixed ^ (mixed >> np.uint64(27))) * _SECOND
    return mixed ^ (mixed >> np.uint64(31))


def uniform(key: int, counters: NDArray[np.int64]) -> NDArray[np.float64]:
    """A number in [0, 1) for each counter, with 53 random bits, shape (n,)."""
    return (bits(key, counters) >> np.uint64(11)).astype(np.float64) * 2.0**-53
