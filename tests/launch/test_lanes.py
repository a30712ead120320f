"""What travels to a lane's workers."""

import os
import pickle
from pathlib import Path

import pytest

from pricon.launch.lanes import Assignment
from pricon.plan.trials import plan_trials
from tests.plan.problem import job, summary

AGAIN = {"adapter": "again", "uri": "corpora/tiny"}


def test_folders_become_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    spec = job(output="runs")
    assignment = Assignment.of(spec, plan_trials(spec, summary()), 0)
    assert assignment.job.corpus.uri == str(tmp_path / "corpora" / "tiny")
    assert assignment.job.output == str(tmp_path / "runs")
    assert (spec.corpus.uri, spec.output) == ("corpora/tiny", "runs"), "the job itself stays"


@pytest.mark.parametrize(
    "uri", ["s3://bucket/prefix", "file:///data/corpus", os.sep + os.path.join("data", "corpus")]
)
def test_what_is_absolute_stays(uri: str) -> None:
    spec = job(corpus={**AGAIN, "uri": uri}, output=uri)
    assignment = Assignment.of(spec, plan_trials(spec, summary()), 0)
    assert (assignment.job.corpus.uri, assignment.job.output) == (uri, uri)
    assert assignment.job == spec


def test_nothing_else_of_the_job_changes_and_all_of_it_travels() -> None:
    spec = job(resources={"lanes": 2})
    plan = plan_trials(spec, summary())
    assignment = Assignment.of(spec, plan, 1)
    assert assignment.lane == 1
    assert assignment.plan == plan.only(plan.lanes[1])
    update = {"corpus": spec.corpus, "output": spec.output}
    assert assignment.job.model_copy(update=update) == spec
    assert pickle.loads(pickle.dumps(assignment)) == assignment


def test_more_lanes_do_not_carry_more() -> None:
    """The whole plan for every lane would be twenty times as much for twenty lanes."""

    def carried(lanes: int) -> int:
        spec = job(resources={"lanes": lanes}, seeds=[*range(40)])
        plan = plan_trials(spec, summary())
        assert len(plan.lanes) == lanes
        each = [Assignment.of(spec, plan, lane.index) for lane in plan.lanes]
        return sum(len(pickle.dumps(assignment)) for assignment in each)

    assert carried(20) < 1.5 * carried(1)
