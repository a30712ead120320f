"""Which errors of a worker are worth another attempt, and what is said of them."""

import pytest

from pricon.errors import CorpusError, StorageError
from pricon.launch.ray_lanes import _may_pass, _said
from pricon.train.ranks import Ranks


@pytest.mark.parametrize(
    ("error", "alone", "among_others"),
    [
        (StorageError("away"), True, True),
        (CorpusError("damaged"), False, False),
        (ConnectionResetError("peer"), True, True),
        (RuntimeError("Connection closed by peer"), False, True),
        (KeyError("width"), False, False),
        (MemoryError(), False, False),
    ],
)
def test_only_what_may_pass_is_tried_again(
    error: Exception, alone: bool, among_others: bool
) -> None:
    assert _may_pass(error, Ranks()) is alone
    assert _may_pass(error, Ranks(0, 2)) is among_others


def test_a_bug_is_told_with_its_kind() -> None:
    assert _said(KeyError("width")) == "KeyError: 'width'"
    assert _said(CorpusError("damaged", "build it again")) == "damaged\n\nhint: build it again"
