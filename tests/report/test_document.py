"""results.json: documented keys, no NaN."""

import json
import re
from dataclasses import replace

import pytest

from pricon.report import document as module
from pricon.report.document import to_json
from pricon.report.statistics import summarise
from tests.report.grids import Grid, always, fail, make_run
from tests.report.surfaces import PLAIN, make_surfaces
from tests.report.test_statistics import ARMS, LARGE


def test_keys_and_numbers() -> None:
    document = json.loads(to_json(summarise(*make_run(LARGE))))
    assert document["schema_version"] == 2
    assert document["complete"] is True
    assert document["missing"] == document["failed"] == []
    by_arm = {entry["arm"]: entry for entry in document["arms"]}
    assert list(by_arm) == list(ARMS)
    pricon = by_arm["pricon"]
    assert pricon["stimulus"] == "heist"
    assert pricon["available"] == "audio"
    assert pricon["metrics"]["accuracy"]["mean"] == 0.8
    for metric in pricon["metrics"].values():
        assert metric["low"] <= metric["mean"] <= metric["high"]
    assert round(pricon["minus_e2e"]["difference"]["mean"], 9) == 0.15
    assert round(pricon["gap_closed"]["share"], 9) == 0.6
    assert pricon["minus_e2e"]["by_seed"] == [0.15, 0.15]
    assert pricon["minus_e2e"]["rank_biserial"] == 1
    assert pricon["by_participant"] == {f"p{i:02}": 0.8 for i in range(8)}
    assert by_arm["e2e"]["by_participant"]["p01"] == 0.6
    assert by_arm["e2e"]["minus_e2e"] is None
    assert [(c["arm"], c["reference"]) for c in document["comparisons"]] == [
        ("pricon", "lupi"),
        ("pricon", "all_modalities"),
    ]
    assert document["comparisons"][0]["stimulus"] == "heist"
    assert document["comparisons"][0]["p_equivalent"] > 0.99
    assert document["equivalence_margin"] == 0.02
    assert document["trials"][3] == {
        "trial_id": "pricon-audio-heist-0-0",
        "arm": "pricon",
        "modality": "audio",
        "distillation_weight": None,
        "distillation_temperature": None,
        "contrastive_temperature": None,
        "stimulus": "heist",
        "affect": "arousal",
        "fold": 0,
        "seed": 0,
        "status": "finished",
        "error": None,
        "num_windows": 40,
        "accuracy": 0.8,  # each of four people: one low and one high of ten windows wrong
        "balanced_accuracy": 0.8,
        "macro_f1": 0.8,
        "auroc": 0.8,
    }


def test_every_fold_tells_its_windows_and_classes() -> None:
    document = json.loads(to_json(summarise(*make_run(LARGE))))
    assert document["folds"] == [
        {
            "stimulus": "heist",
            "affect": "arousal",
            "fold": fold,
            "num_windows": {"train": 20.0, "validation": 10.0, "test": 30.0, "dropped": 4.0},
            "share_high": {"train": 0.6, "validation": 0.5, "test": 0.5},
            "majority_accuracy": 0.5,
        }
        for fold in (0, 1)
    ]


def test_what_is_not_defined_is_null() -> None:
    plan, results = make_run(LARGE)
    results = [replace(r, num_windows={"train": 20}, share_high={}) for r in results]
    document = json.loads(to_json(summarise(plan, [r for r in results if r.cell.seed == 0])))
    fold = document["folds"][0]
    assert fold["num_windows"] == {
        "train": 20.0, "validation": None, "test": None, "dropped": None,
    }  # fmt: skip
    assert fold["share_high"] == {"train": None, "validation": None, "test": None}
    assert fold["majority_accuracy"] is None
    assert document["arms"][0]["minus_e2e"]["by_seed"] == [-0.15, None]
    nothing = json.loads(to_json(summarise(plan, [])))
    assert nothing["folds"] == []
    assert nothing["arms"][0]["by_participant"] == {}


def test_every_key_is_documented() -> None:
    def keys(value: object) -> set[str]:
        if isinstance(value, list):
            return set().union(*map(keys, value))
        if isinstance(value, dict):
            return {*value}.union(*map(keys, value.values()))
        return set()

    reports = [summarise(*make_run(LARGE)), summarise(*make_surfaces(PLAIN))]
    found = set().union(*(keys(json.loads(to_json(report))) for report in reports))
    people_and_folds = {*(f"p{i:02}" for i in range(8)), "0", "1", "2"}
    assert module.__doc__ is not None
    words = set(re.findall(r"\w+", module.__doc__))
    assert found - people_and_folds - words == set()


def test_a_grid_has_surfaces_in_place_of_arms() -> None:
    document = json.loads(to_json(summarise(*make_surfaces(PLAIN))))
    assert document["judged_on"] == "validation"
    assert document["arms"] == document["comparisons"] == []
    lupi, pricon = document["surfaces"]
    assert (lupi["arm"], pricon["arm"]) == ("lupi", "pricon")
    assert lupi["own"] == {
        "distillation_weight": 0.25,
        "distillation_temperature": 0.5,
        "contrastive_temperature": None,
    }
    assert [point["num_planned"] for point in pricon["points"]] == [6] * 8
    assert pricon["points"][0]["setting"] == pricon["own"]
    assert pricon["points"][0]["minus_e2e"] == pytest.approx({"mean": 0.2, "low": 0.2, "high": 0.2})
    assert pricon["points"][0]["score"]["mean"] == pytest.approx(0.8)
    assert pricon["choice"]["best"] == pricon["own"]
    assert pricon["choice"]["by_fold"] == dict.fromkeys("012", pricon["own"])
    assert pricon["choice"]["gain"] == {"mean": 0, "low": 0, "high": 0}
    assert pricon["choice"]["sd_chance"] == pytest.approx(0, abs=1e-12)
    settings = {row["distillation_weight"] for row in document["trials"] if row["arm"] == "e2e"}
    assert settings == {None}
    plan, _ = make_surfaces(PLAIN)
    (none,) = {s["choice"] for s in json.loads(to_json(summarise(plan, [])))["surfaces"]}
    assert none is None
    ordinary = json.loads(to_json(summarise(*make_run(LARGE))))
    assert (ordinary["judged_on"], ordinary["surfaces"]) == ("test", [])


def test_an_incomplete_run_names_what_is_missing() -> None:
    plan, results = make_run(LARGE)
    report = summarise(plan, [fail(results[0]), *results[2:]])
    document = json.loads(to_json(report))
    assert document["complete"] is False
    assert document["failed"] == ["majority-heist-0-0"]
    assert document["missing"] == ["e2e-audio-heist-0-0"]
    assert document["verdict"] == []
    assert document["trials"][0]["error"] == "loss is not finite in epoch 3"
    assert document["trials"][0]["accuracy"] is None


def test_some_folds_are_named() -> None:
    report = summarise(*make_run(Grid(arms={"e2e": always(1)}, asked=(1,))))
    assert json.loads(to_json(report))["folds_asked"] == [1]


def test_same_report_same_bytes() -> None:
    first, second = (to_json(summarise(*make_run(LARGE))) for _ in range(2))
    assert first == second
    assert b"NaN" not in first
