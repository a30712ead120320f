"""Every figure of a report has a file that a person finds."""

import xml.etree.ElementTree as ET
from dataclasses import replace

import numpy as np

from pricon.report.drawings import Drawings, draw
from pricon.report.embeddings import project
from pricon.report.statistics import summarise
from tests.report.grids import make_run
from tests.report.test_statistics import LARGE
from tests.report.test_training import curve


def drawn(*stimuli: str) -> Drawings:
    plan, results = make_run(replace(LARGE, stimuli=stimuli))
    with_curves = [replace(r, curves=(curve(r.trial.id, 3, 2, 1),)) for r in results]
    mapped = project(
        np.random.default_rng(0).standard_normal((40, 5)),
        title="pricon student (audio)",
        place="heist, arousal",
        label=(np.arange(40) % 2).astype(np.int8),
        participant=np.array(["p00", "p01"] * 20),
    )
    return draw(summarise(plan, with_curves), [mapped])


def test_names_say_what_a_figure_shows() -> None:
    kinds = ("calibration", "gap-closed", "participants")
    assert sorted(drawn("heist").files()) == [
        *(f"heist-arousal-audio-{kind}.svg" for kind in kinds),
        "heist-arousal-map-pricon-student-audio.svg",
        *(
            f"learning-curve-{arm}-student.svg"
            for arm in ("all_modalities", "e2e", "lupi", "majority", "pricon")
        ),
    ]
    several = drawn("heist", "Run'N'Gun").files()
    assert "macro-average-over-stimuli-arousal-audio-participants.svg" in several
    assert "run-n-gun-arousal-audio-participants.svg" in several


def test_a_file_is_a_whole_picture_of_its_own() -> None:
    for name, data in drawn("heist").files().items():
        assert ET.fromstring(data).tag == "{http://www.w3.org/2000/svg}svg", name


def test_where_there_is_nothing_to_show_there_is_no_file() -> None:
    plan, _ = make_run(LARGE)
    assert draw(summarise(plan, []), []).files() == {}


def test_the_same_report_gives_the_same_files() -> None:
    assert drawn("heist").files() == drawn("heist").files()


def test_long_and_strange_names_lose_no_figure() -> None:
    many = drawn(*(f"a rather long name of a video {number}" for number in range(9)))
    assert max(map(len, many.files())) < 130
    files = drawn("驚", "喜", f"x{'y' * 400}", f"x{'y' * 400}z").files()
    assert len([name for name in files if name.endswith(".svg")]) == len(files)
    assert len({name for name in files if "participants" in name}) == 5, "four and their average"
    assert max(map(len, files)) < 130
