"""How arms depend on settings: the surfaces of a job's grid, and what they allow to be said."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isnan, nan

import numpy as np
from numpy.typing import NDArray

from pricon.plan.plan import UNTOUCHED, Plan, Setting
from pricon.report import tables
from pricon.report.estimate import Estimate
from pricon.report.scores import Grid, Scores, average, make_grid, score
from pricon.report.significance import DECIMALS
from pricon.report.summary import MACRO_AVERAGE, TrialRow
from pricon.report.surface import Choice, Point, Surface
from pricon.report.verdict import GENERATED, PARTICIPANTS_ARE_THE_UNIT
from pricon.report.weighted import mean_present
from pricon.report.yardstick import YARDSTICKS, Yardstick
from pricon.spec.corpus import Affect
from pricon.spec.sensitivity import TAUGHT

METHOD = """\
Every number is made from validation participants. No test participant was evaluated, so what is
chosen here can still be judged on test participants, in a job of its own without `sensitivity`.
None of PriCon's claims is judged here.

{definition} of a fold's validation split minus that of e2e on the
same windows, mean over folds, then over seeds. Intervals in brackets are 95 % percentile intervals
of a bootstrap over participants ({resamples:,} resamples, the same for every setting). A
participant may validate in several folds and seeds, and is drawn with all of their windows; a
resample passes over a fold of which it drew nobody.

Early stopping looked at the same participants, so the {name} of every arm is optimistic, that of
e2e as well; so is a difference, where one of the two has more epochs to choose from. The best of
many settings is partly the luckiest: its lead is an upper estimate, and the interval of the lead
does not know of the choice. Chosen on all seeds but one, and seen on that one, the lead is free of
the luck of a seed, but not of that of participants who validate under several seeds.

How much settings differ is the standard deviation over settings of the mean over all seeds; how
much seeds differ, that over single seeds, which move validation participants, initial weights and
batches at once.
"""

TEMPERATURE = """
Unless the divergence is multiplied by T^2 (`scale_by_temperature_squared`), a higher T also makes
the teacher's gradients smaller: T is then a weight as well.
"""

_Place = tuple[str, Affect, str, str]
"""Stimulus, affect, available set and arm."""


def method(found: Sequence[Surface], yardstick: Yardstick, num_resamples: int) -> str:
    """What the numbers of surfaces mean, in paragraphs."""
    has_temperature = any(
        point.setting.distillation_temperature is not None
        for surface in found
        for point in surface.points
    )
    text = METHOD.format(
        definition=yardstick.definition, name=yardstick.name, resamples=num_resamples
    )
    return text + TEMPERATURE * has_temperature


def surfaces(plan: Plan, rows: Sequence[TrialRow], num_resamples: int) -> tuple[Surface, ...]:
    """Every taught arm over the grid of a plan, in every place; after them averages over stimuli.

    Args:
        plan: of a job with a grid.
        rows: its trials.
        num_resamples: draws of the bootstrap.
    """
    grid = make_grid([row.result for row in rows], num_resamples)
    yardstick = YARDSTICKS[plan.task]
    scored: dict[_Place, dict[Setting, Scores]] = {}
    for (place, _), found in groupby(sorted(rows, key=_order), key=_order):
        results = [row.result for row in found]
        by_setting = scored.setdefault(place, {})
        by_setting[results[0].trial.setting] = score(results, grid, yardstick)
    if len({place[0] for place in scored}) > 1:
        scored |= _averages(scored)
    e2e = {place[:3]: scored.pop(place) for place in [*scored] if place[3] == "e2e"}
    ordered = sorted(scored, key=lambda at: (at[0] == MACRO_AVERAGE, at[:3], TAUGHT.index(at[3])))
    return tuple(
        _surface(place, scored[place], e2e[place[:3]][UNTOUCHED], plan.grid[0], grid)
        for place in ordered
    )


def _order(row: TrialRow) -> tuple[_Place, list[float]]:
    """Trials that share a place and a setting stand together."""
    trial, cell = row.result.trial, row.result.cell
    values = [-1.0 if value is None else value for value in trial.setting.to_dict().values()]
    return (cell.stimulus, cell.affect, trial.modality, trial.arm), values


def _averages(
    scored: Mapping[_Place, Mapping[Setting, Scores]],
) -> dict[_Place, dict[Setting, Scores]]:
    """Means over stimuli, each counting the same."""
    together: dict[_Place, dict[Setting, list[Scores]]] = {}
    for (_, affect, available, arm), by_setting in scored.items():
        place = (MACRO_AVERAGE, affect, available, arm)
        for setting, scores in by_setting.items():
            together.setdefault(place, {}).setdefault(setting, []).append(scores)
    return {
        place: {setting: average(several) for setting, several in by_setting.items()}
        for place, by_setting in together.items()
    }


def _surface(
    place: _Place, scored: Mapping[Setting, Scores], e2e: Scores, own: Setting, grid: Grid
) -> Surface:
    stimulus, affect, available, arm = place
    settings = sorted(scored, key=lambda setting: not setting.agrees(own))
    judged = np.array([scores.is_tested for scores in scored.values()])
    return Surface(
        stimulus=stimulus,
        affect=affect,
        available=available,
        arm=arm,
        num_participants=int(judged.any(axis=0).sum()),
        own=settings[0],
        points=tuple(_point(setting, scored[setting], e2e) for setting in settings),
        choice=_choose(settings, [scored[setting] for setting in settings], e2e, grid),
    )


def _point(setting: Setting, scores: Scores, e2e: Scores) -> Point:
    is_paired = scores.cells == e2e.cells != frozenset()
    return Point(
        setting=setting,
        num_finished=len(scores.cells),
        num_planned=scores.num_planned,
        score=Estimate.of(scores.primary),
        minus_e2e=Estimate.of(scores.primary - e2e.primary) if is_paired else None,
    )


def _choose(
    settings: Sequence[Setting], scored: Sequence[Scores], e2e: Scores, grid: Grid
) -> Choice | None:
    """The best point and what it is worth; the job's own, which comes first, wins ties."""
    is_whole = all(scores.cells == e2e.cells for scores in scored)
    if not is_whole or len(e2e.cells) < e2e.num_planned:
        return None
    draws = [scores.primary for scores in scored]
    values = np.round([drawn[0] for drawn in draws], DECIMALS)
    best = int(values.argmax())
    by_seed = np.array([mean_present(s.by_fold - e2e.by_fold, axis=1) for s in scored])
    has_several = len(grid.seeds) > 1
    return Choice(
        best=settings[best],
        gain=Estimate.of(draws[best] - draws[0]),
        held_out_gain=_held_out_gain(by_seed) if has_several else nan,
        sd_settings=float(values.std(ddof=1)),
        sd_seeds=float(np.sqrt(by_seed.var(axis=1, ddof=1).mean())) if has_several else nan,
    )


def _held_out_gain(by_seed: NDArray[np.float64]) -> float:
    """Shape (points, seeds), the job's own point first -> lead of the point chosen elsewhere."""
    gains = []
    for seed in range(by_seed.shape[1]):
        elsewhere = np.round(np.delete(by_seed, seed, axis=1).mean(axis=1), DECIMALS)
        gains.append(by_seed[elsewhere.argmax(), seed] - by_seed[0, seed])
    return float(np.mean(gains))


def sentences(found: Sequence[Surface], generated: bool) -> tuple[str, ...]:
    """What complete surfaces allow to be said, one sentence a surface.

    With several stimuli only their average is spoken of: the best of several is one more choice.
    """
    averages = [surface for surface in found if surface.stimulus == MACRO_AVERAGE]
    told = [_sentence(surface) for surface in averages or found]
    return (*told, PARTICIPANTS_ARE_THE_UNIT, *([GENERATED] if generated else []))


def _sentence(surface: Surface) -> str:
    choice = surface.choice
    assert choice is not None, "of complete surfaces"
    seen = [point.minus_e2e.value for point in surface.points if point.minus_e2e is not None]
    place = f"{surface.arm} ({surface.stimulus}, {surface.affect}, {surface.available} available)"
    return (
        f"{place}, validation participants: over {len(seen)} settings, the difference to e2e runs "
        f"from {min(seen):+.3f} to {max(seen):+.3f}, with the job's own ({surface.own}) "
        f"{seen[0]:+.3f}. {_best(surface, choice)} {_spread(choice)}"
    )


def _best(surface: Surface, choice: Choice) -> str:
    if choice.best == surface.own:
        return "No setting is better than the job's own."
    lead = (
        f"The best ({choice.best}) leads by {tables.estimate(choice.gain, sign='+')}, which is "
        f"optimistic, as the largest of {len(surface.points)} is"
    )
    if isnan(choice.held_out_gain):
        return f"{lead}."
    return (
        f"{lead}; chosen without the seed it is seen on, it leads by {choice.held_out_gain:+.3f}."
    )


def _spread(choice: Choice) -> str:
    settings = f"Settings differ by {choice.sd_settings:.3f}"
    if isnan(choice.sd_seeds):
        return f"{settings}; with a single seed nobody knows whether that is much."
    what = "more" if choice.sd_settings > choice.sd_seeds else "no more"
    return f"{settings}, {what} than seeds do ({choice.sd_seeds:.3f})."


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """The points of a surface under one tau.

    Args:
        title: which tau, in words; empty where none touches the arm.
        weights: a of each row.
        temperatures: T of each column; None alone where none touches the arm.
        points: shape (rows, columns).
    """

    title: str
    weights: tuple[float | None, ...]
    temperatures: tuple[float | None, ...]
    points: tuple[tuple[Point, ...], ...]

    def rows(self) -> list[tuple[str, ...]]:
        """Headings, then one row a weight: the difference to e2e with its interval."""
        headings = ("a", *(_named("T", value) or "any T" for value in self.temperatures))
        cells = [tuple(map(_cell, points)) for points in self.points]
        return [
            headings,
            *((f"{a:g}", *row) for a, row in zip(self.weights, cells, strict=True)),
        ]


def panels(surface: Surface) -> Iterator[Panel]:
    """A panel for each tau, rising, as are the axes of each."""
    points = {tuple(point.setting.to_dict().values()): point for point in surface.points}
    weights, temperatures, taus = map(_rising, zip(*points, strict=True))
    for tau in taus:
        yield Panel(
            title=_named("tau", tau),
            weights=weights,
            temperatures=temperatures,
            points=tuple(tuple(points[a, t, tau] for t in temperatures) for a in weights),
        )


def _rising(values: Iterable[float | None]) -> tuple[float | None, ...]:
    return tuple(sorted({*values}, key=lambda value: -1.0 if value is None else value))


def _named(name: str, value: float | None) -> str:
    return "" if value is None else f"{name} {value:g}"


def _cell(point: Point) -> str:
    if point.minus_e2e is None:
        return f"{tables.NOTHING} ({point.num_finished}/{point.num_planned})"
    return tables.estimate(point.minus_e2e, sign="+")


def caption(surface: Surface) -> str:
    """What a surface is about, in one line."""
    where = f"{surface.stimulus}, {surface.affect}, available: {surface.available}"
    return f"{surface.arm} minus e2e: {where}, {surface.num_participants} validation participants"
