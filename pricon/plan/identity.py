"""Identity of work: a hash of everything that affects a result, and of nothing else."""

import hashlib
import json
from typing import Any

SCIENCE = 2
"""Version of what the code computes. Raise it in every commit that moves a result: what was trained
before then counts as another stage and is never taken for a result of the new code."""

STREAM = 2
"""The same for the order in which windows pass by: for stages and runs that stream alone."""


def identity(content: Any) -> str:
    """First 16 hexadecimal digits of the SHA-256 of `content` as canonical JSON.

    >>> identity({"a": 1, "b": [2]}) == identity({"b": [2], "a": 1})
    True
    """
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def keyed_order(names: tuple[str, ...], *key: str | int) -> tuple[str, ...]:
    """`names` in a random order that depends on names and key only, on no library's generator.

    >>> keyed_order(("a", "b", "c"), "folds", 0) == keyed_order(("c", "b", "a"), "folds", 0)
    True
    """
    return tuple(sorted(names, key=lambda name: identity([*key, name])))
