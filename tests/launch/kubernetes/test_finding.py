"""What a check found."""

from pricon.errors import LaunchError
from pricon.launch.kubernetes.finding import Finding


def test_an_error_is_something_wrong() -> None:
    finding = Finding.of_error("KubeRay", LaunchError("it is away", "bring it back"))
    assert finding == Finding(
        check="KubeRay", verdict="wrong", text="it is away", hint="bring it back"
    )
