"""Errors cross process borders: an error that cannot be pickled hangs or hides the real one."""

import importlib
import pickle
import pkgutil
from collections.abc import Iterator

import pytest

import pricon
from pricon.errors import PriconError

EXIT_CODES = {1, 2, 3}


def family(error: type[PriconError]) -> Iterator[type[PriconError]]:
    yield error
    for child in error.__subclasses__():
        yield from family(child)


def load_everything() -> None:
    for module in pkgutil.walk_packages(pricon.__path__, "pricon."):
        importlib.import_module(module.name)


def test_every_error_survives_pickling() -> None:
    load_everything()
    errors = list(family(PriconError))
    assert len(errors) >= 6
    for error in errors:
        for hint in (None, "lower `folds.count`"):
            back = pickle.loads(pickle.dumps(error("fold 4 of 5 has no test window", hint)))
            assert type(back) is error
            assert back.message == "fold 4 of 5 has no test window", error
            assert back.hint == hint, error
            assert back.exit_code == error.exit_code
            assert error.exit_code in EXIT_CODES, error


@pytest.mark.parametrize(
    ("hint", "text"), [(None, "what"), ("how to go on", "what\n\nhint: how to go on")]
)
def test_an_error_shows_its_hint_below_its_message(hint: str | None, text: str) -> None:
    assert str(PriconError("what", hint)) == text
