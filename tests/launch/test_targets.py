"""Which runner a target gets, and what that loads."""

import subprocess
import sys

import pytest

from pricon.errors import SpecError
from pricon.launch.inprocess import InprocessLanes
from pricon.launch.ray_lanes import RayLanes
from pricon.launch.targets import lanes_for
from pricon.spec.resources import ResourcesSpec


def test_a_target_gets_its_runner() -> None:
    resources = ResourcesSpec(lanes=3)
    assert isinstance(lanes_for("inprocess", resources), InprocessLanes)
    local = lanes_for("local", resources)
    assert isinstance(local, RayLanes)
    assert (local.resources, local.own is None) == (resources, False)
    joined = lanes_for("ray", resources)
    assert isinstance(joined, RayLanes)
    assert joined.own is None
    with pytest.raises(SpecError, match="`target` is `kubernetes`, where lanes cannot be run from"):
        lanes_for("kubernetes", resources)


@pytest.mark.parametrize(
    ("statement", "loads", "spares"),
    [
        ("import pricon.launch.targets", set(), {"torch", "ray", "mlflow"}),
        (
            "from pricon.launch.targets import lanes_for\n"
            "from pricon.spec.resources import ResourcesSpec\n"
            "lanes_for('inprocess', ResourcesSpec())",
            {"torch"},
            {"ray", "mlflow"},
        ),
    ],
)
def test_only_what_a_target_needs_is_loaded(
    statement: str, loads: set[str], spares: set[str]
) -> None:
    code = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    loaded = {*done.stdout.split()}
    assert loads <= loaded
    assert not spares & loaded
