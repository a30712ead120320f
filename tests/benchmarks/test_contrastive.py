"""The benchmark of the contrastive loss goes on working. Nothing here looks at a clock."""

import json
from pathlib import Path

import pytest

from tests.benchmarks import contrastive
from tests.benchmarks.contrastive import (
    DIRECT,
    OURS,
    PEER,
    QUICK,
    STEP,
    Job,
    compare,
    in_process_of_its_own,
    measure,
)
from tests.benchmarks.table import publish

PLENTY = 2**40


def test_all_contestants_agree_and_are_written_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`compare` itself refuses losses and gradients that differ."""
    monkeypatch.chdir(tmp_path)
    publish(compare(QUICK, 1, measure, PLENTY))
    written = json.loads((tmp_path / "runs/bench/contrastive.json").read_text(encoding="utf-8"))
    assert [row[0] for row in written["rows"]] == ["5 x 64", "1 x 256"]
    for row in written["rows"]:
        assert len(row) == len(written["columns"])
        assert all(seconds > 0 for seconds in row[1:4])
    assert "whole step" in written["notes"][-1]


def test_another_loss_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(contrastive.LOSSES, DIRECT, lambda *of: 1.01 * contrastive.ours(*of))
    with pytest.raises(AssertionError):
        compare(QUICK, 1, measure, PLENTY)


def test_who_is_not_installed_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contrastive, "find_spec", lambda _: None)
    table = compare(QUICK, 1, measure, PLENTY)
    assert [row[3] for row in table.rows] == [None, None]
    assert table.notes[0] == f"{PEER} at 64 windows not measured: not installed."


def test_who_needs_too_much_is_not_measured() -> None:
    """Eight bytes a pair, so 64 MiB at 2,896 windows; ours may go on."""

    def measured(job: Job) -> contrastive.Measured:
        peak = 10**9 if job.contestant == OURS else 8 * job.members * job.windows**2
        return contrastive.Measured([1.0], peak, 1.0, [0.0])

    table = compare([(1, 1024), (1, 2048), (1, 4096)], 1, measured, 2**26)
    assert [[cell is None for cell in row[1:4]] for row in table.rows] == [
        [False, False, False],
        [False, False, False],
        [False, True, True],
    ]
    assert f"{DIRECT} at 4,096 windows not measured: it would need" in table.notes[0]


def test_memory_is_measured_in_a_process_of_its_own() -> None:
    """At 1,024 windows all pairs are 4 MiB, of which the direct loss keeps several."""
    found = {name: in_process_of_its_own(Job(name, 1, 1024, 1)) for name in (DIRECT, STEP)}
    assert found[DIRECT].peak > 12 * 2**20
    assert len(found[STEP].seconds) == 1
