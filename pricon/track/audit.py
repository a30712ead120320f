"""Whether MLflow knows of a run what it should: one run, and one for each trial, all of them ended.

Loading takes seconds: import it late.
"""

from collections import defaultdict
from collections.abc import Collection, Iterator

from pricon.track.client import MlflowClient, Run, open_client, translated
from pricon.track.mlflow import PARENT, RUN_ID, TRIAL_ID, search

_SHOWN = 5


def audit(uri: str, job_name: str, run_id: str, trials: Collection[str]) -> list[str]:
    """A line for everything that is not as it should be where a run and its trials have finished.

    Args:
        uri: `http(s)://...`, `sqlite:///...` or what else MLflow takes.
        job_name: the job.
        run_id: the plan's.
        trials: ids of all trials of the plan.

    Raises:
        LaunchError: the server failed.
    """
    client = open_client(uri)
    with translated(uri, reads=True):
        experiment = client.get_experiment_by_name(job_name)
        runs = (
            [] if experiment is None else search(client, experiment.experiment_id, RUN_ID, run_id)
        )
        if len(runs) != 1:
            return [f"MLflow has {len(runs)} runs `{job_name} {run_id}`, not one"]
        (run,) = runs
        return [*_of_run(run), *_of_trials(client, run, trials)]


def _of_run(run: Run) -> Iterator[str]:
    if run.info.status != "FINISHED":
        yield f"MLflow calls the run {run.info.status}"


def _of_trials(client: MlflowClient, run: Run, trials: Collection[str]) -> Iterator[str]:
    statuses = defaultdict[str, list[str]](list)
    for child in search(client, run.info.experiment_id, PARENT, run.info.run_id):
        statuses[child.data.tags.get(TRIAL_ID, "")].append(child.info.status)
    yield from _told("trials that the job does not have", {*statuses} - {*trials})
    yield from _told("no run of trials", {*trials} - {*statuses})
    double = [trial for trial, all_statuses in statuses.items() if len(all_statuses) > 1]
    yield from _told("several runs of trials", double)
    open_still = [trial for trial, (first, *_) in statuses.items() if first != "FINISHED"]
    yield from _told("trials that it does not call FINISHED", open_still)


def _told(what: str, trials: Collection[str]) -> Iterator[str]:
    if trials:
        names = ", ".join(sorted(trials)[:_SHOWN])
        more = f" and {len(trials) - _SHOWN} more" if len(trials) > _SHOWN else ""
        yield f"MLflow has {what}: {names}{more}"
