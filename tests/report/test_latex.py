"""report.tex: braces and environments match, nothing is left unescaped, nothing goes unsaid."""

import re

from pricon.report.latex import escape, latex
from pricon.report.statistics import summarise
from tests.report.grids import Grid, fail, make_run
from tests.report.surfaces import PLAIN, make_surfaces
from tests.report.test_statistics import ARMS, LARGE


def test_every_table_is_whole() -> None:
    text = latex(summarise(*make_run(Grid(arms=ARMS, stimuli=("heist", "solid")))))
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 3
    assert text.count(r"\begin{tabular}{lrrr}") == text.count(r"\end{tabular}") == 3
    assert text.count("{") == text.count("}")
    rows = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(rows) == 3 * (1 + len(ARMS))
    assert all(row.count(" & ") == 3 for row in rows)
    assert len({*re.findall(r"\\label{(.*)}", text)}) == 3


def test_a_row_by_hand() -> None:
    text = latex(summarise(*make_run(LARGE)))
    row = next(line for line in text.splitlines() if line.startswith("pricon "))
    assert re.fullmatch(
        r"pricon & \$0\.800 \[0\.800, 0\.800\]\$ & \$\+0\.150 \[\+0\.1\d\d, \+0\.1\d\d\]\$"
        r" & \$60\\% \[\d\d, \d\d\]\$ \\\\",
        row,
    )
    assert r"all\_modalities & " in text
    assert r"majority & $0.500 [0.500, 0.500]$ & $-0.150 [" in text


def test_special_characters() -> None:
    assert escape(r"a_b & 5% {x} \y ~^#$") == (
        r"a\_b \& 5\% \{x\} \textbackslash{}y \textasciitilde{}\textasciicircum{}\#\$"
    )


def test_warnings_travel_with_every_table() -> None:
    plan, results = make_run(Grid(arms=ARMS, generated=True))
    text = latex(summarise(plan, [fail(results[0]), *results[1:]]))
    caption = next(line for line in text.splitlines() if line.startswith(r"\caption"))
    assert "generated data: says nothing about people." in caption
    assert "INCOMPLETE: 1 of 20 trials missing or failed." in caption
    assert r"majority (1/2)" in text or r"majority (3/4)" in text


def test_a_grid_has_a_table_for_each_tau() -> None:
    text = latex(summarise(*make_surfaces(PLAIN)))
    assert text.count(r"\begin{table}") == text.count(r"\end{table}") == 3
    assert text.count(r"\begin{tabular}{lrr}") == 3
    captions = [line for line in text.splitlines() if line.startswith(r"\caption")]
    assert all("judged on validation participants" in caption for caption in captions)
    assert ["tau 0.05" in c for c in captions] == [False, True, False]
    assert r"$0.25$ & $+0.200 [+0.200, +0.200]$ & $+0.100 [+0.100, +0.100]$ \\" in text
    assert len({*re.findall(r"\\label{(.*)}", text)}) == 3
