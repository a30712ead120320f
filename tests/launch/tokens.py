"""Tokens of Ray clusters, as a process has them."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from ray._private.authentication_test_utils import reset_auth_token_state


@contextmanager
def with_token(token: str | None) -> Iterator[None]:
    """This process as one that has a token; Ray reads it once and remembers it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_AUTH_MODE", "disabled" if token is None else "token")
        if token is not None:
            patch.setenv("RAY_AUTH_TOKEN", token)
        reset_auth_token_state()
        yield
    reset_auth_token_state()
