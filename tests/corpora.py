"""Where the real corpora lie that some tests read; the repository never holds them."""

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).parents[2] / "shared" / "corpora"


def real_corpus(name: str) -> Path:
    """The folder of a real corpus, or a skipped test where there is none."""
    root = Path(os.environ.get("PRICON_CORPORA", _BESIDE))
    folder = root / name
    if not folder.is_dir():
        pytest.skip(
            f"no real recordings of {name}: neither {_BESIDE} nor $PRICON_CORPORA holds them"
        )
    return folder
