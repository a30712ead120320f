"""report.html: the report as one page that opens without a network and reads well on a phone."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from pricon.report import figures, markdown, sensitivity, tables
from pricon.report.embeddings import EmbeddingMap
from pricon.report.summary import Block, Report
from pricon.report.surface import Surface
from pricon.report.training import still_improving

_TEMPLATES = Environment(
    loader=PackageLoader("pricon.report", "."),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def page(report: Report, notes: Mapping[str, str], maps: Sequence[EmbeddingMap] = ()) -> str:
    """The page; the same report and notes give the same text.

    Args:
        report: what was found.
        notes: as `markdown.markdown` takes them.
        maps: of embeddings.
    """
    title, *warnings = tables.headlines(report)
    results = [row.result for row in report.trials]
    return _TEMPLATES.get_template("page.html.jinja").render(
        title=title,
        warnings=warnings,
        unfinished=tables.unfinished_lines(report),
        verdict=report.verdict,
        blocks=[_block(block, report) for block in report.blocks],
        surfaces=[*_surfaces(report.surfaces)],
        # A grid has thousands of curves; which stages ran out of epochs is told all the same.
        curves=[
            *map(_markup, figures.learning_curves(() if report.surfaces else results).values())
        ],
        still_improving=[*map(_with_code, still_improving(results))],
        maps=[(f"{one.place}: {one.title}", Markup(figures.embedding_map(one))) for one in maps],
        fold_title=markdown.fold_title(report.task),
        folds=markdown.fold_rows(report.folds, report.task),
        method=[*map(_with_code, markdown.method(report).split("\n\n"))],
        origin=[*markdown.origin(report), *map(markdown.note, notes.items())],
    )


def _block(block: Block, report: Report) -> dict[str, Any]:
    place = block.stimulus, block.affect
    students = {block.available, *(row.modality for row in block.arms)}
    own = [
        row.result
        for row in report.trials
        if (row.result.cell.stimulus, row.result.cell.affect) == place
        and row.result.trial.modality in students
    ]
    return {
        "caption": tables.caption(block),
        "headings": tables.headings(report.yardstick),
        "arms": [tables.cells(row) for row in block.arms],
        "metric_headings": markdown.metric_headings(report.yardstick),
        "metrics": [markdown.metric_cells(row) for row in block.arms],
        "comparison_headings": markdown.COMPARISON_HEADINGS,
        "comparisons": [markdown.comparison_cells(c) for c in tables.comparisons(block)],
        "participants": _markup(figures.participants(block, report.yardstick.name)),
        "gap": _markup(figures.gap_closed(block)),
        "calibration": _markup(figures.calibration(own, report.yardstick)),
        "calibration_caption": report.yardstick.calibration,
    }


def _surfaces(surfaces: Sequence[Surface]) -> Iterator[dict[str, Any]]:
    """All maps of a page have one colour scale, so that arms can be compared."""
    seen = [p.minus_e2e.value for s in surfaces for p in s.points if p.minus_e2e is not None]
    limit = max(map(abs, seen), default=0.0)
    for surface in surfaces:
        panels = [*sensitivity.panels(surface)]
        yield {
            "caption": sensitivity.caption(surface),
            "own": str(surface.own),
            "maps": [Markup(figures.heat_map(panel, surface.own, limit)) for panel in panels],
            "panels": [(panel.title, panel.rows()) for panel in panels],
        }


def _markup(svg: str | None) -> Markup | None:
    """Our own drawing, whose text matplotlib has escaped."""
    return None if svg is None else Markup(svg)


def _with_code(text: str) -> Markup:
    """Escaped text in which what stood between backticks is code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
