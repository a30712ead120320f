"""Entry points: run a command, turn an error into a message and an exit code."""

import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import NoReturn

import typer
import typer.exceptions
from rich.console import Console

from pricon.errors import (
    DEFECT,
    INTERRUPTED,
    UNREAD,
    LaunchError,
    PriconError,
    SpecError,
    is_of_machine,
)

_ASK_AGAIN_S = 0.02
KEPT = "; finished trials are kept\n\nhint: submit again to go on"
"""What an interrupted submission leaves behind. Other commands leave nothing."""


def submit_main() -> None:
    """`pricon-submit`."""
    _leave(exit_code_of(_submit, KEPT))


def main() -> None:
    """`pricon`."""
    _leave(exit_code_of(_pricon))


def _leave(code: int) -> NoReturn:
    """End this process; at once where Ray is still up, because threads may wait in it.

    An orderly end would shut Ray down under them, and Ray answers that with an exit code of its
    own. Ray's processes see that we have gone, and go too.
    """
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        sys.exit(code)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # a pipe that nobody reads any more
            stream.flush()
    os._exit(code)


def _submit() -> object:
    from pricon.cli.submit import app  # takes a second, in which somebody may press Ctrl-C

    return app(standalone_mode=False)


def _pricon() -> object:
    return commands()(standalone_mode=False)


def commands() -> typer.Typer:
    """Everything that `pricon` can do."""
    from pricon.cli import runs
    from pricon.cli.arguments import help_without_command
    from pricon.cli.bundle import bundle
    from pricon.cli.chaos import chaos
    from pricon.cli.corpus import app as corpus
    from pricon.cli.doctor import examine_cluster
    from pricon.cli.drive import drive_job
    from pricon.cli.reproduce import reproduce_run

    app = typer.Typer(
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        help="Privileged contrastive pretraining. Jobs are run by pricon-submit. Exit codes of all "
        "commands besides their own: 70 a defect of pricon, 130 interrupted, 141 nobody reads on.",
    )
    app.add_typer(corpus, name="corpus")
    app.command("reproduce")(reproduce_run)
    app.command("chaos")(chaos)
    app.command("list")(runs.list_all)
    app.command("status")(runs.show_status)
    app.command("logs")(runs.show_logs)
    app.command("cancel")(runs.cancel)
    app.command("results")(runs.show_results)
    app.command("doctor")(examine_cluster)
    app.command("bundle")(bundle)
    app.command("drive", hidden=True)(drive_job)
    app.callback(invoke_without_command=True)(help_without_command)
    return app


def exit_code_of(command: Callable[[], object], on_interruption: str = "") -> int:
    """Run `command`; its exit code, with errors said in words on stderr.

    Args:
        command: what to run.
        on_interruption: what is said after the word `interrupted`.
    """
    logging.basicConfig(level=logging.WARNING, format="%(message)s", stream=sys.stderr)
    errors = Console(stderr=True, soft_wrap=True, highlight=False, markup=False)
    # Being asked to end is an interruption: what was begun is closed, what is finished is kept.
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, _interrupt)}
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # else Ctrl-C is ignored
        before[signal.SIGINT] = signal.signal(signal.SIGINT, _interrupt)
    try:
        result = command()
        if result == INTERRUPTED:  # the command line library has caught it
            raise KeyboardInterrupt
    except PriconError as err:
        errors.print(f"error: {err}")
        return err.exit_code
    except typer.exceptions.TyperException as err:
        errors.print(f"error: {err}\n\nhint: `--help` lists what a command takes")
        return SpecError.exit_code
    except (KeyboardInterrupt, typer.Abort):
        errors.print(f"interrupted{on_interruption}")
        return INTERRUPTED
    except SystemExit as err:
        return _left(err, errors)
    except Exception as err:
        return _told(err, errors, on_interruption)
    finally:
        for number, answer in before.items():
            signal.signal(number, answer)
    return result if isinstance(result, int) else 0


def _left(err: SystemExit, errors: Console) -> int:
    """The exit code where a library has ended the program, a broken pipe being the likely cause."""
    if isinstance(err.__context__, BrokenPipeError):
        return UNREAD  # libraries that print leave with 1, the code of a failed trial
    if isinstance(err.code, str):
        errors.print(f"error: {err.code}\n\nhint: a library has ended pricon; please report it")
        return DEFECT
    return err.code or 0


def _told(err: Exception, errors: Console, kept: str) -> int:
    """Say what nobody has put into words yet; the exit code."""
    with suppress(OSError):  # stderr may be what cannot be written
        if not (isinstance(err, OSError) and is_of_machine(err)):
            # a bug of ours: say so, with everything needed to report it
            errors.print_exception(show_locals=False)
            errors.print("this is a defect in pricon, not in your job; please report it")
            return DEFECT
        goes_on = "; finished trials are kept, so submit again to go on" if kept else ""
        errors.print(
            f"error: this machine failed: {err}\n\nhint: make room if its disk is full{goes_on}"
        )
    return LaunchError.exit_code


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt, but not in the middle of an import: in a moment, then.

    Python runs callbacks there whose errors it drops, lock in hand: nobody would be interrupted,
    and the next import of any thread would wait for ever.
    """
    if frame is None or not frame.f_code.co_filename.startswith("<frozen importlib"):
        raise KeyboardInterrupt
    threading.Timer(_ASK_AGAIN_S, os.kill, (os.getpid(), number)).start()
