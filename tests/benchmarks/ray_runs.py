"""What a Ray Train run costs that trains nothing: what one run a trial pays for every trial.

    python -m tests.benchmarks.ray_runs

Prints the seconds of a few runs of one worker, one after the other, in one running Ray.
"""

import json
import subprocess
import sys
import tempfile
import time

RUNS = 2


def empty_runs() -> list[float]:
    """Seconds of each run, in a process whose chatter is kept from the table."""
    command = [sys.executable, "-m", "tests.benchmarks.ray_runs"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seconds: list[float] = json.loads(found.splitlines()[-1])
    return seconds


def main() -> None:
    """Start a Ray, run, and say how long each took."""
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(RUNS):
            started = time.perf_counter()
            TorchTrainer(
                lambda: None,
                scaling_config=ScalingConfig(num_workers=1),
                run_config=RunConfig(name=f"trial-{number}", storage_path=folder),
            ).fit()
            seconds.append(time.perf_counter() - started)
    ray.shutdown()
    sys.stdout.write(json.dumps(seconds) + "\n")


if __name__ == "__main__":
    main()
