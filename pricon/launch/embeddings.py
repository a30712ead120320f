"""Where trained networks put the windows of a test split: what the maps of a report show.

One cell of every stimulus group and affect, its first fold and seed: a picture of a representation,
not a statistic.
"""

import logging
from collections.abc import Iterator

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from pricon.corpus.reader import Corpus
from pricon.corpus.standardise import Standardiser
from pricon.errors import CorpusError
from pricon.model.network import PackedNetwork
from pricon.plan.plan import Cell, Plan, Stage
from pricon.report.embeddings import EmbeddingMap, project
from pricon.spec.job import Arm, JobSpec
from pricon.train.ranks import Ranks
from pricon.train.reading import examples_of, open_windows
from pricon.train.recipes import PackWork, Windows, encoder_of, recipe_for
from pricon.train.records import Records, StageRecord
from pricon.train.streamed_windows import StreamedWindows
from pricon.train.windows import LabelledWindows

_log = logging.getLogger(__name__)

MAPPED: tuple[tuple[Arm, str], ...] = (
    ("all_modalities", "teacher"),
    ("pricon", "teacher"),
    ("e2e", "student"),
    ("lupi", "student"),
    ("pricon", "student"),
)
"""Arm and role of the stages that get a map, as far as a job has them."""


def embedding_maps(
    plan: Plan, job: JobSpec, corpus: Corpus, records: Records
) -> tuple[EmbeddingMap, ...]:
    """A map of each stage in `MAPPED` that has finished, in each mapped cell.

    What cannot be read, or is too little for a picture, has no map: a report must not fail for want
    of one.
    """
    # Matrices are small: threads would wait for each other, on busy cores for ten times the work.
    with threadpool_limits(1):
        return tuple(_maps(plan, job, corpus, records))


def _maps(plan: Plan, job: JobSpec, corpus: Corpus, records: Records) -> Iterator[EmbeddingMap]:
    groups: dict[tuple[str, ...], Windows] = {}  # affects of one group share its features
    for index, cell in _first_cells(plan):
        try:
            if cell.stimuli not in groups:
                groups[cell.stimuli] = open_windows(corpus, job, cell.stimuli)
            windows = groups[cell.stimuli]
            for arm, stage in _stages(plan, index):
                record = records.load(stage.id)
                if record is not None and _has_a_map(stage, cell, windows):
                    title = f"{arm} {stage.role} ({'+'.join(stage.modalities)})"
                    yield _map(title, stage, record, cell, windows)
        except CorpusError as err:
            _log.warning("no map of embeddings  cell=%s: %s", cell, err.message.splitlines()[0])


def _has_a_map(stage: Stage, cell: Cell, windows: LabelledWindows) -> bool:
    """Whether there are points enough, and directions enough, for a picture."""
    width = encoder_of(windows.job, stage.role).width
    return min(len(windows.rows(cell, "test")) - 1, width) >= 2


def _first_cells(plan: Plan) -> Iterator[tuple[int, Cell]]:
    """Index and cell of the first of each stimulus group and affect."""
    seen: set[tuple[tuple[str, ...], str]] = set()
    for index, cell in enumerate(plan.cells):
        if (cell.stimuli, cell.affect) not in seen:
            seen.add((cell.stimuli, cell.affect))
            yield index, cell


def _stages(plan: Plan, cell: int) -> Iterator[tuple[Arm, Stage]]:
    told: set[str] = set()
    for wanted in MAPPED:
        for trial in plan.trials:
            if trial.cell != cell or trial.arm != wanted[0]:
                continue
            for stage in (plan.stage_by_id[stage_id] for stage_id in trial.stages):
                if stage.role == wanted[1] and stage.id not in told:
                    told.add(stage.id)
                    yield trial.arm, stage


def _map(
    title: str,
    stage: Stage,
    record: StageRecord,
    cell: Cell,
    windows: Windows,
) -> EmbeddingMap:
    job = windows.job
    work = PackWork(
        stages=[stage],
        cells=[cell],
        sources=[None],
        windows=windows,
        job=job,
        ranks=Ranks(),
        device=torch.device("cpu"),
        made_with={},
    )
    _know_standardisers(work, record)
    recipe = recipe_for(work)
    network = PackedNetwork(recipe.layout, torch.from_numpy(record.arrays["parameters"])[None])
    rows = windows.rows(cell, "test")
    (output,) = examples_of(work, recipe).evaluate(network, [rows], embedded=True)
    assert output.embeddings is not None
    return project(
        output.embeddings.numpy().astype(np.float64),
        method=job.report.maps,
        title=title,
        place=f"{cell.stimulus}, {cell.affect}",
        label=windows.labels(cell)[rows],
        participant=windows.index.participant[rows],
    )


def _know_standardisers(work: PackWork, record: StageRecord) -> None:
    """As the stage was trained with; fitting them again would take passes over the corpus."""
    windows = work.standardised
    if isinstance(windows, StreamedWindows):
        for name in work.modalities:
            fitted = Standardiser(
                mean=record.arrays[f"mean.{name}"], scale=record.arrays[f"scale.{name}"]
            )
            windows.know(work.cells[0], name, work.encoder.reads_frames, fitted)
