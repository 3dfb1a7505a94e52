"""Values on their way to the one who asked for them."""

import base64
import sys
from collections.abc import Mapping
from typing import Any

from keyturn.cli.output import visible
from keyturn.domain.errors import InvalidParameterError
from keyturn.domain.payload import SecretValue

Json = dict[str, Any]


def write_raw(value: SecretValue) -> None:
    """Write the bytes of a value and nothing else, but a newline for the eye on a terminal.

    Raises:
        InvalidParameterError: a terminal would obey what the value holds.
    """
    if sys.stdout.isatty():
        text = _text_of(value)
        if text is None or visible(text) != text:
            raise InvalidParameterError(
                "the value is not printable text; send it to a file with >, or add -o json"
            )
        sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
        return
    sys.stdout.buffer.write(value.reveal())
    sys.stdout.buffer.flush()


def documents(values: Mapping[str, SecretValue]) -> Json:
    """Put values into a document: text as it is, other bytes in base64 apart from it."""
    texts = {key: _text_of(value) for key, value in values.items()}
    document: Json = {"values": {key: text for key, text in texts.items() if text is not None}}
    binary = {key: _base64_of(values[key]) for key, text in texts.items() if text is None}
    return document | ({"binaryValues": binary} if binary else {})


def rows(values: Mapping[str, SecretValue]) -> list[tuple[str, str]]:
    """Put values into the rows of a table; what is no text is only told of."""
    shown = {key: _text_of(value) for key, value in values.items()}
    return [
        (key, f"({len(values[key])} bytes that are no text)" if text is None else text)
        for key, text in shown.items()
    ]


def _text_of(value: SecretValue) -> str | None:
    try:
        return bytes(value.reveal()).decode()
    except UnicodeDecodeError:
        pass  # Not from here: the error holds the bytes.
    return None


def _base64_of(value: SecretValue) -> str:
    return base64.b64encode(value.reveal()).decode()
