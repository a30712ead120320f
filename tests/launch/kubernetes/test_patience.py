"""How long is waited: longer each time, and not all followers at once."""

import pytest

from pricon.launch.kubernetes.patience import Patience


@pytest.mark.parametrize(("attempt", "most"), [(0, 0.5), (1, 1.0), (4, 8.0), (10**6, 8.0)])
def test_pauses_double_and_have_an_end(attempt: int, most: float) -> None:
    pauses = {Patience().pause_s(attempt) for _ in range(50)}
    assert len(pauses) > 1
    assert all(0.8 * most <= pause <= 1.2 * most for pause in pauses)


def test_who_asks_again_by_itself_is_not_kept() -> None:
    assert Patience().hasty == Patience(attempts=2)
    assert Patience(attempts=1).hasty == Patience(attempts=1)
