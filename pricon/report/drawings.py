"""Every figure of a report, drawn once: for its page, and as files for papers and MLflow."""

import gc
import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from pricon.report import figures, sensitivity
from pricon.report.embeddings import EmbeddingMap
from pricon.report.results import TrialResult
from pricon.report.summary import Block, Report
from pricon.report.surface import Surface
from pricon.report.yardstick import Yardstick

_LONGEST_NAME = 120
"""Characters; many stimuli in one model make a long word."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawings:
    """Figures as `<svg>` elements; where there is nothing to show, there is none.

    Args:
        report: whose.
        of_blocks: kind (`participants`, `gap-closed`, `calibration`) -> figure, for each block.
        of_surfaces: tau in words, or `settings` -> heat map, for each surface.
        curves: kind of stage, such as `pricon teacher` -> figure; none of a grid, which has
            thousands (which stages ran out of epochs is told all the same).
        maps: of embeddings, each with its figure.
    """

    report: Report
    of_blocks: tuple[Mapping[str, str], ...]
    of_surfaces: tuple[Mapping[str, str], ...]
    curves: Mapping[str, str]
    maps: tuple[tuple[EmbeddingMap, str], ...]

    def files(self) -> dict[str, bytes]:
        """File name, such as `heist-arousal-frames-participants.svg` -> bytes."""
        files: dict[str, bytes] = {}
        for words, svg in self._titled():
            name = _name(*words)
            if f"{name}.svg" in files:  # letters that a file name does not keep told them apart
                name += f"-{_hash(' '.join(words))}"
            files[f"{name}.svg"] = svg.encode()
        return files

    def _titled(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Words that tell a figure from all others, and the figure."""
        for block, drawn in zip(self.report.blocks, self.of_blocks, strict=True):
            for kind, svg in drawn.items():
                yield (block.stimulus, block.affect, block.available, kind), svg
        for one, maps in zip(self.report.surfaces, self.of_surfaces, strict=True):
            for which, svg in maps.items():
                yield (one.stimulus, one.affect, one.available, one.arm, which), svg
        for kind, svg in self.curves.items():
            yield ("learning-curve", kind), svg
        for of, svg in self.maps:
            yield (of.place, "map", of.title), svg


def draw(report: Report, maps: Sequence[EmbeddingMap]) -> Drawings:
    """All figures; the same report and maps give the same bytes."""
    results = [row.result for row in report.trials]
    with _older_objects_kept():
        return Drawings(
            report=report,
            of_blocks=tuple(_of_block(block, results, report.yardstick) for block in report.blocks),
            of_surfaces=_of_surfaces(report.surfaces),
            curves=figures.learning_curves(() if report.surfaces else results),
            maps=tuple((one, figures.embedding_map(one)) for one in maps),
        )


@contextmanager
def _older_objects_kept() -> Iterator[None]:
    """Garbage is sought among new objects only.

    A figure leaves much of it, and at the end of a run there are a million older objects: looking
    through them again and again takes a fifth of the time of drawing.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


def _of_surfaces(surfaces: Sequence[Surface]) -> tuple[dict[str, str], ...]:
    """All heat maps of a report have one colour scale, so that arms can be compared."""
    seen = [p.minus_e2e.value for s in surfaces for p in s.points if p.minus_e2e is not None]
    limit = max(map(abs, seen), default=0.0)
    return tuple(
        {
            panel.title or "settings": figures.heat_map(panel, surface.own, limit)
            for panel in sensitivity.panels(surface)
        }
        for surface in surfaces
    )


def _of_block(block: Block, results: Sequence[TrialResult], yardstick: Yardstick) -> dict[str, str]:
    place = block.stimulus, block.affect
    students = {block.available, *(row.modality for row in block.arms)}
    own = [
        result
        for result in results
        if (result.cell.stimulus, result.cell.affect) == place and result.trial.modality in students
    ]
    drawn = {
        "participants": figures.participants(block, yardstick.name),
        "gap-closed": figures.gap_closed(block),
        "calibration": figures.calibration(own, yardstick),
    }
    return {kind: svg for kind, svg in drawn.items() if svg is not None}


def _name(*words: str) -> str:
    """A file name, without its ending, that every store and every shell takes.

    >>> _name("macro average over stimuli", "arousal", "frames+sound", "participants")
    'macro-average-over-stimuli-arousal-frames-sound-participants'
    """
    first, *rest = (re.sub(r"[^a-z0-9_]+", "-", word.lower()).strip("-") for word in words)
    room = _LONGEST_NAME - len("-".join(rest))
    if len(first) > room:
        first = f"{first[: room - 9]}-{_hash(words[0])}"
    return "-".join([first, *rest]).strip("-")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
