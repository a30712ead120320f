"""What MLflow is told: experiment = job, run = submission, child run = trial.

Everything goes through `MlflowClient` with explicit run ids; MLflow's "active run" belongs to a
thread and would be the wrong one in ours. Runs are found by their tags before any is made, so a
resumed submission goes on in the runs that it has. Loading takes seconds: import it late.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

from pricon.errors import LaunchError
from pricon.track.background import RecordRefusedError
from pricon.track.batches import batches, text
from pricon.track.client import (
    Metric,
    MlflowClient,
    MlflowException,
    Param,
    Run,
    RunTag,
    open_client,
    status_of,
    translated,
)
from pricon.track.datasets import input_of
from pricon.track.explain import public
from pricon.track.records import (
    Dataset,
    FinishRecord,
    LogRecord,
    Point,
    Record,
    RunRecord,
    TrialRecord,
    Value,
    path_of,
    tag_of,
)

RUN_ID = "pricon.run_id"
TRIAL_ID = "pricon.trial_id"
ERROR = "pricon.error"
CHANGED = "pricon.changed_params"
PARENT = "mlflow.parentRunId"
_NO_SUCH_THING = {400, 404, 405, 501}
"""What servers of others, or old ones, answer where they do not know a part of MLflow's API."""


@dataclass(kw_only=True)
class _Known:
    """An MLflow run as last seen; `is_new` while nothing was logged to it."""

    id: str
    status: str
    is_new: bool


class MlflowRecorder:
    """Records into one tracking server or database.

    Args:
        uri: `http(s)://...`, `sqlite:///...` or what else MLflow takes.
        artifact_location: of experiments that it makes; None leaves it to the server.
    """

    def __init__(self, uri: str, artifact_location: str | None = None) -> None:
        self._uri = uri
        self._artifact_location = artifact_location
        self._client = open_client(uri)
        # What was seen of the server; a journal may hold records of several runs.
        self._experiments: dict[str, str] = {}
        self._runs: dict[tuple[str, str], _Known] = {}
        self._trials: dict[str, dict[str, _Known]] = {}

    def check(self, job_name: str) -> None:
        """Makes the job's experiment if there is none, and writes a tag to it.

        Raises:
            LaunchError: unreachable, unauthorised, forbidden, or no MLflow server.
        """
        try:
            with translated(self._uri):
                experiment_id = self._experiment(job_name)
                self._client.set_experiment_tag(experiment_id, "pricon.job", job_name)
        except RecordRefusedError as err:
            raise LaunchError(f"tracking server {public(self._uri)} refused: {err}") from err

    def apply(self, record: Record) -> None:
        """Records it; points, params and artifacts that MLflow holds already are not added again.

        Raises:
            LaunchError: the server failed, or forbids it.
            RecordRefusedError: MLflow calls this record invalid.
        """
        with translated(self._uri):
            match record:
                case RunRecord():
                    self._start(record)
                case TrialRecord():
                    self._record(record)
                case FinishRecord():
                    self._finish(record)
                case LogRecord():
                    self._keep_log(record)

    def _start(self, record: RunRecord) -> None:
        run = self._find_run(record.job_name, record.run_id)
        params, tags = dict(record.params), dict(record.tags)
        if not run.is_new:
            self._client.update_run(run.id, status="RUNNING")
            held = self._client.get_run(run.id).data.params
            # Params cannot change in MLflow; where a run may (how wide it runs), a tag says so.
            changed = [
                f"{key}: {held[key]} -> {text(value)}"
                for key, value in params.items()
                if key in held and held[key] != text(value)
            ]
            tags |= {CHANGED: "; ".join(changed)} if changed else {}
            params = {key: value for key, value in params.items() if key not in held}
        self._log(run, (), params, tags)
        self._close_trials(run, "KILLED")  # their driver is gone, or this would not be a start
        self._write_files(run, record.artifacts)
        if record.dataset is not None:
            self._show(run, record.dataset)

    def _show(self, run: _Known, dataset: Dataset) -> None:
        """A data set, where the server knows such; the same again adds nothing."""
        try:
            self._client.log_inputs(run.id, [input_of(dataset)])
        except MlflowException as err:
            if status_of(err) not in _NO_SUCH_THING:
                raise

    def _record(self, record: TrialRecord) -> None:
        run = self._find_run(record.job_name, record.run_id)
        trials = self._find_trials(run)
        tags = {**record.tags, TRIAL_ID: record.trial_id, PARENT: run.id}
        trial = trials.get(record.trial_id)
        if trial is None:
            trial = trials[record.trial_id] = self._create(record.job_name, record.name, tags)
            self._log(trial, record.points, record.params, {})
        elif trial.status == record.status == "FINISHED":
            return  # the status is written last: everything else is there
        else:
            held = self._client.get_run(trial.id)
            if ERROR in held.data.tags and ERROR not in tags:
                self._client.delete_tag(trial.id, ERROR)
            self._log(trial, self._missing(held, record.points), record.params, tags)
        self._client.set_terminated(trial.id, status=record.status)
        trial.status = record.status

    def _finish(self, record: FinishRecord) -> None:
        run = self._find_run(record.job_name, record.run_id)
        if record.status == "KILLED":  # at once: there may be no time for more
            self._client.set_terminated(run.id, status=record.status)
        held = self._client.get_run(run.id).data.metrics
        history = partial(self._client.get_metric_history, run.id)
        points = [
            Point(key=key, value=value, step=len(history(key)) if key in held else 0)
            for key, value in record.metrics.items()
            if held.get(key) != value
        ]
        self._log(run, points, {}, {})
        self._write_files(run, record.artifacts)
        self._close_trials(run, "KILLED" if record.status == "KILLED" else "FAILED")
        self._client.set_terminated(run.id, status=record.status)

    def _keep_log(self, record: LogRecord) -> None:
        run = self._find_run(record.job_name, record.run_id)
        self._write_files(run, {path_of(record.name): record.text})
        # Last: who finds it finds the file.
        self._client.set_tag(run.id, tag_of(record.handle), record.name)

    def _experiment(self, job_name: str) -> str:
        if job_name not in self._experiments:
            self._experiments[job_name] = self._find_experiment(job_name)
        return self._experiments[job_name]

    def _find_experiment(self, job_name: str) -> str:
        experiment = self._client.get_experiment_by_name(job_name)
        if experiment is None:
            try:
                return self._client.create_experiment(job_name, self._artifact_location)
            except MlflowException as err:
                if err.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                experiment = self._client.get_experiment_by_name(job_name)  # made by another run
                assert experiment is not None
        if experiment.lifecycle_stage != "active":
            raise LaunchError(
                f"MLflow experiment `{job_name}` was deleted (id {experiment.experiment_id})",
                hint=f"`mlflow experiments restore -x {experiment.experiment_id}`",
            )
        return str(experiment.experiment_id)

    def _find_run(self, job_name: str, run_id: str) -> _Known:
        if (job_name, run_id) not in self._runs:
            found = search(self._client, self._experiment(job_name), RUN_ID, run_id)
            name, tags = f"{job_name} {run_id}", {RUN_ID: run_id}
            run = _known(found[0]) if found else self._create(job_name, name, tags)
            self._runs[job_name, run_id] = run
        return self._runs[job_name, run_id]

    def _find_trials(self, run: _Known) -> dict[str, _Known]:
        """All trials of the run by trial id, from one search; of duplicates the oldest."""
        if run.id not in self._trials:
            experiment_id = self._client.get_run(run.id).info.experiment_id
            found = search(self._client, experiment_id, PARENT, run.id)
            known = {trial.data.tags.get(TRIAL_ID, ""): _known(trial) for trial in reversed(found)}
            self._trials[run.id] = known
        return self._trials[run.id]

    def _create(self, job_name: str, name: str, tags: Mapping[str, str]) -> _Known:
        values = {key: text(value) for key, value in tags.items()}
        try:
            run = self._client.create_run(
                self._experiment(job_name), tags=values, run_name=text(name)
            )
        except MlflowException:
            self._find_experiment(job_name)  # has words for one that was deleted meanwhile
            raise
        return _Known(id=run.info.run_id, status=run.info.status, is_new=True)

    def _missing(self, held: Run, points: Sequence[Point]) -> list[Point]:
        """Points above the highest step that MLflow holds of their metric."""
        highest = {
            key: max(m.step for m in self._client.get_metric_history(held.info.run_id, key))
            for key in {point.key for point in points} & held.data.metrics.keys()
        }
        return [point for point in points if point.step > highest.get(point.key, -1)]

    def _log(
        self,
        run: _Known,
        points: Sequence[Point],
        params: Mapping[str, Value],
        tags: Mapping[str, str],
    ) -> None:
        now = int(time() * 1000)
        for some_points, some_params, some_tags in batches(points, params, tags):
            self._client.log_batch(
                run.id,
                [Metric(p.key, p.value, now, p.step) for p in some_points],
                [Param(*param) for param in some_params],
                [RunTag(*tag) for tag in some_tags],
            )
        run.is_new = False

    def _close_trials(self, run: _Known, status: str) -> None:
        for trial in self._find_trials(run).values():
            if trial.status == "RUNNING":
                self._client.set_terminated(trial.id, status=status)
                trial.status = status

    def _write_files(self, run: _Known, files: Mapping[str, bytes]) -> None:
        if not files:
            return
        with TemporaryDirectory(prefix="pricon-") as folder:
            for name, data in files.items():
                path = Path(folder, name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
            self._client.log_artifacts(run.id, folder)


def search(client: MlflowClient, experiment_id: str, tag: str, value: str) -> list[Run]:
    """Runs with this tag, oldest first; see `client` for errors."""
    runs: list[Run] = []
    token = None
    while True:
        page = client.search_runs(
            [experiment_id],
            f"tags.`{tag}` = '{value}'",
            max_results=1000,
            order_by=["attributes.start_time ASC"],
            page_token=token,
        )
        runs += page
        token = page.token
        if not token:
            return runs


def _known(run: Run) -> _Known:
    return _Known(id=run.info.run_id, status=run.info.status, is_new=False)
