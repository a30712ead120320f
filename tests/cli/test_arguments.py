"""Options that several commands have."""

import pytest

from pricon.cli.arguments import parse_folds, parse_target
from pricon.errors import SpecError


@pytest.mark.parametrize(("text", "folds"), [(None, None), ("0", (0,)), ("3, 1,3", (1, 3))])
def test_folds(text: str | None, folds: tuple[int, ...] | None) -> None:
    assert parse_folds(text) == folds


@pytest.mark.parametrize("text", ["", "one", "-1", "0;1", "1.5"])
def test_what_are_no_folds(text: str) -> None:
    with pytest.raises(SpecError, match="expected numbers of folds") as e:
        parse_folds(text)
    assert e.value.hint == "for example `--only-folds 0,1`"


@pytest.mark.parametrize("text", ["local", "kubernetes", "ray://host:10001", "https://host"])
def test_targets(text: str) -> None:
    assert parse_target(text) == text


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("lokal", "did you mean `local`?"),
        ("ftp://host", "an address is `ray://host:port` or `http://...`"),
        ("http://", "an address is `ray://host:port` or `http://...`"),
    ],
)
def test_what_is_no_target(text: str, hint: str) -> None:
    with pytest.raises(SpecError, match=f"`--target`: there is no target `{text}`") as e:
        parse_target(text)
    assert e.value.hint == hint
