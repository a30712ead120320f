"""How arms depend on settings: the surfaces of a job's grid, and what they allow to be said."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from math import isnan

import numpy as np

from pricon.plan.plan import UNTOUCHED, Plan, Setting
from pricon.report import tables
from pricon.report.choice import choose
from pricon.report.estimate import Estimate
from pricon.report.scores import Scores, average, make_grid, score
from pricon.report.significance import DECIMALS
from pricon.report.summary import MACRO_AVERAGE, TrialRow
from pricon.report.surface import Choice, Point, Surface
from pricon.report.verdict import GENERATED, PARTICIPANTS_ARE_THE_UNIT
from pricon.report.yardstick import YARDSTICKS, Yardstick
from pricon.spec.corpus import Affect
from pricon.spec.sensitivity import TAUGHT

METHOD = """\
Every number is made from validation participants. No model met the test participants of its own
fold, and none was evaluated on them. But who validates in one fold is tested in another, so a
setting chosen over all folds has seen most people, and test scores flatter it. The best of each
fold is clean: it was chosen by that fold's own validation participants under all seeds, never by
its test participants, so a job without `sensitivity` that has this setting as its own, and is
otherwise the same, may judge it on them with `--only-folds`. None of PriCon's claims is judged
here.

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

How much settings differ is the standard deviation over settings of the mean over seeds. How much
the luck of seeds would make them differ, if settings did nothing, is the standard error of such a
mean: of what is left of differences to e2e (settings x seeds) without the means of settings and of
seeds, because all settings share their seeds. Where settings do nothing, the first still exceeds
the second about every other time. The luck of participants is in neither.
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
    """Every taught arm over the grid of a plan, in every place; averages over stimuli first.

    Args:
        plan: of a job with a grid.
        rows: its trials.
        num_resamples: draws of the bootstrap.
    """
    resampling = make_grid([row.result for row in rows], num_resamples)
    yardstick = YARDSTICKS[plan.task]
    scored: dict[_Place, dict[Setting, Scores]] = {}
    for (place, _), found in groupby(sorted(rows, key=_order), key=_order):
        results = [row.result for row in found]
        by_setting = scored.setdefault(place, {})
        by_setting[results[0].trial.setting] = score(results, resampling, yardstick)
    if len({place[0] for place in scored}) > 1:
        scored |= _averages(scored)
    e2e = {place[:3]: scored.pop(place) for place in [*scored] if place[3] == "e2e"}
    ordered = sorted(scored, key=lambda at: (at[0] != MACRO_AVERAGE, at[:3], TAUGHT.index(at[3])))
    return tuple(
        _surface(place, scored[place], e2e[place[:3]][UNTOUCHED], plan.grid[0], resampling.folds)
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
    place: _Place,
    scored: Mapping[Setting, Scores],
    e2e: Scores,
    own: Setting,
    folds: Sequence[int],
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
        choice=choose(settings, [scored[setting] for setting in settings], e2e, folds),
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


def sentences(found: Sequence[Surface], generated: bool) -> tuple[str, ...]:
    """What complete surfaces allow to be said, one sentence a surface.

    With several stimuli only their average is spoken of: the best of several is one more choice.
    An arm that the grid does not touch has a single setting, of which nothing is said.
    """
    averages = [surface for surface in found if surface.stimulus == MACRO_AVERAGE]
    told = [
        _sentence(surface, surface.choice)
        for surface in averages or found
        if surface.choice is not None
    ]
    return (*told, PARTICIPANTS_ARE_THE_UNIT, *([GENERATED] if generated else []))


def _sentence(surface: Surface, choice: Choice) -> str:
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
    if isnan(choice.sd_chance):
        return f"{settings}; with a single seed nobody knows whether that is much."
    is_more = round(choice.sd_settings, DECIMALS) > round(choice.sd_chance, DECIMALS)
    what = "more" if is_more else "no more"
    return f"{settings}, {what} than by the luck of seeds alone ({choice.sd_chance:.3f})."


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


def remarks(surface: Surface) -> Iterator[str]:
    """The job's own setting and, of a complete surface, what each fold would choose."""
    yield f"The job's own setting: {surface.own}."
    if surface.choice is None:
        return
    folds: dict[Setting, list[int]] = {}
    for fold, setting in surface.choice.by_fold.items():
        folds.setdefault(setting, []).append(fold)
    chosen = [f"{s} (`--only-folds {','.join(map(str, of))}`)" for s, of in folds.items()]
    yield f"Best by each fold's own validation participants: {'; '.join(chosen)}."


def caption(surface: Surface) -> str:
    """What a surface is about, in one line."""
    where = f"{surface.stimulus}, {surface.affect}, available: {surface.available}"
    return f"{surface.arm} minus e2e: {where}, {surface.num_participants} validation participants"
