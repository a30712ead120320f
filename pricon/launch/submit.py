"""A prepared job to its report: run, record, report."""

import json
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Any, Protocol

from pricon.corpus.build import Progress
from pricon.corpus.ensure import ensure_corpus
from pricon.corpus.reader import Corpus
from pricon.corpus.survey import Survey
from pricon.launch.driver import Ledger, run_plan
from pricon.launch.environment import environment
from pricon.launch.events import Event
from pricon.launch.lanes import absolute
from pricon.launch.lock import only_one
from pricon.launch.meter import Meter, Sharer
from pricon.launch.preflight import Prepared, prepare
from pricon.launch.targets import lanes_for
from pricon.plan.plan import Plan
from pricon.report.metrics import measure
from pricon.report.results import TrialResult
from pricon.report.summary import Report
from pricon.report.write import FIGURES, LATEX, PAGE, REPORT, RESULTS, write_report
from pricon.spec.dump import dump_job
from pricon.spec.job import JobSpec
from pricon.spec.training import EncoderSpec, StreamingSpec
from pricon.storage import Storage, open_storage
from pricon.track.records import Dataset, EndStatus, RunRecord
from pricon.track.tracker import Tracker
from pricon.train.records import Records


class View(AbstractContextManager["View"], Protocol):
    """What shows a run while it works."""

    def finished(self, result: TrialResult) -> None:
        """A trial has its result."""
        ...

    def listen(self, event: Event) -> None:
        """A lane says something."""
        ...


def run_storage(job: JobSpec, plan: Plan) -> Storage:
    """The folder of a run: `<output>/<job name>/<run id>`."""
    return open_storage(job.output, job.storage).child(f"{job.name}/{plan.run_id}")


def approved_corpus(job: JobSpec, folds: tuple[int, ...] | None, progress: Progress) -> Corpus:
    """The job's corpus; not built before the job has passed every check on its recordings.

    Raises:
        CorpusError: as `ensure_corpus`; or results cannot be written.
        PlanError: the recordings cannot give what the job asks for.
    """

    def approve(found: Survey) -> None:
        run_storage(job, prepare(job, found, folds).plan).check_writable()

    return ensure_corpus(job.corpus, job.storage, progress, approve)


def run(
    prepared: Prepared,
    corpus: Corpus,
    tracker: Tracker,
    view: View,
    *,
    rerun: bool = False,
    meter: Meter | None = None,
) -> Report:
    """Run what is missing, record it, and write the report.

    Args:
        prepared: the job.
        corpus: built; the one that the job was prepared on.
        tracker: open; not closed here.
        view: shows progress.
        rerun: forget the job's finished stages first.
        meter: counts what it takes, by `view`; None where nobody does.

    Raises:
        LaunchError: nothing could be started, or nothing can be recorded.
    """
    job, plan = prepared.job, prepared.plan
    tracker.check(job.name)
    facts = environment()
    documents = {
        "job.yaml": dump_job(job).encode(),
        "plan.json": plan.to_json(),
        "environment.json": json.dumps(facts, indent=1).encode(),
    }
    folder = run_storage(job, plan)
    folder.check_writable()
    with only_one(job.output, job.name):
        for name, document in documents.items():
            folder.write(name, document)
        if rerun:
            _forget(prepared)
        tracker.start(_run_record(prepared, corpus, facts, documents))
        try:
            report = _run(prepared, corpus, tracker, view, meter)
            artifacts = _artifacts(folder)
        except BaseException as err:
            how: EndStatus = "KILLED" if isinstance(err, KeyboardInterrupt) else "FAILED"
            tracker.finish(how, _used(meter), {})
            raise
        status: EndStatus = "FAILED" if report.unfinished else "FINISHED"
        tracker.finish(status, {**_headline(report), **_used(meter)}, artifacts)
    return report


def _artifacts(folder: Storage) -> dict[str, bytes]:
    """What MLflow keeps of a report: its pages, and the figures, which MLflow shows as pictures."""
    drawn = folder.child(FIGURES).list()
    names = (REPORT, PAGE, LATEX, RESULTS, *(f"{FIGURES}/{name}" for name in drawn))
    return {name: folder.read(name) for name in names}


def _run(
    prepared: Prepared, corpus: Corpus, tracker: Tracker, view: View, meter: Meter | None
) -> Report:
    """Lanes, then the report; every trial is told to view and tracker once."""
    job, plan = prepared.job, prepared.plan

    def used_by(result: TrialResult) -> Mapping[str, float]:
        return {} if meter is None else meter.metrics_of(Sharer.of(result.trial, result.cell))

    def finished(result: TrialResult) -> None:
        view.finished(result)
        tracker.record(result, {**_metrics(result), **used_by(result)})

    ledger = Ledger(plan=plan, corpus=corpus, records=_records(job))
    with view:
        lanes = lanes_for(job.target, job.resources)
        results = run_plan(ledger, job, lanes, view.listen, finished)
    for result in results:
        if result.status != "finished":
            tracker.record(result, used_by(result))
    from pricon.launch.embeddings import embedding_maps  # imports torch

    folder, notes = run_storage(job, plan), _notes(job, ledger)
    # Maps show test windows, at which a job with a grid does not look.
    maps = () if plan.grid else embedding_maps(plan, job, corpus, ledger.records)
    return write_report(folder, plan, results, notes, job.statistics, maps)


def _records(job: JobSpec) -> Records:
    return Records(open_storage(job.output, job.storage).child("stages"))


def _forget(prepared: Prepared) -> None:
    """Remove records and checkpoints of a plan, so that everything trains from its beginning."""
    from pricon.launch.worker import checkpoints_of, members_at_most, packs_of  # imports torch

    job = prepared.job
    output, records = open_storage(job.output, job.storage), _records(job)
    for stage in prepared.plan.stages:
        records.forget(stage.id)
    for lane in prepared.plan.lanes:
        for pack in packs_of(prepared.plan, lane, members_at_most(job)):
            checkpoints = checkpoints_of(pack, output)
            for path in checkpoints.list():
                checkpoints.delete(path)


def _metrics(result: TrialResult) -> Mapping[str, float]:
    return {} if result.predictions is None else measure(result.predictions).to_dict()


def _used(meter: Meter | None) -> Mapping[str, float]:
    return {} if meter is None else meter.metrics


def _headline(report: Report) -> dict[str, float]:
    """What submissions can be sorted by: `<metric>.<stimulus>.<affect>.<available>.<arm>`."""
    metrics: dict[str, float] = {"trials_finished": len(report.trials) - len(report.unfinished)}
    if report.complete:
        for block in report.blocks:
            place = f"{block.stimulus}.{block.affect}.{block.available}".replace(
                "+", "-"
            )  # MLflow takes no `+`
            for row in block.arms:
                metrics[f"{report.yardstick.primary}.{place}.{row.arm}"] = row.primary.value
    return metrics


def _run_record(
    prepared: Prepared, corpus: Corpus, facts: Mapping[str, str], documents: Mapping[str, bytes]
) -> RunRecord:
    job, plan = prepared.job, prepared.plan
    return RunRecord(
        job_name=job.name,
        run_id=plan.run_id,
        params=_flat(job.model_dump(mode="json")),
        tags={
            "pricon.corpus_digest": plan.corpus_digest,
            "pricon.generated": str(plan.generated).lower(),
            "pricon.judged_on": plan.judged_on,
            **{f"pricon.{name}": value for name, value in facts.items()},
        },
        artifacts=documents,
        dataset=_dataset(job.corpus.uri, corpus),
    )


def _dataset(uri: str, corpus: Corpus) -> Dataset:
    manifest, summary = corpus.manifest, corpus.summary
    frames = manifest.windows.frames
    return Dataset(
        name=manifest.adapter,
        uri=absolute(uri),
        digest=summary.digest,
        shapes={one.name: (frames, len(one.features)) for one in manifest.modalities},
        counts={
            "windows": sum(session.num_windows for session in manifest.sessions),
            "sessions": len(summary.sessions),
            "participants": len(summary.participants),
        },
    )


def _flat(node: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in node.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = _words(value)
    return flat


def _words(value: Any) -> Any:
    """A list as words: `frames, frames+sound`."""
    if not isinstance(value, list):
        return value
    return ", ".join("+".join(one) if isinstance(one, list) else str(one) for one in value)


def _encoder(spec: EncoderSpec) -> str:
    return f"{spec.kind}, width {spec.width}, depth {spec.depth}"


def _order(streaming: StreamingSpec | None) -> str:
    if streaming is None:
        return "of each fold, seed and kind of stage its own"
    return (
        f"of each fold, seed and kind of stage its own among {streaming.buffer_mb:g} MB of "
        "features; that of shards is one for all (streaming)"
    )


def _notes(job: JobSpec, ledger: Ledger) -> dict[str, str]:
    contrastive, imitate = job.teacher.contrastive, job.student.distillation.imitate
    windows, optimisation = job.corpus.windows, job.optimisation
    contrast: str = contrastive.contrast
    if contrast == "change":
        contrast += f", threshold {contrastive.change_threshold}"
    label = f"threshold {job.label.threshold}, margin {job.label.margin:g}"
    if job.task == "regression":
        label = f"the affect value; classes of the contrastive stages alone: {label}"
    return {
        "seeds": _words(list(job.seeds)),
        "windows": f"{windows.window_s:g} s every {windows.hop_s:g} s, input {windows.lag_s:g} s "
        f"ahead; frames: {windows.frames}, each the {windows.pooling} of its ticks",
        "encoders": f"teacher {_encoder(job.teacher.encoder)}, student "
        f"{_encoder(job.student.encoder)}",
        "optimiser": f"{optimisation.optimiser}, weight decay {optimisation.weight_decay:g}",
        "order of windows": _order(optimisation.streaming),
        "contrast": contrast,
        "students imitate": imitate or "logits",
        "label": label,
        "standardise": job.standardise,
        "incomplete features": f"{job.incomplete_features}; {ledger.kept_features()}",
        "made with": "; ".join(ledger.made_with()),
    }
