"""Figures of a report as SVG: what a table cannot show. Text in, text out; nothing is opened.

Colours are Okabe and Ito's, which the colour-blind can tell apart.
"""

import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from numpy.typing import NDArray

from pricon.plan.plan import Setting
from pricon.report.embeddings import EmbeddingMap
from pricon.report.results import Curve, TrialResult, ValuePredictions
from pricon.report.sensitivity import Panel
from pricon.report.summary import ArmSummary, Block
from pricon.report.surface import Point
from pricon.report.tables import MAIN_ARMS
from pricon.report.training import curves_by_kind
from pricon.report.yardstick import Yardstick, said_and_told

COLOURS: Mapping[str, str] = {
    "majority": "#999999",
    "time_only": "#999999",
    "e2e": "#0072b2",
    "scl": "#56b4e9",
    "lupi": "#e69f00",
    "lupi_privileged": "#f0b840",
    "pricon": "#d55e00",
    "pricon_privileged": "#e58a50",
    "pricon_shuffled": "#cc79a7",
    "pricon_random": "#cc79a7",
    "all_modalities": "#009e73",
    "scl_all_modalities": "#60c0a0",
}

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#666666",
    "svg.fonttype": "none",  # text stays text: small, searchable, in the reader's own font
    "svg.hashsalt": "pricon",  # the same figure gives the same bytes
}
_NUM_BINS = 10
_TAG, _FINE = re.compile(r"<[^>]+>"), re.compile(r"(\.\d\d)\d+")


def participants(block: Block, metric: str) -> str | None:
    """The primary metric of every participant under each main arm, one grey line a person."""
    rows = _main(block)
    people = sorted(set.intersection(*({*row.by_participant} for row in rows))) if rows else []
    if not people:
        return None
    values = np.array([[row.by_participant[person] for row in rows] for person in people])

    def draw(axes: Axes) -> None:
        columns = np.arange(len(rows))
        lines = np.stack(np.broadcast_arrays(columns, values), axis=-1)
        _thin_lines(axes, lines, color="#888888", alpha=0.25, linewidth=0.6)
        for column, row in enumerate(rows):
            axes.plot(
                np.full(len(people), column), values[:, column], "o", markersize=2.5, alpha=0.5,
                color=COLOURS[row.arm], markeredgewidth=0,
            )  # fmt: skip
            seen = row.primary
            if seen.has_interval:
                axes.plot([column] * 2, [seen.low, seen.high], color="black", linewidth=2.5)
            axes.plot(column, seen.value, "D", color="black", markersize=5)
        axes.set_xticks(columns, [row.arm for row in rows], rotation=20, ha="right")
        axes.set_ylabel(f"{metric} of a participant")

    return _svg(draw, width=5.2, height=3.4)


def gap_closed(block: Block) -> str | None:
    """Share of the gap between e2e and all_modalities that each arm closes, with its interval."""
    rows = [row for row in block.arms if row.gap_closed is not None]
    if not rows:
        return None

    def draw(axes: Axes) -> None:
        for place, row in enumerate(reversed(rows)):
            assert row.gap_closed is not None
            share = row.gap_closed.share
            axes.barh(place, 100 * share.value, color=COLOURS[row.arm], height=0.6)
            if share.has_interval:
                axes.plot([100 * share.low, 100 * share.high], [place] * 2, color="black")
        axes.axvline(0, color="#666666", linewidth=0.8)
        axes.axvline(100, color=COLOURS["all_modalities"], linestyle="--", linewidth=1)
        axes.set_yticks(range(len(rows)), [row.arm for row in reversed(rows)])
        axes.set_xlabel("gap closed, % (dashed: as good as with all modalities)")

    return _svg(draw, width=5.2, height=0.9 + 0.32 * len(rows))


def calibration(results: Iterable[TrialResult], words: Yardstick) -> str | None:
    """What was annotated by what a main arm predicted: share of high by probability, or affect."""
    by_arm: dict[str, list[TrialResult]] = {}
    for result in results:
        if result.predictions is not None and result.trial.arm in MAIN_ARMS:
            by_arm.setdefault(result.trial.arm, []).append(result)
    if not by_arm:
        return None

    lines = {arm: reliability(by_arm[arm]) for arm in MAIN_ARMS if arm in by_arm}
    ends = words.range or (
        min(min(said.min(), told.min()) for said, told in lines.values()),
        max(max(said.max(), told.max()) for said, told in lines.values()),
    )

    def draw(axes: Axes) -> None:
        axes.plot(ends, ends, color="#999999", linestyle="--", linewidth=0.8)
        for arm, (said, told) in lines.items():
            axes.plot(said, told, "o-", markersize=3, color=COLOURS[arm], label=arm)
        axes.set_xlabel(words.said_label)
        axes.set_ylabel(words.told_label)
        axes.set_aspect("equal")
        axes.legend(frameon=False, fontsize=8)

    return _svg(draw, width=3.9, height=3.7)


def reliability(results: Sequence[TrialResult]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean of what was predicted and of what was annotated, by tenths of what was predicted.

    Probabilities are cut at 0.1, 0.2 ..., values at their deciles. Tenths without a window are left
    out.
    """
    pairs = [said_and_told(r.predictions) for r in results if r.predictions is not None]
    said, told = (np.concatenate(some).astype(np.float64) for some in zip(*pairs, strict=True))
    shares = np.arange(1, _NUM_BINS) / _NUM_BINS
    is_value = isinstance(results[0].predictions, ValuePredictions)
    bins = np.searchsorted(np.quantile(said, shares) if is_value else shares, said, "right")
    count = np.bincount(bins, minlength=_NUM_BINS)
    kept = count > 0
    means = [np.bincount(bins, values, _NUM_BINS)[kept] / count[kept] for values in (said, told)]
    return means[0], means[1]


def learning_curves(results: Iterable[TrialResult]) -> dict[str, str]:
    """Validation loss by epoch, one line a stage: kind of stage -> figure."""
    return {
        kind: _svg(_curves(kind, curves), width=2.7, height=1.9)
        for kind, curves in curves_by_kind(results).items()
    }


def _curves(kind: str, curves: Sequence[Curve]) -> Callable[[Axes], None]:
    colour = COLOURS[kind.partition(" ")[0]]

    def draw(axes: Axes) -> None:
        losses = [curve.values["validation_loss"] for curve in curves]
        lines = [np.column_stack([range(1, len(of) + 1), of]) for of in losses]
        _thin_lines(axes, lines, color=colour, alpha=0.35, linewidth=0.7)
        best = [line[curve.best_epoch] for line, curve in zip(lines, curves, strict=True)]
        axes.plot(*np.transpose(best), ".", color=colour, markersize=4)
        axes.set_title(kind, fontsize=8)
        axes.set_xlabel("epoch", fontsize=8)

    return draw


def embedding_map(of: EmbeddingMap) -> str:
    """Windows by class or affect, and the same windows by participant."""
    people = np.unique(of.participant, return_inverse=True)[1]
    colours = mpl.colormaps["tab20"](people % 20 / 19.5)
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(5.2, 2.5), layout="constrained")
        by_label, by_person = figure.subplots(1, 2, sharex=True, sharey=True)
        what_is_told = _by_value if of.label.dtype == np.float32 else _by_class
        by_person.scatter(*of.points.T, s=5, alpha=0.6, linewidths=0, color=colours)
        titles = what_is_told(by_label, of), f"{people.max() + 1} participants"
        for axes, what in zip((by_label, by_person), titles, strict=True):
            axes.set_title(what, fontsize=8)
            axes.set_xticks([])
            axes.set_yticks([])
        figure.supxlabel(_meaning_of_axes(of), fontsize=8)
        return _text(figure)


def heat_map(panel: Panel, own: Setting, limit: float) -> str:
    """Primary metric minus that of e2e at every point of a panel, blue above and red below.

    Args:
        panel: rows rise upwards.
        own: the job's own setting; its point is framed, where the panel has it.
        limit: value of the strongest colour, of all maps that are to be compared.
    """
    values = np.array([[_difference(point) for point in row] for row in panel.points])

    def draw(axes: Axes) -> None:
        strongest = limit or 1.0
        axes.pcolormesh(values, cmap="RdBu", vmin=-strongest, vmax=strongest, edgecolor="white")
        for (row, column), value in np.ndenumerate(values):
            shown = "-" if np.isnan(value) else f"{value:+.3f}"
            colour = "white" if abs(value) > 0.6 * strongest else "black"
            axes.text(column + 0.5, row + 0.5, shown, ha="center", va="center", color=colour)
            if panel.points[row][column].setting == own:
                corner = column + 0.04, row + 0.04
                axes.add_patch(Rectangle(corner, 0.92, 0.92, fill=False, linewidth=2, zorder=3))
        temperatures = ["any" if t is None else f"{t:g}" for t in panel.temperatures]
        axes.set_xticks(np.arange(len(temperatures)) + 0.5, temperatures)
        axes.set_yticks(np.arange(len(panel.weights)) + 0.5, [f"{a:g}" for a in panel.weights])
        axes.tick_params(length=0)
        axes.spines[:].set_visible(False)
        axes.set_xlabel("distillation temperature T")
        axes.set_ylabel("teacher's weight a")
        axes.set_title(panel.title, fontsize=9)

    return _svg(draw, width=4.2, height=1.0 + 0.4 * len(panel.weights))


def _difference(point: Point) -> float:
    return np.nan if point.minus_e2e is None else point.minus_e2e.value


def _by_class(axes: Axes, of: EmbeddingMap) -> str:
    for label, name, colour in ((0, "low", COLOURS["e2e"]), (1, "high", COLOURS["pricon"])):
        own = of.points[of.label == label]
        axes.scatter(own[:, 0], own[:, 1], s=5, alpha=0.6, linewidths=0, color=colour, label=name)
    axes.legend(frameon=False, fontsize=7, loc="best")
    return "class"


def _by_value(axes: Axes, of: EmbeddingMap) -> str:
    """Viridis: dark to bright, whoever looks; its ends are the lowest and highest affect."""
    x, y = of.points.T
    points = axes.scatter(x, y, s=5, alpha=0.6, linewidths=0, c=of.label, cmap="viridis")
    figure = axes.get_figure(root=True)
    assert figure is not None
    figure.colorbar(points, ax=axes, location="left", aspect=30).ax.tick_params(labelsize=6)
    return "affect"


def _meaning_of_axes(of: EmbeddingMap) -> str:
    if of.explained is None:
        return "UMAP: near is alike, far says little"
    first, second = of.explained
    return f"{first:.0%} and {second:.0%} of the variance"


def _thin_lines(axes: Axes, lines: Iterable[NDArray[np.float64]], **style: Any) -> None:
    """Lines through points of shape (n, 2), drawn as `plot` does, hundreds at the cost of a few."""
    drawn = LineCollection([*lines], capstyle="projecting", joinstyle="round", **style)
    axes.add_collection(drawn)
    axes.autoscale_view()


def _main(block: Block) -> list[ArmSummary]:
    return [row for row in block.arms if row.arm in MAIN_ARMS and row.by_participant]


def _svg(draw: Callable[[Axes], None], width: float, height: float) -> str:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        draw(figure.subplots())
        return _text(figure)


def _text(figure: Figure) -> str:
    """The `<svg>` element alone, scaled by the page and not by the figure.

    Coordinates get two decimals: a hundredth of a point is finer than any screen, and a page holds
    thousands of them. Words outside the tags, numbers at ticks among them, stay as they are.
    """
    file = io.StringIO()
    # Not `savefig`, which draws twice so that every layout settles; this one settles at once.
    canvas: Any = FigureCanvasSVG(figure)
    canvas.print_svg(file, metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    return _TAG.sub(lambda tag: _FINE.sub(r"\1", tag[0]), text[text.index("<svg") :])
