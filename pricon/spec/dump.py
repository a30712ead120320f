"""Specs and plain objects -> YAML as a person would write it: blocks, long texts as they are."""

import io
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.scalarstring import LiteralScalarString

from pricon.spec.job import JobSpec


def dump_job(job: JobSpec) -> str:
    """The whole job, defaults included, as a job file that gives the same run."""
    return dump(job.model_dump(mode="json"))


def dump(*documents: Any) -> str:
    """Plain objects as YAML, several as documents of one stream."""
    yaml = YAML(typ="rt", pure=True)
    yaml.width = 10_000  # a line that is broken cannot be found again by whoever reads on
    yaml.default_flow_style = False
    buffer = io.StringIO()
    yaml.dump_all([_readable(document) for document in documents], buffer)
    return buffer.getvalue()


def _readable(value: Any) -> Any:
    """The same, with texts of several lines to be written as blocks."""
    if isinstance(value, dict):
        return {key: _readable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_readable(each) for each in value]
    if isinstance(value, str) and "\n" in value:
        return LiteralScalarString(value)
    return value
