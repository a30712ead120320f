"""The cluster profile, and what is said where there is none that can be used."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from ruamel.yaml.compat import StringIO

from pricon import __version__
from pricon.errors import LaunchError, SpecError
from pricon.launch.kubernetes.client import Cluster
from pricon.launch.kubernetes.installation import load_profile, read_profile
from tests.launch.kubernetes.clusters import make_profile
from tests.launch.kubernetes.operator import Operator


def profile(**changes: Any) -> dict[str, Any]:
    document = make_profile().model_dump(mode="json", by_alias=True, exclude_none=True)
    return document | changes


def install(operator: Operator, document: object, key: str = "profile.yaml") -> None:
    text = StringIO()
    YAML(typ="safe", pure=True).dump(document, text)
    operator.add(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "pricon-profile"},
            "data": {key: document if isinstance(document, str) else text.getvalue()},
        }
    )


def test_the_profile_is_read(kube: Cluster, operator: Operator) -> None:
    install(operator, profile())
    assert read_profile(kube) == make_profile()


def test_the_chart_is_not_installed(kube: Cluster) -> None:
    expected = "chart `pricon` is not installed in namespace `research`.*`pricon-profile`"
    with pytest.raises(LaunchError, match=expected) as caught:
        read_profile(kube)
    assert "helm install pricon helm/pricon --namespace research" in str(caught.value.hint)


def test_a_profile_of_another_name_is_not_there(kube: Cluster, operator: Operator) -> None:
    install(operator, profile())
    for name in ("pricon-profil", ""):
        expected = f"there is no ConfigMap `{name}` in namespace `research`, which `--profile`"
        with pytest.raises(LaunchError, match=expected) as caught:
            read_profile(kube, name)
        assert "leave `--profile` out" in str(caught.value.hint)


def test_the_image_holds_another_version(kube: Cluster, operator: Operator) -> None:
    install(operator, {"version": "9.8.7", "keys": "that nobody knows yet"})
    expected = f"this is pricon {__version__}, and the image of the cluster holds pricon 9.8.7"
    with pytest.raises(LaunchError, match=expected) as caught:
        read_profile(kube)
    assert "check out pricon 9.8.7 and install it" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (profile(pools={}), "`pools`: "),
        (
            profile(defaultPool="gpu-h100"),
            "`defaultPool` is `gpu-h100`, `pools` has `cpu`, `gpu-a100`",
        ),
        (profile(colour="blue"), "unknown key `colour`"),
        ({"version": __version__}, "missing key `image`"),
        (
            profile(storage={"corpora": "here", "output": "s3://a/b"}),
            "`storage.corpora` is 'here', expected text of the form `^s3://",
        ),
        ("pools: [", "not valid YAML"),
        ("words", "expected a mapping"),
        ("a: " + 3000 * "[", "not valid YAML"),
        ("a: &a [*a]", "no plain mapping"),
        ("? [a, b]\n: c", "no plain mapping"),
        (f"timeLimitS: {5000 * '9'}", "not valid YAML"),
        ({"version": __version__, "defaultpol": "cpu"}, "unknown key `defaultpol`"),
    ],
)
def test_a_profile_that_is_wrong(
    document: object, expected: str, kube: Cluster, operator: Operator
) -> None:
    install(operator, document)
    with pytest.raises(LaunchError, match="ConfigMap `pricon-profile` in namespace") as caught:
        read_profile(kube)
    assert expected in caught.value.message
    assert "helm upgrade" in str(caught.value.hint)


def test_some_other_config_map(kube: Cluster, operator: Operator) -> None:
    install(operator, profile(), key="values.yaml")
    with pytest.raises(LaunchError, match=r"has no key `profile\.yaml`") as caught:
        read_profile(kube)
    assert "`--profile` names another" in str(caught.value.hint)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pools: [", "not valid YAML"),
        ("words", "expected a mapping"),
        (f"version: {__version__}", "missing key `image`"),
        ("version: 9.8.7", "the image of the cluster holds pricon 9.8.7"),
    ],
)
def test_a_file_that_holds_no_profile(text: str, expected: str, tmp_path: Path) -> None:
    """It is the user's own: nobody need upgrade a chart for it."""
    file = tmp_path / "profile.yaml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(SpecError, match=expected) as caught:
        load_profile(file)
    assert str(file) in caught.value.message
    assert caught.value.hint is not None
    assert "helm upgrade" not in caught.value.hint
