"""Values on their way in: from a prompt, stdin or a file, and never from the command line."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import typer

from keyturn.cli.exits import print_note
from keyturn.domain.errors import InvalidParameterError, ValueTooLargeError
from keyturn.domain.managed_secret import is_key
from keyturn.domain.payload import SecretValue

MAX_BYTES = 1024 * 1024
"""More than any payload may have."""

STDIN = Path("-")

ON_THE_COMMAND_LINE = (
    "a value does not belong on the command line: every process of this machine can read it there,"
    " and the shell keeps it; give it on stdin, by --from-file or at the prompt"
)


def refuse_key(key: str) -> None:
    """Raise InvalidParameterError unless it can be a key; it may be a value, so it is not shown."""
    if not is_key(key):
        raise InvalidParameterError(f"--key takes the name of a key alone; {ON_THE_COMMAND_LINE}")


def read_value(key: str, file: Path | None) -> SecretValue:
    """Read the value of a key: of the file, byte by byte, else of a prompt or stdin.

    On stdin the newline behind a single line is left out, as `echo` wrote it and not the person;
    a text of more lines, such as a PEM file, stays as it is.

    Raises:
        InvalidParameterError: there is no value, or the file cannot be read.
    """
    if file is not None:
        return SecretValue(_read(file))
    if sys.stdin.isatty():
        asked = typer.prompt(f"Value of {key}", hide_input=True, confirmation_prompt=True, err=True)
        return SecretValue(str(asked).encode())
    read = _read(STDIN)
    if read.endswith(b"\n") and read.count(b"\n") == 1:
        del read[-1:]
        print_note("the newline at the end is left out; --from-file - keeps it")
    if not read:
        raise InvalidParameterError(
            "stdin holds no value; an empty one is given by --from-file or --from-json"
        )
    return SecretValue(read)


def read_values(file: Path) -> dict[str, SecretValue]:
    """Read the values of several keys from a JSON object of strings.

    Raises:
        InvalidParameterError: it is none, a key comes twice, or no Secret can have it.
    """
    text = _read(file)
    try:
        parsed = json.loads(text, object_pairs_hook=_once, parse_constant=_refuse)
    except InvalidParameterError:
        raise
    except (ValueError, RecursionError):
        parsed = None  # Not from here: the error holds the text.
    finally:
        text[:] = bytes(len(text))
    if not isinstance(parsed, Mapping) or not parsed:
        raise InvalidParameterError('--from-json takes one JSON object, {"key": "value", …}')
    return {key: _value(key, value) for key, value in parsed.items()}


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise InvalidParameterError("--from-json holds a key twice")
    return found


def _refuse(_: str) -> NoReturn:
    raise InvalidParameterError("--from-json takes strings as values")


def _value(key: str, value: object) -> SecretValue:
    if not is_key(key):
        raise InvalidParameterError("--from-json holds a key that no Secret can have")
    if not isinstance(value, str):
        raise InvalidParameterError(f"--from-json takes strings as values; {key!r} has none")
    try:
        return SecretValue(value.encode())
    except UnicodeEncodeError:
        pass  # Not from here: the error holds the value.
    raise InvalidParameterError(f"the value of {key!r} in --from-json is not whole Unicode")


def _read(file: Path) -> bytearray:
    try:
        if file == STDIN:
            read = bytearray(sys.stdin.buffer.read(MAX_BYTES + 1))
        else:
            with file.open("rb") as opened:
                read = bytearray(opened.read(MAX_BYTES + 1))
    except OSError as error:
        raise InvalidParameterError(f"cannot read {file}: {error.strerror}") from error
    if len(read) > MAX_BYTES:
        raise ValueTooLargeError(f"more than {MAX_BYTES} bytes; no payload may be so large")
    return read
