"""report.tex: the tables for a paper, one `table` environment a block; needs `booktabs`."""

from collections.abc import Iterator, Sequence

from pricon.report import tables
from pricon.report.summary import Block, Report

_ESCAPED = {
    "\\": r"\textbackslash{}",
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
}


def latex(report: Report) -> str:
    """The tables; captions say what `tables.headlines` says, so that no number travels without."""
    title, *warnings = tables.headlines(report)
    lines = [f"% {title}", *(f"% {warning}" for warning in warnings), r"% \usepackage{booktabs}"]
    for number, block in enumerate(report.blocks):
        lines += ["", *_table(block, f"{report.job_name}-{number}", report)]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    r"""Text as LaTeX shows it; a minus in front of a number becomes one.

    >>> escape("50% of a_b")
    '50\\% of a\\_b'
    """
    return "".join(_ESCAPED.get(char, char) for char in text)


def _table(block: Block, label: str, report: Report) -> Iterator[str]:
    _, *warnings = tables.headlines(report)
    caption = " ".join(f"{sentence}." for sentence in (tables.caption(block), *warnings))
    yield r"\begin{table}"
    yield rf"\caption{{{escape(caption)} Brackets: 95\,\% intervals over participants.}}"
    yield rf"\label{{tab:{label}}}"
    yield r"\begin{tabular}{lrrr}"
    yield r"\toprule"
    yield _row(tables.headings(report.yardstick))
    yield r"\midrule"
    yield from (_row(tables.cells(row)) for row in block.arms)
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield r"\end{table}"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(_cell, cells)) + r" \\"


def _cell(text: str) -> str:
    """Numbers in math mode, where a hyphen is a minus."""
    shown = escape(text)
    return f"${shown}$" if text[:1] in "+-0123456789" and text != tables.NOTHING else shown
