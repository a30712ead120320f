"""What one check of a namespace found. Nothing else."""

from dataclasses import dataclass
from typing import Literal

from pricon.errors import PriconError

Verdict = Literal["ok", "wrong", "note"]
"""A note is worth knowing, or says what could not be looked at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a check found.

    Args:
        check: what was looked at.
        verdict: of it.
        text: what is there, or what is wrong.
        hint: how to go on, or None.
    """

    check: str
    verdict: Verdict
    text: str
    hint: str | None = None

    @staticmethod
    def of_error(check: str, error: PriconError) -> "Finding":
        """What is wrong, as the error says it."""
        return Finding(check=check, verdict="wrong", text=error.message, hint=error.hint)
