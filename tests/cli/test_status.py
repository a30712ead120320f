"""The status of a run as text. `test_runs.py` has it as a user sees it."""

from pricon.cli.status import columns, words_of_status
from pricon.launch.account import Cell
from pricon.launch.kubernetes.ending import Outcome
from pricon.launch.kubernetes.pods import Reason
from pricon.launch.kubernetes.status import Status

CELLS = (
    Cell(arm="e2e", fold=0, done=2, failed=0, total=2),
    Cell(arm="e2e", fold=3, done=0, failed=1, total=2),
    Cell(arm="pricon", fold=0, done=0, failed=0, total=2, running=1),
    Cell(arm="pricon", fold=3, done=0, failed=1, total=2, running=1),
)


def status(**changes: object) -> Status:
    facts = {"run": "tiny-1", "job": "tiny", "state": "running", "ended": None, "attempts": 1}
    return Status(**{**facts, "created": "2020-01-01T00:00:00Z", **changes})  # type: ignore[arg-type]


def test_the_least_that_is_known() -> None:
    first, *rest = words_of_status(status(job="")).splitlines()
    assert first == "run      tiny-1"
    assert [line.split(",")[0] for line in rest] == ["state    running"]


def test_why_and_what_went_wrong() -> None:
    waits = words_of_status(status(reason=Reason(sentence="no node", hint="add one")))
    assert waits.endswith("why      no node\n         hint: add one")
    failed = Outcome(exit_code=1, cause="trials", message="1 failed", hint="mend it")
    told = words_of_status(status(state="failed", outcome=failed))
    assert told.endswith("error    1 failed\n         hint: mend it")


def test_arms_down_and_folds_across() -> None:
    lines = words_of_status(status(cells=CELLS)).splitlines()
    assert "trials   2 of 8 done, 2 failed, 4 left, 2 of them running" in lines
    assert lines[-3:] == [
        "arm     fold 0           fold 3",
        "e2e     2/2              0/2 (1 failed)",
        "pricon  0/2 (1 running)  0/2 (1 failed, 1 running)",
    ]


def test_columns_are_as_wide_as_their_widest_word() -> None:
    assert columns([("a", "bc", "d"), ("abc", "b", "")]) == "a    bc  d\nabc  b"
