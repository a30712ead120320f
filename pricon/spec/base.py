"""What all parts of a job file have in common: frozen, unknown keys refused, one kind of complaint.

`ContradictionError` is how a validator says what does not go together, and how to mend it.
"""

from pydantic import BaseModel, ConfigDict


class Spec(BaseModel):
    """A part of a job file; the docstring under a field is its documentation."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


class ContradictionError(ValueError):
    """Fields that are valid alone and not together; `hint` says how to go on."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint
