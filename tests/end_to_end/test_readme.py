"""The README is true: its commands run, and its table is what they print."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from pricon.corpus.adapters.again_games import GAMES
from pricon.spec.load import load_job
from tests.corpora import real_corpus
from tests.safeguards.sources import ROOT

JOB = load_job(ROOT / "jobs" / "again_cv.yaml")
README = (ROOT / "README.md").read_text(encoding="utf-8")


def lines() -> list[str]:
    """Every line of every `sh` block."""
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def commands() -> list[str]:
    """What can be run on any machine, without comments."""
    return [
        line.split(" #")[0].strip()
        for line in lines()
        if not re.search("# needs a (Ray )?cluster", line)
    ]


def fresh_checkout(folder: Path) -> Path:
    """What git tracks, in a folder of its own, with this environment as its `.venv`."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes((ROOT / name).read_bytes())
    environment = folder / ".venv"
    environment.mkdir()
    for entry in Path(sys.prefix).iterdir():
        (environment / entry.name).symlink_to(entry)
    for stamp in (".installed", ".installed-dev"):
        (environment / stamp).unlink(missing_ok=True)
        (environment / stamp).touch()
    return folder


def run(command: str, folder: Path) -> str:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PRICON")}
    environment["PYTHONPATH"] = str(folder)  # the code of this copy, not of the installed checkout
    done = subprocess.run(
        command,
        shell=True,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def table(text: str) -> dict[str, list[float]]:
    """Arm or game -> the numbers of its row."""
    names = "|".join((*JOB.arms, *(game.key for game in GAMES)))
    arms = rf"^({names}) +([-+0-9\[].*)$"
    rows = re.findall(arms, text, re.MULTILINE)
    return {arm: [float(n) for n in re.findall(r"[-+]?\d+\.\d+", row)] for arm, row in rows}


@pytest.mark.ray
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_every_command_runs_and_the_table_is_what_it_prints(tmp_path: Path) -> None:
    folder = fresh_checkout(tmp_path / "pricon")
    # `make test` is what runs this very test; the job on real players has one of its own.
    mine = [c for c in commands() if c != "make test" and "again_derived" not in c]
    printed = {command: run(command, folder) for command in mine}
    demo = table(printed["make demo"])
    promised = table(README)
    assert demo.keys() == promised.keys() == {*JOB.arms, *(game.key for game in GAMES)}
    for arm, numbers in promised.items():
        assert numbers == pytest.approx(demo[arm], abs=0.005), arm
    again = printed[".venv/bin/pricon-submit jobs/again_cv.yaml"]
    assert table(again) == demo
    assert "generated data: says nothing about people" in printed["make demo"]


@pytest.mark.ray
@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="not a git checkout")
def test_the_job_on_real_players(tmp_path: Path) -> None:
    real = real_corpus("again_derived")
    shared = tmp_path / "shared" / "corpora"
    shared.mkdir(parents=True)
    (shared / "again_derived").symlink_to(real)
    (command,) = (c for c in commands() if "again_derived" in c)
    shown = run(f"{command} --only-folds 0", fresh_checkout(tmp_path / "pricon"))
    assert "generated" not in shown
    assert "missing or failed" not in shown
    assert re.search(r"macro average over stimuli, arousal, available: player, 2[45] partic", shown)


def test_every_make_target_exists() -> None:
    targets = (ROOT / "Makefile").read_text(encoding="utf-8")
    for command in commands():
        if command.startswith("make "):
            assert re.search(rf"^{command.split()[1]}:", targets, re.MULTILINE), command


def test_every_link_into_the_repository_leads_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", README) if "://" not in link]
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize("job", sorted((ROOT / "jobs").glob("*.yaml")), ids=lambda job: job.name)
def test_every_job_loads_and_is_named_in_the_readme(job: Path) -> None:
    from pricon.spec.load import load_job

    load_job(job)
    assert f"jobs/{job.name}" in README
    assert "# Cost: " in job.read_text(encoding="utf-8") or "Cost: " in job.read_text(
        encoding="utf-8"
    )
