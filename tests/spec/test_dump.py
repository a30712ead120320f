"""YAML that people read, and that says the same when it is read again."""

from typing import Any

from ruamel.yaml import YAML

from pricon.spec.dump import dump, dump_job
from pricon.spec.load import load_job, parse_job
from tests.safeguards.sources import ROOT


def test_every_job_reads_as_it_was_written() -> None:
    for file in sorted((ROOT / "jobs").glob("*.yaml")):
        job = load_job(file)
        assert parse_job(dump_job(job), file.name) == job


def test_texts_stand_as_blocks_and_lists_below_their_key() -> None:
    text = dump({"data": {"job.yaml": "name: tiny\nseeds: [0]\n"}, "args": ["a", "b"]})
    assert text == ("data:\n  job.yaml: |\n    name: tiny\n    seeds: [0]\nargs:\n- a\n- b\n")


def test_nothing_is_lost_or_read_otherwise() -> None:
    odd: dict[str, Any] = {
        "a": "1",
        "b": "true",
        "c": "x" * 300,
        "d": None,
        "e": {"f": []},
        "g": "a\n\n  b ",
    }
    text = dump(odd, {"second": 2})
    assert list(YAML(typ="safe", pure=True).load_all(text)) == [odd, {"second": 2}]
