"""What is said of an exception that nobody foresaw: its type and its place, never its text.

The text of a foreign exception may quote what the code was working on, and so may the repr of a
task that failed with it. Only our own errors promise to hold no plaintext.
"""

import asyncio
import logging
import sys
import threading
import traceback
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from keyturn.domain.errors import KeyturnError

logger = logging.getLogger(__name__)

_MAX_FRAMES = 20
_NEAREST = 4
_MAX_CAUSES = 5


def describe(error: BaseException) -> str:
    """Say in one line what is safe to say of any exception: of a group, of each one in it.

    >>> describe(ValueError("hunter2"))
    'ValueError'
    """
    told = f"{type(error).__name__}: {error}" if isinstance(error, KeyturnError) else _kind(error)
    innermost = places(error)[: -_NEAREST - 1 : -1]
    line = f"{told} at {' < '.join(innermost)}" if innermost else told
    inner = error.exceptions[:_MAX_CAUSES] if isinstance(error, BaseExceptionGroup) else ()
    return "; ".join([line, *(describe(each) for each in inner)])


def places(error: BaseException) -> list[str]:
    """List where an exception came through: file, line and function, the innermost last."""
    frames = traceback.extract_tb(error.__traceback__, limit=-_MAX_FRAMES)
    return [f"{_short(frame.filename)}:{frame.lineno} in {frame.name}" for frame in frames]


def causes(error: BaseException) -> list[str]:
    """List what an exception was raised from, each described."""
    found: list[str] = []
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    while cause is not None and len(found) < _MAX_CAUSES:
        found.append(describe(cause))
        cause = cause.__cause__ or (None if cause.__suppress_context__ else cause.__context__)
    return found


def install(report: Callable[[BaseException], None] | None = None) -> None:
    """Put the hooks of last resort in place; `report` replaces the log for the main thread."""

    def of_main(
        kind: type[BaseException], error: BaseException, trace: TracebackType | None
    ) -> None:
        if issubclass(kind, KeyboardInterrupt):
            return
        (report or _log)(error.with_traceback(trace))

    def of_thread(failure: threading.ExceptHookArgs) -> None:
        if failure.exc_value is not None and not isinstance(failure.exc_value, SystemExit):
            _log(failure.exc_value)

    def unraisable(failure: Any) -> None:
        # Neither the object's repr nor the message: a finalizer may have held plaintext.
        if failure.exc_value is not None:
            _log(failure.exc_value)

    sys.excepthook = of_main
    threading.excepthook = of_thread
    sys.unraisablehook = unraisable


def handle_in_loop(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what an event loop could tell to nobody, for `loop.set_exception_handler`.

    asyncio's own handler logs the repr of the task, with the text of its exception.
    """
    error = context.get("exception")
    if isinstance(error, BaseException):
        _log(error)
    else:
        logger.error("the event loop reports: %s", context.get("message", "a failure"))


def _log(error: BaseException) -> None:
    logger.critical("unexpected %s", describe(error), exc_info=error)


def _kind(error: BaseException) -> str:
    number = getattr(error, "errno", None)
    return f"{type(error).__name__}({number})" if isinstance(number, int) else type(error).__name__


def _short(filename: str) -> str:
    """Shorten a path to the part below the folder of packages."""
    parts = Path(filename).parts
    for folder in ("site-packages", "operator"):
        if folder in parts:
            return "/".join(parts[parts.index(folder) + 1 :])
    return Path(filename).name
