"""The image: what its file says, and what may go into it. Building it needs a registry."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from tests.helm.binaries import hadolint
from tests.helm.render import KubernetesObject, pods
from tests.safeguards.sources import ROOT

DOCKERFILE = ROOT / "deploy" / "Dockerfile"
TEXT = re.sub(r"\\\n\s*", " ", DOCKERFILE.read_text(encoding="utf-8"))
BUILD, FINAL = re.split(r"^FROM \$\{BASE\}\n", TEXT, flags=re.MULTILINE)


def test_hadolint_has_nothing_to_say(binaries: Path) -> None:
    done = hadolint(binaries).run("--no-color", str(DOCKERFILE), check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_the_base_can_be_pinned_by_digest() -> None:
    default = re.findall(r"^ARG BASE=(\S+)$", TEXT, re.MULTILINE)
    assert default == ["docker.io/library/python:3.11-slim-bookworm"]
    assert set(re.findall(r"^FROM (\S+)", TEXT, re.MULTILINE)) == {"${BASE}"}
    script = (ROOT / "deploy" / "build.sh").read_text(encoding="utf-8")
    assert '--build-arg "BASE=$base@$digest"' in script


def copied() -> set[str]:
    """Sources of every COPY out of the build context."""
    lines = re.findall(r"^COPY (?!--from)(.+)$", TEXT, re.MULTILINE)
    return {source for line in lines for source in line.split()[:-1]}


def test_what_is_copied_is_there_and_nothing_else_is_sent() -> None:
    assert copied() == {
        *("deploy/constraints.txt", "pyproject.toml", "README.md", "LICENSE", "pricon")
    }
    assert [source for source in copied() if not (ROOT / source).exists()] == []
    rules = [
        line
        for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
        if line and not line.startswith("#")
    ]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied()
    assert any(fnmatch("pricon/spec/__pycache__", rule) for rule in rules[1:])


def test_nothing_is_added_to_the_base() -> None:
    """No package, no compiler, no package manager of Python in the environment."""
    assert "apt" not in re.sub(r"^#.*$", "", FINAL, flags=re.MULTILINE)
    assert "--without-pip" in BUILD
    assert "pip" not in FINAL


def test_its_user_is_that_of_the_pods(charts: dict[str, list[KubernetesObject]]) -> None:
    (user,) = re.findall(r"^USER (\d+):\1$", FINAL, re.MULTILINE)
    assert f"--uid {user} " in FINAL
    users = {pod["spec"]["securityContext"]["runAsUser"] for _, pod in pods(charts["default"])}
    assert users == {int(user)}


@pytest.mark.parametrize("label", ["version", "revision", "base.name", "licenses"])
def test_it_says_what_it_is(label: str) -> None:
    assert f"org.opencontainers.image.{label}=" in FINAL


def test_everything_it_installs_has_an_exact_version() -> None:
    assert "PIP_CONSTRAINT=/src/deploy/constraints.txt" in BUILD
    lines = (ROOT / "deploy" / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {line.partition("==")[0].lower().replace("_", "-") for line in lines if "==" in line}
    assert {"psycopg-binary", "flask-wtf", "kubernetes", "torch", "mlflow", "ray"} <= pins
    assert [line for line in lines if not line.startswith("#") and "==" not in line] == []
