"""Each module has its tests where one looks for them."""

from tests.safeguards.sources import ROOT, modules, name

TESTED_ELSEWHERE: dict[str, str] = {
    "pricon/corpus/loader.py": "tests/corpus/test_stream.py",
    "pricon/corpus/session.py": "data only; every test of adapters",
    "pricon/errors.py": "tests/safeguards/test_errors_pickle.py",
    "pricon/plan/identity.py": "tests/plan/test_trials.py",
    "pricon/plan/plan.py": "tests/plan/test_trials.py",
    "pricon/plan/summary.py": "data only; every test of plan",
    "pricon/spec/base.py": "tests/spec/test_job.py",
    "pricon/spec/corpus.py": "tests/spec/test_job.py",
    "pricon/spec/folds.py": "tests/spec/test_job.py",
    "pricon/spec/report.py": "tests/spec/test_job.py",
    "pricon/spec/resources.py": "tests/spec/test_job.py",
    "pricon/spec/statistics.py": "tests/spec/test_job.py",
    "pricon/spec/training.py": "tests/spec/test_job.py",
    "pricon/stores/folder.py": "tests/test_storage.py",
    "pricon/stores/objects.py": "tests/test_storage.py",
    "pricon/stores/s3.py": "tests/test_storage.py",
    "pricon/report/comparisons.py": "tests/report/test_statistics.py",
    "pricon/report/surface.py": "tests/report/test_sensitivity.py",
    "pricon/report/results.py": "data only; every test of report",
}
"""Module -> where its tests are, or why it needs none."""


def test_every_module_has_a_test_file_of_its_name() -> None:
    untested = {
        name(path)
        for path in modules("pricon")
        if path.name != "__init__.py"
        and not (
            ROOT / "tests" / path.relative_to(ROOT / "pricon").parent / f"test_{path.name}"
        ).exists()
    }
    assert untested - TESTED_ELSEWHERE.keys() == set()


def test_the_list_of_exceptions_is_true() -> None:
    gone = [module for module in TESTED_ELSEWHERE if not (ROOT / module).exists()]
    places = [place for place in TESTED_ELSEWHERE.values() if place.startswith("tests/")]
    assert gone == []
    assert [place for place in places if not (ROOT / place).exists()] == []
