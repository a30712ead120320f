"""report.html: whole, self-contained, escaped, and fine in a real browser."""

import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from pricon.report.drawings import draw
from pricon.report.embeddings import EmbeddingMap, project
from pricon.report.page import page
from pricon.report.statistics import summarise
from pricon.report.summary import Report
from tests.report.grids import fail, make_run
from tests.report.surfaces import PLAIN, make_surfaces
from tests.report.test_statistics import ARMS, LARGE
from tests.report.test_training import curve

VOID = {"meta", "link", "br", "img"}


class Outline(HTMLParser):
    """What a page holds; fails where tags do not match."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.text = ""
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID:
            self.open.append(tag)
        self.addresses += [
            value or "" for name, value in attrs if name.split(":")[-1] in {"src", "href"}
        ]

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.addresses += [
            value or "" for name, value in attrs if name.split(":")[-1] in {"src", "href"}
        ]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(report: Report, notes: Mapping[str, str], maps: Sequence[EmbeddingMap] = ()) -> str:
    return page(report, notes, draw(report, maps))


def whole() -> str:
    plan, results = make_run(replace(LARGE, generated=True, stimuli=("heist", "solid")))
    with_curves = [replace(r, curves=(curve(r.trial.id, 3, 2, 1),)) for r in results]
    points = np.random.default_rng(0).standard_normal((40, 5))
    mapped = project(
        points,
        title="pricon student (audio)",
        place="heist, arousal",
        label=(np.arange(40) % 2).astype(np.int8),
        participant=np.array(["p00", "p01"] * 20),
    )
    return page_of(summarise(plan, with_curves), {"standardise": "session"}, [mapped])


def test_everything_is_on_the_page() -> None:
    seen = Outline(whole()).text
    for words in (
        "again-tiny (run run0)", "generated data: says nothing about people", "What the data show",
        "heist, arousal, available: audio", "macro average over stimuli", "gap closed",
        "Learning curves", "still improving when their epochs ran out", "How to read this",
        "heist, arousal: pricon student (audio)", "majority baseline", "looks into the future",
        "corpus manifest: sha256", *ARMS,
    ):  # fmt: skip
        assert words in seen, words


def test_nothing_is_fetched() -> None:
    text = whole()
    assert all(a.startswith(("#", "data:")) for a in Outline(text).addresses)
    assert not re.search(r"@import|url\((?!#)|<script", text)
    assert 'name="viewport"' in text


def test_an_incomplete_run_says_so_and_what_failed_is_escaped() -> None:
    plan, results = make_run(LARGE)
    text = page_of(summarise(plan, [fail(results[0], "<b>&"), *results[1:]]), {})
    assert "INCOMPLETE: 1 of" in Outline(text).text
    assert "What the data show" not in text
    assert "&lt;b&gt;&amp;" in text
    assert "<b>&" not in text


def test_a_run_without_any_result_is_a_page_too() -> None:
    plan, _ = make_run(LARGE)
    assert "INCOMPLETE" in Outline(page_of(summarise(plan, []), {})).text


def test_the_same_report_gives_the_same_page() -> None:
    assert whole() == whole()


def surfaces() -> str:
    return page_of(summarise(*make_surfaces(replace(PLAIN, stimuli=("heist", "solid")))), {})


def test_a_grid_is_a_page_of_maps() -> None:
    text = surfaces()
    seen = Outline(text).text
    for words in (
        "judged on validation participants", "What the data show", "Settings", "tau 0.05",
        "lupi minus e2e: heist, arousal, available: audio, 5 validation participants",
        "pricon minus e2e: macro average over stimuli", "has seen most people",
        "The job's own setting: a 0.25, T 0.5, tau 0.1",
        "Best by each fold's own validation participants: a 0.25, T 0.5, tau 0.1",
    ):  # fmt: skip
        assert words in seen, words
    assert text.count("<svg") == 3 * (1 + 2)
    assert "Learning curves" not in seen
    assert "<h2>Arms" not in text
    assert all(a.startswith(("#", "data:")) for a in Outline(text).addresses)
    plan, _ = make_surfaces(PLAIN)
    assert "INCOMPLETE" in Outline(page_of(summarise(plan, []), {})).text


@pytest.mark.parametrize("shown", [whole, surfaces])
@pytest.mark.parametrize("width", [390, 1300])
def test_a_browser_shows_it_without_a_complaint(
    width: int, shown: Callable[[], str], tmp_path: Path
) -> None:
    """Nothing on the console, and nothing wider than a phone but what scrolls by itself."""
    browser = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if browser is None:
        pytest.skip("no Chromium on this machine")
    probe = (
        "<script>addEventListener('load', () => document.title ="
        " 'width ' + document.documentElement.scrollWidth + ' of ' + innerWidth)</script></body>"
    )
    file = tmp_path / "report.html"
    file.write_text(shown().replace("</body>", probe), encoding="utf-8")
    done = subprocess.run(
        [
            browser, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr",
            f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900",
            "--virtual-time-budget=3000", "--dump-dom", file.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert "CONSOLE" not in done.stderr
    found = re.search(r"<title>width (\d+) of (\d+)</title>", done.stdout)
    assert found is not None
    assert int(found[1]) <= int(found[2])
