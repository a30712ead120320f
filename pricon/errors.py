"""Every error that a user can cause or meet. Owns their shape and exit codes, nothing else.

A message says what is wrong, where, and what was expected; the hint says how to go on. Both
travel through `super().__init__`, so an error raised in a Ray worker arrives whole in the driver.
"""

import errno

INTERRUPTED = 130
"""Exit code of what was ended by Ctrl-C or SIGTERM."""
DEFECT = 70
"""Exit code of a bug of ours."""
UNREAD = 141
"""Exit code where nobody reads what is said any more: 128 + SIGPIPE, as shells have it."""
_OF_MACHINE = {
    errno.EDQUOT,
    errno.EFBIG,
    errno.EIO,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOMEM,
    errno.ENOSPC,
    errno.EROFS,
    errno.ESTALE,
}


class PriconError(Exception):
    """An error with a way out.

    Args:
        message: what is wrong, where, and what was expected.
        hint: a command or a key that leads on, or None where nothing honest can be advised.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message, hint)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        """Message, blank line, hint: what the terminal shows."""
        return self.message if self.hint is None else f"{self.message}\n\nhint: {self.hint}"


class TrainingError(PriconError):
    """A trial failed while it was trained or evaluated."""

    exit_code = 1


class SpecError(PriconError):
    """The job file or an argument is wrong; nothing has been started."""

    exit_code = 2


class PlanError(PriconError):
    """The job asks for something that this corpus cannot give, or that would leak."""

    exit_code = 2


class CorpusError(PriconError):
    """Recordings or a corpus are missing, damaged, or not what the job says they are."""

    exit_code = 2


class StorageError(CorpusError):
    """The object store did not answer, or failed while answering; trying again may help."""

    exit_code = 3


class LaunchError(PriconError):
    """The cluster, Ray or the tracking server failed."""

    exit_code = 3


def is_of_machine(error: OSError) -> bool:
    """Whether disk, memory or a connection failed; a path that is not there may be a defect."""
    return isinstance(error, (ConnectionError, TimeoutError)) or error.errno in _OF_MACHINE
