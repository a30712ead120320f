"""`pricon chaos RUN`: train a recorded run again while its processes are killed."""

import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from pricon.cli.reproduce import tell_deviations
from pricon.errors import SpecError
from pricon.launch.chaos import Ordeal, Storm, survive
from pricon.launch.victims import VICTIMS, Victim
from pricon.storage import open_storage

# -P: a file in the folder of the user must not be taken for a package.
_SUBMIT = (
    sys.executable,
    "-P",
    "-c",
    "from pricon.cli.main import submit_main; submit_main()",
)


def chaos(
    run: Annotated[str, typer.Argument(help="Folder of the run, such as runs/again-cv/<run id>.")],
    kill: Annotated[
        str, typer.Option(help="What is killed; `machine` is everything at once.")
    ] = ",".join(VICTIMS),
    faults: Annotated[int, typer.Option(help="So many at most.")] = 20,
    every: Annotated[float, typer.Option(help="Seconds between two, on average.")] = 15.0,
    seed: Annotated[int, typer.Option(help="Of the moments and of the choice.")] = 0,
) -> int:
    """Train a recorded run again on this machine, kill its processes meanwhile, and compare.

    It runs in a temporary folder, with checkpoints at least four times as often as faults, and is
    submitted again where a fault has ended it.

    Exit codes: 0 the same as the record, 1 not, or a submission ended otherwise than it should, 2
    the run or its corpus is not there or has changed, 3 the run fails without faults.
    """
    storm = Storm(victims=_victims(kill), num_faults=faults, every_s=every, seed=seed)
    with TemporaryDirectory(prefix="pricon-", ignore_cleanup_errors=True) as folder:
        found = survive(open_storage(run), Path(folder), storm, _SUBMIT, _say)
    typer.echo(_summary(found))
    for line in found.off:
        typer.echo(line, err=True)
    code = tell_deviations(found.reproduction)
    return 1 if found.off else code


def _victims(text: str) -> tuple[Victim, ...]:
    names = {name.strip() for name in text.split(",")}
    if unknown := sorted(names - {*VICTIMS}):
        raise SpecError(
            f"`--kill` names {unknown[0]!r}", f"give some of {', '.join(VICTIMS)}, with commas"
        )
    return tuple(victim for victim in VICTIMS if victim in names)


def _say(line: str) -> None:
    typer.echo(line, err=True)


def _summary(found: Ordeal) -> str:
    """The line for what was done.

    >>> from pricon.launch.compare import Reproduction
    >>> same = Reproduction(run_id="3f", num_trials=1, num_planned=1, largest=0.0, off=())
    >>> _summary(Ordeal(killed=("worker", "gcs", "worker"), num_submissions=2, seconds=84.0, off=(),
    ...     reproduction=same))
    '3 faults in 84 s: worker 2, gcs 1; submitted 2 times'
    """
    kinds = ", ".join(f"{kind} {number}" for kind, number in Counter(found.killed).most_common())
    times = "once" if found.num_submissions == 1 else f"{found.num_submissions} times"
    faults = "1 fault" if len(found.killed) == 1 else f"{len(found.killed)} faults"
    return f"{faults} in {found.seconds:.0f} s: {kinds}; submitted {times}"
