"""Logs: one JSON object a line on stderr, or lines for people where stderr is a terminal.

A secret that a line is about stands in fields of its own. Of exceptions stands there what
`failures` says of them, whoever logged them.
"""

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from keyturn.domain.errors import KeyturnError
from keyturn.domain.secret import SecretName
from keyturn.observability import failures

LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

_CHATTY = ("kopf", "aiohttp", "asyncio", "kubernetes", "urllib3")
"""Below warning they log whole objects, requests and the repr of tasks."""

_STANDARD = {*vars(logging.makeLogRecord({})), "message", "asctime", "taskName"}


class JSONFormatter(logging.Formatter):
    """Formats a record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "time": _time(record).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _message(record),
        }
        name = _secret_of(record)
        if name is not None:
            fields |= {"namespace": name.namespace, "secret": name.name}
        fields |= _extra_of(record)
        error = _error_of(record)
        if error is not None:
            fields |= {"error": failures.describe(error), "trace": failures.places(error)}
            fields |= {"causes": causes} if (causes := failures.causes(error)) else {}
        return json.dumps(fields, ensure_ascii=False)


class TextFormatter(logging.Formatter):
    """Formats a record as one line for a person."""

    def format(self, record: logging.LogRecord) -> str:
        level = record.levelname.lower()
        line = f"{_time(record):%H:%M:%S} {level:<8} {_message(record)}"
        error = _error_of(record)
        if error is not None:
            steps = [failures.describe(error), *failures.causes(error)]
            line += f" ({', from '.join(steps)})"
        # A line is a line, and a terminal obeys what it is sent.
        return "".join(c if c.isprintable() else " " for c in line)


def configure(level: str, *, stream: TextIO | None = None, as_text: bool | None = None) -> None:
    """Send all logs of this process to one stream, in place of whatever was there before."""
    target = stream or sys.stderr
    handler = logging.StreamHandler(target)
    readable = target.isatty() if as_text is None else as_text
    handler.setFormatter(TextFormatter() if readable else JSONFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(LEVELS[level])
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(LEVELS[level], logging.WARNING))
    logging.captureWarnings(capture=True)
    # A record that cannot be formatted would be printed with its arguments.
    logging.raiseExceptions = False


def _time(record: logging.LogRecord) -> datetime:
    return datetime.fromtimestamp(record.created, UTC)


def _message(record: logging.LogRecord) -> str:
    """Format the message; of a foreign exception among the arguments only its kind."""
    arguments: Any = record.args
    if isinstance(arguments, tuple):
        arguments = tuple(_safe(argument) for argument in arguments)
    elif isinstance(arguments, Mapping):
        arguments = {key: _safe(argument) for key, argument in arguments.items()}
    text = str(_safe(record.msg))
    try:
        return str(text % arguments) if arguments else text
    except (TypeError, ValueError, KeyError):
        return text


def _safe(argument: object) -> object:
    if isinstance(argument, BaseException) and not isinstance(argument, KeyturnError):
        return failures.describe(argument)
    return argument


def _secret_of(record: logging.LogRecord) -> SecretName | None:
    """Find the secret that a line is about: `extra={"secret": name}` or the first argument."""
    given = getattr(record, "secret", None)
    if isinstance(given, SecretName):
        return given
    arguments = record.args if isinstance(record.args, tuple) else ()
    return next((a for a in arguments if isinstance(a, SecretName)), None)


def _extra_of(record: logging.LogRecord) -> dict[str, Any]:
    """Find what our own code added by `extra`; kopf's extras are whole objects of the cluster."""
    if record.name.partition(".")[0] != "keyturn":
        return {}
    added = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    return {name: value for name, value in added.items() if isinstance(value, str | int | float)}


def _error_of(record: logging.LogRecord) -> BaseException | None:
    return record.exc_info[1] if record.exc_info else None
