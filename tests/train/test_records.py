"""A stage is finished when its record verifies."""

from pathlib import Path

import numpy as np
import pytest

from pricon.heartbeat import beats
from pricon.storage import open_storage
from pricon.train.records import Records, StageFacts, StageRecord


def record(stage_id: str = "abc") -> StageRecord:
    facts = StageFacts(
        stage_id=stage_id,
        role="student",
        objective="distillation",
        modalities=("frames",),
        source=None,
        participants={"train": ("P1",), "validation": ("P2",), "test": ("P3",)},
        num_windows={"train": 5, "validation": 2, "test": 3, "dropped": 1},
        share_high={"train": 0.5, "validation": 0.5, "test": 0.4},
        curves={"validation_loss": (1.0, 0.5)},
        best_epoch=1,
        layers=(("head", 2, 2),),
        features={"frames": (3, 4)},
        made_with={"torch": "2.13.0"},
        seconds=1.5,
        members=4,
    )
    arrays = {
        "parameters": np.arange(6, dtype=np.float32),
        "test_window": np.array([4, 5, 9]),
        "test_label": np.array([1, 0, 1], dtype=np.int8)[::-1],
        "test_probability_high": np.array([0.9, 0.2, 0.4], dtype=np.float32),
    }
    return StageRecord(facts=facts, arrays=arrays)


def test_what_is_committed_comes_back(tmp_path: Path) -> None:
    records = Records(open_storage(str(tmp_path)))
    assert records.load("abc") is None
    before = beats()
    records.commit(record())
    loaded = records.load("abc")
    assert beats() - before == 2
    assert loaded is not None
    assert loaded.facts == record().facts
    for name, array in record().arrays.items():
        assert np.array_equal(loaded.arrays[name], array)
        assert loaded.arrays[name].dtype == array.dtype
    records.forget("abc")
    assert records.load("abc") is None


@pytest.mark.parametrize(
    "damage", ["arrays", "truncated", "commit", "null", "facts", "other stage", "missing"]
)
def test_a_damaged_record_has_not_happened(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    records = Records(open_storage(str(tmp_path)))
    records.commit(record())
    (arrays,) = tmp_path.glob("abc-*.safetensors")
    commit = tmp_path / "abc.json"
    payload = arrays.read_bytes()
    match damage:
        case "arrays":
            arrays.write_bytes(payload[:-1] + bytes([payload[-1] ^ 1]))
        case "truncated":
            arrays.write_bytes(payload[:-3])
        case "commit":
            commit.write_bytes(commit.read_bytes()[:40])
        case "null":
            commit.write_text("null", encoding="utf-8")
        case "facts":
            commit.write_bytes(commit.read_bytes().replace(b'"P1"', b'"P3"'))
        case "other stage":
            records.commit(record("def"))
            commit.write_bytes((tmp_path / "def.json").read_bytes())
        case _:
            arrays.unlink()
    assert records.load("abc") is None
    assert "damaged record is passed over, its stage will run again" in caplog.text


def test_arrays_without_a_commit_record_have_not_happened(tmp_path: Path) -> None:
    records = Records(open_storage(str(tmp_path)))
    records.commit(record())
    (tmp_path / "abc.json").unlink()
    assert records.load("abc") is None
