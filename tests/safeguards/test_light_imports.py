"""What must start without the heavy libraries does."""

import subprocess
import sys

import pytest

HEAVY = ("torch", "ray", "mlflow", "kubernetes")
SLOW = ("scipy.signal", "scipy.stats", "sklearn", "matplotlib", "statsmodels")
"""What takes a second or more, and a submission can do without before its report."""


def loaded_by(statement: str) -> set[str]:
    """Which heavy libraries a fresh interpreter has loaded after this statement."""
    code = f"{statement}\nimport sys\nprint(*sys.modules, sep='\\n', file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return {*done.stderr.splitlines()} & {*HEAVY, *SLOW}


@pytest.mark.parametrize(
    "module",
    [
        "pricon.errors",
        "pricon.spec.load",
        "pricon.plan.trials",
        "pricon.storage",
        "pricon.corpus.reader",
        "pricon.report.write",
        "pricon.track.open",
    ],
)
def test_module_loads_nothing_heavy(module: str) -> None:
    assert loaded_by(f"import {module}") == set()


@pytest.mark.parametrize("command", ["main", "submit_main"])
def test_help_loads_nothing_heavy(command: str) -> None:
    statement = (
        "import sys\n"
        f"from pricon.cli.main import {command}\n"
        "sys.argv = ['pricon', '--help']\n"
        "try:\n"
        f"    {command}()\n"
        "except SystemExit as end:\n"
        "    assert not end.code"
    )
    assert loaded_by(statement) == set()
