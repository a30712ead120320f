"""Ray's client in a process of its own; a whole connection is in test_ray_jobs.py."""

import pytest

from pricon.launch.ray_client import ask_dashboard


def test_what_ray_refuses_is_told_whole() -> None:
    with pytest.raises(RuntimeError, match=r"gopher") as caught:
        ask_dashboard("gopher://127.0.0.1:9", 60.0)
    assert "Traceback" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nobody_waits_for_ever() -> None:
    with pytest.raises(TimeoutError, match=r"did not connect within 0\.1 s"):
        ask_dashboard("ray://127.0.0.1:9", 0.1)
