"""How a command ends: its exit code, and one line on stderr that says what is wrong."""

from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from keyturn.domain import errors

UNEXPECTED = 1
INTERRUPTED = 130
NOT_ROTATED = 7
"""A rotation did not succeed: it is tried again by itself, or it was given up."""
SIGNALLED = 128
"""Added to the number of the signal that ended a command, as shells do."""

EXIT_CODES: Mapping[type[errors.KeyturnError], int] = {
    errors.KeyturnError: UNEXPECTED,
    errors.InvalidError: 2,
    errors.NotFoundError: 3,
    errors.ConflictError: 4,
    errors.AwaitingInputError: 4,
    errors.RotationPendingError: 4,
    errors.DeniedError: 5,
    errors.UnavailableError: 6,
    errors.IntegrityError: 70,
}
"""One code for each branch of the tree: a script decides by what to do next."""

_HINTS: Mapping[type[errors.KeyturnError], str] = {
    errors.SecretNotFoundError: "keyturn list -A shows what there is",
    errors.VersionNotFoundError: "keyturn history shows what there is",
    errors.StageMovedError: "look at keyturn history, then run it again",
    errors.DecryptionFailedError: "restore the key or the store from a backup",
}


def exit_code(error: errors.KeyturnError) -> int:
    """Tell the exit code of an error: that of the nearest class in the table."""
    return next(EXIT_CODES[kind] for kind in type(error).__mro__ if kind in EXIT_CODES)


def report(error: errors.KeyturnError) -> int:
    """Print the error and return its exit code."""
    hint = next((_HINTS[kind] for kind in type(error).__mro__ if kind in _HINTS), "")
    print_error(f"{error.message}; {hint}" if hint and hint not in error.message else error.message)
    return exit_code(error)


def print_error(message: str) -> None:
    _print_line(Text("error: ", style="bold red"), message)


def print_note(message: str) -> None:
    """Say something beside the output, which a script may be reading."""
    _print_line(Text("note: ", style="bold"), message)


def _print_line(prefix: Text, message: str) -> None:
    # No markup, no wrapping, and nothing that a terminal would obey.
    printable = "".join(c if c.isprintable() else " " for c in message)
    Console(stderr=True, highlight=False, soft_wrap=True).print(
        prefix + " ".join(printable.split())
    )
