"""How fast costs grow with size."""

import math
from collections.abc import Mapping, Sequence


def exponent(sizes: Sequence[float], costs: Sequence[float]) -> float:
    """Power of the size that a cost grows with: slope of log cost over log size.

    Between the two largest sizes, where what is there at any size hides it least.

    >>> exponent([10, 100, 1000], [5, 1, 100])
    2.0
    """
    (small, few), (large, many) = sorted(zip(sizes, costs, strict=True))[-2:]
    return math.log(many / few) / math.log(large / small)


def worst(
    sizes: Sequence[float], steps: Mapping[str, Sequence[float]], share: float = 0.02
) -> tuple[str, float]:
    """The step that grows fastest, and its exponent.

    Steps that take less than `share` of all seconds at the largest size are left out: what is
    measured of them is noise.

    >>> worst([1, 2], {"linear": [1, 2], "square": [1, 4], "noise": [0.001, 0.01]})
    ('square', 2.0)
    """
    whole = sum(seconds[-1] for seconds in steps.values())
    counted = {name: of for name, of in steps.items() if of[-1] >= share * whole}
    found = {name: exponent(sizes, seconds) for name, seconds in counted.items()}
    return max(found.items(), key=lambda step: step[1])
