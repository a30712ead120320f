"""The one base class of all parts of a job file: frozen, unknown keys refused."""

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """A part of a job file; the docstring under a field is its documentation."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )
