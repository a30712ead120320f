"""`pricon chaos RUN`: train a recorded run again while its processes are killed."""

import shutil
import sys
from collections import Counter
from pathlib import Path
from tempfile import mkdtemp
from typing import Annotated

import typer

from pricon.cli.reproduce import tell_deviations
from pricon.errors import SpecError
from pricon.launch.chaos import Outcome, reproduce_under_faults
from pricon.launch.compare import TOLERANCE
from pricon.launch.faults import LOG, Faults
from pricon.launch.victims import VICTIMS, Victim
from pricon.storage import open_storage

# -P: a file in the folder of the user must not be taken for a package.
_SUBMIT = (
    sys.executable,
    "-P",
    "-c",
    "from pricon.cli.main import submit_main; submit_main()",
)
_DEFAULT = Faults()


def chaos(  # noqa: PLR0913  # options of a command
    run: Annotated[str, typer.Argument(help="Folder of the run, such as runs/again-cv/<run id>.")],
    kill: Annotated[
        str, typer.Option(help="What is killed, in turn; `machine` is everything at once.")
    ] = ",".join(VICTIMS),
    faults: Annotated[int, typer.Option(help="So many at most.")] = _DEFAULT.number,
    every: Annotated[float, typer.Option(help="Seconds between two, on average.")] = (
        _DEFAULT.every_s
    ),
    within: Annotated[
        float, typer.Option(help="Seconds after which a submission has hung.")
    ] = _DEFAULT.within_s,
    seed: Annotated[int, typer.Option(help="Of the moments of faults.")] = _DEFAULT.seed,
    tolerance: Annotated[float, typer.Option(help="As of `pricon reproduce`.")] = TOLERANCE,
) -> int:
    """Train a recorded run again on this machine, kill its processes meanwhile, and compare.

    It runs in a temporary folder, MLflow's database included, with checkpoints at least four times
    as often as faults, may lose as many workers as there are faults, and is submitted again where a
    fault has ended it.

    Exit codes: 0 the same as the record, and every trial once in MLflow, 1 not, or a submission did
    not end as it should, 2 the run or its corpus is not there or has changed, or it was over before
    the first fault, 3 the run fails without faults.
    """
    wanted = Faults(
        victims=_victims(kill), number=faults, every_s=every, within_s=within, seed=seed
    )
    folder = Path(mkdtemp(prefix="pricon-"))
    code: int | None = None
    try:
        storage = open_storage(run)
        found = reproduce_under_faults(storage, folder, wanted, _SUBMIT, tolerance, _say)
        code = _tell(found)
    except KeyboardInterrupt:
        code = 0  # nobody looks for a fault
        raise
    finally:
        if code != 0 and any(folder.glob(LOG.format("*"))):
            _say(f"logs of all submissions are kept in {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    return code


def _victims(text: str) -> tuple[Victim, ...]:
    names = {name.strip() for name in text.split(",")}
    if unknown := sorted(names - {*VICTIMS}):
        raise SpecError(
            f"`--kill` names {unknown[0]!r}", f"give some of {', '.join(VICTIMS)}, with commas"
        )
    return tuple(victim for victim in VICTIMS if victim in names)


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _tell(found: Outcome) -> int:
    """Say what was found; exit code."""
    typer.echo(_summary(found))
    code = 1 if found.reproduction is None else tell_deviations(found.reproduction)
    if found.num_off:
        _say(f"what went otherwise than it should is told above: {found.num_off}")
        return 1
    typer.echo("every submission ended as it should, and MLflow has every trial once")
    return code


def _summary(found: Outcome) -> str:
    """The line for what was done.

    >>> _summary(Outcome(killed=("worker", "gcs", "worker"), num_submissions=2, seconds=84.0,
    ...     num_off=0, reproduction=None))
    '3 faults in 84 s: worker 2, gcs 1; submitted 2 times'
    """
    kinds = ", ".join(f"{kind} {number}" for kind, number in Counter(found.killed).most_common())
    times = "once" if found.num_submissions == 1 else f"{found.num_submissions} times"
    faults = "1 fault" if len(found.killed) == 1 else f"{len(found.killed)} faults"
    what = f": {kinds}" if kinds else ""
    return f"{faults} in {found.seconds:.0f} s{what}; submitted {times}"
