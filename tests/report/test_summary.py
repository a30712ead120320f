"""The one-line form of a report."""

from pricon.report.statistics import summarise
from tests.report.grids import Grid, always, make_run


def test_a_report_prints_itself_in_one_line() -> None:
    plan, results = make_run(Grid(arms={"e2e": always(1)}))
    assert str(summarise(plan, results)) == "again-tiny run0: 4 of 4 trials, complete"
    assert str(summarise(plan, results[1:])) == "again-tiny run0: 3 of 4 trials, INCOMPLETE"
