"""The image: what its file says, and what may go into it. Building it needs a registry."""

import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

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


def pins() -> dict[str, str]:
    """Exact versions of deploy/constraints.txt by normalised name."""
    text = (ROOT / "deploy" / "constraints.txt").read_text(encoding="utf-8")
    lines = [line.split(" ", 1)[0] for line in text.splitlines() if not line.startswith("#")]
    assert [line for line in lines if "==" not in line] == []
    pairs = [line.split("==") for line in lines]
    return {canonicalize_name(name): version for name, version in pairs}


def asked_for() -> Iterator[Requirement]:
    """Requirements of `.[k8s,server]`, which the image installs."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    for text in (*project["dependencies"], *extras["k8s"], *extras["server"]):
        yield Requirement(text)


def required_by(asked: Requirement) -> Iterator[Requirement]:
    """What a package asks for in turn; nothing where it is not installed here."""
    try:
        texts = distribution(asked.name).requires or []
    except PackageNotFoundError:
        return
    for found in map(Requirement, texts):
        extras = asked.extras or {""}
        if found.marker is None or any(found.marker.evaluate({"extra": e}) for e in extras):
            yield found


def test_everything_it_installs_has_an_exact_version() -> None:
    assert "PIP_CONSTRAINT=/src/deploy/constraints.txt" in BUILD
    assert "install --no-cache-dir '.[k8s,server]'" in BUILD
    known, seen, left = pins(), set[str](), [*asked_for()]
    assert len(left) > 20
    wrong = []
    while left:
        asked = left.pop()
        if str(asked) in seen:
            continue
        seen.add(str(asked))
        version = known.get(canonicalize_name(asked.name))
        if version is None or not asked.specifier.contains(version, prereleases=True):
            wrong.append(f"{asked}: {version}")
        left += required_by(asked)
    assert wrong == []
    assert "psycopg-binary" in known, "an extra of what need not be installed here"
