"""The log of a run that its driver kept in the object storage, where it outlives all pods."""

from collections.abc import Iterator

from pricon.launch.kubernetes.client import CONFIG_MAPS, Cluster, Object
from pricon.launch.kubernetes.pods import name_of
from pricon.launch.kubernetes.runs import output_of
from pricon.launch.kubernetes.sending import submission_of
from pricon.spec.load import parse_job
from pricon.storage import open_storage


def kept_lines(cluster: Cluster, ray_job: Object) -> Iterator[str]:
    """Lines of the newest attempt of a run; none where nothing says where they are.

    Read with this user's own keys to the bucket: a cluster lends nobody its own.

    Raises:
        CorpusError: no keys, or keys that may not read it.
        StorageError: the object storage cannot be reached from here.
        SpecError: the job of the run is not one that this version of pricon understands.
    """
    config_map = cluster.get(CONFIG_MAPS, name_of(ray_job))
    job = (config_map or {}).get("data", {}).get("job.yaml")
    output, submission = output_of(ray_job), submission_of(ray_job)
    if job is None or output is None or submission is None:
        return
    spec = parse_job(job, f"ConfigMap {name_of(ray_job)}").storage
    folder = open_storage(f"{output}/submissions", spec)
    logs = [name for name in folder.list(f"{submission}.") if name.endswith(".log")]
    if logs:
        newest = max(logs, key=lambda name: int(name.split(".")[-2]))
        yield from folder.read(newest).decode("utf-8", "replace").splitlines()
