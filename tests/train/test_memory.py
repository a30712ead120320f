"""Memory that a step frees is there for the next one."""

import subprocess
import sys
from pathlib import Path

import pytest

FAULTS = """
import resource
import torch
from pricon.train.memory import keep_freed_memory

torch.set_num_threads(1)
keep_freed_memory()

def step():
    kept = [torch.ones(1 << 18) for _ in range(16)]

def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

for _ in range(3):
    step()
before = faults()
for _ in range(10):
    step()
print(faults() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="an allocator's custom on Linux")
def test_a_step_faults_in_no_pages_again() -> None:
    """Of 16 MiB a step, 4,096 pages, next to none are new. In a process of its own: what was freed
    in this one before cannot be taken back."""
    root = Path(__file__).parents[2]
    found = subprocess.run(
        [sys.executable, "-c", FAULTS], check=True, capture_output=True, text=True, cwd=root
    )
    assert int(found.stdout) < 1000
