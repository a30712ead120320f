"""Random numbers as functions of a key and a counter, not of what was drawn before.

A member's initial weights, batch order and dropout depend on its own key alone: not on the pack it
shares, on the number of ranks, or on the device. The mixing function is the finaliser of SplitMix64
(Steele, Lea, Flood 2014), written in wrapping int64 arithmetic that every device computes alike.
"""

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, Shaped
from torch import Tensor

_GOLDEN = -0x61C8864680B583EB  # 0x9E3779B97F4A7C15 as a signed 64-bit integer
_FIRST = -0x40A7B892E31B1A47  # 0xBF58476D1CE4E5B9
_SECOND = -0x6B2FB644ECCEEE15  # 0x94D049BB133111EB


def key_of(*parts: str | int) -> int:
    """Signed 64-bit key of some words and numbers.

    >>> key_of("seed", 0) == key_of("seed", 0), key_of("seed", 0) == key_of("seed", 1)
    (True, False)
    """
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def derive(keys: Int64[Tensor, " members"], purpose: str, index: int = 0) -> Tensor:
    """A fresh key a member for one purpose, such as one epoch's dropout. Shape (members,)."""
    return bits(keys, torch.tensor(key_of(purpose, index), device=keys.device))


@dataclass(frozen=True, slots=True)
class Draws:
    """Which members of a pack draw alike, so that what is drawn can be drawn once for all of them.

    Args:
        first: row of the first member of each draw, shape (draws,).
        of: number of each member's draw, by first appearance, shape (members,).
    """

    first: Int64[Tensor, " draws"]
    of: Int64[Tensor, " members"]

    @staticmethod
    def among(names: Sequence[Hashable], device: torch.device) -> "Draws":
        """One draw for all members of one name."""
        numbers: dict[Hashable, int] = {}
        of = [numbers.setdefault(name, len(numbers)) for name in names]
        first = [of.index(number) for number in range(len(numbers))]
        return Draws(torch.tensor(first, device=device), torch.tensor(of, device=device))

    def expand(self, by_draw: Shaped[Tensor, "draws ..."]) -> Shaped[Tensor, "members ..."]:
        """What each member gets of what was drawn for its draw."""
        if len(self.first) == len(self.of):
            return by_draw
        return by_draw.index_select(0, self.of)


def bits(keys: Int64[Tensor, "..."], counters: Int64[Tensor, "..."]) -> Int64[Tensor, "..."]:
    """64 random bits for each pair of key and counter, broadcast against each other."""
    mixed = keys + (counters + 1) * _GOLDEN
    mixed = mixed.bitwise_xor_(_shift_right(mixed, 30)).mul_(_FIRST)
    mixed = mixed.bitwise_xor_(_shift_right(mixed, 27)).mul_(_SECOND)
    return mixed.bitwise_xor_(_shift_right(mixed, 31))


def _shift_right(values: Tensor, count: int) -> Tensor:
    """Shift with zeros from the left; torch's own `>>` repeats the sign."""
    return (values >> count).bitwise_and_((1 << (64 - count)) - 1)


def uniform(keys: Int64[Tensor, " members"], num: int) -> Float[Tensor, "members {num}"]:
    """Numbers in [0, 1) with 24 random bits each, exact in float32. Shape (members, num)."""
    counters = torch.arange(num, device=keys.device)
    return _shift_right(bits(keys[:, None], counters), 40).to(torch.float32) * 2.0**-24


def dropout_mask(
    keys: Int64[Tensor, " members"],
    windows: Int64[Tensor, "members batch"],
    width: int,
    rate: float,
) -> Float[Tensor, "members batch {width}"]:
    """Factors of the units of each window: 0 with probability `rate`, else 1 / (1 - rate).

    One 64-bit draw serves four units, 16 bits each, so the rate is met to 1/65536.

    Args:
        keys: one a member, for this epoch.
        windows: identity of each window in the corpus.
        width: units of a window.
        rate: share to zero, in [0, 1).
    """
    draws = -(-width // 4)
    counters = windows[:, :, None] * draws + torch.arange(draws, device=keys.device)
    quarters = bits(keys[:, None, None], counters).view(torch.int16)
    # In place, a comparison stays in its type and is vectorised; booleans take five times as long.
    kept = quarters.ge_(round(rate * 65536) - 32768).to(torch.float32)
    return kept.mul_(1.0 / (1.0 - rate))[..., :width]
