"""report.html: the report as one page that opens without a network and reads well on a phone."""

import re
from collections.abc import Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape

from pricon.report import markdown, sensitivity, tables
from pricon.report.drawings import Drawings
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

PCA = "in the two directions in which they differ most (PCA)."
UMAP = "so that windows that it puts side by side stay side by side (UMAP)."


def page(report: Report, notes: Mapping[str, str], drawings: Drawings) -> str:
    """The page; the same report and notes give the same text.

    Args:
        report: what was found.
        notes: as `markdown.markdown` takes them.
        drawings: its figures.
    """
    title, *warnings = tables.headlines(report)
    results = [row.result for row in report.trials]
    return _TEMPLATES.get_template("page.html.jinja").render(
        title=title,
        warnings=warnings,
        unfinished=tables.unfinished_lines(report),
        verdict=report.verdict,
        metric=report.yardstick.name,
        blocks=[
            _block(block, drawn, report)
            for block, drawn in zip(report.blocks, drawings.of_blocks, strict=True)
        ],
        surfaces=[*map(_surface, report.surfaces, drawings.of_surfaces)],
        curves=[*map(Markup, drawings.curves.values())],
        still_improving=[*map(_with_code, still_improving(results))],
        maps=[(f"{one.place}: {one.title}", Markup(svg)) for one, svg in drawings.maps],
        projection=UMAP if any(one.explained is None for one, _ in drawings.maps) else PCA,
        fold_title=markdown.fold_title(report.task),
        folds=markdown.fold_rows(report.folds, report.task),
        method=[*map(_with_code, markdown.method(report).split("\n\n"))],
        origin=[*markdown.origin(report), *map(markdown.note, notes.items())],
    )


def _block(block: Block, drawn: Mapping[str, str], report: Report) -> dict[str, Any]:
    """What the template needs; the figures are our own, and matplotlib has escaped their text."""
    return {
        "caption": tables.caption(block),
        "headings": tables.headings(report.yardstick),
        "arms": [tables.cells(row) for row in block.arms],
        "metric_headings": markdown.metric_headings(report.yardstick),
        "metrics": [markdown.metric_cells(row) for row in block.arms],
        "comparison_headings": markdown.COMPARISON_HEADINGS,
        "comparisons": [markdown.comparison_cells(c) for c in tables.comparisons(block)],
        "figures": {kind: Markup(svg) for kind, svg in drawn.items()},
        "calibration_caption": report.yardstick.calibration,
    }


def _surface(surface: Surface, drawn: Mapping[str, str]) -> dict[str, Any]:
    return {
        "caption": sensitivity.caption(surface),
        "remarks": [*map(_with_code, sensitivity.remarks(surface))],
        "maps": [*map(Markup, drawn.values())],
        "panels": [(panel.title, panel.rows()) for panel in sensitivity.panels(surface)],
    }


def _with_code(text: str) -> Markup:
    """Escaped text in which what stood between backticks is code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", str(escape(text))))
