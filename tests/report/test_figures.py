"""Figures hold what they should, and nothing where there is nothing to show."""

import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from typing import get_args

import numpy as np
import pytest

from pricon.report import figures
from pricon.report.embeddings import EmbeddingMap, project
from pricon.report.results import ValuePredictions
from pricon.report.sensitivity import panels
from pricon.report.statistics import summarise
from pricon.report.summary import Block
from pricon.report.tables import MAIN_ARMS
from pricon.report.yardstick import YARDSTICKS
from pricon.spec.job import Arm
from tests.report.grids import Grid, always, make_run, make_value_run
from tests.report.surfaces import PLAIN, make_surfaces
from tests.report.test_statistics import LARGE
from tests.report.test_training import curve, trained


def block() -> Block:
    return summarise(*make_run(LARGE)).blocks[0]


def texts(svg: str | None) -> list[str]:
    assert svg is not None
    root = ET.fromstring(svg)
    assert root.tag.endswith("svg")
    return [element.text or "" for element in root.iter() if element.tag.endswith("text")]


def num_lines(svg: str | None) -> int:
    """Thin lines of data, of which all are in one group."""
    assert svg is not None
    (group,) = ET.fromstring(svg).iterfind(".//*[@id='LineCollection_1']")
    return sum(element.tag.endswith("path") for element in group)


def test_every_participant_is_a_line_over_the_main_arms() -> None:
    svg = figures.participants(block(), "accuracy")
    shown = texts(svg)
    assert [arm for arm in MAIN_ARMS if arm in shown] == [
        "e2e",
        "lupi",
        "pricon",
        "all_modalities",
    ]
    assert num_lines(svg) == block().num_participants == 8
    nobody = replace(block(), arms=())
    assert figures.participants(nobody, "accuracy") is None


def test_bars_of_the_gap() -> None:
    assert {"lupi", "pricon"} <= {*texts(figures.gap_closed(block()))}
    no_gap = replace(block(), arms=tuple(replace(r, gap_closed=None) for r in block().arms))
    assert figures.gap_closed(no_gap) is None


def test_reliability_by_hand() -> None:
    """Windows alternate low, high; right ones get 0.2 and 0.9, wrong ones the other."""
    _, results = make_run(Grid(arms={"e2e": always(1)}, seeds=(0,)))
    said, happened = figures.reliability(results)
    assert said == pytest.approx([0.2, 0.9])
    assert happened == pytest.approx([0, 5 / 6])  # one low window of a person is called high
    assert np.isfinite(said).all()
    assert "e2e" in texts(figures.calibration(results, YARDSTICKS["classification"]))
    assert figures.calibration([], YARDSTICKS["classification"]) is None


def test_curves_have_a_figure_for_each_kind_of_stage() -> None:
    drawn = figures.learning_curves(trained((curve("t", 2, 1, stage="teacher"), curve("a", 1, 2))))
    assert [*drawn] == ["e2e teacher", "e2e student"]
    assert all(kind in texts(svg) for kind, svg in drawn.items())
    assert figures.learning_curves([]) == {}


def test_every_stage_is_a_line_whatever_its_losses_are() -> None:
    """One of a single epoch, and one that diverged."""
    of = (curve("a", 2, 1, 3),), (curve("b", 4),), (curve("c", 5, math.nan, math.inf),)
    (svg,) = figures.learning_curves(trained(*of)).values()
    assert num_lines(svg) == 3
    dots = [e for e in ET.fromstring(svg).iter() if e.get("id", "").startswith("line2d")][-1]
    assert sum(e.tag.endswith("use") for e in dots.iter()) == 3, "the best epoch of each"


def test_every_arm_has_a_colour_and_the_same_figure_the_same_bytes() -> None:
    assert {*figures.COLOURS} == {*get_args(Arm)}
    assert figures.participants(block(), "accuracy") == figures.participants(block(), "accuracy")


def test_a_map_by_umap_says_so() -> None:
    place = {"title": "t", "place": "x"}
    label, people = np.zeros(9, np.int8), np.array(["p"] * 9)
    points = np.random.default_rng(0).standard_normal((9, 2))
    by_umap = EmbeddingMap(**place, points=points, explained=None, label=label, participant=people)
    shown = texts(figures.embedding_map(by_umap))
    assert any("UMAP" in text for text in shown)
    assert not any("of the variance" in text for text in shown)


def test_coordinates_are_short_and_words_are_whole() -> None:
    """Ticks at 0.625 and the like stay; of where things stand, two decimals are enough."""
    losses = curve("a", 0.6251, 0.6253)
    (svg,) = figures.learning_curves(trained((losses,))).values()
    assert any(re.fullmatch(r"0\.625\d+", text) for text in texts(svg))
    assert not re.search(r"<[^>]*\.\d{3}", svg)


def test_a_map_names_classes_people_and_variance() -> None:
    rng = np.random.default_rng(0)
    people = np.array([f"p{i % 3}" for i in range(60)])
    label = (np.arange(60) % 2).astype(np.int8)
    points = rng.standard_normal((60, 5))
    shown = texts(
        figures.embedding_map(
            project(points, title="t", place="x", label=label, participant=people)
        )
    )
    assert {"low", "high", "class", "3 participants"} <= {*shown}
    assert any("of the variance" in text for text in shown)


def test_a_heat_map_writes_every_number_and_frames_the_jobs_own_setting() -> None:
    lupi, pricon = summarise(*make_surfaces(PLAIN)).surfaces
    (panel,) = panels(lupi)
    shown = texts(figures.heat_map(panel, lupi.own, limit=0.2))
    assert {"+0.100", "+0.000", "+0.200", "0.1", "0.25", "0.5", "2"} <= {*shown}
    framed = [
        figures.heat_map(one, pricon.own, limit=0.2).count("stroke-width: 2;")
        for one in panels(pricon)
    ]
    assert framed == [0, 1], "only under the job's own tau"
    assert figures.heat_map(panel, lupi.own, 0.2) == figures.heat_map(panel, lupi.own, 0.2)
    assert figures.heat_map(panel, lupi.own, 0.2) != figures.heat_map(panel, lupi.own, 0.4)


def test_a_point_without_a_difference_is_a_dash() -> None:
    plan, results = make_surfaces(PLAIN)
    lupi = summarise(plan, [r for r in results if r.trial.arm != "e2e"]).surfaces[0]
    (panel,) = panels(lupi)
    assert texts(figures.heat_map(panel, lupi.own, limit=0.0)).count("-") == 4


def test_reliability_of_values_by_deciles_of_the_prediction() -> None:
    """Predictions are half of what was annotated here: the line is twice as steep as they are."""
    _, results = make_value_run(Grid(arms={"e2e": always(0)}, seeds=(0,), num_windows=100))
    said, told = figures.reliability(results)
    assert len(said) == 10
    assert told == pytest.approx(2 * said, abs=1e-6)
    shown = texts(figures.calibration(results, YARDSTICKS["regression"]))
    assert {"e2e", "affect that was annotated", "affect that the model predicted"} <= {*shown}


def test_reliability_of_a_constant_is_one_point() -> None:
    _, results = make_value_run(Grid(arms={"e2e": always(0)}, seeds=(0,)))
    seen = results[0].predictions
    assert isinstance(seen, ValuePredictions)
    flat = replace(seen, prediction=np.full_like(seen.prediction, 0.3))
    said, told = figures.reliability([replace(results[0], predictions=flat)])
    assert said == pytest.approx([0.3])
    assert told == pytest.approx([seen.label.mean()])
    assert figures.calibration([replace(results[0], predictions=flat)], YARDSTICKS["regression"])


def test_a_map_of_affect_has_a_scale_and_no_classes() -> None:
    rng = np.random.default_rng(0)
    people = np.array([f"p{i % 3}" for i in range(60)])
    label = np.linspace(-0.5, 0.5, 60).astype(np.float32)
    points = rng.standard_normal((60, 5))
    of = project(points, title="t", place="x", label=label, participant=people)
    shown = texts(figures.embedding_map(of))
    assert {"affect", "3 participants"} <= {*shown}
    assert not {"low", "high", "class"} & {*shown}
