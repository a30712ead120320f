"""report.tex: the tables for a paper, one `table` environment each; needs `booktabs`."""

from collections.abc import Iterator, Sequence

from pricon.report import sensitivity, tables
from pricon.report.summary import Report
from pricon.report.surface import Surface

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
    headings = tables.headings(report.yardstick)
    found = [
        *(
            (tables.caption(block), [headings, *map(tables.cells, block.arms)])
            for block in report.blocks
        ),
        *(shown for surface in report.surfaces for shown in _panels(surface)),
    ]
    for number, (caption, rows) in enumerate(found):
        sentences = " ".join(f"{sentence}." for sentence in (caption, *warnings))
        lines += ["", *_table(sentences, f"{report.job_name}-{number}", rows)]
    return "\n".join(lines) + "\n"


def escape(text: str) -> str:
    r"""Text as LaTeX shows it; a minus in front of a number becomes one.

    >>> escape("50% of a_b")
    '50\\% of a\\_b'
    """
    return "".join(_ESCAPED.get(char, char) for char in text)


def _panels(surface: Surface) -> Iterator[tuple[str, list[tuple[str, ...]]]]:
    """Caption, headings and rows of every tau."""
    for panel in sensitivity.panels(surface):
        where = ", ".join(filter(None, (sensitivity.caption(surface), panel.title)))
        yield where, panel.rows()


def _table(caption: str, label: str, rows: Sequence[Sequence[str]]) -> Iterator[str]:
    headings, *body = rows
    yield r"\begin{table}"
    yield rf"\caption{{{escape(caption)} Brackets: 95\,\% intervals over participants.}}"
    yield rf"\label{{tab:{label}}}"
    yield rf"\begin{{tabular}}{{l{'r' * (len(headings) - 1)}}}"
    yield r"\toprule"
    yield _row(headings)
    yield r"\midrule"
    yield from map(_row, body)
    yield r"\bottomrule"
    yield r"\end{tabular}"
    yield r"\end{table}"


def _row(cells: Sequence[str]) -> str:
    return " & ".join(map(_cell, cells)) + r" \\"


def _cell(text: str) -> str:
    """Numbers in math mode, where a hyphen is a minus."""
    shown = escape(text)
    return f"${shown}$" if text[:1] in "+-0123456789" and text != tables.NOTHING else shown
