"""Names of runs, and what a cluster is told to run."""

import json
from pathlib import Path

import pytest

from pricon import __version__
from pricon.launch.submission import Submission, handle_of
from pricon.spec.load import parse_job
from tests.plan.problem import job
from tests.safeguards.sources import ROOT

CORPUS = {"adapter": "again", "generate": {}}


def test_a_handle_is_the_same_for_the_same_science() -> None:
    spec = job(corpus=CORPUS)
    wider = job(corpus=CORPUS, resources={"lanes": 9}, target="kubernetes", output="s3://b/r")
    assert handle_of(spec) == handle_of(wider)
    assert handle_of(spec) != handle_of(job(corpus=CORPUS, seeds=[7]))
    streamed = {"optimisation": {"streaming": {"buffer_mb": 64}}}
    assert handle_of(spec) != handle_of(job(corpus=CORPUS, **streamed))
    again_ = handle_of(parse_job(Path(ROOT / "jobs/again_cv.yaml").read_text(), "x"))
    assert again_.startswith("again-cv-")


@pytest.mark.parametrize("name", ["a" * 52, "9-lives", "a" * 37 + "-" + "b" * 14])
def test_a_handle_is_a_name_that_kuberay_takes(name: str) -> None:
    handle = handle_of(job(corpus=CORPUS, name=name))
    assert len(handle) <= 47
    assert handle[0].isalpha()
    assert "--" not in handle


def test_other_folds_are_another_run() -> None:
    spec = job(corpus=CORPUS)
    assert handle_of(spec) != handle_of(spec, (0,)) != handle_of(spec, (1,))


def test_the_driver_is_told_all_that_was_wished() -> None:
    assert Submission(id="a").command("job.yaml") == "pricon drive job.yaml --submission a"
    wish = Submission(id="a", folds=(0, 2), reruns=True, is_tracked=False)
    assert wish.command("j") == "pricon drive j --submission a --only-folds 0,2 --rerun --no-track"
    retried = Submission(id="a").command("j", gives_up=True)
    assert retried == "pricon drive j --submission a --give-up"


def test_a_submission_says_what_it_is() -> None:
    facts = Submission(id="a", handle="tiny-1").facts(image="pricon:1")
    assert json.loads(facts) == {
        "submission": "a",
        "version": __version__,
        "handle": "tiny-1",
        "image": "pricon:1",
    }


def test_every_submission_is_its_own() -> None:
    assert Submission().id != Submission().id
