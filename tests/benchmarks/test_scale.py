"""What grows is measured by steps that are there; the README's figures follow from one another."""

import json
import re
from pathlib import Path

import pytest

from tests.benchmarks import scale, scale_plan
from tests.benchmarks.growth import exponent, worst
from tests.benchmarks.world import WIDTHS
from tests.safeguards.sources import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")

PREFIXES = {"": 1, "K": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
UNITS = {
    **{f"{prefix}B": factor for prefix, factor in PREFIXES.items()},
    **{"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "USD": 1},
}
"""All other words are counted things."""


def section() -> str:
    return README.partition("\n## Scale\n")[2].partition("\n## ")[0]


def calculations() -> list[tuple[str, str, str]]:
    """What, out of what, and how much: lines of the section's `text` block."""
    (block,) = re.findall(r"```text\n(.*?)```", section(), re.DOTALL)
    return [
        (what.strip(), left, right)
        for line in block.splitlines()
        for what, left, right in re.findall(r"^(\S.*?)  +(\S.*?) += (.+)$", line)
    ]


def value(text: str) -> float:
    """`1e9 windows * 1,152 B` -> 1.152e12; a unit such as MB/s stands without spaces."""

    def number(found: re.Match[str]) -> str:
        above, _, below = (found[2] or "").partition("/")
        return f"({found[1].replace(',', '')} * {UNITS.get(above, 1)} / {UNITS.get(below, 1)})"

    expression = re.sub(r"([\d][\d,.]*(?:e-?\d+)?)(?: ([A-Za-z]+(?:/[A-Za-z]+)?))?", number, text)
    assert re.fullmatch(r"[-\d.e+*/() ]+", expression), text
    return float(eval(expression))


def test_exponents_by_hand() -> None:
    sizes = [10, 100, 1000]
    assert exponent(sizes, [size**1.5 for size in sizes]) == pytest.approx(1.5)
    assert exponent(sizes[::-1], [7.0, 7.0, 7.0]) == pytest.approx(0.0)
    steps = {"linear": [1.0, 10.0, 100.0], "square": [1e-2, 1.0, 100.0], "tiny": [0, 1e-9, 1.0]}
    step, slope = worst(sizes, steps)
    assert (step, round(slope, 6)) == ("square", 2.0)


def test_every_line_of_the_block_is_a_calculation() -> None:
    (block,) = re.findall(r"```text\n(.*?)```", section(), re.DOTALL)
    lines = [line for line in block.splitlines() if line and not line.startswith("#")]
    assert len(calculations()) == len(lines) > 5


@pytest.mark.parametrize("line", calculations(), ids=lambda line: line[0])
def test_figures_on_paper_follow_from_their_inputs(line: tuple[str, str, str]) -> None:
    _, left, right = line
    assert value(left) == pytest.approx(value(right), rel=0.02)


def test_a_wrong_figure_would_be_found() -> None:
    assert value("1e9 windows * 1,152 B") == pytest.approx(value("1.15 TB"), rel=0.02)
    assert value("3 TB / 100 MB/s") == pytest.approx(value("8.33 h"), rel=0.02)
    assert value("2 h * 0.5 USD/h") == pytest.approx(1.0)
    assert value("1e9 windows * 1,152 B") != pytest.approx(value("1.15 GB"), rel=0.02)


def test_the_widths_on_paper_are_recolas() -> None:
    assert f"{4 * sum(WIDTHS.values()):,} B" in section()


@pytest.mark.multiprocess
def test_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    scale.main(["--quick"])
    found = {file.stem: json.loads(file.read_text("utf-8")) for file in tmp_path.rglob("*.json")}
    growing = {
        "scale_trials", "scale_participants", "scale_leave_one_out", "scale_records",
        "scale_tracking", "scale_report",
    }  # fmt: skip
    assert found.keys() == {*growing, "scale_bytes"}
    for name in growing:
        assert [row[0] for row in found[name]["rows"]][2:] == ["exponent"]
    rows = {row[0]: row[1:] for row in found["scale_bytes"]["rows"]}
    assert rows["students, video"][1:] == [13, 0], "position, label and probability a window"
    assert rows["supervised teachers, audio+physiology+video"][1:] == [13, 16]


def test_the_plan_is_as_large_as_promised() -> None:
    planning = scale_plan.crossed(people=20, seeds=2)
    scale_plan.seconds_of(planning)
    assert len(planning.plan.trials) == 260
