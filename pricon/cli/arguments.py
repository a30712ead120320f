"""What options of several commands say."""

import typer

from pricon.errors import SpecError
from pricon.spec.base import ContradictionError
from pricon.spec.resources import known_target


def parse_folds(text: str | None) -> tuple[int, ...] | None:
    """Numbers of folds, ascending; None where nothing was asked.

    Raises:
        SpecError: it is not a list of numbers.

    >>> parse_folds("2, 0,2")
    (0, 2)
    """
    if text is None:
        return None
    numbers = text.split(",")
    if not all(number.strip().isascii() and number.strip().isdigit() for number in numbers):
        raise SpecError(
            f"`--only-folds` is {text!r}\n  expected numbers of folds, from 0, with commas",
            "for example `--only-folds 0,1`",
        )
    return tuple(sorted({int(number) for number in numbers}))


def parse_target(target: str) -> str:
    """What `--target` says.

    Raises:
        SpecError: there is no such target.
    """
    try:
        return known_target(target)
    except ContradictionError as err:
        raise SpecError(f"`--target`: {err}", err.hint) from err


def help_without_command(context: typer.Context) -> None:
    """Show what there is to whoever names no command; that is wrong, but no error to read."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(SpecError.exit_code)
