"""What Ray does to signals is undone. `tests/end_to_end/test_interrupt.py` sends real ones."""

import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest
import ray

from pricon.launch.ray_start import start_ray


def ours(_number: int, _frame: Any) -> None:
    raise AssertionError("nobody sends a signal here")


@pytest.fixture(autouse=True)
def answer() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, ours)
    yield
    signal.signal(signal.SIGTERM, before)


def ends_with(code: object) -> Any:
    """What `ray.init` does where a signal comes while it works."""

    def init(**_: Any) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise SystemExit(code)

    return init


def test_a_start_that_fails_leaves_our_answer_to_sigterm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PRICON_TEST_START", raising=False)
    with pytest.raises(RuntimeError, match="no_such_option"):
        start_ray({"PRICON_TEST_START": "1"}, no_such_option=1)
    assert signal.getsignal(signal.SIGTERM) is ours
    assert os.environ.pop("PRICON_TEST_START") == "1"


@pytest.mark.parametrize(("code", "error"), [(15, KeyboardInterrupt), (1, SystemExit)])
def test_sigterm_while_ray_starts_is_an_interruption(
    code: int, error: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "init", ends_with(code))
    with pytest.raises(error):
        start_ray({})
    assert signal.getsignal(signal.SIGTERM) is ours
