"""Benchmarks do not rot: their quick forms run, agree with what they compare to, and write JSON."""

import importlib
import json
from pathlib import Path

import pytest
import torch

from tests.benchmarks import cross_validation, gpu, roofline, startup
from tests.benchmarks.__main__ import BENCHMARKS
from tests.benchmarks.world import QUICK, World


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "runs" / "bench"


def written(folder: Path, name: str) -> dict[str, list[list[object]]]:
    found: dict[str, list[list[object]]] = json.loads((folder / f"{name}.json").read_text("utf-8"))
    return found


def test_every_benchmark_has_a_main() -> None:
    for name in BENCHMARKS:
        assert callable(importlib.import_module(f"tests.benchmarks.{name}").main)


def test_packs_and_plain_loops_compute_the_same() -> None:
    losses, weights = cross_validation.largest_differences(World(QUICK))
    assert 0 < losses < 1e-5
    assert 0 < weights < 1e-4


@pytest.mark.multiprocess
def test_cross_validation(folder: Path) -> None:
    cross_validation.main(["--quick"])
    rows = written(folder, "cross_validation")["rows"]
    assert rows[0][2] == 1.0
    kinds = [row[0] for row in written(folder, "cross_validation_stages")["rows"]]
    assert {*cross_validation.KINDS} == {*kinds}


def test_a_device_is_compared_with_itself(folder: Path) -> None:
    gpu.main(["--quick", "--device", "cpu"])
    (ours, shared, alone) = written(folder, "gpu")["rows"]
    assert ours[2] == 1.0
    assert isinstance(shared[1], float)
    assert isinstance(alone[1], float)
    assert 0 < shared[1] < alone[1]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
def test_losses_on_a_gpu_are_those_of_the_cpu() -> None:
    assert gpu.largest_difference(torch.device("cuda")) < 1e-3


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_without_a_gpu_nothing_is_claimed_for_one(folder: Path) -> None:
    gpu.main(["--quick"])
    assert [row[1] for row in written(folder, "gpu")["rows"]] == [None] * 3


def test_roofline(folder: Path) -> None:
    threads = torch.get_num_threads()
    try:
        roofline.main(["--quick"])
    finally:
        torch.set_num_threads(threads)
    assert [row[0] for row in written(folder, "roofline")["rows"]] == ["pack of 1", "pack of 10"]


@pytest.mark.multiprocess
def test_startup(folder: Path, tmp_path: Path) -> None:
    """The part without Ray and MLflow, which take a minute."""
    few, many = startup.scale(tmp_path, [4, 40]).rows
    assert few[0] == "4 trials"
    assert many[0] == "40 trials"
    cost = startup.trial_cost(tmp_path, 40, rounds=1, tracks=False)
    assert [row[0] for row in cost.rows][:2] == ["4 trials", "40 trials"]
